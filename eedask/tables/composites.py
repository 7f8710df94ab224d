"""Collections made of others: one composite for each span of time, or for each day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ee
import pandas as pd

from eedask.arguments import check_flags, is_one_of
from eedask.errors import InputError
from eedask.items.dates import borders, interval

# Ways to make one image of several that keep the bands' names
# (https://developers.google.com/earth-engine/apidocs/ee-imagecollection-mean and its neighbours).
COMPOSITES = ("mean", "median", "min", "max", "sum", "mode", "count", "mosaic")
# Set on composites of a collection that has no image at all, whose bands nobody knows.
NO_IMAGES = "eedask:no_images"
_DAY = "YYYY-MM-dd"


def spans(freq: str, start: Any, end: Any) -> list[tuple[int, int]]:
    """Return spans of time one after another, milliseconds since 1970, ends left out.

    Parameters
    ----------
    freq : str
        Of pandas: "8D", "MS" (calendar months), "YS" …
    start, end : str, date or datetime
        The first span begins at or after ``start``; the last begins before ``end``, and is whole.
        UTC, unless they state a zone.

    Raises
    ------
    InputError
        If there are none, start or end is missing or no date, or ``freq`` cannot be used.
    """
    if start is None or end is None:
        raise InputError(f"freq={freq!r} needs start= and end=, between which spans are laid")
    first, last = interval(start, end)
    begins = borders(first, last, freq)
    begins = begins[(begins >= first) & (begins < last)]
    if begins.empty:
        raise InputError(
            f"no span of {freq!r} begins between {start!r} and {end!r}: state a longer time, or"
            " another freq="
        )
    edges = [*begins, begins[-1] + pd.tseries.frequencies.to_offset(freq)]
    return list(itertools.pairwise(pd.DatetimeIndex(edges).as_unit("ms").asi8.tolist()))


@dataclass(frozen=True)
class Composing:
    """Which composites take the place of a collection's images.

    Attributes
    ----------
    freq : str, optional
        One for each span of time between ``start`` and ``end``; see :func:`spans`.
    start, end : str or datetime, optional
    composite : str
        How a span's images become one.
    by_day : bool
        One mosaic for each day instead.

    Raises
    ------
    InputError
        If these do not go together.
    """

    freq: str | None
    start: Any
    end: Any
    composite: str
    by_day: bool

    def __post_init__(self) -> None:
        if self.freq is not None and self.by_day:
            raise InputError("freq= makes composites of spans, mosaic_by_day of days; choose one")
        if self.freq is None and (self.start is not None or self.end is not None):
            raise InputError(
                "start= and end= go with freq=; elsewhere filter the collection itself, with"
                " filterDate"
            )
        check_flags(mosaic_by_day=self.by_day)
        if not is_one_of(self.composite, COMPOSITES):
            raise InputError(
                f"composite={self.composite!r} is not known; choose one of {', '.join(COMPOSITES)}"
            )
        _ = self._laid  # refused here, if they cannot be laid

    @cached_property
    def _laid(self) -> list[tuple[int, int]]:
        return [] if self.freq is None else spans(self.freq, self.start, self.end)

    @property
    def applies(self) -> bool:
        """Whether there are composites; else the images are left as they are."""
        return self.freq is not None or self.by_day

    @property
    def count(self) -> int:
        """How many images there will be, or 1 where only Earth Engine knows it."""
        return max(1, len(self._laid))

    def images(self, collection: ee.ImageCollection) -> ee.ImageCollection:
        """Return the composites of a collection; the collection itself if none are asked for."""
        if self.by_day:
            return by_day(collection)
        if self.freq is None:
            return collection
        return by_span(collection, self._laid, self.composite)

    def first(self, collection: ee.ImageCollection) -> ee.Image:
        """Return an image with the bands and the projection of those of :meth:`images`."""
        image = ee.Image(collection.first())
        if not self.applies:
            return image
        return _composed(ee.ImageCollection([image]), "mosaic" if self.by_day else self.composite)


def by_span(
    collection: ee.ImageCollection, laid: list[tuple[int, int]], composite: str
) -> ee.ImageCollection:
    """Return one composite for each span; where no image is, it is wholly masked.

    If there is none in any span, they have the property :data:`NO_IMAGES`.
    """
    blank = _blank(collection)

    def make(span: Any) -> ee.Image:
        pair = ee.List(span)
        within = collection.filterDate(pair.get(0), pair.get(1))
        made = _composed(ee.ImageCollection([blank]).merge(within), composite)
        timed = made.set("system:time_start", pair.get(0))
        return timed.copyProperties(blank, [NO_IMAGES])

    return ee.ImageCollection(ee.List([list(span) for span in laid]).map(make))


def by_day(collection: ee.ImageCollection) -> ee.ImageCollection:
    """Return one mosaic for each day (UTC) that has images."""
    days = (
        collection.aggregate_array("system:time_start")
        .map(lambda time: ee.Date(time).format(_DAY))
        .distinct()
        .sort()
    )

    def make(day: Any) -> ee.Image:
        date = ee.Date(day)
        within = collection.filterDate(date, date.advance(1, "day"))
        return within.mosaic().set("system:time_start", date.millis())

    return ee.ImageCollection(days.map(make))


def _composed(collection: ee.ImageCollection, composite: str) -> ee.Image:
    """Return one image of several, by the method of that name."""
    made: ee.Image = getattr(collection, composite)()
    return made


def _blank(collection: ee.ImageCollection) -> ee.Image:
    """Return an image with the collection's bands and no pixels.

    A composite of no images would have no bands.
    """
    none = ee.Image.constant(0).set(NO_IMAGES, 1)
    first = collection.merge(ee.ImageCollection([none])).first()
    return ee.Image(first).updateMask(0)
