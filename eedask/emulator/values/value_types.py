"""The values that algorithms take and return, apart from images: features, collections, dates.

Numbers, strings, booleans, lists and dictionaries are Python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import shapely

from eedask.emulator.geometry.geometry import Geometry, touches
from eedask.emulator.limits.metering import metered_elements
from eedask.emulator.pixels.late import changed
from eedask.emulator.pixels.raster import Image

Bounds = tuple[float, float, float, float]
CollectionKind = Literal["FeatureCollection", "ImageCollection"]


@dataclass(frozen=True)
class Date:
    """An ``ee.Date``, in milliseconds since 1970-01-01 UTC."""

    millis: float


@dataclass(frozen=True)
class DateRange:
    """An ``ee.DateRange``: from ``start`` up to, but not including, ``end``, in milliseconds."""

    start: float
    end: float


@dataclass(frozen=True)
class ErrorMargin:
    """An ``ee.ErrorMargin``: the largest error of a geometric result.

    Attributes
    ----------
    value : float, optional
        The error; None if it may be any.
    unit : str
        ``meters``, ``projected`` or ``infinite``.
    """

    value: float | None
    unit: str = "meters"


@dataclass(frozen=True)
class Feature:
    """A geometry (or none) with properties."""

    geometry: Geometry | None
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    def with_properties(self, **properties: Any) -> Feature:
        """Return a copy with properties added or replaced; a value of None removes one."""
        return Feature(self.geometry, changed(self.properties, properties), self.id)


Element = Feature | Image


@dataclass(frozen=True)
class Query:
    """Conditions on elements that let a collection's source skip those that fail them.

    It is a hint: a source may yield elements that fail a condition, and callers check them.

    Attributes
    ----------
    bounds : (west, south, east, north), optional
        In degrees. Elements whose footprint is wholly outside may be skipped.
    start, end : float, optional
        In milliseconds. Elements whose ``system:time_start`` is before ``start``, or not before
        ``end``, may be skipped.
    equals : mapping
        Elements whose properties do not have these values may be skipped.
    """

    bounds: Bounds | None = None
    start: float | None = None
    end: float | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: Query) -> Query:
        """Return the query of the conditions of both."""
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
    """What a mapped function keeps of each element: its place, and properties.

    It tells which conditions on the results can be checked on the elements already.

    Attributes
    ----------
    place : bool
        Whether a result's footprint (or geometry) lies within that of its element.
    changed : frozenset of str, optional
        The names of properties that may differ from the element's; all others are the same or
        missing. None if any may differ.
    """

    place: bool = False
    changed: frozenset[str] | None = None

    def passed(self, query: Query) -> Query:
        """Return the conditions of a query on results that hold for their elements as well."""
        if self.changed is None:
            return Query()
        # A property called .geo or .all would be used instead of the geometry.
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
    """The source of an asset whose elements can be counted without making them.

    Attributes
    ----------
    source : callable
        ``source(query)`` yields the elements. All have a ``system:time_start``, and none outside
        the query's times is yielded.
    count : callable
        ``count(query)`` returns how many elements a query by times only yields.
    """

    source: Source
    count: Callable[[Query], int]

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the elements that the query does not exclude."""
        return self.source(query)


@dataclass(frozen=True)
class Filtered:
    """The source of the elements of another source that pass a condition.

    Attributes
    ----------
    source : callable
    keep : callable
        ``keep(element) -> bool``, the condition.
    hint : Query
        Excludes no element that passes the condition.
    exact : bool
        Whether the hint, a range of times, excludes all other elements.
    """

    source: Source
    keep: Callable[[Any], bool]
    hint: Query
    exact: bool = False

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the elements that pass the condition and that the query does not exclude."""
        return (e for e in self.source(query & self.hint) if self.keep(e))


@dataclass(frozen=True)
class Mapped:
    """The source of a function's results, one for each element of another source.

    Conditions of a query that ``kept`` allows to check on elements leave these out before the
    function is called.
    """

    source: Source
    function: Callable[[Any], Any]
    kept: Kept = NOTHING_KEPT

    def __call__(self, query: Query) -> Iterator[Any]:
        """Yield the results of the elements that the query does not exclude."""
        passed = self.kept.passed(query)
        found = self.source(passed)
        if passed.bounds is not None:
            # Sources may ignore bounds: check them here.
            bounds = passed.bounds
            found = (element for element in found if touches(_place(element), bounds))
        return map(self.function, found)


def _place(element: Any) -> Geometry | None:
    if isinstance(element, Image):
        return element.footprint
    return element.geometry if isinstance(element, Feature) else None


@dataclass(frozen=True)
class Collection:
    """An ``ee.FeatureCollection`` or ``ee.ImageCollection``: a lazy sequence of elements.

    Attributes
    ----------
    kind : {"FeatureCollection", "ImageCollection"}
    source : callable
        ``source(query)`` yields the elements in a fixed order and may skip those that the query
        excludes. Filters pass a narrower query to their input, so that to keep three images of
        four million takes making three.
    properties : mapping
    id, version : optional
        Those of the asset that it is.
    columns : callable, optional
        ``columns()`` returns the names and types of the properties of a table; they hold for
        filtered tables too.
    """

    kind: CollectionKind
    source: Source
    properties: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    version: int | None = None
    columns: Callable[[], Mapping[str, str]] | None = None

    def elements(self, query: Query = EVERYTHING) -> Iterator[Any]:
        """Yield the elements, metered; those that a query excludes may be left out."""
        return metered_elements(self.source(query))

    def filtered(
        self, keep: Callable[[Any], bool], hint: Query = EVERYTHING, exact: bool = False
    ) -> Collection:
        """Return the collection of the elements that pass a condition; see :class:`Filtered`."""
        return replace(self, source=Filtered(self.source, keep, hint, exact))

    def with_source(self, source: Source) -> Collection:
        """Return the collection with another source, and without the columns of its table."""
        return replace(self, source=source, columns=None)

    def mapped(self, function: Callable[[Any], Any], kept: Kept = NOTHING_KEPT) -> Collection:
        """Return the collection of a function's results for every element; see :class:`Mapped`.

        ``kept`` states what the results have in common with the elements.
        """
        return self.with_source(Mapped(self.source, function, kept))

    @property
    def size(self) -> int:
        """The number of elements, counted without making them where the source allows it."""
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
    """Return a collection of the elements of a list."""
    return Collection(kind, lambda _: iter(elements), **kwargs)


def _both(a: Any, b: Any, merge: Callable[[Any, Any], Any]) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return merge(a, b)


def _intersection(a: Bounds, b: Bounds) -> Bounds:
    """Return the overlap of two bounds; where there is none, a single point."""
    west, south = max(a[0], b[0]), max(a[1], b[1])
    return (west, south, max(west, min(a[2], b[2])), max(south, min(a[3], b[3])))


def box(bounds: Bounds) -> shapely.Polygon:
    """Return the polygon of (west, south, east, north)."""
    return shapely.box(*bounds)
