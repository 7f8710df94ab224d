"""Pages of long lists: opaque tokens, and iterators kept from one page to the next."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain, islice
from threading import Lock
from typing import Any, NamedTuple

from eedask.emulator.errors import EarthEngineError

_KEPT = 16
_END = object()


class Page(NamedTuple):
    """Elements, and the token of the next page if there is one."""

    elements: list[Any]
    next_token: str | None


class Pager:
    """Cuts lazy sequences into pages.

    Where a page ended, the iterator is kept (up to a few of them), so that walking through a
    table computes each of its elements once; a page asked for twice is computed again. A token
    is bound to what was asked, and says nothing to another process but where to go on.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Iterator[Any]] = OrderedDict()
        self._lock = Lock()

    def page(
        self, query: Any, size: int, token: str | None, start: Callable[[], Iterator[Any]]
    ) -> Page:
        """Return one page.

        Parameters
        ----------
        query : JSON-able
            What is asked, apart from size and token.
        size : int
            Elements a page, at least 1.
        token : str, optional
            None or empty: the first page.
        start : callable
            Gives the sequence from its beginning.

        Raises
        ------
        EarthEngineError
            400: a token of something else.
        """
        text = json.dumps(query, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        offset = _read_token(token, digest) if token else 0
        iterator = self._take(token) if token else None
        if iterator is None:
            iterator = islice(start(), offset, None)
        elements = list(islice(iterator, size))
        following = next(iterator, _END)
        if following is _END:
            return Page(elements, None)
        next_token = _write_token(digest, offset + len(elements))
        self._keep(next_token, chain([following], iterator))
        return Page(elements, next_token)

    def _take(self, token: str) -> Iterator[Any] | None:
        with self._lock:
            return self._kept.pop(token, None)

    def _keep(self, token: str, iterator: Iterator[Any]) -> None:
        with self._lock:
            self._kept[token] = iterator
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)


def page_size(asked: int | None, default: int, most: int | None = None) -> int:
    """Return how many elements a page has; 0 and None mean the default."""
    if asked is not None and asked < 0:
        raise EarthEngineError(f"Invalid page size: {asked}.")
    size = asked or default
    return size if most is None else min(size, most)


def _write_token(digest: str, offset: int) -> str:
    return base64.urlsafe_b64encode(f"{digest}:{offset}".encode()).decode()


def _read_token(token: str, digest: str) -> int:
    with contextlib.suppress(binascii.Error, ValueError):
        owner, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if owner == digest:
            return int(offset)
    raise EarthEngineError("Invalid page token.")
