"""Where the emulator listens: this machine only, unless it is told otherwise, and then it warns."""

from __future__ import annotations

import ipaddress
import sys

LOOPBACK = "127.0.0.1"
"""Where it listens unless told otherwise."""


def is_loopback(host: str) -> bool:
    """Whether what listens there is reached from this machine alone.

    A name other than ``localhost`` is not looked up: it counts as an address of the network.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warn_of_host(host: str) -> None:
    """Say on standard error who else can use the emulator, if anybody can."""
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
