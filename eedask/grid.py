"""Pixel grids: where a chip's pixels lie, in the terms of Earth Engine's ``PixelGrid``.

Grids follow Earth Engine's convention for requests that state a scale: pixel corners lie on whole
multiples of the pixel size, counted from the origin of the crs (or of the image's own transform),
so neighbouring chips share one lattice and reading at native scale resamples nothing
(https://developers.google.com/earth-engine/guides/projections).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from eedask.errors import InputError, SizeError

# One degree of the equator of WGS84, by which Earth Engine turns metres into degrees
# (ee.Projection("EPSG:4326").nominalScale() is this number).
METRES_PER_DEGREE = 111319.49079327358

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of a grid's pixels.

    Attributes
    ----------
    row, column : int
        Of its first pixel.
    shape : (int, int)
        Rows, columns.
    """

    row: int
    column: int
    shape: tuple[int, int]

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.shape[0] * self.shape[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of an array of (rows, columns) of the whole grid."""
        rows, columns = self.shape
        return (slice(self.row, self.row + rows), slice(self.column, self.column + columns))


@dataclass(frozen=True)
class PixelGrid:
    """Pixels of one size and place in a crs.

    Attributes
    ----------
    crs : str
        ``EPSG:n``, another authority code that Earth Engine knows, or WKT.
    transform : tuple of 6 floats
        ``(scale_x, shear_x, translate_x, shear_y, scale_y, translate_y)``, crs units: pixel
        (column, row) to crs coordinates; (0, 0) is the outer corner of the first pixel.
    shape : (int, int)
        Rows, columns.
    """

    crs: str
    transform: Transform
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise SizeError(f"a grid needs at least one row and one column; shape is {self.shape}")
        if not all(math.isfinite(value) for value in self.transform):
            raise InputError(f"the grid's transform is not finite: {self.transform}")

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in crs units."""
        rows, columns = self.shape
        corners = [apply(self.transform, c, r) for c in (0, columns) for r in (0, rows)]
        xs, ys = zip(*corners, strict=True)
        return (min(xs), min(ys), max(xs), max(ys))

    def part(self, window: Window) -> PixelGrid:
        """Return the grid of a window: the same pixels, fewer of them."""
        if window == Window(0, 0, self.shape):
            return self
        return _window(self.crs, self.transform, window.column, window.row, window.shape)

    def to_json(self) -> dict[str, Any]:
        """Return the ``PixelGrid`` of Earth Engine's REST API."""
        a, b, c, d, e, f = self.transform
        rows, columns = self.shape
        crs_key = "crsWkt" if "[" in self.crs else "crsCode"
        return {
            "dimensions": {"width": columns, "height": rows},
            "affineTransform": {
                "scaleX": a,
                "shearX": b,
                "translateX": c,
                "shearY": d,
                "scaleY": e,
                "translateY": f,
            },
            crs_key: self.crs,
        }


def apply(transform: Transform, column: float, row: float) -> tuple[float, float]:
    """Return the crs coordinates of a pixel position."""
    a, b, c, d, e, f = transform
    return (a * column + b * row + c, d * column + e * row + f)


def invert(transform: Transform, x: Any, y: Any) -> tuple[Any, Any]:
    """Return the pixel position (column, row) of crs coordinates, numbers or arrays."""
    a, b, c, d, e, f = transform
    det = a * e - b * d
    if det == 0:
        raise InputError(f"the transform {transform} cannot be inverted")
    return ((e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det)


def lattice(crs: str, scale: float) -> Transform:
    """Return the transform of the crs-aligned lattice with square pixels of ``scale`` metres."""
    size = scale / metres_per_unit(crs)
    return (size, 0.0, 0.0, 0.0, -size, 0.0)


def rescaled(transform: Transform, factor: float) -> Transform:
    """Return the transform with the same origin and pixels ``factor`` times as large."""
    a, b, c, d, e, f = transform
    return (a * factor, b * factor, c, d * factor, e * factor, f)


def chip_grid(
    crs: str, transform: Transform, x: float, y: float, shape: tuple[int, int]
) -> PixelGrid:
    """Return the grid of ``shape`` on a lattice, centred on a point as closely as pixels allow.

    With odd sides the point lies in the middle pixel; with even sides the middle corner is the
    pixel corner next to the point.

    Parameters
    ----------
    crs : str
    transform : tuple of 6 floats
        The lattice: any pixel of it may become the first.
    x, y : float
        The point, in ``crs``.
    shape : (int, int)
        Rows, columns.
    """
    column, row = invert(transform, x, y)
    first_column = math.floor(column - shape[1] / 2 + 0.5)
    first_row = math.floor(row - shape[0] / 2 + 0.5)
    return _window(crs, transform, first_column, first_row, shape)


def covering_grid(
    crs: str, transform: Transform, bounds: tuple[float, float, float, float]
) -> PixelGrid:
    """Return the smallest grid on a lattice that covers (left, bottom, right, top) in ``crs``."""
    left, bottom, right, top = bounds
    corners = [invert(transform, x, y) for x in (left, right) for y in (bottom, top)]
    columns, rows = zip(*corners, strict=True)
    # Bounds that lie on a pixel edge but for rounding must not gain a row.
    slack = 1e-6
    first_column, first_row = math.floor(min(columns) + slack), math.floor(min(rows) + slack)
    shape = (
        max(1, math.ceil(max(rows) - slack) - first_row),
        max(1, math.ceil(max(columns) - slack) - first_column),
    )
    return _window(crs, transform, first_column, first_row, shape)


def utm_crs(longitude: ArrayLike, latitude: ArrayLike) -> NDArray[np.str_]:
    """Return the EPSG code of each point's own WGS84 / UTM zone.

    Parameters
    ----------
    longitude, latitude : array_like of float, shape (n,)
        Degrees. Zones are the regular ones, 6° wide: without the exceptions for Norway and
        Svalbard, as in most tools.

    Returns
    -------
    ndarray of str, shape (n,)
        ``EPSG:326zz`` north of the equator and on it, ``EPSG:327zz`` south of it.
    """
    longitude, latitude = np.asarray(longitude, float), np.asarray(latitude, float)
    zone = np.floor((longitude + 180.0) % 360.0 / 6.0).astype(int) + 1
    code = np.where(latitude < 0, 32700, 32600) + zone
    return np.char.add("EPSG:", code.astype(str))


def canonical_crs(crs: Any) -> str:
    """Return a crs as Earth Engine takes it: an authority code where there is one, else WKT 1.

    Raises
    ------
    InputError
        If pyproj cannot read it.
    """
    if isinstance(crs, str) and crs.upper() == "SR-ORG:6974":
        return "SR-ORG:6974"
    try:
        parsed = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise InputError(
            f"crs={crs!r} is not a crs: give an EPSG code such as 'EPSG:32613', 'utm' for each"
            " point's own zone, 'native' for the image's own grid, or anything pyproj reads"
        ) from error
    authority = parsed.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(parsed.to_wkt("WKT1_GDAL"))


@lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Return the length of one unit of the crs, by which Earth Engine turns metres into it."""
    parsed = as_pyproj(crs)
    if parsed.is_geographic:
        return METRES_PER_DEGREE
    return float(parsed.axis_info[0].unit_conversion_factor or 1.0)


@lru_cache(maxsize=256)
def as_pyproj(crs: str) -> pyproj.CRS:
    """Return pyproj's crs for a name that Earth Engine uses."""
    # MODIS sinusoidal: Earth Engine's name for it is not in pyproj's database.
    if crs == "SR-ORG:6974":
        return pyproj.CRS("+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs")
    return pyproj.CRS(crs)


@lru_cache(maxsize=256)
def from_degrees(crs: str) -> pyproj.Transformer:
    """Return the transformer from longitude and latitude to a crs."""
    return pyproj.Transformer.from_crs("EPSG:4326", as_pyproj(crs), always_xy=True)


def _window(
    crs: str, transform: Transform, column: int, row: int, shape: tuple[int, int]
) -> PixelGrid:
    a, b, _, d, e, _ = transform
    x, y = apply(transform, column, row)
    return PixelGrid(crs, (a, b, x, d, e, y), shape)
