"""What an expression can be: the values that algorithms take and give, apart from images.

Numbers, strings, booleans, lists and dictionaries are Python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import shapely

from eedask.emulator.geometry.geometry import Geometry, touches
from eedask.emulator.limits.metering import metered_elements
from eedask.emulator.pixels.raster import Image

Bounds = tuple[float, float, float, float]
CollectionKind = Literal["FeatureCollection", "ImageCollection"]


@dataclass(frozen=True)
class Date:
    """A moment, in milliseconds since 1970-01-01 UTC."""

    millis: float


@dataclass(frozen=True)
class DateRange:
    """Moments from ``start`` up to but not including ``end``, in milliseconds."""

    start: float
    end: float


@dataclass(frozen=True)
class ErrorMargin:
    """How far a geometric answer may be off: ``value`` in meters, projected units, or no bound."""

    value: float | None
    unit: str = "meters"


@dataclass(frozen=True)
class Feature:
    """A geometry (or none) with properties."""

    geometry: Geometry | None
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    def with_properties(self, **properties: Any) -> Feature:
        """Return a copy with more properties; None removes one."""
        merged = {**self.properties, **properties}
        kept = {k: v for k, v in merged.items() if v is not None}
        return Feature(self.geometry, kept, self.id)


Element = Feature | Image


@dataclass(frozen=True)
class Query:
    """What a collection's reader may leave out: a hint, never a promise.

    Attributes
    ----------
    bounds : (west, south, east, north), optional
        Degrees. Elements whose footprint is wholly outside need not be made.
    start, end : float, optional
        Milliseconds. Elements whose ``system:time_start`` is outside need not be made.
    equals : mapping
        Property values that elements must have.
    """

    bounds: Bounds | None = None
    start: float | None = None
    end: float | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: Query) -> Query:
        """Return the query that both would leave."""
        return Query(
            bounds=_both(self.bounds, other.bounds, _intersection),
            start=_both(self.start, other.start, max),
            end=_both(self.end, other.end, min),
            equals={**self.equals, **other.equals},
        )


EVERYTHING = Query()
Source = Callable[[Query], Iterator[Any]]


@dataclass(frozen=True)
class Kept:
    """What the results of a function are sure to have of the elements that they are made of.

    Attributes
    ----------
    place : bool
        Whether a result's footprint, or geometry, lies within its element's.
    changed : frozenset of str, optional
        Names of properties that may have other values than the element's; all others have the
        element's or are missing. None: any may.
    """

    place: bool = False
    changed: frozenset[str] | None = None

    def passed(self, query: Query) -> Query:
        """Return what of a query on results may be asked of the elements as well."""
        if self.changed is None:
            return Query()
        # A property of this name goes before the geometry.
        place = self.place and not self.changed & {".geo", ".all"}
        timed = "system:time_start" not in self.changed
        return Query(
            bounds=query.bounds if place else None,
            start=query.start if timed else None,
            end=query.end if timed else None,
            equals={k: v for k, v in query.equals.items() if k not in self.changed},
        )


NOTHING_KEPT = Kept()


@dataclass(frozen=True)
class Counted:
    """The source of an asset, whose elements can be counted without making them.

    Attributes
    ----------
    source : callable
        All elements have a ``system:time_start``, and of a query's times none but those within
        are yielded.
    count : callable
        How many a query yields that is about time alone.
    """

    source: Source
    count: Callable[[Query], int]

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the elements."""
        return self.source(query)


@dataclass(frozen=True)
class Filtered:
    """The source of the elements that pass a condition.

    ``hint`` excludes none of them; ``exact`` says that it excludes all others, where sources
    heed it.
    """

    source: Source
    keep: Callable[[Any], bool]
    hint: Query
    exact: bool = False

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the elements that the query does not exclude either."""
        return (e for e in self.source(query & self.hint) if self.keep(e))


@dataclass(frozen=True)
class Mapped:
    """The source of a function's results, one for each element of another source.

    Elements that a query excludes are left out before the function is called.
    """

    source: Source
    function: Callable[[Any], Any]
    kept: Kept = NOTHING_KEPT

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the results of the elements that the query does not exclude."""
        passed = self.kept.passed(query)
        found = self.source(passed)
        if passed.bounds is not None:
            # Not all sources look at bounds.
            bounds = passed.bounds
            found = (element for element in found if touches(_place(element), bounds))
        return map(self.function, found)


def _place(element: Any) -> Geometry | None:
    if isinstance(element, Image):
        return element.footprint
    return element.geometry if isinstance(element, Feature) else None


@dataclass(frozen=True)
class Collection:
    """A lazy sequence of features or images.

    ``source(query)`` yields the elements in their fixed order, leaving out at most those that
    the query excludes. Filters pass a narrower query down to their input, so that loading four
    million images and keeping three costs three. ``columns()`` gives the names and types of a
    table's properties, which hold for what is left of it as well.
    """

    kind: CollectionKind
    source: Source
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    version: int | None = None
    columns: Callable[[], Mapping[str, str]] | None = None

    def elements(self, query: Query = EVERYTHING) -> Iterator[Any]:
        """Yield the elements that the query does not exclude."""
        return metered_elements(self.source(query))

    def filtered(
        self, keep: Callable[[Any], bool], hint: Query = EVERYTHING, exact: bool = False
    ) -> Collection:
        """Return the elements for which ``keep`` is true.

        ``hint`` excludes none of them; with ``exact`` it says the same by times alone.
        """
        return replace(self, source=Filtered(self.source, keep, hint, exact))

    def with_source(self, source: Source) -> Collection:
        """Return a collection of other elements, or of elements with other properties."""
        return replace(self, source=source, columns=None)

    def mapped(self, function: Callable[[Any], Any], kept: Kept = NOTHING_KEPT) -> Collection:
        """Return ``function`` of every element.

        Of a query passes what asks for what the function keeps.
        """
        return self.with_source(Mapped(self.source, function, kept))

    @property
    def size(self) -> int:
        """How many elements there are. None is made for that where it is not needed."""
        whole = self.source
        while isinstance(whole, Mapped):
            whole = whole.source
        part, query = whole, EVERYTHING
        while isinstance(part, Filtered) and part.exact:
            query &= part.hint
            part = part.source
        if isinstance(part, Counted):
            return sum(1 for _ in metered_elements(iter(range(part.count(query)))))
        return sum(1 for _ in metered_elements(whole(EVERYTHING)))


def collection_of(kind: CollectionKind, elements: list[Any], **kwargs: Any) -> Collection:
    """Return a collection over a list that is already there."""
    return Collection(kind, lambda _: iter(elements), **kwargs)


def _both(a: Any, b: Any, merge: Callable[[Any, Any], Any]) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return merge(a, b)


def _intersection(a: Bounds, b: Bounds) -> Bounds:
    """Return the overlap, or an empty box at a corner where there is none."""
    west, south = max(a[0], b[0]), max(a[1], b[1])
    return (west, south, max(west, min(a[2], b[2])), max(south, min(a[3], b[3])))


def box(bounds: Bounds) -> shapely.Polygon:
    """Return the polygon of (west, south, east, north)."""
    return shapely.box(*bounds)
