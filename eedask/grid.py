"""Pixel grids: where a chip's pixels lie, in the terms of Earth Engine's ``PixelGrid``.

Grids follow Earth Engine's convention for requests that state a scale: pixel corners lie on whole
multiples of the pixel size, counted from the origin of the crs (or of the image's own transform),
so neighbouring chips share one lattice and reading at native scale resamples nothing
(https://developers.google.com/earth-engine/guides/projections).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eedask.arguments import check_scale
from eedask.crs import NATIVE, crs_name, is_readable, metres_per_unit
from eedask.errors import InputError, PermanentError, SizeError

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of a grid's pixels.

    Attributes
    ----------
    row, column : int
        Where its upper left pixel stands in the grid, counted from 0.
    shape : (int, int)
        Rows, columns.
    """

    row: int
    column: int
    shape: tuple[int, int]

    @property
    def pixels(self) -> int:
        """Rows times columns."""
        return self.shape[0] * self.shape[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of the window in an array of the whole grid, shape (rows, columns)."""
        rows, columns = self.shape
        return (slice(self.row, self.row + rows), slice(self.column, self.column + columns))


@dataclass(frozen=True)
class Lattice:
    """The pixels on which a user wants an image: their crs, and their size or transform.

    The arguments ``crs``, ``scale`` and ``crs_transform`` of all verbs are checked here, when the
    object is made.

    Attributes
    ----------
    crs : str
        A crs as Earth Engine takes it, "utm" (each item's own zone) or "native" (the image's
        own grid). Anything that pyproj reads may be given.
    scale : float, optional
        Metres a pixel. Only "native" can do without: its pixels then keep their own size.
    transform : tuple of 6 floats, optional
        The transform of the pixels, given instead of a scale. A chip may begin at any of these
        pixels. Earth Engine's ``crsTransform`` and a ``rasterio.Affine`` have the same order.

    Raises
    ------
    InputError
        If the crs cannot be read; the scale is missing, or is no positive number; the transform is
        not six finite numbers; or a transform is given together with a scale or with "native".
    """

    crs: str
    scale: float | None = None
    transform: Transform | None = None

    def __post_init__(self) -> None:
        check_scale(self.scale)
        name = crs_name(self.crs)
        if self.transform is not None:
            if self.scale is not None or name == NATIVE:
                raise InputError(
                    "crs_transform says where pixels lie and how large they are; it goes without"
                    " scale=, and not with crs='native', which has a transform of its own"
                )
            object.__setattr__(self, "transform", _checked_transform(self.transform))
        elif self.scale is None and name != NATIVE:
            raise InputError(
                f"crs={self.crs!r} needs a scale (metres a pixel); only crs='native' has its own"
            )
        object.__setattr__(self, "crs", name)
        object.__setattr__(self, "scale", None if self.scale is None else float(self.scale))

    @property
    def is_native(self) -> bool:
        """Whether the pixels are those of the image's own projection, or rescaled from them."""
        return self.crs == NATIVE


def _checked_transform(given: Any) -> Transform:
    """Return a user's transform as six floats; raise InputError if it is not a transform."""
    try:
        values = tuple(given)
        # The last row of an Affine, which has nine numbers, is the same for all.
        a, b, c, d, e, f = (float(v) for v in (values[:6] if len(values) == 9 else values))
    except (TypeError, ValueError):
        raise InputError(
            "crs_transform is six numbers, (scale_x, shear_x, translate_x, shear_y, scale_y,"
            f" translate_y), or a rasterio.Affine; got {given!r}"
        ) from None
    if not all(map(math.isfinite, (a, b, c, d, e, f))) or a * e == b * d:
        raise InputError(
            f"crs_transform={given!r} gives pixels no finite size: state finite numbers, with"
            " scale_x and scale_y other than 0"
        )
    return (a, b, c, d, e, f)


@dataclass(frozen=True)
class PixelGrid:
    """A rectangle of pixels in a crs: where they lie, how large they are, and how many.

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
        """Return the grid of the pixels in a window of this grid."""
        if window == Window(0, 0, self.shape):
            return self
        return grid_at(self.crs, self.transform, window.row, window.column, window.shape)

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


def apply(transform: Transform, column: Any, row: Any) -> tuple[Any, Any]:
    """Return the crs coordinates (x, y) of a pixel position; of many, if given as arrays."""
    a, b, c, d, e, f = transform
    return (a * column + b * row + c, d * column + e * row + f)


def invert(transform: Transform, x: Any, y: Any) -> tuple[Any, Any]:
    """Return the pixel position (column, row) of crs coordinates; of many, if given as arrays."""
    a, b, c, d, e, f = transform
    det = a * e - b * d
    if det == 0:
        raise InputError(f"the transform {transform} cannot be inverted")
    return ((e * (x - c) - b * (y - f)) / det, (a * (y - f) - d * (x - c)) / det)


def aligned(crs: str, scale: float) -> Transform:
    """Return the transform of square pixels of ``scale`` metres that start at the crs's origin."""
    size = scale / metres_per_unit(crs)
    return (size, 0.0, 0.0, 0.0, -size, 0.0)


def rescaled(transform: Transform, factor: float) -> Transform:
    """Return a transform with the same origin, whose pixels have sides ``factor`` times as long."""
    a, b, c, d, e, f = transform
    return (a * factor, b * factor, c, d * factor, e * factor, f)


def chip_grid(
    crs: str, transform: Transform, x: float, y: float, shape: tuple[int, int]
) -> PixelGrid:
    """Return the grid of ``shape`` on a lattice, centred on a point as closely as pixels allow.

    If a side has an odd number of pixels, the point lies in the middle pixel. If it has an even
    number, the middle of the grid is the pixel corner nearest to the point; of two corners that
    are equally near, the one with the larger row or column.

    Parameters
    ----------
    crs : str
    transform : tuple of 6 floats
        Of the lattice's pixels, any of which may be the grid's first.
    x, y : float
        The point, in ``crs``.
    shape : (int, int)
        Rows, columns.
    """
    row, column = centred(transform, x, y, shape)
    return grid_at(crs, transform, int(row), int(column), shape)


def centred(transform: Transform, x: Any, y: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Return the row and column of the first pixel of :func:`chip_grid`.

    ``x`` and ``y`` may be arrays of many points; rows and columns are then arrays too.
    """
    column, row = invert(transform, x, y)
    return np.floor(row - shape[0] / 2 + 0.5), np.floor(column - shape[1] / 2 + 0.5)


def covering_grid(
    crs: str, transform: Transform, bounds: tuple[float, float, float, float]
) -> PixelGrid:
    """Return the smallest grid on a lattice that covers (left, bottom, right, top) in ``crs``."""
    row, column, rows, columns = map(int, covered(transform, *bounds))
    return grid_at(crs, transform, row, column, (rows, columns))


def covered(
    transform: Transform, left: Any, bottom: Any, right: Any, top: Any
) -> tuple[Any, Any, Any, Any]:
    """Return the first row, first column, rows and columns of :func:`covering_grid`.

    The bounds may be arrays of many boxes; the four results are then arrays too.
    """
    corners = [invert(transform, x, y) for x in (left, right) for y in (bottom, top)]
    columns, rows = zip(*corners, strict=True)
    # Bounds that lie on a pixel edge but for rounding must not gain a row.
    slack = 1e-6
    first_column = np.floor(np.min(columns, axis=0) + slack)
    first_row = np.floor(np.min(rows, axis=0) + slack)
    return (
        first_row,
        first_column,
        np.maximum(1, np.ceil(np.max(rows, axis=0) - slack) - first_row),
        np.maximum(1, np.ceil(np.max(columns, axis=0) - slack) - first_column),
    )


def grid_at(
    crs: str, transform: Transform, row: int, column: int, shape: tuple[int, int]
) -> PixelGrid:
    """Return the grid of ``shape`` whose first pixel is the given row and column of a lattice."""
    a, b, _, d, e, _ = transform
    x, y = apply(transform, column, row)
    return PixelGrid(crs, (a, b, x, d, e, y), shape)


@dataclass(frozen=True)
class NativeProjection:
    """The grid of an image: its crs, as Earth Engine names it, and the transform of its pixels."""

    crs: str
    transform: Transform

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> NativeProjection:
        """Return the grid that a value of ``ee.Projection.getInfo`` describes.

        Raises
        ------
        PermanentError
            If the image has no grid of its own. Composites and constants have EPSG:4326 with
            pixels of 1 degree that begin at longitude and latitude 0
            (https://developers.google.com/earth-engine/guides/projections).
        """
        crs, transform = info.get("crs") or info.get("wkt"), info.get("transform")
        if not isinstance(crs, str) or not isinstance(transform, list) or len(transform) != 6:
            raise PermanentError(f"the image has no single native grid: its projection is {info}")
        a, b, c, d, e, f = (float(value) for value in transform)
        # Real grids of 1 degree, such as those of GRACE, begin at a corner of the world.
        if crs == "EPSG:4326" and abs(a) == abs(e) == 1 and c == f == 0:
            raise PermanentError(
                "the image has no native grid: a composite or constant has EPSG:4326 at 1 degree."
                " State crs= and scale=, or give the image a grid with setDefaultProjection"
            )
        return cls(crs, (a, b, c, d, e, f))

    @property
    def is_readable(self) -> bool:
        """Whether the crs can be read here, which places pixels in it."""
        return is_readable(self.crs)

    def check_readable(self) -> None:
        """Raise PermanentError if the crs cannot be read here."""
        if not self.is_readable:
            raise PermanentError(
                f"the image's crs {self.crs!r} cannot be read by pyproj, so that its pixels cannot"
                " be placed. State another crs= (such as 'utm') and scale="
            )

    @property
    def scale(self) -> float:
        """Side of a pixel in metres, as ``ee.Projection.nominalScale`` counts it."""
        a, b, _, d, e, _ = self.transform
        return math.sqrt(abs(a * e - b * d)) * metres_per_unit(self.crs)
