"""One work item in the form that is sent to workers: an id, a geometry and plain values."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.crs import canonical_crs, utm_crs
from eedask.errors import ItemsError


@dataclass(frozen=True)
class WorkItem:
    """An id, a geometry in EPSG:4326 (or none), and plain values.

    Attributes
    ----------
    id : int or str
    geometry : shapely geometry, optional
        Longitude and latitude in degrees; edges are planar, as everywhere in geopandas.
    values : mapping
        The item's value in each column, by the column's name.
    crs : str, optional
        The crs that the user's GeoDataFrame has; None if that is EPSG:4326.
    bounds : (left, bottom, right, top), optional
        The geometry's bounds in ``crs``, before it was reprojected.
    """

    id: Any
    geometry: BaseGeometry | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    crs: str | None = None
    bounds: tuple[float, float, float, float] | None = None

    @property
    def utm_crs(self) -> str:
        """EPSG code of the UTM zone of the geometry's centroid."""
        if self.geometry is None:
            raise ItemsError(
                f"item {self.id!r} has no geometry, so it lies in no UTM zone: give it one, or"
                " state another crs="
            )
        centre = self.geometry.centroid
        return str(utm_crs(centre.x, centre.y))

    def fields(self) -> dict[str, Any]:
        """Return the values that an expression may depend on, by field.

        Fields are "id", "geometry", "utm_crs" and "column:NAME" for each column. Values are those
        of Python; the geometry is a shapely geometry.
        """
        named = {f"column:{name}": plain(value) for name, value in self.values.items()}
        own = {"id": plain(self.id)}
        if self.geometry is not None:
            own |= {"geometry": self.geometry, "utm_crs": self.utm_crs}
        return own | named

    def value(self, name: str) -> Any:
        """Return the value of one field; see :meth:`fields`."""
        if name == "geometry":
            if self.geometry is None:
                raise ItemsError(f"item {self.id!r} has no geometry: give it one, or leave it out")
            return self.geometry
        if name == "utm_crs":
            return self.utm_crs
        return plain(self.id if name == "id" else self.values[name.removeprefix("column:")])


def plain(value: Any) -> Any:
    """Return a column's value as one of Python's own types; a missing value is None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if type(value) is datetime.date:  # a date with a time of day is one as well
        return datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    return value


# How many items, besides the first, are looked at to find out what holds for all items.
_SAMPLES = 5


def work_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return each row as a WorkItem, reprojected to EPSG:4326."""
    given = items.geometry
    values = items.drop(columns=given.name)
    if given.crs is None or given.crs == "EPSG:4326":
        return made_items(values, given)
    crs = canonical_crs(given.crs)
    found = made_items(values, given.to_crs("EPSG:4326"))
    bounds = shapely.bounds(given.to_numpy()).tolist()
    return [
        replace(item, crs=crs, bounds=tuple(box)) for item, box in zip(found, bounds, strict=True)
    ]


def sample_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return the first item and up to five others; equal items give the same choice."""
    others = random.Random(0).sample(range(len(items)), min(_SAMPLES, len(items)))
    return work_items(items.iloc[[*dict.fromkeys([0, *others])]])


def made_items(values: pd.DataFrame, shapes: Iterable[BaseGeometry | None]) -> list[WorkItem]:
    """Return items made of columns, whose index holds the ids, and shapes in EPSG:4326."""
    # Of a frame without columns, older pandas returns no records at all.
    records: Any = values.to_dict("records") or [{}] * len(values)
    ids = values.index.tolist()
    return [
        WorkItem(*parts) for parts in zip(ids, np.asarray(shapes, object), records, strict=True)
    ]
