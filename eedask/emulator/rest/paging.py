"""Cuts long lists into pages. The iterator of a list is kept from one page to the next."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from threading import Lock
from typing import Any, NamedTuple

from eedask.emulator.errors import EarthEngineError

_KEPT = 16


class Page(NamedTuple):
    """Elements, and the token of the next page if there is one."""

    elements: list[Any]
    next_token: str | None


@dataclass(frozen=True)
class Paged:
    """A sequence that is cut into pages.

    Attributes
    ----------
    start : callable
        Returns an iterator of all elements.
    keep : callable
        Tells whether an element belongs in a page.
    show : callable
        Converts an element to the JSON that a page holds.
    patience : float
        Seconds after which a page ends even if it is not full. If few elements are kept, a page may
        be empty although others follow.
    is_short : bool
        Whether pages are shorter than they may be, by the reading ``pages``: the first is empty,
        and the others have a third of the elements that they may have.
    """

    start: Callable[[], Iterator[Any]]
    keep: Callable[[Any], bool] = lambda _: True
    show: Callable[[Any], Any] = lambda element: element
    patience: float = math.inf
    is_short: bool = False


class Pager:
    """Cuts lazy sequences into pages.

    The iterators of the last few pages are kept, so that each element is computed only once if a
    table is read page by page. A page that is asked for twice is computed again. A token is valid
    only for the request that it was made for. It also holds a position, by which a process that
    does not have the iterator goes on.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, Iterator[Any]] = OrderedDict()
        self._lock = Lock()

    def page(self, query: Any, size: int, token: str | None, paged: Paged) -> Page:
        """Return one page.

        Parameters
        ----------
        query : JSON-able
            What is asked, apart from size and token.
        size : int
            Elements a page, at least 1.
        token : str, optional
            None or empty: the first page.
        paged : Paged

        Raises
        ------
        EarthEngineError
            400: a token of something else.
        """
        text = json.dumps(query, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        seen = _read_token(token, digest) if token else 0
        iterator = self._take(token) if token else None
        if iterator is None:
            iterator = islice(paged.start(), seen, None)
        if paged.is_short:
            size = -(-size // 3)
            if not token:
                return Page([], self._keep(digest, 0, iterator))
        elements: list[Any] = []
        until = self._clock() + paged.patience
        for element in iterator:
            if paged.keep(element):
                if len(elements) == size:
                    rest = chain([element], iterator)
                    return Page(elements, self._keep(digest, seen, rest))
                elements.append(paged.show(element))
            seen += 1
            if self._clock() > until:
                return Page(elements, self._keep(digest, seen, iterator))
        return Page(elements, None)

    def _take(self, token: str) -> Iterator[Any] | None:
        with self._lock:
            return self._kept.pop(token, None)

    def _keep(self, digest: str, seen: int, iterator: Iterator[Any]) -> str:
        """Put aside what follows a page, and return its token."""
        token = _write_token(digest, seen)
        with self._lock:
            self._kept[token] = iterator
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return token


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
