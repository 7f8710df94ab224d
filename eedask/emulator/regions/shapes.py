"""Geometries in the crs of a pixel grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.emulator.geometry.crs import WGS84, convert, is_geographic
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.geometry.sphere import RADIUS
from eedask.emulator.pixels.projection import same_crs, unit_metres

# The error, in pixels, that a reprojected edge may have. The fine one, so small that a pixel's
# centre is unlikely to lie within it, holds unless it takes more than _ENOUGH_PIECES; the coarse
# one holds up to _MOST_PIECES.
_FINE, _COARSE = 1e-6, 1e-2
_ENOUGH_PIECES, _MOST_PIECES = 20_000, 200_000


@lru_cache(maxsize=64)
def shape_in(geometry: Geometry, target: str, pixel: float) -> BaseGeometry:
    """Return a geometry's shape in another crs.

    An edge that is straight in the geometry's crs is a curve in ``target``. It is cut into pieces
    so short that straight lines between their ends stay within about a millionth of a pixel of
    the curve, or within a hundredth if the shape is very long.

    Parameters
    ----------
    geometry : Geometry
    target : str
        The crs.
    pixel : float
        The size, in units of ``target``, of the pixels that the shape will be laid on.
    """
    geodesic = geometry.geodesic or is_geographic(target)
    shape, source = (geometry.lonlat, WGS84) if geodesic else (geometry.shape, geometry.crs)
    if same_crs(geometry.crs, target) and not geometry.geodesic and not is_geographic(target):
        return geometry.shape
    if same_crs(source, target) or shape.is_empty:
        return shape
    if shape.length:
        shape = shapely.segmentize(shape, _longest_piece(shape, source, pixel, target))

    def project(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(convert(xy[:, 0], xy[:, 1], source, target))

    return shapely.transform(shape, project)


def _longest_piece(shape: BaseGeometry, source: str, pixel: float, target: str) -> float:
    """Return how long (in units of ``source``) an edge may be to bend less than the tolerance.

    A line of length L that bends like a great circle or a meridian, with about the Earth's radius
    R, strays by L²/8R from its chord; nearer the poles by more.
    """
    metres = math.sqrt(8 * RADIUS * max(pixel * unit_metres(target), 1e-3))
    if is_geographic(source):
        latitude = min(89.0, max(abs(shape.bounds[1]), abs(shape.bounds[3])))
        metres *= math.sqrt(math.cos(math.radians(latitude)))
    unit = metres / unit_metres(source)
    fine, coarse = unit * math.sqrt(_FINE), unit * math.sqrt(_COARSE)
    piece = min(max(fine, shape.length / _ENOUGH_PIECES), coarse)
    return max(piece, shape.length / _MOST_PIECES)
