"""Outlines of countries, land, states and counties, from the package's own data.

``data/outlines.json.gz`` holds two topologies: Natural Earth's countries (public domain) and the
United States Census Bureau's states and counties (public domain), made from the npm packages
world-atlas and us-atlas by :mod:`~eedask.emulator.catalog.build_tables`. Neighbours share their
borders vertex by vertex within one topology.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry


class Outline(NamedTuple):
    """A named region: ISO 3166 numeric code of a country, FIPS code of a state or county."""

    code: str | None
    name: str
    shape: BaseGeometry


@cache
def countries() -> tuple[Outline, ...]:
    """Return the world's countries, in degrees."""
    return _decode("world", "countries")


@cache
def land() -> tuple[shapely.Polygon, ...]:
    """Return the world's land masses, one polygon each, in degrees."""
    return tuple(
        part for outline in _decode("world", "land") for part in shapely.get_parts(outline.shape)
    )


@cache
def states() -> tuple[Outline, ...]:
    """Return the states and territories of the United States, in degrees."""
    return _decode("us", "states")


@cache
def counties() -> tuple[Outline, ...]:
    """Return the counties of the United States, in degrees; a state's code begins its own."""
    return _decode("us", "counties")


@cache
def _file() -> dict[str, Any]:
    data = files("eedask.emulator.catalog").joinpath("data/outlines.json.gz").read_bytes()
    parsed: dict[str, Any] = json.loads(gzip.decompress(data))
    return parsed


def _decode(topology: str, name: str) -> tuple[Outline, ...]:
    raw = _file()[topology]
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
    # Quantising has folded a few tiny ones into nothing.
    return tuple(outline for outline in found if not outline.shape.is_empty)


def _shape(
    polygons: list[list[list[int]]], arc: Callable[[int], NDArray[np.float64]]
) -> BaseGeometry:
    parts = []
    for rings in polygons:
        lines = [_ring([arc(number) for number in ring]) for ring in rings]
        # Quantising may have folded a tiny island into a line.
        holes = [line for line in lines[1:] if len(line) >= 4]
        if len(lines[0]) >= 4:
            parts.append(shapely.Polygon(lines[0], holes))
    shape = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return shape if shape.is_valid else _polygons_of(shapely.make_valid(shape))


def _ring(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def _polygons_of(shape: BaseGeometry) -> BaseGeometry:
    """Return the polygons of what mending made: slivers may have become lines."""
    parts = [
        polygon
        for part in shapely.get_parts(shape)
        for polygon in shapely.get_parts(part)
        if polygon.geom_type == "Polygon"
    ]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
