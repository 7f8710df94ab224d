"""Converts shapely geometries to geometries of the ``ee`` client."""

from __future__ import annotations

from typing import Any

import ee
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.earthengine.nodes import WITHOUT_EDGES


def to_ee_geometry(shape: BaseGeometry) -> ee.Geometry:
    """Return a shape in EPSG:4326 as an ``ee.Geometry`` with planar edges."""
    if shape.geom_type == "GeometryCollection":
        parts = [to_ee_geometry(part) for part in shapely.get_parts(shape)]
        given = {"geometries": parts, "geodesic": False}
        # The client's own constructor would give the parts geodesic edges.
        return ee.Geometry(ee.ApiFunction.apply_("GeometryConstructors.MultiGeometry", given))
    geojson = shapely.geometry.mapping(shapely.force_2d(shape))
    if geojson["type"] in WITHOUT_EDGES:
        return ee.Geometry(_listed(geojson))
    return ee.Geometry(_listed(geojson), proj=None, geodesic=False)


def _listed(value: Any) -> Any:
    """Return GeoJSON with lists for tuples, as the client wants it."""
    if isinstance(value, list | tuple):
        return [_listed(v) for v in value]
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return value
