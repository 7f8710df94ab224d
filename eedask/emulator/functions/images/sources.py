"""Image algorithms that make images without an input image, or load them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used
from affine import Affine
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.geometry.crs import WGS84
from eedask.emulator.geometry.sphere import RADIUS
from eedask.emulator.pixels.bands import Array, constant
from eedask.emulator.pixels.pixel_types import DOUBLE, FLOAT
from eedask.emulator.pixels.position_hash import position_hash
from eedask.emulator.pixels.projection import locate
from eedask.emulator.pixels.raster import (
    DEFAULT_PROJECTION,
    Band,
    Grid,
    Image,
    Pixels,
    PixelType,
    Projection,
    compose,
    uniform,
)


@algorithm("Image.constant", keeps=Keeps.CONSTANT)
def constant_image(value: Any) -> Image:
    """Return a constant image of a value; a value that is an image already is returned as it is."""
    return value if isinstance(value, Image) else constant(value)


@algorithm("Image.load", needs_context=True)
def load(context: Any, asset: str, version: int = -1) -> Image:
    """Return the image of an asset id; ``version`` is ignored, since assets have one only."""
    del version
    image: Image = context.catalog.load_image(asset)
    return image


@algorithm("Image.loadGeoTIFF", needs_context=True)
def load_geotiff(context: Any, uri: str) -> Image:
    """Return the image of a file that is mounted under its ``gs://`` name.

    https://developers.google.com/earth-engine/apidocs/ee-image-loadgeotiff
    """
    if not uri.startswith("gs://"):
        raise EarthEngineError(f"Image.loadGeoTIFF: The URI must start with 'gs://', not '{uri}'.")
    try:
        image: Image = context.catalog.load_image(uri)
    except EarthEngineError:
        raise EarthEngineError(
            f"Image.loadGeoTIFF: GeoTIFF '{uri}' not found (does not exist or caller does not "
            "have access)."
        ) from None
    return image


def _positions(kind: PixelType, pick: Callable[[Grid], Array], name: str, base: Projection) -> Band:
    def read(grid: Grid) -> Pixels:
        values = np.broadcast_to(pick(grid), grid.shape)
        valid = np.isfinite(values)
        mask = uniform(1, grid.shape) if valid.all() else valid.astype(np.float32)
        return Pixels(values.astype(kind.dtype, copy=False), mask)

    return Band(name, kind, base, read)


@algorithm("Image.pixelLonLat")
def pixel_lon_lat() -> Image:
    """Return bands ``longitude`` and ``latitude`` of pixel centres, in degrees.

    https://developers.google.com/earth-engine/apidocs/ee-image-pixellonlat
    """
    degrees = Projection(WGS84)
    bands = (
        _positions(DOUBLE, lambda g: locate(g, degrees).cols, "longitude", DEFAULT_PROJECTION),
        _positions(DOUBLE, lambda g: locate(g, degrees).rows, "latitude", DEFAULT_PROJECTION),
    )
    return Image(bands)


@algorithm("Image.pixelCoordinates")
def pixel_coordinates(projection: Projection) -> Image:
    """Return bands ``x`` and ``y``: fractional column and row of pixel centres in a projection."""
    bands = (
        _positions(DOUBLE, lambda g: locate(g, projection).cols, "x", projection),
        _positions(DOUBLE, lambda g: locate(g, projection).rows, "y", projection),
    )
    return Image(bands)


@algorithm("Image.pixelArea")
def pixel_area() -> Image:
    """Return a band ``area``: pixels' areas in square metres, on Earth Engine's sphere.

    A pixel's area is that of the quadrilateral of its corners in the plane of longitude and sine
    of latitude, in which areas are true.
    """
    return Image((_positions(FLOAT, _areas, "area", DEFAULT_PROJECTION),))


def _areas(grid: Grid) -> NDArray[np.float64]:
    corners = replace(
        grid,
        transform=compose(grid.transform, Affine.translation(-0.5, -0.5)),
        width=grid.width + 1,
        height=grid.height + 1,
    )
    degrees = locate(corners, Projection(WGS84))
    lon, lat = np.broadcast_arrays(np.radians(degrees.cols), np.radians(degrees.rows))
    height = np.sin(np.clip(lat, -math.pi / 2, math.pi / 2))
    # The cross product of the diagonals is twice the area.
    dx1, dy1 = lon[1:, 1:] - lon[:-1, :-1], height[1:, 1:] - height[:-1, :-1]
    dx2, dy2 = lon[:-1, 1:] - lon[1:, :-1], height[:-1, 1:] - height[1:, :-1]
    area: NDArray[np.float64] = np.abs(dx1 * dy2 - dx2 * dy1) / 2 * RADIUS**2
    return area


@algorithm("Image.random")
def random(seed: int = 0, distribution: str = "uniform") -> Image:
    """Return a band ``random``: at each pixel a hash of the seed and the pixel's position.

    Earth Engine's generator is not published. This one gives the same number for a pixel of a
    projection in every request, whatever its extent.
    https://developers.google.com/earth-engine/apidocs/ee-image-random
    """
    if distribution not in ("uniform", "normal"):
        raise EarthEngineError(f"Image.random: Unknown distribution '{distribution}'.")

    def read(grid: Grid) -> Pixels:
        cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
        bits = position_hash(grid, cols, rows, seed) >> np.uint64(11)
        values = bits.astype(np.float64) * 2.0**-53
        if distribution == "normal":
            values = scipy.special.ndtri(np.clip(values, 2.0**-54, 1 - 2.0**-53))
        return Pixels(values, uniform(1, grid.shape))

    return Image((Band("random", DOUBLE, DEFAULT_PROJECTION, read),))
