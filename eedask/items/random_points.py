"""Random points in regions, uniform on the sphere."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.arguments import checked_seed, is_count, is_positive
from eedask.errors import InputError, ItemsError
from eedask.items.check import check_items, check_one_geometry, ids_named
from eedask.items.regions import check_areas
from eedask.items.spacing import Spacing

Points = NDArray[np.float64]

# A region is full when so many points in a row are too near to others, and so many more for each
# point that it holds.
_TRIES, _TRIES_A_POINT = 1000, 10


def random_points(
    regions: gpd.GeoDataFrame, n: int, seed: int | None = None, *, spacing: float | None = None
) -> gpd.GeoDataFrame:
    """Draw points uniformly on the sphere, the same number in every region. No request.

    Parameters
    ----------
    regions : GeoDataFrame
        Polygons with unique ids in the index. Any crs; borders are straight in it. Longitudes may
        go on beyond 180 degrees.
    n : int
        Points in each region.
    seed : int, optional
        The same seed, regions and arguments give the same points.
    spacing : float, optional
        The least distance in metres between any two points, of different regions as well. Points
        are drawn as without it, and left out where they are too near an earlier one.

    Returns
    -------
    GeoDataFrame
        ``n * len(regions)`` points in EPSG:4326, each with the columns of its region. The index,
        named "id" unless a column is, holds ``"REGION-NUMBER"``, numbers from 0.

    Raises
    ------
    InputError
        If n is no whole number from 1, or the spacing no positive number.
    ItemsError
        If a region has no area, or no geometry, or the regions cannot be used as items; or if a
        region has no room for n points at that spacing: the message says for how many it has.

    Examples
    --------
    >>> points = eedask.items.random_points(ecoregions, 1000, seed=42)  # doctest: +SKIP
    >>> points = eedask.items.random_points(ecoregions, 100, seed=1, spacing=2560)  # doctest: +SKIP
    """
    if not is_count(n):
        raise InputError(f"n is a whole number of points a region, 1 or more; got {n!r}")
    if spacing is not None and not is_positive(spacing):
        raise InputError(f"spacing is a positive number of metres; got {spacing!r}")
    checked = check_items(regions, geometry=True, wrapped=True)
    check_areas(checked)
    check_one_geometry(checked)
    rng = np.random.default_rng(None if seed is None else checked_seed(seed))
    apart = None if spacing is None else Spacing(float(spacing))
    drawn = [_points_in(area, n, rng, apart) for area in _areas(checked)]
    repeated = checked.drop(columns=checked.geometry.name).loc[np.repeat(checked.index, n)]
    width = len(str(n - 1))
    numbers = np.tile(np.arange(n), len(checked))
    ids = [f"{region}-{k:0{width}d}" for region, k in zip(repeated.index, numbers, strict=True)]
    frame = repeated.set_axis(ids_named(ids, "id", repeated.columns), axis=0)
    points = shapely.points(np.concatenate(drawn))
    return gpd.GeoDataFrame(frame, geometry=points, crs="EPSG:4326")


@dataclass(frozen=True)
class _Area:
    """A region, and the box of degrees that points in it are drawn from.

    Attributes
    ----------
    id : object
    shape : shapely geometry
    own : pyproj.Transformer, optional
        From degrees to the shape's crs; None where that is degrees.
    box : tuple of 4 floats
        West, south, east, north; east is beyond 180 where the box reaches over the antimeridian.
    """

    id: object
    shape: BaseGeometry
    own: pyproj.Transformer | None
    box: tuple[float, float, float, float]

    def draw(self, wanted: int, rng: np.random.Generator) -> Points:
        """Return points in the region, shape (n, 2), of about as many as wanted.

        Own code because geopandas' ``sample_points`` is uniform in the plane of the coordinates.
        """
        west, south, east, north = self.box
        low, high = np.sin(np.radians([south, north]))
        share = max(self.shape.area / shapely.box(*self.shape.bounds).area, 1e-3)
        size = int(1.2 * wanted / share) + 16
        longitude = rng.uniform(west, east, size)
        latitude = np.degrees(np.arcsin(rng.uniform(low, high, size)))
        xy = (longitude, latitude)
        inside = shapely.contains_xy(self.shape, *(self.own.transform(*xy) if self.own else xy))
        # Written so that what lies within 180 degrees is not rounded.
        longitude = longitude - 360 * np.floor((longitude + 180) / 360)
        return np.stack([longitude, latitude], axis=1)[inside]


def _areas(regions: gpd.GeoDataFrame) -> list[_Area]:
    """Return the regions: in degrees, or in their own crs if that is projected.

    Degrees cannot express a border around a pole or across the antimeridian, so projected regions
    are not converted.
    """
    own = back = None
    if regions.crs.is_projected:
        own = pyproj.Transformer.from_crs("EPSG:4326", regions.crs, always_xy=True)
        back = pyproj.Transformer.from_crs(regions.crs, "EPSG:4326", always_xy=True)
    else:
        regions = regions.to_crs("EPSG:4326")
    shapely.prepare(regions.geometry.to_numpy())
    areas = []
    for name, shape in regions.geometry.items():
        west, south, east, north = back.transform_bounds(*shape.bounds) if back else shape.bounds
        areas.append(_Area(name, shape, own, (west, south, east + 360 * (east < west), north)))
    return areas


def _points_in(area: _Area, n: int, rng: np.random.Generator, apart: Spacing | None) -> Points:
    """Return n points in a region, shape (n, 2)."""
    found = np.empty((0, 2))
    while len(found) < n:
        drawn = area.draw(n - len(found), rng)
        if apart is not None:
            drawn = apart.keep(drawn, n - len(found))
            if apart.refused_in_a_row > _TRIES + _TRIES_A_POINT * (len(found) + len(drawn)):
                raise ItemsError(
                    f"region {area.id!r} has room for some {len(found) + len(drawn)} of its"
                    f" {n} points at that spacing: ask for fewer points, or a smaller spacing"
                )
        found = np.concatenate([found, drawn])
    return found[:n]
