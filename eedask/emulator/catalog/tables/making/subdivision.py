"""Synthetic districts: a country divided into regions, and those into districts.

Seeds are scattered in the country. Their Voronoi cells get winding borders by a smooth displacement
of the plane, and are clipped to the country's outline. Neighbours share all vertices of their
border, so the districts tile the country; regions are unions of districts, so they nest.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

# Degrees (about 0.1 m) to which vertices are rounded, so that those of neighbours stay equal.
_GRID = 1e-6
# Wave lengths and amplitudes of the displacement, in cell sizes. The sum of the gradients is under
# 1, so that the plane is never folded and cells stay valid.
_WAVES = ((3.0, 0.11), (1.3, 0.05), (0.55, 0.018))


class Subdivision(NamedTuple):
    """Districts, and for each of them the number of its region."""

    districts: list[BaseGeometry]
    region: NDArray[np.int64]


def seeded(name: str) -> np.random.Generator:
    """Return a random generator that is seeded by a name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def subdivide(
    shape: BaseGeometry, districts: int, regions: int, rng: np.random.Generator
) -> Subdivision:
    """Divide a shape in degrees into about so many districts, in at most so many regions."""
    seeds = scatter(shape, districts, rng)
    cells = winding_cells(seeds, shape.bounds, rng)
    capitals = seeds[rng.permutation(len(seeds))[: max(1, regions)]]
    nearest = np.linalg.norm(seeds[:, None] - capitals[None], axis=2).argmin(axis=1)
    clipped = clip(cells, shape)
    kept = [i for i, cell in enumerate(clipped) if not cell.is_empty]
    return Subdivision([clipped[i] for i in kept], nearest[kept])


def winding_cells(
    seeds: NDArray[np.float64],
    bounds: tuple[float, float, float, float],
    rng: np.random.Generator,
    waves: float | None = None,
) -> list[shapely.Polygon]:
    """Return a cell with winding borders around each seed; together they cover the bounds.

    ``waves`` is the scale of the windings in degrees, by default the mean size of a cell.
    """
    west, south, east, north = bounds
    if len(seeds) == 1:
        return [shapely.box(west - 1, south - 1, east + 1, north + 1)]
    width, height = east - west, north - south
    size = float(np.sqrt(max(width * height, 1e-6) / len(seeds)))
    margin = size + 0.5 * max(width, height)
    frame = shapely.box(west - margin, south - margin, east + margin, north + margin)
    points = shapely.MultiPoint(seeds)
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=frame, ordered=True))
    scale = waves or size
    fine = shapely.segmentize(cells, scale / 8)
    displace = _displacement(scale, rng)
    return list(shapely.transform(fine, lambda xy: _snap(displace(_snap(xy)))))


def clip(cells: list[shapely.Polygon], shape: BaseGeometry) -> list[BaseGeometry]:
    """Return the intersection of each cell with a shape: polygons, or empty."""
    shapely.prepare(shape)
    inside = shapely.contains_properly(shape, cells)
    return [
        cell if whole else areal(cell.intersection(shape))
        for cell, whole in zip(cells, inside, strict=True)
    ]


def areal(shape: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a shape without the points and lines that overlays may produce."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [p for p in shapely.get_parts(shape) if p.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def scatter(shape: BaseGeometry, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return about ``count``, but at least one, distinct points in a shape, as (n, 2) degrees."""
    shapely.prepare(shape)
    west, south, east, north = shape.bounds
    found = [np.array(shape.representative_point().coords)]
    total = 1
    for _ in range(200):
        if total >= count:
            break
        points = rng.uniform((west, south), (east, north), (4 * count, 2))
        inside = points[shapely.contains_xy(shape, points[:, 0], points[:, 1])]
        found.append(inside)
        total += len(inside)
    return np.concatenate(found)[:count].round(6)


def _snap(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    snapped: NDArray[np.float64] = np.round(xy / _GRID) * _GRID
    return snapped


def _displacement(
    size: float, rng: np.random.Generator
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    phases = rng.uniform(0, 2 * np.pi, (len(_WAVES), 2, 2))

    def displace(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = xy.copy()
        for (length, amplitude), phase in zip(_WAVES, phases, strict=True):
            angle = xy[:, ::-1] * (2 * np.pi / (length * size)) + phase[0]
            cross = xy * (2 * np.pi / (1.7 * length * size)) + phase[1]
            moved += amplitude * size * np.sin(angle + np.sin(cross))
        return moved

    return displace
