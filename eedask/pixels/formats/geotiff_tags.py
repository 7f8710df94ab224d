"""Reads from a GeoTIFF's tags what its pixels are, without GDAL.

Tags of TIFF: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from PIL import TiffImagePlugin

_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_SAMPLES, _ROWS_PER_STRIP, _PLANES = 277, 278, 284
# Where the pixels stand in the file, and how many bytes they have there, in strips or in tiles.
_STRIPS, _TILES = (273, 279), (324, 325)
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# The tag that says what the bits of a value mean, and its values with NumPy's letters for them.
_SAMPLE_FORMAT, _KINDS = 339, {1: "u", 2: "i", 3: "f"}
# XML of GDAL's own: https://gdal.org/en/stable/drivers/raster/gtiff.html#metadata
_GDAL_METADATA = 42112

Tags = Mapping[int, Any]


def tags_of(data: bytes) -> Tags:
    """Return the tags of a file's first image, by number.

    Raises
    ------
    ValueError, KeyError, …
        If the directory, or the pixels that it points to, are cut off.
    """
    directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    entries = int.from_bytes(data[directory.next : directory.next + 2], order)
    # Pillow only warns where the directory itself is cut off.
    if directory.next + 2 + 12 * entries + 4 > len(data):
        raise ValueError("the directory is cut off")
    file = io.BytesIO(data)
    file.seek(directory.next)
    directory.load(file)
    _check_pixels(directory, len(data))
    return directory


def shape_in(tags: Tags) -> tuple[int, int]:
    """Return (rows, columns)."""
    return int(tags[_HEIGHT]), int(tags[_WIDTH])


def samples_in(tags: Tags) -> int:
    """Return how many bands there are."""
    return int(tags.get(_SAMPLES, 1))


def dtype_in(tags: Tags) -> str:
    """Return NumPy's name of the type that all bands have."""
    kind = _KINDS[tags.get(_SAMPLE_FORMAT, (1,))[0]]
    return np.dtype(f"{kind}{tags[_BITS][0] // 8}").name


def names_in(tags: Tags) -> tuple[str, ...]:
    """Return the bands' names, which GDAL keeps as descriptions.

    Empty unless every band has one, and all are different.
    """
    # GDAL writes UTF-8; Pillow reads text of tags as Latin-1.
    found = _descriptions(tags.get(_GDAL_METADATA, "").encode("latin-1"))
    names = [found.get(number, "") for number in range(samples_in(tags))]
    return tuple(names) if all(names) and len({*names}) == len(names) else ()


@functools.lru_cache(maxsize=64)
def _descriptions(metadata: bytes) -> dict[int, str]:
    """Return the description of each band by its number, from 0.

    Most chips of a run have equal metadata, so results are cached.
    """
    items = ElementTree.fromstring(metadata).iter("Item") if metadata else ()
    return {
        int(item.get("sample", -1)): (item.text or "").strip()
        for item in items
        if item.get("role") == "description"
    }


def _check_pixels(tags: Tags, size: int) -> None:
    """Raise ValueError unless a file of ``size`` bytes holds all strips or tiles of its image."""
    offsets, counts = (tags[tag] for tag in (_TILES if _TILES[0] in tags else _STRIPS))
    rows, columns = shape_in(tags)
    if _TILES[0] in tags:
        parts = -(-rows // tags[_TILE_HEIGHT]) * -(-columns // tags[_TILE_WIDTH])
    else:
        parts = -(-rows // min(rows, tags.get(_ROWS_PER_STRIP, rows)))
    parts *= samples_in(tags) if tags.get(_PLANES, 1) == 2 else 1
    if not len(offsets) == len(counts) == parts:
        raise ValueError(f"{len(offsets)} strips or tiles of {parts}")
    if any(o + n > size for o, n in zip(offsets, counts, strict=True)):
        raise ValueError("the end of the file is missing")
    bits = rows * columns * sum(tags[_BITS])
    if tags.get(_COMPRESSION, 1) == 1 and sum(counts) * 8 < bits:
        raise ValueError(f"{sum(counts)} bytes of pixels, which take {bits // 8}")
