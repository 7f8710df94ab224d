"""Collections made of others: one composite for each span of time, or for each day."""

from __future__ import annotations

import itertools
from typing import Any

import ee
import pandas as pd

from eedask.errors import InputError

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
    start, end : str or datetime
        The first span begins at or after ``start``; the last begins before ``end``.

    Raises
    ------
    InputError
        If there are none, or start or end is missing.
    """
    if start is None or end is None:
        raise InputError(f"freq={freq!r} needs start= and end=, between which spans are laid")
    try:
        first, last = (pd.Timestamp(one) for one in (start, end))
        first, last = (t.tz_localize("UTC") if t.tz is None else t for t in (first, last))
        offset: Any = pd.tseries.frequencies.to_offset(freq)
        begins = pd.date_range(first, last, freq=offset, inclusive="left")
    except (ValueError, TypeError) as error:
        raise InputError(f"freq={freq!r} from {start!r} to {end!r}: {error}") from error
    if begins.empty:
        raise InputError(f"no span of {freq!r} begins between {start!r} and {end!r}")
    marks = [*begins, begins[-1] + offset]
    stamps = [int(mark.timestamp() * 1000) for mark in marks]
    return list(itertools.pairwise(stamps))


def check_composite(name: str) -> None:
    """Raise InputError for a way that is not known."""
    if name not in COMPOSITES:
        raise InputError(f"composite={name!r} is not known; choose one of {', '.join(COMPOSITES)}")


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
        made = composed(ee.ImageCollection([blank]).merge(within), composite)
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


def composed(collection: ee.ImageCollection, composite: str) -> ee.Image:
    """Return one image of several."""
    made: ee.Image = getattr(collection, composite)()
    return made


def _blank(collection: ee.ImageCollection) -> ee.Image:
    """Return an image with the collection's bands and no pixels.

    A composite of no images would have no bands.
    """
    none = ee.Image.constant(0).set(NO_IMAGES, 1)
    first = collection.merge(ee.ImageCollection([none])).first()
    return ee.Image(first).updateMask(0)
