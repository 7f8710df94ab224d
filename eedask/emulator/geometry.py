"""Geometries as Earth Engine has them: a shape, its crs, and whether its edges are geodesic."""

from __future__ import annotations

from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Geometry:
    """A shape in a crs.

    Attributes
    ----------
    shape : shapely geometry
        Coordinates in ``crs``.
    crs : str
        ``EPSG:4326`` unless a projection was given.
    geodesic : bool
        Whether edges are great circles; planar (straight in ``crs``) otherwise. Geometry
        constructors default to geodesic in EPSG:4326.
    """

    shape: BaseGeometry
    crs: str = "EPSG:4326"
    geodesic: bool = True
