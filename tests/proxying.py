"""A server between the sampler and an emulator that spoils some of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler

import urllib3
from loopback import Handler, reply

# The headers of a request that are handed on.
_KEPT = ("content-type", "authorization", "x-goog-user-project")


class Proxy:
    """Hands requests on to an emulator, and spoils answers.

    Attributes
    ----------
    body : bytes or callable
        What is answered instead; or makes that of the emulator's own answer.
    words : tuple of str
        All in the requests whose answers are spoilt, the path included.
    times : float
        So many of them.
    spoilt : int
        How many were.
    instead : mapping of str to callable
        Each answers the requests with its word in them, in whatever way, in place of the emulator.
    """

    def __init__(self, url: str) -> None:
        self.url, self.http = url, urllib3.PoolManager(maxsize=8)
        self.instead: Mapping[str, Handler] = {}
        self.spoil(b"", (), times=0)

    def spoil(
        self,
        body: bytes | Callable[[bytes], bytes],
        words: str | tuple[str, ...],
        times: float = float("inf"),
    ) -> None:
        """Spoil the answers to so many requests from now on."""
        self.words = (words,) if isinstance(words, str) else words
        self.body, self.times, self.spoilt = body, times, 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        asked = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        del handler.headers["Content-Length"]
        handler.headers["Content-Length"] = "0"  # what is read is read
        said = handler.path + asked.decode()
        for word, other in self.instead.items():
            if word in said:
                other(handler)
                return
        spoils = self.times > 0 and all(word in said for word in self.words)
        if spoils:
            self.times, self.spoilt = self.times - 1, self.spoilt + 1
        if spoils and not callable(self.body):
            reply(handler, 200, self.body)
            return
        headers = {k: v for k, v in handler.headers.items() if k.lower() in _KEPT}
        got = self.http.request(
            handler.command, self.url + handler.path, body=asked or None, headers=headers
        )
        kind = {"Content-Type": got.headers.get("Content-Type", "application/json")}
        reply(handler, got.status, self.body(got.data) if spoils else got.data, kind)
