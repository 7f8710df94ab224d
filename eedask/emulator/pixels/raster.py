"""Lazy rasters: an image computes its pixels only when they are read on an output grid.

An :class:`Image` holds :class:`Band` objects; a band holds a ``read`` function from a
:class:`Grid` to ``(values, mask)``. Operations wrap the readers of their inputs, so a chain of
operations costs nothing until :meth:`Band.read` is called on the grid of the answer, and then
computes that grid alone. This is how Earth Engine works ("pull" evaluation):
https://developers.google.com/earth-engine/guides/scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.limits.metering import metered_read
from eedask.emulator.pixels.late import changed

Resampling = Literal["nearest", "bilinear", "bicubic"]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def compose(outer: Affine, inner: Affine) -> Affine:
    """Return the transform that applies ``inner``, then ``outer``.

    Written out because releases of the package affine differ in the operator.
    """
    return Affine(
        outer.a * inner.a + outer.b * inner.d,
        outer.a * inner.b + outer.b * inner.e,
        outer.a * inner.c + outer.b * inner.f + outer.c,
        outer.d * inner.a + outer.e * inner.d,
        outer.d * inner.b + outer.e * inner.e,
        outer.d * inner.c + outer.e * inner.f + outer.f,
    )


def apply(transform: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """Return the coordinates (numbers or arrays) to which a transform maps points."""
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


class Pixels(NamedTuple):
    """Pixels of one band on one grid. Readers share them: the arrays must not be written to.

    Attributes
    ----------
    values : ndarray, shape (height, width)
        Any value where the mask is 0. Bands of arrays have more axes, or objects
        (see :mod:`eedask.emulator.pixels.array_values`).
    mask : ndarray of float32, shape (height, width)
        0 (masked) to 1 (valid). A mask that is the same everywhere may be one number with
        strides of 0 (see :func:`uniform`), which :func:`is_opaque` recognises by its strides.
    """

    values: NDArray[Any]
    mask: NDArray[np.float32]


def uniform(value: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    """Return a read-only array of one value that costs no memory."""
    one = np.asarray(value, dtype=dtype)
    if one.ndim or one.dtype.hasobject:
        return np.broadcast_to(one, shape)
    # The same as broadcast_to in a third of the time, since every read makes two of these.
    array = np.ndarray(shape, one.dtype, one, 0, (0,) * len(shape))
    array.flags.writeable = False
    return array


def is_opaque(mask: NDArray[np.float32]) -> bool:
    """Whether a mask is known to be 1 everywhere without reading it."""
    return mask.size > 0 and not any(mask.strides) and mask.flat[0] == 1


def is_clear(mask: NDArray[np.float32]) -> bool:
    """Whether a mask is known to be 0 everywhere without reading it."""
    return mask.size == 0 or (not any(mask.strides) and mask.flat[0] == 0)


@dataclass(frozen=True)
class PixelType:
    """Earth Engine's pixel type: a precision and the range of values it can hold.

    ``dimensions`` is how many axes the pixels' arrays have; 0 for numbers.
    """

    precision: Literal["int", "float", "double"]
    min: float | None = None
    max: float | None = None
    dimensions: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest NumPy dtype that holds the type (what NPY and GeoTIFF carry)."""
        if self.precision != "int":
            return _FLOAT32 if self.precision == "float" else _FLOAT64
        return _integer_dtype(self.min, self.max)

    @classmethod
    def of(cls, dtype: Any) -> PixelType:
        """Return the type that holds all values of a NumPy dtype."""
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            return cls("float" if dtype.itemsize <= 4 else "double")
        if dtype.kind == "b":
            return cls("int", 0, 1)
        info = np.iinfo(dtype)
        return cls("int", float(info.min), float(info.max))


@lru_cache(maxsize=1024)
def _integer_dtype(low: float | None, high: float | None) -> np.dtype[Any]:
    low = -(2.0**63) if low is None else low
    high = 2.0**63 if high is None else high
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32"):
        info = np.iinfo(name)
        if info.min <= low and high <= info.max:
            return np.dtype(name)
    return np.dtype(np.int64)


@dataclass(frozen=True)
class Projection:
    """A coordinate reference system and the affine transform of a pixel grid in it.

    Attributes
    ----------
    crs : str
        As Earth Engine names it: ``EPSG:n``, ``SR-ORG:6974`` or WKT.
    transform : Affine
        Pixel (column, row) to crs coordinates; (0, 0) is a pixel's outer corner.
    """

    crs: str
    transform: Affine = field(default_factory=Affine.identity)


# The projection of an image that has none of its own: 1 degree pixels, as getInfo shows it.
DEFAULT_PROJECTION = Projection("EPSG:4326", Affine.identity())


@dataclass(frozen=True)
class Grid:
    """The pixel grid on which an image is read.

    Attributes
    ----------
    crs : str
    transform : Affine
        Pixel (column, row) to crs coordinates; (0, 0) is the outer corner of the first pixel.
    width, height : int
        Pixels.
    resampling : str
        How source pixels are interpolated; ``Image.resample`` sets it for its input.
    """

    crs: str
    transform: Affine
    width: int
    height: int
    resampling: Resampling = "nearest"

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return (self.height, self.width)

    @property
    def projection(self) -> Projection:
        """The grid's projection, without its extent."""
        return Projection(self.crs, self.transform)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in crs units."""
        corners = [
            apply(self.transform, *corner)
            for corner in (
                (0, 0),
                (self.width, 0),
                (0, self.height),
                (self.width, self.height),
            )
        ]
        xs, ys = zip(*corners, strict=True)
        return (min(xs), min(ys), max(xs), max(ys))


@dataclass(frozen=True, eq=False)  # compared by identity, since it holds arrays
class Places:
    """Some pixels of a grid.

    Attributes
    ----------
    grid : Grid
    rows, cols : ndarray of intp, shape (n,)
    """

    grid: Grid
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]


@dataclass(frozen=True)
class Band:
    """One band: a name, a type, a default projection and a reader.

    Attributes
    ----------
    id : str
    type : PixelType
    projection : Projection
        The default projection: that of the asset, or what operations made of it.
    read : callable
        ``read(grid) -> Pixels``, a pure function. It may have two attributes:
        ``read.points(places) -> Pixels | None`` returns the same pixels as reading the grids of
        a list of :class:`Places` would, shape (1, n), or None if it cannot; ``read.source`` is
        the :class:`~eedask.emulator.pixels.native_sources.NativeSource` that it reads, if none
        of its pixels is masked.
    dimensions : (int, int), optional
        (width, height) in pixels of the band's footprint on its projection, if bounded.
    origin : (int, int), optional
        Column and row of the footprint's first pixel, if not (0, 0).
    """

    id: str
    type: PixelType
    projection: Projection
    read: Callable[[Grid], Pixels]
    dimensions: tuple[int, int] | None = None
    origin: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        # Every read is metered, so that its cost is counted.
        object.__setattr__(self, "read", metered_read(self.read))

    @property
    def has_default_projection(self) -> bool:
        """Whether the band has only the default projection, as composites and constants do."""
        return self.projection == DEFAULT_PROJECTION


@dataclass(frozen=True)
class Image:
    """Bands with properties and a footprint.

    Attributes
    ----------
    bands : tuple of Band
    properties : mapping
        ``system:index``, ``system:time_start`` (ms) and so on.
    footprint : Geometry, optional
        None: unbounded.
    id : str, optional
        The asset id of a loaded image.
    version : int, optional
    sized : bool
        Whether ``Image.clipToBoundsAndScale`` has fixed the pixel grid of the answer.
    """

    bands: tuple[Band, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    footprint: Geometry | None = None
    id: str | None = None
    version: int | None = None
    sized: bool = False

    @property
    def band_names(self) -> list[str]:
        """The bands' ids, in order."""
        return [band.id for band in self.bands]

    def with_bands(self, bands: tuple[Band, ...]) -> Image:
        """Return a copy with other bands, and the same properties and footprint."""
        return Image(bands, self.properties, self.footprint, self.id, self.version, self.sized)

    def with_properties(self, **properties: Any) -> Image:
        """Return a copy with properties replaced or added; the value None removes one."""
        return replace(self, properties=changed(self.properties, properties))
