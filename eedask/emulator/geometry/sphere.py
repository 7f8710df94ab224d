"""Geometry on the sphere: great circles, small circles and an azimuthal projection.

Earth Engine takes geodetic latitudes as latitudes on a sphere of the authalic radius. That is
inferred from the area that it printed for the polygon of its Geometries guide (9918985.748240016
km²), which determines the radius to ten digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float64]  # shape (n, 2): longitude, latitude in degrees

RADIUS = 6371007.180918474
"""The radius of the sphere, in metres."""

TOLERANCE = 0.1
"""The largest distance, in metres, between a densified edge and its great circle."""

_MOST_HALVINGS = 20


def to_vectors(coordinates: Coordinates) -> NDArray[np.float64]:
    """Return the unit vectors, shape (n, 3), of longitudes and latitudes."""
    lon, lat = np.radians(coordinates[:, 0]), np.radians(coordinates[:, 1])
    cos = np.cos(lat)
    return np.column_stack([cos * np.cos(lon), cos * np.sin(lon), np.sin(lat)])


def to_degrees(vectors: NDArray[np.float64]) -> Coordinates:
    """Return longitudes and latitudes of vectors of any length, shape (n, 2)."""
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    return np.degrees(np.column_stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))]))


def unwrapped(coordinates: Coordinates) -> Coordinates:
    """Return a path with longitudes turned by 360 degrees so that no step exceeds 180 degrees."""
    lon = coordinates[:, 0]
    steps = np.diff(lon)
    if not (np.abs(steps) > 180).any():
        return coordinates
    turns = np.concatenate([[0.0], np.cumsum(-360.0 * np.round(steps / 360.0))])
    return np.column_stack([lon + turns, coordinates[:, 1]])


def densified(coordinates: Coordinates, tolerance: float = TOLERANCE) -> Coordinates:
    """Return a path of great circles as a path of straight lines in longitude and latitude.

    Edges are halved until no straight line is further than the tolerance from its great circle.

    Parameters
    ----------
    coordinates : ndarray, shape (n, 2)
        Degrees; longitudes that follow each other differ by less than 180 (see :func:`unwrapped`).
    tolerance : float
        Metres.
    """
    for _ in range(_MOST_HALVINGS):
        bent = _bent(coordinates, tolerance)
        if not bent.any():
            break
        vectors = to_vectors(coordinates)
        middles = to_degrees((vectors[:-1] + vectors[1:])[bent])
        near = (coordinates[:-1, 0] + coordinates[1:, 0])[bent] / 2
        middles[:, 0] += 360.0 * np.round((near - middles[:, 0]) / 360.0)
        coordinates = np.insert(coordinates, np.flatnonzero(bent) + 1, middles, axis=0)
    return coordinates


def _bent(coordinates: Coordinates, tolerance: float) -> NDArray[np.bool_]:
    """Return whether each straight edge is too far from its great circle at one of three places."""
    start, step = coordinates[:-1], np.diff(coordinates, axis=0)
    vectors = to_vectors(coordinates)
    normals = _cross(vectors[:-1], vectors[1:])
    sizes = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(sizes, 1e-300)[:, None]
    worst = np.zeros(len(step))
    for share in (0.25, 0.5, 0.75):
        off = (to_vectors(start + share * step) * normals).sum(axis=1)
        worst = np.maximum(worst, np.abs(off) * RADIUS)
    # Between the three places the distance may be a little larger: hence 0.9 of the tolerance.
    bent: NDArray[np.bool_] = (worst > 0.9 * tolerance) & (sizes > 1e-12)
    return bent


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cross products of vectors, shape (n, 3).

    np.cross returns the same, but spends most of its time on handling axes.
    """
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.column_stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def latitude_range(coordinates: Coordinates) -> tuple[float, float]:
    """Return the least and greatest latitude on a path of great circles, in degrees."""
    low, high = float(coordinates[:, 1].min()), float(coordinates[:, 1].max())
    if len(coordinates) < 2:
        return low, high
    v = to_vectors(coordinates)
    a, b = v[:-1], v[1:]
    normal = _cross(a, b)
    length = np.linalg.norm(normal, axis=1)
    # The highest latitude of a great circle equals the angle of its normal from the axis. An edge
    # reaches it if it climbs at its start and falls at its end.
    rise_a = normal[:, 0] * a[:, 1] - normal[:, 1] * a[:, 0]
    rise_b = normal[:, 0] * b[:, 1] - normal[:, 1] * b[:, 0]
    turns = (length > 1e-12) & (rise_a * rise_b < 0)
    if turns.any():
        n = normal[turns]
        summit = np.degrees(np.arctan2(np.hypot(n[:, 0], n[:, 1]), np.abs(n[:, 2])))
        up = rise_a[turns] > 0
        high = max(high, float(summit[up].max(initial=-90.0)))
        low = min(low, float(-summit[~up].max(initial=-90.0)))
    return low, high


def circle(lon: float, lat: float, radius: float, vertices: int = 64) -> Coordinates:
    """Return a circle as a closed ring whose bounds are exactly those of the circle.

    Parameters
    ----------
    lon, lat : float
        The centre, in degrees.
    radius : float
        Metres on the sphere.
    vertices : int
        The least number of vertices. The circle's points furthest north, south, east and west
        are among them.

    Returns
    -------
    ndarray, shape (n + 1, 2)
        Longitudes and latitudes, counter-clockwise, every vertex on the circle. Longitudes may
        exceed 180.
    """
    angle = radius / RADIUS
    phi = math.radians(lat)
    azimuths = -np.arange(vertices) * (2 * math.pi / vertices)
    tangent = math.tan(angle) * math.tan(phi) if angle < math.pi / 2 else 2.0
    if abs(tangent) < 1:  # no pole is inside: two meridians touch the circle, east and west
        east = math.acos(tangent)
        azimuths = np.unique(np.concatenate([azimuths % (2 * math.pi), [east, 2 * math.pi - east]]))
        azimuths = azimuths[::-1]
    sin_lat = math.sin(phi) * math.cos(angle) + math.cos(phi) * math.sin(angle) * np.cos(azimuths)
    dlon = np.arctan2(
        np.sin(azimuths) * math.sin(angle) * math.cos(phi),
        math.cos(angle) - math.sin(phi) * sin_lat,
    )
    lats = np.degrees(np.arcsin(np.clip(sin_lat, -1, 1)))
    ring = np.column_stack([lon + np.degrees(dlon), lats])
    return np.vstack([ring, ring[:1]])


class Azimuthal:
    """The azimuthal equidistant projection of the sphere around a point.

    Distances and directions from the centre are exact. Other distances are off by 1 in 25,000 at
    100 km from the centre.

    Parameters
    ----------
    lon, lat : float
        The centre, in degrees.
    """

    def __init__(self, lon: float, lat: float) -> None:
        self.lon, self.lat = lon, lat
        phi = math.radians(lat)
        self._sin, self._cos = math.sin(phi), math.cos(phi)

    def forward(self, coordinates: Coordinates) -> Coordinates:
        """Return metres east and north of the centre, shape (n, 2)."""
        dlon = np.radians(coordinates[:, 0] - self.lon)
        lat = np.radians(coordinates[:, 1])
        x = np.cos(lat) * np.sin(dlon)
        y = self._cos * np.sin(lat) - self._sin * np.cos(lat) * np.cos(dlon)
        z = self._sin * np.sin(lat) + self._cos * np.cos(lat) * np.cos(dlon)
        sin_c = np.hypot(x, y)
        scale = np.where(sin_c > 1e-15, np.arctan2(sin_c, z) / np.maximum(sin_c, 1e-15), 1.0)
        return RADIUS * np.column_stack([x * scale, y * scale])

    def inverse(self, metres: Coordinates) -> Coordinates:
        """Return longitudes, within 180 degrees of the centre's, and latitudes, shape (n, 2)."""
        x, y = metres[:, 0] / RADIUS, metres[:, 1] / RADIUS
        c = np.hypot(x, y)
        ratio = np.sinc(c / math.pi)  # sin(c) / c
        sin_lat = np.cos(c) * self._sin + y * ratio * self._cos
        dlon = np.arctan2(x * ratio, self._cos * np.cos(c) - self._sin * y * ratio)
        lats = np.degrees(np.arcsin(np.clip(sin_lat, -1, 1)))
        return np.column_stack([self.lon + np.degrees(dlon), lats])
