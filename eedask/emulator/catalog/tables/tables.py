"""Feature tables: lazy rows behind a spatial index."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.values import Collection, Feature, Query

SYNTHETIC: Mapping[str, Any] = {
    "eedask:synthetic": 1,
    "eedask:note": (
        "Made by the eedask emulator, not by the data's publisher: "
        "names are real or plausible, shapes are approximate or invented."
    ),
}
SYNTHETIC_IMAGERY: Mapping[str, Any] = {
    "eedask:synthetic": 1,
    "eedask:note": "Drawn by the eedask emulator: no sensor saw this, and the land is invented.",
}


class FeatureTable:
    """The rows of one table asset.

    Edges are planar in EPSG:4326, as those of a GeoDataFrame are. (What the public tables'
    edges are is not documented; the difference shows on long edges only.)

    Parameters
    ----------
    properties : sequence of mapping
        One a row. ``system:index`` is added where it is missing.
    boxes : ndarray, shape (n, 4)
        West, south, east, north; a shape may be smaller than its box, never larger.
        NaN where a row has no geometry.
    shape : callable
        Row number to shape in degrees, or None: called when a query meets the box.
    """

    def __init__(
        self,
        properties: Sequence[Mapping[str, Any]],
        boxes: Any,
        shape: Callable[[int], BaseGeometry | None],
    ) -> None:
        self._properties = properties
        self._shape = shape
        self._tree = shapely.STRtree(shapely.box(*np.asarray(boxes, float).reshape(-1, 4).T))
        self._boxes = np.asarray(boxes, float).reshape(-1, 4)
        self._rows_by_value = cache(self._index)

    def __len__(self) -> int:
        return len(self._properties)

    @classmethod
    def of_shapes(
        cls, properties: Sequence[Mapping[str, Any]], shapes: Sequence[BaseGeometry | None]
    ) -> FeatureTable:
        """Return a table of shapes that are already there."""
        return cls(properties, shapely.bounds(np.array(shapes, dtype=object)), shapes.__getitem__)

    def source(self, query: Query) -> Iterator[Feature]:
        """Yield the rows that the query does not exclude, in order."""
        rows = np.arange(len(self))
        if query.bounds is not None and query.bounds[0] >= -180 and query.bounds[2] <= 180:
            rows = np.sort(self._tree.query(shapely.box(*query.bounds)))
        for name, value in query.equals.items():
            if isinstance(value, Hashable) and name != "system:index":
                rows = rows[np.isin(rows, self._rows_by_value(name).get(value, []))]
        for row in rows.tolist():
            feature = self.feature(row)
            if query.equals.get("system:index", feature.id) == feature.id:
                yield feature

    def feature(self, row: int) -> Feature:
        """Return one row."""
        properties = dict(self._properties[row])
        index = properties.setdefault("system:index", f"{row:020x}")
        shape = self._shape(row)
        geometry = None if shape is None else Geometry(shape, geodesic=False)
        return Feature(geometry, properties, id=index)

    def collection(self, asset_id: str, properties: Mapping[str, Any]) -> Collection:
        """Return the table as the collection of an asset."""
        columns = self.columns
        return Collection(
            "FeatureCollection", self.source, properties, id=asset_id, columns=columns
        )

    def columns(self) -> dict[str, str]:
        """Return the names and types of the rows' properties, in the order of the names."""
        types: dict[str, set[str]] = {}
        for row in self._properties:
            for name, value in row.items():
                types.setdefault(name, set()).add(type_name(value))
        types["system:index"] = {"String"}
        return {name: _common(types[name]) for name in sorted(types)}

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return the box around all rows, in degrees, or None if no row has a shape."""
        if not len(self) or np.isnan(self._boxes).all():
            return None
        west, south = np.nanmin(self._boxes[:, :2], axis=0)
        east, north = np.nanmax(self._boxes[:, 2:], axis=0)
        return (float(west), float(south), float(east), float(north))

    def _index(self, name: str) -> dict[Hashable, list[int]]:
        rows: dict[Hashable, list[int]] = {}
        for row, properties in enumerate(self._properties):
            if isinstance(properties.get(name), Hashable):
                rows.setdefault(properties.get(name), []).append(row)
        return rows


def _common(types: set[str]) -> str:
    """Return the type of values of several types: of numbers Float, else Object."""
    if types == {"Integer", "Float"}:
        return "Float"
    return next(iter(types)) if len(types) == 1 else "Object"
