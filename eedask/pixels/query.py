"""Requests for pixels, and how many pixels one request may ask for."""

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


@dataclass(frozen=True)
class Limits:
    """How large one request may be, and one chip that is put together of several.

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
        The most memory that a chip takes, decoded, if it is put together of tiles.
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
        None where the expression itself states the grid.
    bands : tuple of str
        All bands when empty.
    visualization : Visualization, optional
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


def compute_pixels(endpoint: Endpoint, query: PixelQuery) -> Request:
    """Return the request that answers with the pixels."""
    body = tagged(endpoint, query.body())
    return Request("POST", f"{endpoint.parent}/image:computePixels", body=body)


def create_thumbnail(endpoint: Endpoint, query: PixelQuery) -> Request:
    """Return the request that answers with the name of a thumbnail or download."""
    tag = {"workloadTag": endpoint.workload_tag} if endpoint.workload_tag else {}
    path = f"{endpoint.parent}/thumbnails"
    return Request("POST", path, query={"fields": "name", **tag}, body=query.body())


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


def get_thumbnail(name: str) -> Request:
    """Return the request for the pixels of a thumbnail."""
    return Request("GET", f"{name}:getPixels")


def check_size(
    shape: tuple[int, int], bands: int, bytes_per_value: int, *, by_url: bool = False
) -> None:
    """Raise SizeError if a request for these pixels is larger than Earth Engine answers.

    Earth Engine counts each band's bytes and one byte of mask a pixel.

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
            f" {longest} at most"
        )
    size = rows * columns * bands * (bytes_per_value + 1)
    if size > most:
        side = int((most / (bands * (bytes_per_value + 1))) ** 0.5)
        raise SizeError(
            f"{rows} rows x {columns} columns x {bands} bands x ({bytes_per_value} + 1 mask) bytes"
            f" = {size} bytes; Earth Engine answers {most} at most. Ask for a smaller shape"
            f" (a square chip of {side} pixels would fit) or fewer bands"
        )
