"""Outlines of the world's countries, and how a topology is decoded.

``data/outlines.json.gz`` holds a topology of Natural Earth's countries and land masses (public
domain), made from the npm package world-atlas by
:mod:`~eedask.emulator.catalog.tables.making.build_outlines`. Neighbours share their borders
vertex by vertex.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from shapely.geometry.base import BaseGeometry

FILE = Path(__file__).parents[1] / "data" / "outlines.json.gz"


class Outline(NamedTuple):
    """A named region: a country, a land mass, or a state or county of the United States.

    Attributes
    ----------
    code : str or None
        The numeric ISO 3166 code of a country, the FIPS code of a state or county.
    name : str
    shape : shapely geometry
        In degrees.
    """

    code: str | None
    name: str
    shape: BaseGeometry


@cache
def countries() -> tuple[Outline, ...]:
    """Return the world's countries, in degrees."""
    return decode(FILE, "countries")


def decode(file: Path, name: str) -> tuple[Outline, ...]:
    """Return the outlines of one kind in a file of ``build_outlines``, without empty ones.

    Parameters
    ----------
    file : path
    name : str
        Of the objects of a topology: such as "countries".
    """
    raw = _topology(file)
    scale, translate = np.array(raw["scale"]), np.array(raw["translate"])

    @cache
    def arc(number: int) -> NDArray[np.float64]:
        """Return an arc in degrees, shape (n, 2); ``~n`` is arc n reversed."""
        if number < 0:
            return arc(~number)[::-1]
        degrees: NDArray[np.float64] = np.cumsum(raw["arcs"][number], axis=0) * scale + translate
        return degrees

    found = (
        Outline(code, label or "", _shape(polygons, arc))
        for code, label, polygons in raw["objects"][name]
    )
    # Quantising has made a few tiny shapes empty.
    return tuple(outline for outline in found if not outline.shape.is_empty)


@cache
def _topology(file: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return parsed


def _shape(
    polygons: list[list[list[int]]], arc: Callable[[int], NDArray[np.float64]]
) -> BaseGeometry:
    parts = []
    for rings in polygons:
        lines = [_ring([arc(number) for number in ring]) for ring in rings]
        # Quantising may have turned a tiny ring into a line.
        holes = [line for line in lines[1:] if len(line) >= 4]
        if len(lines[0]) >= 4:
            parts += _on_map(_valid(shapely.Polygon(lines[0], holes)))
    return _valid(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))


def _ring(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return arcs joined into a ring whose longitudes exceed 180 degrees rather than jump to -180.

    The topologies are those of the sphere. A ring around a pole is closed through the pole, along
    the edges of the map.
    """
    ring = np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
    ring[:, 0] = np.unwrap(ring[:, 0], period=360)
    if abs(ring[-1, 0] - ring[0, 0]) > 180:
        pole = np.copysign(90, ring[:, 1].mean())
        ring = np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])
    return ring


def _on_map(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Return a shape as polygons with longitudes from -180 to 180, cut at the antimeridian."""
    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return _polygons(shape)
    found = []
    for turn in range(math.floor((west + 180) / 360), math.floor((east + 180) / 360) + 1):
        inside = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        piece = affinity.translate(shape.intersection(inside), xoff=-360 * turn)
        found += _polygons(piece)
    return found


def _valid(shape: BaseGeometry) -> BaseGeometry:
    if shape.is_valid:
        return shape
    parts = _polygons(shapely.make_valid(shape))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _polygons(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Return the polygons of a shape, without the lines and points that cutting it may leave."""
    return [
        polygon
        for part in shapely.get_parts(shape)
        for polygon in shapely.get_parts(part)
        if polygon.geom_type == "Polygon" and not polygon.is_empty
    ]
