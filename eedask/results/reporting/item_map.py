"""Draws maps of items on a plain coast line, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.dataset.rows import FAILED, OK
from eedask.results.reporting import svg
from eedask.results.reporting.coast import coast

_WIDTH, _HEIGHT = 560.0, 300.0
# What is told where no item has a place.
EMPTY_MAP = (
    "the map would be empty: the geometries of all items are null or empty; fetch them with"
    " from_features(..., geometry=True)"
)
# The width of the narrowest map in degrees: a narrower one would not show where the items are. And
# the width in degrees up to which a map gets a locator.
_NARROWEST = 0.05
_LARGEST_LOCATED = 90.0


@dataclass(frozen=True)
class Dots:
    """Items that are drawn as dots of the same look.

    Attributes
    ----------
    label : str
        Their name in the legend.
    colour : str
        A colour of CSS.
    places : array of float, shape (n, 2)
        Longitude and latitude in degrees.
    square : bool
        Whether the dots are squares, which differ from round ones even without colours.
    """

    label: str
    colour: str
    places: NDArray[np.float64]
    square: bool = False


@dataclass(frozen=True)
class View:
    """The part of the world that a map shows, in degrees.

    Longitudes lie between -180 and 540, so that a map can cross the antimeridian.
    """

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, places: NDArray[np.float64]) -> View:
        """Return a view of places, shape (n, 2), with some room around them."""
        west, south = places.min(axis=0)
        east, north = places.max(axis=0)
        middle = (south + north) / 2
        # The width of a degree of longitude, over the height of one of latitude.
        squeeze = max(0.2, math.cos(math.radians(middle)))
        tall = max((north - south) * 1.25, _NARROWEST, (east - west) * 1.25 * squeeze / _ASPECT)
        tall = min(tall, 180.0)
        wide = min(max(tall * _ASPECT / squeeze, (east - west) * 1.05), 360.0)
        south = min(max(middle - tall / 2, -90.0), 90.0 - tall)
        west = (west + east) / 2 - wide / 2
        return cls(west, south, west + wide, south + tall)

    @property
    def width(self) -> float:
        """Degrees from west to east."""
        return self.east - self.west

    def xy(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates of places in the drawing; both of shape (n, 2)."""
        scale = np.array([_WIDTH / self.width, -_HEIGHT / (self.north - self.south)])
        drawn: NDArray[np.float64] = (places - np.array([self.west, self.north])) * scale
        return drawn


_ASPECT = _WIDTH / _HEIGHT
_WORLD = View(-180, -90, 180, 90)


def places_of(items: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """Return a point of each item: shape (n, 2), longitude and latitude.

    It is the point itself, or a point within other geometries; NaN if the item has no geometry.
    """
    shapes = items.geometry
    if items.crs is not None:
        shapes = shapes.to_crs("EPSG:4326")
    shapes = shapes.where(~shapes.is_empty)
    return shapely.get_coordinates(
        shapes.representative_point().fillna(shapely.Point(np.nan, np.nan)).to_numpy()
    )


def state_dots(manifest: gpd.GeoDataFrame) -> list[Dots]:
    """Return the items of a manifest as dots, by state. Failed ones come last: they lie on top."""
    places = places_of(manifest)
    states: Sequence[tuple[str, str, Any]] = (
        ("ok", "ok", manifest["status"] == OK),
        ("not done", "open", manifest["status"].isna()),
        ("failed", "failed", manifest["status"] == FAILED),
    )
    return [
        Dots(label, svg.colour(name), places[which.to_numpy(bool)], square=name == FAILED)
        for label, name, which in states
    ]


def item_map(groups: Sequence[Dots], label: str) -> str:
    """Return a map of items as SVG; an empty text if no item has a geometry."""
    groups = [Dots(g.label, g.colour, _known(g.places), g.square) for g in groups]
    groups = [group for group in groups if len(group.places)]
    if not groups:
        return ""
    crosses = _crosses(np.concatenate([group.places for group in groups]))
    placed = [_turned(group.places) if crosses else group.places for group in groups]
    together = np.concatenate(placed)
    view = View.around(together)
    size = 5.0 if len(together) <= 300 else 3.5 if len(together) <= 2000 else 2.2
    drawn = [
        svg.dots(view.xy(places), group.colour, size, group.square)
        for group, places in zip(groups, placed, strict=True)
    ]
    below, legend = _legend(groups)
    parts = [_sea(), _coast_line(view), _graticule(view), *drawn, legend]
    return svg.drawing(_WIDTH, _HEIGHT + below, label, *parts)


def locator(places: NDArray[np.float64]) -> str:
    """Return a map of the world with a frame around places.

    It is an empty text if the places are spread over a large part of the world.
    """
    known = _known(places)
    if not len(known):
        return ""
    view = View.around(_turned(known) if _crosses(known) else known)
    if view.width > _LARGEST_LOCATED:
        return ""
    corners = _WORLD.xy(np.array([[view.west, view.north], [view.east, view.south]]))
    (left, top), (right, bottom) = corners.tolist()
    # A frame of a few pixels would not be seen.
    wide, tall = max(right - left, 16.0), max(bottom - top, 16.0)
    x, y = ((left + right) / 2 - wide / 2) % _WIDTH, (top + bottom) / 2 - tall / 2
    frame = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="none"'
        f' stroke="{svg.colour("failed")}" stroke-width="5"/>'
    )
    label = "where in the world the map lies"
    return svg.drawing(_WIDTH, _HEIGHT, label, _sea(), _coast_line(_WORLD, 2.0), frame)


def _known(places: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = places[np.isfinite(places).all(axis=1)]
    return found


def _crosses(places: NDArray[np.float64]) -> bool:
    """Return whether a map of places is narrower if it crosses the antimeridian."""
    return bool(np.ptp(_turned(places)[:, 0]) < np.ptp(places[:, 0]))


def _turned(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places with longitudes from 0 to 360."""
    turned = places.copy()
    turned[places[:, 0] < 0, 0] += 360
    return turned


def _sea() -> str:
    return f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="{svg.colour("sea")}"/>'


def _coast_line(view: View, width: float = 0.7) -> str:
    """Return the coast within a view, simplified to what the drawing can show."""
    found: list[NDArray[np.float64]] = []
    # The coast is in longitudes from -180 to 180, and the view may reach beyond them.
    for turn in (-360.0, 0.0, 360.0):
        turned = View(view.west - turn, view.south, view.east - turn, view.north)
        edges = turned.west, turned.south, turned.east, turned.north
        here = shapely.get_parts(shapely.clip_by_rect(_coast(), *edges))
        moved = shapely.transform(here, turned.xy)
        drawn = shapely.simplify(moved, 0.4)
        found += [shapely.get_coordinates(one) for one in drawn[shapely.length(drawn) > 1.5]]
    return svg.lines(found, svg.colour("coast"), width) if found else ""


@cache
def _coast() -> shapely.MultiLineString:
    return shapely.MultiLineString([line.tolist() for line in coast()])


def _graticule(view: View) -> str:
    step = max(_step(view.width / 6), _step((view.north - view.south) / 4))
    parts = []
    for x in svg.multiples(view.west, view.east, step):
        place = view.xy(np.array([[x, view.south]]))[0, 0]
        parts.append(_thin([[place, 0], [place, _HEIGHT]]))
        if 40 < place < _WIDTH - 40:
            parts.append(svg.label(place, _HEIGHT - 6, _degrees((x + 180) % 360 - 180, "EW")))
    for y in svg.multiples(view.south, view.north, step):
        place = view.xy(np.array([[view.west, y]]))[0, 1]
        parts.append(_thin([[0, place], [_WIDTH, place]]))
        if 14 < place < _HEIGHT - 24:
            parts.append(svg.label(5, place - 4, _degrees(y, "NS"), "start"))
    return "".join(parts)


def _thin(ends: list[list[float]]) -> str:
    return svg.line(np.array(ends), svg.colour("rule"), 0.6)


def _step(least: float) -> float:
    if least <= 5:
        return svg.round_step(least, 1)
    return min((step for step in (10.0, 20.0, 30.0, 60.0) if step >= least), default=60.0)


def _degrees(value: float, sides: str) -> str:
    side = "" if abs(value) < 1e-9 else sides[0] if value > 0 else sides[1]
    return f"{abs(round(value, 6)):g}°{side}"


def _legend(groups: Sequence[Dots]) -> tuple[float, str]:
    """Return the legend, and how high it is."""
    parts, x, y = [], 8.0, _HEIGHT + 14
    for group in groups:
        words = f"{group.label} ({len(group.places):,})"
        wide = 32 + 8 * len(words)
        if x > 8 and x + wide > _WIDTH:
            x, y = 8.0, y + 18
        parts.append(svg.dots(np.array([[x, y]]), group.colour, 8, group.square))
        parts.append(svg.label(x + 9, y + 4, words, "start"))
        x += wide
    return y + 10 - _HEIGHT, "".join(parts)
