"""The output formats of images, tables and videos, one table each.

A format that the API names (``protocol/data/discovery.json``) is served if it has a row here. The
rest of the emulator reads everything that it needs to know about a format from its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.answers import Answer, file_answer
from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.output.encode import (
    Layer,
    Picture,
    as_jpeg,
    as_jpeg_or_png,
    as_png,
    encode_geotiff,
    encode_npy,
    encode_picture,
    encode_zip,
)
from eedask.emulator.output.gif import encode_gif
from eedask.emulator.output.table_files import JsonFeature, encode_csv, encode_geojson
from eedask.emulator.pixels.raster import Band, Grid
from eedask.emulator.pixels.tiling import read_tiled

F = TypeVar("F")


@dataclass(frozen=True)
class Content:
    """What the file of an image is made of.

    Attributes
    ----------
    bands : tuple of Band
    grids : tuple of Grid
        The grid of each band. All are the same, unless the format keeps each band's own grid.
    filename : str
        The file's name without an extension.
    has_nodata : bool
        Whether masked pixels of a GeoTIFF have a nodata value, instead of 0.
    """

    bands: tuple[Band, ...]
    grids: tuple[Grid, ...]
    filename: str
    has_nodata: bool = True

    def layers(self) -> list[Layer]:
        """Read all bands, on the first one's grid."""
        return [_layer(band, self.grids[0]) for band in self.bands]

    def geotiff(self) -> bytes:
        """Return a GeoTIFF of all bands."""
        return encode_geotiff(self.layers(), self.grids[0], self.has_nodata)

    def geotiff_of(self, index: int) -> bytes:
        """Return a GeoTIFF of one band, on its own grid."""
        grid = self.grids[index]
        return encode_geotiff([_layer(self.bands[index], grid)], grid, self.has_nodata)


def _layer(band: Band, grid: Grid) -> Layer:
    return Layer(band.id, band.type.dtype, read_tiled(band, grid))


@dataclass(frozen=True)
class ImageFormat:
    """A format of images: either a picture, which is drawn, or a file of numbers.

    Attributes
    ----------
    name : str
        As the API has it.
    draw : Picture, optional
        Makes a picture of 1 or 3 planes of bytes. Filmstrips are such pictures only.
    encode : callable, optional
        ``encode(content) -> Answer``, for formats that are not pictures.
    methods : tuple of str
        The methods that give this format: ``pixels``, ``thumbnails``.
    most_bands : int
    own_grids : bool
        Whether each band keeps its own pixels where a request names no grid.
    """

    name: str
    draw: Picture | None = None
    encode: Callable[[Content], Answer] | None = None
    methods: tuple[str, ...] = ("pixels", "thumbnails")
    most_bands: int = 1024
    own_grids: bool = False

    def check(self, method: str) -> None:
        """Raise Earth Engine's 400 if a method does not give images in this format."""
        if method not in self.methods:
            others = " and ".join(self.methods) or "exports"
            raise EarthEngineError(f"{self.name} is a format of {others} only.")

    def answer(self, content: Content) -> Answer:
        """Read and encode pixels."""
        if self.draw is not None:
            return file_answer(*encode_picture(content.layers(), self.name, self.draw))
        if self.encode is None:
            raise NotSupported(f"the image format {self.name}")
        return self.encode(content)


def _npy(content: Content) -> Answer:
    return file_answer(encode_npy(content.layers()), "application/octet-stream")


def _geotiff(content: Content) -> Answer:
    return file_answer(content.geotiff(), "image/tiff")


def _zipped_geotiff(content: Content) -> Answer:
    return _zip(content, [(f"{content.filename}.tif", content.geotiff())])


def _zipped_per_band(content: Content) -> Answer:
    files = [
        (f"{content.filename}.{band.id}.tif", content.geotiff_of(index))
        for index, band in enumerate(content.bands)
    ]
    return _zip(content, files)


def _zip(content: Content, files: list[tuple[str, bytes]]) -> Answer:
    return file_answer(encode_zip(files), "application/zip", f"{content.filename}.zip")


@dataclass(frozen=True)
class TableFormat:
    """A format of tables: ``encode(features, selectors)`` makes the file."""

    name: str
    encode: Callable[[Iterable[JsonFeature], list[str]], bytes]
    content_type: str
    extension: str

    def answer(
        self, features: Iterable[JsonFeature], selectors: list[str], filename: str | None
    ) -> Answer:
        """Return features as a file; its name is given without an extension."""
        name = f"{filename or 'table'}.{self.extension}"
        return file_answer(self.encode(features, selectors), self.content_type, name)


@dataclass(frozen=True)
class VideoFormat:
    """A format of videos: ``encode(frames, per_second)`` makes the file.

    Frames have shape (height, width, 4): red, green, blue, alpha.
    """

    name: str
    encode: Callable[[Sequence[NDArray[np.uint8]], float], bytes]
    content_type: str


IMAGE_FORMATS = {
    row.name: row
    for row in (
        ImageFormat("JPEG", draw=as_jpeg),
        ImageFormat("PNG", draw=as_png),
        ImageFormat("AUTO_JPEG_PNG", draw=as_jpeg_or_png),
        ImageFormat("NPY", encode=_npy),
        ImageFormat("GEO_TIFF", encode=_geotiff),
        ImageFormat("ZIPPED_GEO_TIFF", encode=_zipped_geotiff, methods=("thumbnails",)),
        ImageFormat(
            "ZIPPED_GEO_TIFF_PER_BAND",
            encode=_zipped_per_band,
            methods=("thumbnails",),
            own_grids=True,
        ),
        ImageFormat("TF_RECORD_IMAGE", methods=()),
    )
}
TABLE_FORMATS = {
    row.name: row
    for row in (
        TableFormat("CSV", encode_csv, "text/csv; charset=UTF-8", "csv"),
        TableFormat("GEO_JSON", encode_geojson, "application/geo+json", "geojson"),
    )
}
VIDEO_FORMATS = {row.name: row for row in (VideoFormat("GIF", encode_gif, "image/gif"),)}


def image_format(request: Mapping[str, Any]) -> ImageFormat:
    """Return the format of images that a request names; JPEG or PNG if it names none."""
    return _named(IMAGE_FORMATS, request, "AUTO_JPEG_PNG", "image")


def table_format(request: Mapping[str, Any]) -> TableFormat:
    """Return the format of tables that a request names; CSV if it names none."""
    return _named(TABLE_FORMATS, request, "CSV", "table")


def video_format(request: Mapping[str, Any]) -> VideoFormat:
    """Return the format of videos that a request names; GIF if it names none."""
    return _named(VIDEO_FORMATS, request, "GIF", "video")


def _named(table: Mapping[str, F], request: Mapping[str, Any], default: str, kind: str) -> F:
    """Return the row of a request's format.

    Raises
    ------
    EarthEngineError
        400: the API has the format, and the emulator has not.
    """
    name = request.get("fileFormat", default)
    if name.endswith("_UNSPECIFIED"):
        name = default
    if name not in table:
        served = ", ".join(table)
        raise NotSupported(f"the {kind} format {name}: there are {served}")
    return table[name]
