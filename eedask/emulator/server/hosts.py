"""Decides where the emulator listens, and that it answers programs but no web pages.

It listens on this machine only, unless ``--host`` says otherwise, and then it prints a warning. A
web page that is open in a browser of this machine could still send requests to it, so these are
refused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from dataclasses import dataclass
from typing import Self

from eedask.emulator.errors import EarthEngineError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[\w.-]+)(:\d+)?")

LOOPBACK = "127.0.0.1"
"""Where it listens unless told otherwise."""


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on this host is reached from this machine only.

    A name other than ``localhost`` is not looked up; it counts as an address of the network.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warn_of_host(host: str) -> None:
    """Print a warning to standard error if other machines can reach the emulator."""
    if not is_loopback(host):
        print(
            f"Warning: listening on {host or 'all addresses'}: whoever reaches this machine can "
            "use the emulator and read what is mounted. It asks for no credentials.",
            file=sys.stderr,
        )


def url_of(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a server that listens on a host."""
    shown = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


@dataclass(frozen=True)
class Callers:
    """Tells requests of web pages from those of programs, by the headers that browsers send.

    Parameters
    ----------
    names : frozenset of str
        The emulator's own names, in lower case, besides ``localhost`` and all IP addresses.

    Notes
    -----
    A browser states the page that a request comes from in the header ``Origin``, for all methods
    but GET and HEAD, and for these too where the page could read the answer. Programs send none.
    In ``Host`` it states the name under which it looked up the server. A page may be able to read
    the answers of a server that has the page's own name, and who owns that name can let it lead to
    this machine ("DNS rebinding"); such a name shows here. An address is not looked up.
    """

    names: frozenset[str]

    @classmethod
    def of(cls, host: str) -> Self:
        """Return the callers of an emulator that listens on a host."""
        own = () if is_loopback(host) else (host, socket.gethostname())
        return cls(frozenset(name.lower() for name in ("localhost", *own) if name))

    def refusal(self, host: str | None, origin: str | None) -> EarthEngineError | None:
        """Return the error, of status 403, that a request of a web page gets; None for a program's.

        Parameters
        ----------
        host, origin : str, optional
            The request's headers of these names.
        """
        if host is not None and not self._is_own(host):
            return EarthEngineError(
                f"The emulator is not called {host!r}. It answers under its address, and under the"
                " name that --host gives it, so that no web page can read its answers.",
                403,
            )
        if origin is not None and origin.lower() != f"http://{host}".lower():
            return EarthEngineError(
                "The emulator answers programs and its own pages, but no other web pages: this"
                f" request's Origin is {origin!r}.",
                403,
            )
        return None

    def _is_own(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        name = found["name"].strip("[]") if found else ""
        return name in self.names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
