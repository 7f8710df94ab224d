"""Ground tracks and swaths of satellites in sun-synchronous orbits.

Positions on an orbit are angles in degrees along it, counted back from the descending node, where
the satellite crosses the equator southwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.catalog.footprints import from_degrees

_SIDEREAL_DAY = 86164.1
_KM_PER_DEGREE = 111.195


@dataclass(frozen=True)
class Orbit:
    """A circular orbit.

    Attributes
    ----------
    inclination : float
        Degrees.
    period : float
        Seconds.
    """

    inclination: float
    period: float

    def angle(self, lat: float) -> float:
        """Return the angle before the descending node at which a latitude is crossed."""
        reach = math.sin(math.radians(lat)) / math.sin(math.radians(self.inclination))
        return math.degrees(math.asin(max(-1.0, min(1.0, reach))))

    def latitude(self, angle: float) -> float:
        """Return the latitude at an angle before the descending node."""
        sine = math.sin(math.radians(self.inclination)) * math.sin(math.radians(angle))
        return math.degrees(math.asin(sine))

    def east_of_node(self, angle: float) -> float:
        """Return how many degrees of longitude east of the node the ground track is at an angle."""
        turn = -math.cos(math.radians(self.inclination)) * math.tan(math.radians(angle))
        return math.degrees(math.atan(turn)) + angle * self.period / _SIDEREAL_DAY

    def seconds(self, angle: float) -> float:
        """Return the flight time in seconds from an angle to the descending node."""
        return angle / 360 * self.period


def strip(
    orbit: Orbit, node: float, lat: float, half_width: float, reach: float
) -> NDArray[np.float64]:
    """Return the corners NW, SW, SE, NE of a swath around a latitude, in degrees, shape (4, 2).

    Parameters
    ----------
    node : float
        Longitude of the descending node; the result is near it and may pass 180 degrees.
    half_width : float
        Half the swath's width in kilometres.
    reach : float
        Half the strip's length in degrees of latitude.
    """
    most = 89.9 - abs(90 - orbit.inclination)
    north, south = min(lat + reach, most), max(lat - reach, -most)
    west, east = [], []
    for at in (north, south):
        middle = node + orbit.east_of_node(orbit.angle(at))
        slant = _slant(orbit, at)
        half = half_width / (_KM_PER_DEGREE * math.cos(math.radians(at)) * slant)
        west.append((middle - half, at))
        east.append((middle + half, at))
    return np.array([west[0], west[1], east[1], east[0]])


def _slant(orbit: Orbit, lat: float) -> float:
    """Return the cosine of the angle between the ground track and the meridian."""
    d_angle = 0.5
    one, other = orbit.angle(lat) - d_angle, orbit.angle(lat) + d_angle
    north = orbit.latitude(other) - orbit.latitude(one)
    east = (orbit.east_of_node(other) - orbit.east_of_node(one)) * math.cos(math.radians(lat))
    return max(abs(north) / math.hypot(north, east), 0.2)


def projected(corners: NDArray[np.float64], crs: str) -> shapely.Polygon:
    """Return the convex hull in a crs of a polygon's corners in degrees."""
    x, y = from_degrees(crs).transform(corners[:, 0], corners[:, 1])
    return cast(shapely.Polygon, shapely.Polygon(np.column_stack([x, y])).convex_hull)


def half_planes(polygon: shapely.Polygon) -> NDArray[np.float64]:
    """Return (a, b, c) for each side of a convex polygon: inside, a x + b y + c >= 0 for all."""
    ring = np.array(shapely.geometry.polygon.orient(polygon).exterior.coords)
    start, end = ring[:-1], ring[1:]
    a, b = start[:, 1] - end[:, 1], end[:, 0] - start[:, 0]
    length = np.hypot(a, b)
    keep = length > 1e-6
    a, b, start = a[keep] / length[keep], b[keep] / length[keep], start[keep]
    return np.column_stack([a, b, -(a * start[:, 0] + b * start[:, 1])])
