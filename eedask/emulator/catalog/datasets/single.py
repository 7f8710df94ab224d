"""Making an asset's image from a function that draws its pixels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.footprints import footprint, ring
from eedask.emulator.catalog.tables.tables import SYNTHETIC_IMAGERY
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.native_sources import NativeSource, Numbers, Window
from eedask.emulator.pixels.raster import Image, Pixels, PixelType, Projection
from eedask.emulator.pixels.sampling import source_bands

BYTE = PixelType("int", 0, 255)
INT8 = PixelType("int", -128, 127)
INT16 = PixelType("int", -32768, 32767)
UINT16 = PixelType("int", 0, 65535)
UINT32 = PixelType("int", 0, 2**32 - 1)
FLOAT = PixelType("float")
DOUBLE = PixelType("double")


class Drawn(NativeSource):
    """A native source whose pixels a function draws.

    Its pixels are not cached: the expensive part is the same for all bands, and the functions
    cache that themselves.

    Attributes
    ----------
    projection : Projection
    width, height : int
        Size in pixels.
    bands : tuple of str
    of_window : callable
        ``of_window(*about, band, level, window) -> Pixels``, a function at a module's top level.
    about : tuple
        Everything else that the pixels depend on, such as a date.
    of_points : callable, optional
        ``of_points(*about, band, level, cols, rows) -> Pixels | None``: single pixels, equal to
        those of windows, shape (1, n); given where that is cheaper.
    """

    projection: Projection
    width: int
    height: int
    bands: tuple[str, ...]
    of_window: Callable[..., Pixels]
    about: tuple[Hashable, ...] = ()
    of_points: Callable[..., Pixels | None] | None = None

    def draw(self, band: int, level: int, window: Window) -> Pixels:
        """Return the pixels of one band in a window of a level."""
        return self.of_window(*self.about, self.bands[band], level, window)

    def read_points(self, band: int, level: int, cols: Numbers, rows: Numbers) -> Pixels | None:
        """Return n single pixels of one band, shape (1, n); None if windows have to be read."""
        if self.of_points is None:
            return None
        return self.of_points(*self.about, self.bands[band], level, cols, rows)


def drawn_image(
    asset_id: str,
    source: NativeSource,
    bands: Mapping[str, PixelType],
    properties: Mapping[str, Any],
    outline: Geometry | None = None,
) -> Image:
    """Return the image of a source, whose bands share one grid.

    Parameters
    ----------
    properties : mapping
        ``system:index``, ``system:footprint`` and ``system:asset_size`` are added to them.
    outline : Geometry, optional
        The footprint; the raster's outline if left out.
    """
    if outline is None:
        outline = footprint(source.projection, source.width, source.height)
    start = properties.get("system:time_start", 0)
    nbytes = sum(kind.dtype.itemsize for kind in bands.values()) * source.width * source.height
    system = {
        "system:index": asset_id.rsplit("/", 1)[-1],
        "system:footprint": ring(outline),
        "system:asset_size": nbytes // 3,
    }
    return Image(
        bands=source_bands(source, tuple(bands), tuple(bands.values())),
        properties={**system, **properties, **SYNTHETIC_IMAGERY},
        footprint=outline,
        id=asset_id,
        version=int(start) * 1000,
    )


def counts(values: NDArray[Any], kind: PixelType) -> NDArray[Any]:
    """Return values rounded to an unsigned integer type and clamped to its range."""
    limit = np.iinfo(kind.dtype).max
    rounded = np.rint(values.astype(np.float64 if limit > 2**24 else np.float32, copy=False))
    return np.clip(rounded, 0, limit).astype(kind.dtype)
