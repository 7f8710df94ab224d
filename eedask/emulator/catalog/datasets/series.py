"""Collections of one image for each period, found by date without a list."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from eedask.emulator.catalog.dates import millis, within
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.value_types import Collection, Query


@dataclass(frozen=True)
class Series:
    """A collection of one image for each day, or for each period of ``days`` days.

    Attributes
    ----------
    asset_id : str
    first, last : date
        Start of the first and of the last image.
    days : int
        Length of a period. If it is more than one, a new period starts each 1 January.
    form : str
        Format of ``system:index``, for strftime.
    make : callable
        ``make(asset_id, date) -> Image``.
    """

    asset_id: str
    first: dt.date
    last: dt.date
    days: int
    form: str
    make: Callable[[str, dt.date], Image]

    def collection(self) -> Collection:
        """Return the collection, in the order of time."""
        return Collection("ImageCollection", self._source, SYNTHETIC_IMAGERY, id=self.asset_id)

    def image(self, index: str) -> Image | None:
        """Return an image by its ``system:index``, or None if there is none."""
        try:
            date = dt.datetime.strptime(index, self.form).date()
        except ValueError:
            return None
        exists = self.first <= date <= self.last and f"{date:{self.form}}" == index
        return self.make(self.asset_id, date) if exists and self._begins(date) else None

    def end(self, date: dt.date) -> dt.date:
        """Return the day after the last one of the period that starts on a date."""
        following = date + dt.timedelta(days=self.days)
        return following if self.days == 1 else min(following, dt.date(date.year + 1, 1, 1))

    def _begins(self, date: dt.date) -> bool:
        return (date.timetuple().tm_yday - 1) % self.days == 0

    def _source(self, query: Query) -> Iterator[Image]:
        wanted = query.equals.get("system:index")
        if wanted is not None:
            found = self.image(str(wanted))
            if found is not None and within(found.properties["system:time_start"], query):
                yield found
            return
        for date in self._dates(query):
            if within(millis(date), query):
                yield self.make(self.asset_id, date)

    def _dates(self, query: Query) -> Iterator[dt.date]:
        day, last = self.first, self.last
        one = dt.timedelta(days=1)
        if query.start is not None and query.start > millis(day):
            day = _date(query.start)
        if query.end is not None and query.end < millis(last):
            last = _date(query.end)
        while day <= last:
            if self._begins(day):
                yield day
            day += one


def _date(moment: float) -> dt.date:
    days = max(-700_000.0, min(moment / 86_400_000, 2_900_000.0))
    return dt.date(1970, 1, 1) + dt.timedelta(days=math.floor(days))
