"""From an image and a pixel request to encoded pixels: bands, visualisation, grid, limits.

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

from eedask.emulator.answers import Answer, file_answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.output import encode
from eedask.emulator.output.encode import Layer
from eedask.emulator.output.pixel_grids import requested_grid
from eedask.emulator.pixels.bands import need_numbers
from eedask.emulator.pixels.raster import Band, Grid, Image
from eedask.emulator.pixels.tiling import read_tiled

PICTURES = ("PNG", "JPEG", "AUTO_JPEG_PNG")
_PER_BAND = "ZIPPED_GEO_TIFF_PER_BAND"
_ZIPPED = ("ZIPPED_GEO_TIFF", _PER_BAND)
_MAX_BANDS = 1024
_MASK_BYTES = 1


@dataclass(frozen=True)
class Limits:
    """How large a request may be, which formats it may ask for, and what they say of masks.

    Attributes
    ----------
    bytes : int
        Of all bands' values and their mask bytes.
    value_bytes : int, optional
        Of all bands' values alone.
    side : int
        Pixels.
    zipped : bool
        Whether the zipped formats are allowed.
    first_three : bool
        Whether a picture of more than three bands shows the first three, or is refused.
    picture_size : int, optional
        Pixels of a picture's longer side if neither request nor image say.
    has_nodata : bool
        Whether a GeoTIFF has a nodata value, or zeros where pixels are masked.
    """

    bytes: int = 50331648
    value_bytes: int | None = None
    side: int = 32768
    zipped: bool = False
    first_three: bool = False
    picture_size: int | None = None
    has_nodata: bool = True


PIXELS = Limits()
# Only of getPixels the reference says that what is missing is encoded as zeroes.
ASSET_PIXELS = Limits(has_nodata=False)
# 32 MB and 10000 pixels: https://developers.google.com/earth-engine/apidocs/ee-image-getdownloadurl.
# That both this and the general limit hold is a guess.
THUMBNAIL = Limits(
    value_bytes=32 * 2**20, side=10000, zipped=True, first_three=True, picture_size=512
)


@dataclass(frozen=True)
class Rendering:
    """An image that is ready to be read: its format, and the grids of its bands in the answer.

    All bands have the first one's grid, unless each has a file of its own.
    """

    image: Image
    grids: tuple[Grid, ...]
    file_format: str
    filename: str
    has_nodata: bool

    @property
    def grid(self) -> Grid:
        """The first band's grid."""
        return self.grids[0]

    def answer(self) -> Answer:
        """Read and encode the pixels."""
        bands = self.image.bands
        if self.file_format == _PER_BAND:
            files = [
                (f"{self.filename}.{band.id}.tif", self._geotiff((band,), grid))
                for band, grid in zip(bands, self.grids, strict=True)
            ]
            return self._zip(files)
        if self.file_format == "ZIPPED_GEO_TIFF":
            return self._zip([(f"{self.filename}.tif", self._geotiff(bands, self.grid))])
        if self.file_format == "GEO_TIFF":
            return file_answer(self._geotiff(bands, self.grid), encode.TIFF)
        layers = _layers(self.image.bands, self.grid)
        if self.file_format == "NPY":
            return file_answer(encode.encode_npy(layers), encode.BINARY)
        return file_answer(*encode.encode_picture(layers, self.file_format))

    def rgba(self) -> NDArray[np.uint8]:
        """Read the pixels as (height, width, 4): red, green, blue, alpha."""
        return encode.rgba(_layers(self.image.bands, self.grid))

    def _zip(self, files: list[tuple[str, bytes]]) -> Answer:
        return file_answer(encode.encode_zip(files), encode.ZIP, f"{self.filename}.zip")

    def _geotiff(self, bands: tuple[Band, ...], grid: Grid) -> bytes:
        return encode.encode_geotiff(_layers(bands, grid), grid, self.has_nodata)


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
        400: bands that are not there, a format that cannot be, a grid that is none, too large.
    """
    file_format = request.get("fileFormat", "IMAGE_FILE_FORMAT_UNSPECIFIED")
    if file_format == "IMAGE_FILE_FORMAT_UNSPECIFIED":
        file_format = "AUTO_JPEG_PNG"
    _check_format(file_format, limits)
    filename = request.get("filenamePrefix") or (image.id or "download").rpartition("/")[2]
    image = select_bands(image, request.get("bandIds") or [])
    options = request.get("visualizationOptions")
    if options is not None:
        image = visualize(image, options)
    if file_format in PICTURES and limits.first_three and len(image.bands) > 3:
        image = image.with_bands(image.bands[:3])
    if not image.bands:
        raise EarthEngineError("Image must have at least one band.")
    need_numbers(f"Rendering as {file_format}", [image])
    if len(image.bands) > _MAX_BANDS:
        raise EarthEngineError(
            f"Number of bands ({len(image.bands)}) must be less than or equal to {_MAX_BANDS}."
        )
    grids = _grids(image, request, file_format, limits)
    _check_size(image, grids, limits)
    return Rendering(image, grids, file_format, filename, limits.has_nodata)


def _grids(
    image: Image, request: Mapping[str, Any], file_format: str, limits: Limits
) -> tuple[Grid, ...]:
    """Return each band's grid.

    Bands in files of their own keep their own pixels where the request names none: so the
    client asks for bands of different scales.
    """
    grid, region = request.get("grid", {}), request.get("region")
    if file_format == _PER_BAND and not grid:
        return tuple(
            requested_grid(image.with_bands((band,)), grid, region) for band in image.bands
        )
    default_size = limits.picture_size if file_format in PICTURES else None
    return (requested_grid(image, grid, region, default_size),) * len(image.bands)


def select_bands(image: Image, names: list[str]) -> Image:
    """Return an image of the named bands, in the order of the names; of all if there are none."""
    if not names:
        return image
    bands = {band.id: band for band in image.bands}
    for name in names:
        if name not in bands:
            raise EarthEngineError(
                f"Image.select: Band pattern '{name}' did not match any bands. "
                f"Available bands: [{', '.join(bands)}]"
            )
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


def _check_format(file_format: str, limits: Limits) -> None:
    if file_format == "TF_RECORD_IMAGE":
        raise EarthEngineError("TF_RECORD_IMAGE is a format of exports only.")
    if file_format in _ZIPPED and not limits.zipped:
        raise EarthEngineError(f"{file_format} is a format of thumbnails only.")


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


def _layers(bands: tuple[Band, ...], grid: Grid) -> list[Layer]:
    return [Layer(band.id, band.type.dtype, read_tiled(band, grid)) for band in bands]
