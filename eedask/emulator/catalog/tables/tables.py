"""Tables of features, in which queries find rows by a spatial index and by properties."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Collection, Feature, Query

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


class Rows(Protocol):
    """Access to the properties of a table's rows, in memory or in a file."""

    names: Sequence[str]
    """The names of all properties that rows have."""

    def __len__(self) -> int: ...

    def properties(self, row: int) -> dict[str, Any]:
        """Return the properties that a row has."""

    def values(self, name: str) -> Sequence[Any]:
        """Return one property of all rows; None where a row does not have it."""


class ListedRows:
    """Rows whose properties are all in memory.

    Parameters
    ----------
    rows : sequence of mapping
        The properties of each.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows
        self.names: Sequence[str] = list(dict.fromkeys(name for row in rows for name in row))

    def __len__(self) -> int:
        return len(self._rows)

    def properties(self, row: int) -> dict[str, Any]:
        """Return the properties that a row has."""
        return dict(self._rows[row])

    def values(self, name: str) -> list[Any]:
        """Return one property of all rows; None where a row does not have it."""
        return [row.get(name) for row in self._rows]


class FeatureTable:
    """The rows of one table asset.

    Edges are planar in EPSG:4326, as in a GeoDataFrame. (Earth Engine does not document those of
    the public tables; only on long edges is there a difference.)

    Parameters
    ----------
    rows : Rows
        The properties of the rows; ``system:index`` is added where it is missing.
    boxes : ndarray, shape (n, 4)
        West, south, east, north of boxes that contain the shapes. NaN if a row has no geometry.
    shape : callable
        ``shape(row)`` returns the shape in degrees, or None; it is called only for rows that a
        query does not exclude.
    """

    def __init__(self, rows: Rows, boxes: Any, shape: Callable[[int], BaseGeometry | None]) -> None:
        self._rows = rows
        self._shape = shape
        self._boxes = np.asarray(boxes, float).reshape(-1, 4)
        self._rows_by_value = cache(self._index)

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def of_shapes(
        cls, properties: Sequence[Mapping[str, Any]], shapes: Sequence[BaseGeometry | None]
    ) -> FeatureTable:
        """Return a table from properties and shapes that are all in memory."""
        boxes = shapely.bounds(np.array(shapes, dtype=object))
        return cls(ListedRows(properties), boxes, shapes.__getitem__)

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
        """Return a row as a feature."""
        properties = self._rows.properties(row)
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
        """Return the types of the rows' properties by name, ordered by name."""
        types = {
            name: {type_name(value) for value in self._rows.values(name) if value is not None}
            for name in self._rows.names
        }
        types["system:index"] = {"String"}
        return {name: _common(types[name]) for name in sorted(types)}

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.box(*self._boxes.T))

    def bounds(self) -> tuple[float, float, float, float] | None:
        """Return the box around all rows, in degrees, or None if no row has a shape."""
        if not len(self) or np.isnan(self._boxes).all():
            return None
        west, south = np.nanmin(self._boxes[:, :2], axis=0)
        east, north = np.nanmax(self._boxes[:, 2:], axis=0)
        return (float(west), float(south), float(east), float(north))

    def _index(self, name: str) -> dict[Hashable, list[int]]:
        rows: dict[Hashable, list[int]] = {}
        for row, value in enumerate(self._rows.values(name)):
            if isinstance(value, Hashable):
                rows.setdefault(value, []).append(row)
        return rows


def _common(types: set[str]) -> str:
    """Return the common type of several: Float for numbers of different types, else Object."""
    if types == {"Integer", "Float"}:
        return "Float"
    return next(iter(types)) if len(types) == 1 else "Object"
