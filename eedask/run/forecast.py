"""What a task expects to ask of Earth Engine for its items, before anything is sent."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

Cell = Hashable


@dataclass(frozen=True)
class Bounds:
    """A number, as far as it is known: it is at least one, and at most another.

    Attributes
    ----------
    least : float
    most : float, optional
        None where nothing bounds it before Earth Engine is asked.
    about : bool
        Whether both are estimates, that a real number may lie somewhat outside of.
    """

    least: float = 0
    most: float | None = 0
    about: bool = False

    @classmethod
    def exactly(cls, number: float) -> Bounds:
        """Return the bounds of a number that is known."""
        return cls(number, number)

    @property
    def is_exact(self) -> bool:
        """Whether the number is known."""
        return self.least == self.most and not self.about

    def __add__(self, other: Bounds) -> Bounds:
        most = None if self.most is None or other.most is None else self.most + other.most
        return Bounds(self.least + other.least, most, self.about or other.about)

    def __mul__(self, other: Bounds) -> Bounds:
        most = None if self.most is None or other.most is None else self.most * other.most
        return Bounds(self.least * other.least, most, self.about or other.about)

    def larger(self, other: Bounds) -> Bounds:
        """Return the bounds of the larger of two numbers."""
        most = None if self.most is None or other.most is None else max(self.most, other.most)
        return Bounds(max(self.least, other.least), most, self.about or other.about)

    def within(self, limit: float) -> Bounds:
        """Return the bounds of the number where it is cut to a limit."""
        most = limit if self.most is None else min(self.most, limit)
        return Bounds(min(self.least, limit), most, self.about)


def jobs_of(count: int, size: int, together: int) -> int:
    """Return how many jobs items make, in partitions of ``size``, if ``together`` share one."""
    whole, rest = divmod(count, size)
    return whole * -(-size // together) + -(-rest // together)


# What only Earth Engine knows.
UNKNOWN = Bounds(0, None)


@dataclass(frozen=True)
class Forecast:
    """What is expected to be asked for some items; :meth:`total` makes one of several.

    Requests that are tried again are not counted, nor those of batches that Earth Engine finds too
    large.

    Attributes
    ----------
    items : int
    refused : int
        Of them, those that fail before any request is sent.
    requests : Bounds
    pixels : Bounds
        That are asked for.
    nbytes : Bounds
        Of these pixels, uncompressed and with a byte of mask for each band, as Earth Engine counts
        the size of a request.
    largest : Bounds
        The bytes, counted so, of the largest request.
    files : Bounds
        Bytes of the image files.
    cells : frozenset, optional
        The cells of pixels that the items lie in, each as large as a request may be; None where
        they are not known.
    a_cell : int
        Requests for a cell.
    remarks : frozenset of str
        What the user should know of the size of requests.
    """

    items: int
    refused: int = 0
    requests: Bounds = UNKNOWN
    pixels: Bounds = UNKNOWN
    nbytes: Bounds = UNKNOWN
    largest: Bounds = UNKNOWN
    files: Bounds = UNKNOWN
    cells: frozenset[Cell] | None = None
    a_cell: int = 1
    remarks: frozenset[str] = frozenset()

    @classmethod
    def unasked(cls, items: int) -> Forecast:
        """Return the forecast of items that fail before any request is sent."""
        none = Bounds()
        return cls(items, items, none, none, none, none, none, frozenset())

    def times(self, count: int) -> Forecast:
        """Return the forecast of ``count`` times the items, at other places."""
        several = Bounds.exactly(count)
        return replace(
            self,
            items=self.items * count,
            refused=self.refused * count,
            requests=self.requests * several,
            pixels=self.pixels * several,
            nbytes=self.nbytes * several,
            files=self.files * several,
        )

    def after(self, questions: int) -> Forecast:
        """Return the forecast with so many requests before those that it has."""
        return replace(self, requests=self.requests + Bounds.exactly(questions))

    def estimated(self, *, of_requests: bool) -> Forecast:
        """Return the forecast with its pixels and bytes, and perhaps requests, as estimates."""
        return replace(
            self,
            requests=replace(self.requests, about=of_requests),
            pixels=replace(self.pixels, about=True),
            nbytes=replace(self.nbytes, about=True),
            largest=replace(self.largest, about=True),
            files=replace(self.files, about=True),
        )

    @classmethod
    def total(cls, forecasts: Iterable[Forecast]) -> Forecast:
        """Return the forecast of all items of some forecasts."""
        items = refused = 0
        requests, pixels, nbytes, largest, files = (Bounds() for _ in range(5))
        cells: set[Cell] | None = set()
        remarks: set[str] = set()
        a_cell = 1
        for one in forecasts:
            items, refused = items + one.items, refused + one.refused
            requests, pixels = requests + one.requests, pixels + one.pixels
            nbytes, files = nbytes + one.nbytes, files + one.files
            largest, a_cell = largest.larger(one.largest), max(a_cell, one.a_cell)
            remarks |= one.remarks
            if cells is None or one.cells is None:
                cells = None
            else:
                cells |= one.cells
        found = None if cells is None else frozenset(cells)
        return cls(
            items,
            refused,
            requests,
            pixels,
            nbytes,
            largest,
            files,
            found,
            a_cell,
            frozenset(remarks),
        )
