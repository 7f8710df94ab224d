"""Answers a request for an image's pixels: chooses bands and grid, checks limits, encodes.

https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels and
https://developers.google.com/earth-engine/reference/rest/v1/projects.thumbnails/create.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.answers import Answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.output.encode import rgba
from eedask.emulator.output.formats import Content, ImageFormat, image_format
from eedask.emulator.output.pixel_grids import requested_grid
from eedask.emulator.pixels.bands import need_numbers, no_such_band
from eedask.emulator.pixels.raster import Grid, Image
from eedask.emulator.readings import reading

_MASK_BYTES = 1


@dataclass(frozen=True)
class Limits:
    """The limits on the answer of a method, and how it treats formats.

    The limits of each format are in :mod:`eedask.emulator.output.formats`.

    Attributes
    ----------
    method : str
        Name of the method in the table of formats.
    bytes : int
        Most bytes of all bands' values and masks.
    value_bytes : int, optional
        Most bytes of all bands' values alone.
    side : int
        Most pixels of a side.
    first_three : bool
        Whether a picture of more than three bands shows the first three, instead of being refused.
    picture_size : int, optional
        Number of pixels of a picture's longer side, if neither the request nor the image states a
        size.
    has_nodata : bool
        Whether masked pixels of a GeoTIFF have a nodata value, instead of 0.
    """

    method: str = "pixels"
    bytes: int = 50331648
    value_bytes: int | None = None
    side: int = 32768
    first_three: bool = False
    picture_size: int | None = None
    has_nodata: bool = True


PIXELS = Limits()
# Only for getPixels does the reference say that masked pixels are encoded as zeros.
ASSET_PIXELS = Limits(has_nodata=False)
# 32 MB and 10000 pixels: https://developers.google.com/earth-engine/apidocs/ee-image-getdownloadurl.
# That both this and the general limit hold is a guess.
THUMBNAIL = Limits(
    "thumbnails", value_bytes=32 * 2**20, side=10000, first_three=True, picture_size=512
)


@dataclass(frozen=True)
class Rendering:
    """An image that is ready to be read, and the format of the answer."""

    file_format: ImageFormat
    content: Content

    @property
    def grid(self) -> Grid:
        """The first band's grid."""
        return self.content.grids[0]

    def answer(self) -> Answer:
        """Read and encode the pixels."""
        return self.file_format.answer(self.content)

    def rgba(self) -> NDArray[np.uint8]:
        """Read the pixels as (height, width, 4): red, green, blue, alpha."""
        return rgba(self.content.layers())


def prepare(image: Image, request: Mapping[str, Any], limits: Limits = PIXELS) -> Rendering:
    """Check a request for an image's pixels, without reading any.

    Parameters
    ----------
    image : Image
    request : mapping
        Checked fields of a ComputePixelsRequest, GetPixelsRequest or Thumbnail.
    limits : Limits

    Raises
    ------
    EarthEngineError
        400: unknown bands, an unsuitable format, an invalid grid, or too large an answer.
    """
    file_format = image_format(request)
    file_format.check(limits.method)
    filename = request.get("filenamePrefix") or (image.id or "download").rpartition("/")[2]
    image = select_bands(image, request.get("bandIds") or [])
    options = request.get("visualizationOptions")
    if options is not None:
        image = visualize(image, options)
    if file_format.draw is not None:
        _check_drawable(image, file_format)
    if file_format.draw is not None and limits.first_three and len(image.bands) > 3:
        image = image.with_bands(image.bands[:3])
    if not image.bands:
        raise EarthEngineError("Image must have at least one band.")
    need_numbers(f"Rendering as {file_format.name}", [image])
    if len(image.bands) > file_format.most_bands:
        raise EarthEngineError(
            f"Number of bands ({len(image.bands)}) must be less than or equal to "
            f"{file_format.most_bands}."
        )
    grids = _grids(image, request, file_format, limits)
    _check_size(image, grids, limits)
    return Rendering(file_format, Content(image.bands, grids, filename, limits.has_nodata))


def _check_drawable(image: Image, file_format: ImageFormat) -> None:
    """Raise 400 if bands must be visualized before they are drawn (reading ``picture_bands``)."""
    drawable = len(image.bands) in (1, 3) and all(b.type.dtype == np.uint8 for b in image.bands)
    if reading("picture_bands") == "refused" and not drawable:
        raise EarthEngineError(
            f"{file_format.name} images must have 1 or 3 bands of 8-bit type; visualize the image."
        )


def _grids(
    image: Image, request: Mapping[str, Any], file_format: ImageFormat, limits: Limits
) -> tuple[Grid, ...]:
    """Return each band's grid.

    If each band has a file of its own and the request states no grid, bands keep their own pixels.
    That is how the client asks for bands of different scales.
    """
    grid, region = request.get("grid", {}), request.get("region")
    if file_format.own_grids and not grid:
        return tuple(
            requested_grid(image.with_bands((band,)), grid, region) for band in image.bands
        )
    default_size = limits.picture_size if file_format.draw is not None else None
    return (requested_grid(image, grid, region, default_size),) * len(image.bands)


def select_bands(image: Image, names: list[str]) -> Image:
    """Return an image of the named bands, in the order of the names; of all if there are none."""
    if not names:
        return image
    bands = {band.id: band for band in image.bands}
    for name in names:
        if name not in bands:
            raise no_such_band(name, image)
    return image.with_bands(tuple(bands[name] for name in names))


def visualize(image: Image, options: Mapping[str, Any]) -> Image:
    """Apply VisualizationOptions, by way of ``Image.visualize``.

    https://developers.google.com/earth-engine/reference/rest/v1/VisualizationOptions
    """
    opacity = options.get("opacity")
    if opacity is not None and not 0 <= opacity <= 1:
        raise EarthEngineError(f"Opacity must be between 0 and 1, but is {opacity}.")
    ranges = options.get("ranges") or []
    low = [r.get("min", 0.0) for r in ranges] or None
    high = [r.get("max", 0.0) for r in ranges] or None
    gamma = options.get("gamma")
    palette = options.get("paletteColors") or None
    # In the order of the signature: image, bands, gain, bias, min, max, gamma, opacity,
    # palette, forceRgbOutput.
    arguments = (image, None, None, None, low, high, gamma, opacity, palette, False)
    return IMPLEMENTATIONS["Image.visualize"].function(*arguments)


def _check_size(image: Image, grids: tuple[Grid, ...], limits: Limits) -> None:
    for grid in grids:
        if max(grid.shape) > limits.side:
            raise EarthEngineError(
                f"Pixel grid dimensions ({grid.width}x{grid.height}) must be less than or equal "
                f"to {limits.side}."
            )
    counts = [grid.width * grid.height for grid in grids]
    sizes = [band.type.dtype.itemsize for band in image.bands]
    values = sum(map(operator.mul, sizes, counts))
    masks = _MASK_BYTES * sum(counts)
    for size, most in ((values + masks, limits.bytes), (values, limits.value_bytes)):
        if most is not None and size > most:
            raise EarthEngineError(
                f"Total request size ({size} bytes) must be less than or equal to {most} bytes."
            )
