"""What a task expects to ask of Earth Engine for its items, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, field


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


UNKNOWN = Bounds(0, None)


@dataclass(frozen=True)
class Forecast:
    """What is expected to be asked for some items. Forecasts of partitions add up.

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
    cells : int, optional
        Requests that would do if the pixels under all of these items were fetched cell by cell;
        None where that is not known.
    remarks : frozenset of str
        What the user should know of the size of requests.
    """

    items: int = 0
    refused: int = 0
    requests: Bounds = field(default_factory=Bounds)
    pixels: Bounds = field(default_factory=Bounds)
    nbytes: Bounds = field(default_factory=Bounds)
    largest: Bounds = field(default_factory=Bounds)
    files: Bounds = field(default_factory=Bounds)
    cells: int | None = 0
    remarks: frozenset[str] = frozenset()

    def __add__(self, other: Forecast) -> Forecast:
        known = self.cells is not None and other.cells is not None
        return Forecast(
            self.items + other.items,
            self.refused + other.refused,
            self.requests + other.requests,
            self.pixels + other.pixels,
            self.nbytes + other.nbytes,
            self.largest.larger(other.largest),
            self.files + other.files,
            (self.cells or 0) + (other.cells or 0) if known else None,
            self.remarks | other.remarks,
        )
