"""One work item as it travels to workers: an id, a shape and plain values."""

from __future__ import annotations

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
        The item's columns.
    crs, bounds : str and (left, bottom, right, top), optional
        The crs that the item was given in, where it is another, and the geometry's bounds in it.
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
            raise ItemsError(f"item {self.id!r} has no geometry, so it lies in no UTM zone")
        centre = self.geometry.centroid
        return str(utm_crs(centre.x, centre.y))

    def fields(self) -> dict[str, Any]:
        """Return all that an expression may depend on, by field name, as plain values."""
        named = {f"column:{name}": plain(value) for name, value in self.values.items()}
        own = {"id": plain(self.id)}
        if self.geometry is not None:
            own |= {"geometry": self.geometry, "utm_crs": self.utm_crs}
        return own | named

    def value(self, name: str) -> Any:
        """Return the plain value of a field."""
        if name == "geometry":
            if self.geometry is None:
                raise ItemsError(f"item {self.id!r} has no geometry")
            return self.geometry
        if name == "utm_crs":
            return self.utm_crs
        return plain(self.id if name == "id" else self.values[name.removeprefix("column:")])


def plain(value: Any) -> Any:
    """Return a value of a column as Python's own type; missing values are None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    return value


# How many items besides the first stand for all others.
_SAMPLES = 5


def work_items(items: gpd.GeoDataFrame) -> list[WorkItem]:
    """Return the items one by one, in EPSG:4326."""
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
    """Return the first item and a few others, the same ones for the same items."""
    others = random.Random(0).sample(range(len(items)), min(_SAMPLES, len(items)))
    return work_items(items.iloc[[0, *others]])


def made_items(values: pd.DataFrame, shapes: Iterable[BaseGeometry | None]) -> list[WorkItem]:
    """Return items from columns, whose index has the ids, and shapes in EPSG:4326."""
    # Older pandas returns none at all where there are no columns.
    records: Any = values.to_dict("records") or [{}] * len(values)
    ids = values.index.tolist()
    return [WorkItem(*parts) for parts in zip(ids, shapes, records, strict=True)]
