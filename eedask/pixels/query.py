"""Builds the requests for pixels; states how many pixels one request may ask for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import reading, tagged
from eedask.earthengine.nodes import Encoded
from eedask.errors import SizeError
from eedask.grid import PixelGrid
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.visualization import Visualization

# Uncompressed pixels of one request, the longest side, and the most bands
# (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels).
MAX_PIXEL_BYTES = 50_331_648

MAX_SIDE = 32_768

# Thumbnails and downloads allow less
# (https://developers.google.com/earth-engine/apidocs/ee-image-getdownloadurl).
MAX_URL_BYTES = 32 * 2**20

MAX_URL_SIDE = 10_000

# Bytes of the widest type of a band, and the side to whose multiples a tiled GeoTIFF is padded.
_VALUE_BYTES, _TILE_SIDE = 8, 512
# The most bytes of a file that are not pixels: headers, the directory of its tiles, metadata, and
# what compression adds to data that cannot be compressed.
_OVERHEAD = 4 * 2**20
# Bands that a picture has, with its mask.
_PICTURE_BANDS = 4
# Bytes of an answer that only names a thumbnail.
_NAME_BYTES = 2**20


@dataclass(frozen=True)
class Limits:
    """How large one request may be, and one chip that is joined from several.

    Attributes
    ----------
    bytes : int
        The most that the pixels of one request take: for each pixel and band, the bytes of its
        value and one byte of mask.
    side : int
        The most rows or columns of one request.
    smallest_side : int
        The fewest rows or columns of a tile that is cut because it was too much to compute.
    chip_bytes : int
        The most bytes of memory that a decoded chip may take if it is joined from tiles.
    """

    bytes: int = MAX_PIXEL_BYTES
    side: int = MAX_SIDE
    smallest_side: int = 32
    chip_bytes: int = 2 * 2**30


PIXEL_LIMITS = Limits()
URL_LIMITS = Limits(bytes=MAX_URL_BYTES, side=MAX_URL_SIDE)


@dataclass(frozen=True)
class PixelQuery:
    """Pixels of an image on a grid, in a format.

    Attributes
    ----------
    expression : dict
        Encoded image.
    format : ImageFormat
    grid : PixelGrid, optional
        None if the expression itself states the grid.
    bands : tuple of str
        The bands that are asked for by name; all bands when empty.
    visualization : Visualization, optional
        How bands become a picture; None to ask for the bands as they are.
    """

    expression: Encoded
    format: ImageFormat
    grid: PixelGrid | None = None
    bands: tuple[str, ...] = ()
    visualization: Visualization | None = None

    def body(self) -> dict[str, Any]:
        """Return the JSON body that computePixels and thumbnails share."""
        body: dict[str, Any] = {
            "expression": self.expression,
            "fileFormat": self.format.rest_name,
        }
        if self.grid is not None:
            body["grid"] = self.grid.to_json()
        if self.bands:
            body["bandIds"] = list(self.bands)
        if self.visualization is not None and (options := self.visualization.to_json()):
            body["visualizationOptions"] = options
        return body

    @property
    def most_bytes(self) -> int:
        """The most bytes that a file of these pixels can have.

        If the grid or the number of bands is not known, it follows from Earth Engine's limit.
        """
        most = MAX_PIXEL_BYTES
        if self.grid is not None and self.bands:
            rows, columns = (-(-side // _TILE_SIDE) * _TILE_SIDE for side in self.grid.shape)
            bands = max(_PICTURE_BANDS, len(self.bands))
            most = min(most, rows * columns * bands * _VALUE_BYTES)
        return most + _OVERHEAD


def compute_pixels(endpoint: Endpoint, query: PixelQuery, *, divisible: bool = False) -> Request:
    """Return the request that is answered with the file of pixels, by ``image:computePixels``.

    Parameters
    ----------
    endpoint : Endpoint
    query : PixelQuery
    divisible : bool
        Whether the caller can ask for parts of the pixels; see :class:`Request`.
    """
    body = tagged(endpoint, query.body())
    path = f"{endpoint.parent}/image:computePixels"
    most = query.most_bytes
    return Request("POST", path, body=body, most_bytes=most, divisible=divisible)


def create_thumbnail(endpoint: Endpoint, query: PixelQuery) -> Request:
    """Return the request that creates a thumbnail or download, and is answered with its name."""
    tag = {"workloadTag": endpoint.workload_tag} if endpoint.workload_tag else {}
    path = f"{endpoint.parent}/thumbnails"
    asked = {"fields": "name", **tag}
    return Request("POST", path, asked, query.body(), most_bytes=_NAME_BYTES)


def name_of_thumbnail(answer: bytes) -> str:
    """Return the name of a thumbnail that was just created.

    Raises
    ------
    TransientError
        If the answer has none.
    """
    with reading(answer, "the name of a thumbnail"):
        name: str = json.loads(answer)["name"]
        if not (isinstance(name, str) and name):
            raise ValueError(f"{name!r} is no name")
        return name


def get_thumbnail(name: str, query: PixelQuery, *, divisible: bool = False) -> Request:
    """Return the request for the pixels of a thumbnail that was created for a query.

    ``divisible`` is that of :func:`compute_pixels`.
    """
    path = f"{name}:getPixels"
    return Request("GET", path, most_bytes=query.most_bytes, divisible=divisible)


def check_size(
    shape: tuple[int, int], bands: int, bytes_per_value: int, *, by_url: bool = False
) -> None:
    """Raise SizeError if a request asks for more pixels than Earth Engine accepts.

    For each pixel and band, Earth Engine counts the bytes of the value and one byte of mask.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    bands : int
        How many there are, at least.
    bytes_per_value : int
        Bytes of one value, at least.
    by_url : bool
        Whether the pixels come by thumbnail or download URL, which have lower limits.

    Raises
    ------
    SizeError
        With the arithmetic.
    """
    rows, columns = shape
    limits = URL_LIMITS if by_url else PIXEL_LIMITS
    most, longest = limits.bytes, limits.side
    if max(shape) > longest:
        raise SizeError(
            f"shape {shape} has a side of {max(shape)} pixels; Earth Engine answers"
            f" {longest} at most: ask for a smaller shape"
        )
    size = rows * columns * bands * (bytes_per_value + 1)
    if size > most:
        side = int((most / (bands * (bytes_per_value + 1))) ** 0.5)
        raise SizeError(
            f"{rows} rows x {columns} columns x {bands} bands x ({bytes_per_value} + 1 mask) bytes"
            f" = {size} bytes; Earth Engine answers {most} at most. Ask for a smaller shape"
            f" (a square chip of {side} pixels would fit) or fewer bands"
        )
