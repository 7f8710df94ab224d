"""One work item, in its three guises: plain data, what a user's function gets, and a symbol.

:class:`WorkItem` is what travels: an id, a shape and plain values. A user's function is called
with a :class:`BoundItem` (real values) or a :class:`TracedItem` (variables of an expression).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import ee
import numpy as np
import pandas as pd
import shapely
from ee import serializer
from shapely.geometry.base import BaseGeometry

from eedask.errors import ItemsError, TraceError
from eedask.grid import utm_crs

Encoded = dict[str, Any]

# What no Earth Engine script would call a variable of its own.
_PREFIX = "eedask item "

# Their constructors take no ``geodesic``.
_WITHOUT_EDGES = ("Point", "MultiPoint")


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

    def node(self, name: str) -> Encoded:
        """Return the expression node of a field's value."""
        return value_node(self.value(name))


class Item(Protocol):
    """What a user's function gets.

    While the function is traced, all values are ``ee`` objects that stand for any item's; where
    it is called for a real item, the geometry is an ``ee.Geometry`` and the others are Python's.
    """

    @property
    def id(self) -> Any:
        """The item's id."""

    @property
    def geometry(self) -> Any:
        """The item's geometry, as an ``ee.Geometry`` with planar edges in EPSG:4326."""

    @property
    def utm_crs(self) -> Any:
        """EPSG code of the UTM zone that the geometry's centroid lies in."""

    def __getitem__(self, name: str) -> Any:
        """Return the value of a column; None where it is missing."""


class BoundItem:
    """An :class:`Item` with the values of a real one."""

    def __init__(self, item: WorkItem) -> None:
        self._item = item

    @property
    def id(self) -> Any:
        """The item's id."""
        return self._item.value("id")

    @property
    def geometry(self) -> ee.Geometry:
        """The item's geometry, with planar edges in EPSG:4326."""
        return to_ee_geometry(self._item.value("geometry"))

    @property
    def utm_crs(self) -> str:
        """EPSG code of the item's UTM zone."""
        return self._item.utm_crs

    def __getitem__(self, name: str) -> Any:
        if name not in self._item.values:
            raise KeyError(f"the items have no column {name!r}; they have {self._columns}")
        return self._item.value(f"column:{name}")

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there; columns of a GeoDataFrame's row would be.
        raise AttributeError(
            f"an item has .id, .geometry, .utm_crs and its columns as item[NAME], not .{name};"
            f" the columns are {self._columns}"
        )

    @property
    def _columns(self) -> list[str]:
        return list(self.__dict__["_item"].values)


class TracedItem:
    """An :class:`Item` whose values are variables.

    Parameters
    ----------
    example : mapping
        The fields of a real item, from which the variables take their types.
    """

    def __init__(self, example: Mapping[str, Any]) -> None:
        self._example = example

    @property
    def id(self) -> Any:
        """The item's id, as a variable."""
        return self._variable("id")

    @property
    def geometry(self) -> Any:
        """The item's geometry, as a variable."""
        return self._variable("geometry")

    @property
    def utm_crs(self) -> Any:
        """The item's UTM zone, as a variable."""
        return self._variable("utm_crs")

    def __getitem__(self, name: str) -> Any:
        return self._variable(f"column:{name}")

    def _variable(self, name: str) -> Any:
        if name not in self._example:
            raise KeyError(name.removeprefix("column:"))
        variable = ee.ComputedObject(None, None, varName=_PREFIX + name)
        return _guarded(_ee_class(self._example[name]))._cast(variable)


def slot_of(reference: Any) -> str | None:
    """Return the field that an argument reference stands for, if it stands for one."""
    if isinstance(reference, str) and reference.startswith(_PREFIX):
        return reference.removeprefix(_PREFIX)
    return None


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


def value_node(value: Any) -> Encoded:
    """Return the expression node of a plain value, equal to what the client would encode."""
    if isinstance(value, BaseGeometry):
        return _geometry_node(value)
    if value is None or isinstance(value, bool | str):
        return {"constantValue": value}
    encoded = serializer.encode(value, is_compound=False, for_cloud_api=True)
    return dict(encoded)


def to_ee_geometry(shape: BaseGeometry) -> ee.Geometry:
    """Return a shape in EPSG:4326 as Earth Engine's, edges planar."""
    if shape.geom_type == "GeometryCollection":
        parts = [to_ee_geometry(part) for part in shapely.get_parts(shape)]
        given = {"geometries": parts, "geodesic": False}
        # The client's own constructor would give the parts geodesic edges.
        return ee.Geometry(ee.ApiFunction.apply_("GeometryConstructors.MultiGeometry", given))
    geojson = shapely.geometry.mapping(shapely.force_2d(shape))
    if geojson["type"] in _WITHOUT_EDGES:
        return ee.Geometry(_listed(geojson))
    return ee.Geometry(_listed(geojson), proj=None, geodesic=False)


def _geometry_node(shape: BaseGeometry) -> Encoded:
    if shape.geom_type == "GeometryCollection":
        parts = [_geometry_node(part) for part in shapely.get_parts(shape)]
        arguments: Encoded = {"geometries": {"arrayValue": {"values": parts}}}
        arguments["geodesic"] = {"constantValue": False}
        function = "GeometryConstructors.MultiGeometry"
        return {"functionInvocationValue": {"functionName": function, "arguments": arguments}}
    coordinates = _coordinates(shape)
    arguments = {"coordinates": {"constantValue": coordinates}}
    if shape.geom_type not in _WITHOUT_EDGES:
        arguments["geodesic"] = {"constantValue": False}
    function = f"GeometryConstructors.{shape.geom_type}"
    return {"functionInvocationValue": {"functionName": function, "arguments": arguments}}


def _coordinates(shape: BaseGeometry) -> list[Any]:
    """Return a shape's coordinates nested as GeoJSON has them, of two dimensions.

    Ring by ring, as shapely's own mapping takes ten times as long, vertex by vertex.
    """
    if shape.geom_type == "Polygon":
        rings = shapely.get_rings(shape)
        return [shapely.get_coordinates(ring).tolist() for ring in rings]
    if shape.geom_type in ("MultiPolygon", "MultiLineString"):
        return [_coordinates(part) for part in shapely.get_parts(shape)]
    found: list[Any] = shapely.get_coordinates(shape).tolist()
    return found[0] if shape.geom_type == "Point" else found


def _listed(value: Any) -> Any:
    """Return GeoJSON with lists for tuples, as the client wants it."""
    if isinstance(value, list | tuple):
        return [_listed(v) for v in value]
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return value


def _ee_class(value: Any) -> Any:
    if isinstance(value, BaseGeometry):
        return ee.Geometry
    if isinstance(value, str):
        return ee.String
    if isinstance(value, datetime.datetime):
        return ee.Date
    # bool is an int to Python and a number to Earth Engine.
    if isinstance(value, int | float):
        return ee.Number
    return ee.ComputedObject


@cache
def _guarded(base: Any) -> Any:
    """Return a subclass whose objects refuse what only real values can do.

    Without this, ``if item["x"] == 3`` would silently take one branch for all items.
    """

    def refuse(self: Any, *_: Any) -> Any:
        raise TraceError(
            "the function uses a value of the item in Python itself (a condition, an f-string,"
            " a loop …), which a symbol cannot do"
        )

    names = ("bool", "str", "format", "int", "float", "index", "iter", "len", "contains", "eq")
    guards: dict[str, Any] = {f"__{name}__": refuse for name in names}
    # Where ee.Number and ee.String keep a literal; the client reads it without looking for it.
    guards |= {"_number": None, "_string": None}
    # Defining __eq__ alone would make the objects unhashable, and the client hashes them.
    guards["__hash__"] = base.__hash__
    return type(f"Traced{base.__name__}", (base,), guards)
