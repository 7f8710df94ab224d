"""What is asked of Earth Engine's REST API, and the limits that are known before asking.

The methods and limits are those of https://developers.google.com/earth-engine/reference/rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.connection import Endpoint, Request
from eedask.errors import InputError, PermanentError, SizeError, TransientError
from eedask.grid import PixelGrid
from eedask.items.item import Encoded
from eedask.pixels.formats.base import ImageFormat

# Uncompressed pixels of one request, the longest side, and the most bands
# (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels).
MAX_PIXEL_BYTES = 50_331_648
MAX_SIDE = 32_768
# Thumbnails and downloads allow less
# (https://developers.google.com/earth-engine/apidocs/ee-image-getdownloadurl).
MAX_URL_BYTES = 32 * 2**20
MAX_URL_SIDE = 10_000
PAGE_SIZE = 1000


@dataclass(frozen=True)
class Limits:
    """How large one request, and one chip put together of many, may be.

    Attributes
    ----------
    bytes : int
        Of the pixels of one request: each band's bytes and one byte of mask.
    side : int
        Pixels, of one request.
    smallest_side : int
        Pixels; where a computation is too large, its tiles are not cut any smaller.
    chip_bytes : int
        Of a whole chip in memory, if it is put together of tiles.
    """

    bytes: int = MAX_PIXEL_BYTES
    side: int = MAX_SIDE
    smallest_side: int = 32
    chip_bytes: int = 2 * 2**30


PIXEL_LIMITS = Limits()
URL_LIMITS = Limits(bytes=MAX_URL_BYTES, side=MAX_URL_SIDE)

VIS_KEYS = ("bands", "min", "max", "palette", "gamma", "opacity")


@dataclass(frozen=True)
class Visualization:
    """How bands become an 8-bit picture; the parameters of ``ee.Image.visualize``.

    Attributes
    ----------
    ranges : tuple of (float, float)
        (min, max) of each band, or one for all.
    palette : tuple of str
        CSS colours, for a single band.
    gamma, opacity : float, optional
    """

    ranges: tuple[tuple[float, float], ...] = ()
    palette: tuple[str, ...] = ()
    gamma: float | None = None
    opacity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return ``VisualizationOptions`` of the REST API."""
        options: dict[str, Any] = {}
        if self.ranges:
            options["ranges"] = [{"min": low, "max": high} for low, high in self.ranges]
        if self.palette:
            options["paletteColors"] = list(self.palette)
        if self.gamma is not None:
            options["gamma"] = self.gamma
        if self.opacity is not None:
            options["opacity"] = self.opacity
        return options


def visualization(params: Mapping[str, Any]) -> tuple[tuple[str, ...], Visualization]:
    """Return the bands and the options of the field's usual ``vis_params`` dictionary.

    Parameters
    ----------
    params : mapping
        ``bands`` (list or comma-separated), ``min``, ``max`` (numbers, or lists with one value
        a band), ``palette`` (list or comma-separated colours), ``gamma``, ``opacity``.

    Raises
    ------
    InputError
        For unknown keys and combinations that Earth Engine refuses.
    """
    if unknown := sorted(set(params) - set(VIS_KEYS)):
        raise InputError(f"vis_params has unknown keys {unknown}; it takes {', '.join(VIS_KEYS)}")
    bands = tuple(_listed(params.get("bands"), str))
    palette = tuple(color.lstrip("#") for color in _listed(params.get("palette"), str))
    if palette and len(bands) > 1:
        raise InputError(f"a palette colours a single band; bands is {list(bands)}")
    if len(bands) not in (0, 1, 3):
        raise InputError(f"a picture has 1 or 3 bands; vis_params has {list(bands)}")
    gamma, opacity = params.get("gamma"), params.get("opacity")
    if opacity is not None and not 0 <= opacity <= 1:
        raise InputError(f"opacity is from 0 to 1; got {opacity}")
    return bands, Visualization(_ranges(params, len(bands)), palette, gamma, opacity)


def _ranges(params: Mapping[str, Any], bands: int) -> tuple[tuple[float, float], ...]:
    lows, highs = (_listed(params.get(key), float) for key in ("min", "max"))
    if not lows and not highs:
        return ()
    lows, highs = lows or [0.0], highs or [255.0]
    count = max(len(lows), len(highs))
    if {len(lows), len(highs)} - {1, count} or (bands and count not in (1, bands)):
        raise InputError(
            f"min and max take one value, or one a band; got min={params.get('min')!r},"
            f" max={params.get('max')!r}"
        )
    pairs = zip(lows * (count // len(lows)), highs * (count // len(highs)), strict=True)
    return tuple(pairs)


def _listed(value: Any, kind: type) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        value = [value]
    return [kind(part.strip() if isinstance(part, str) else part) for part in value]


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
    body = _tagged(endpoint, query.body())
    return Request("POST", f"{endpoint.parent}/image:computePixels", body=body)


def create_thumbnail(endpoint: Endpoint, query: PixelQuery) -> Request:
    """Return the request that answers with the name of a thumbnail or download."""
    tag = {"workloadTag": endpoint.workload_tag} if endpoint.workload_tag else {}
    path = f"{endpoint.parent}/thumbnails"
    return Request("POST", path, query={"fields": "name", **tag}, body=query.body())


def get_thumbnail(answer: bytes) -> Request:
    """Return the request for the pixels of a thumbnail that was just created."""
    try:
        name = json.loads(answer)["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"a thumbnail was created without a name: {answer[:200]!r}") from error
    return Request("GET", f"{name}:getPixels")


def compute_value(endpoint: Endpoint, expression: Encoded) -> Request:
    """Return the request that answers with the value of any expression."""
    body = _tagged(endpoint, {"expression": expression})
    return Request("POST", f"{endpoint.parent}/value:compute", body=body)


def check_json(answer: bytes) -> None:
    """Raise unless an answer is JSON.

    Raises
    ------
    TransientError
    """
    try:
        json.loads(answer)
    except ValueError as error:
        raise TransientError(
            f"the answer ({len(answer)} bytes, starting with {answer[:40]!r}) is no JSON"
        ) from error


def compute_features(
    endpoint: Endpoint, expression: Encoded, page_token: str | None = None
) -> Request:
    """Return the request for a page of a feature collection."""
    body = _tagged(endpoint, {"expression": expression, "pageSize": PAGE_SIZE})
    if page_token:
        body["pageToken"] = page_token
    return Request("POST", f"{endpoint.parent}/table:computeFeatures", body=body)


def _tagged(endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    if endpoint.workload_tag:
        body["workloadTag"] = endpoint.workload_tag
    return body


def check_size(
    shape: tuple[int, int], bands: int, bytes_per_value: int, *, by_url: bool = False
) -> None:
    """Raise unless a request for these pixels is within Earth Engine's limits.

    Earth Engine counts each band's bytes and one byte of mask a pixel.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    bands : int
        At least so many bands come back.
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
