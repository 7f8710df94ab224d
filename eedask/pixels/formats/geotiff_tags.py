"""What the tags of a GeoTIFF say of its pixels, read without GDAL.

Tags of TIFF: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; tags of GeoTIFF, and
its keys: https://docs.ogc.org/is/19-008r4/19-008r4.html.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Mapping
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from PIL import TiffImagePlugin

from eedask.grid import PixelGrid, Transform

_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_SAMPLES, _ROWS_PER_STRIP, _PLANES = 277, 278, 284
# Where the pixels stand in the file, and how many bytes they have there, in strips or in tiles.
_STRIPS, _TILES = (273, 279), (324, 325)
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# What bits mean, by number, as NumPy's letters.
_SAMPLE_FORMAT, _KINDS = 339, {1: "u", 2: "i", 3: "f"}
# XML of GDAL's own: https://gdal.org/en/stable/drivers/raster/gtiff.html#metadata
_GDAL_METADATA = 42112
_SCALE, _TIEPOINT, _MATRIX, _KEYS = 33550, 33922, 34264, 34735
# Keys: whether coordinates are those of a pixel's corner or its centre, and the crs.
_RASTER_TYPE, _GEOGRAPHIC, _PROJECTED = 1025, 2048, 3072
_OF_CENTRES, _USER_DEFINED = 2, 32767
# Of a pixel, by which a file's grid may differ from the one that was asked for.
_CLOSE = 1e-3

Tags = Mapping[int, Any]


def tags_of(data: bytes) -> Tags:
    """Return the tags of a file's first image, by number.

    Raises
    ------
    ValueError, KeyError, …
        If the directory, or the pixels that it points to, are not there as a whole.
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
    """Return the bands' names, which GDAL writes as their descriptions; empty if one has none."""
    found = _descriptions(tags.get(_GDAL_METADATA, ""))
    names = [found.get(number, "") for number in range(samples_in(tags))]
    return tuple(names) if all(names) and len({*names}) == len(names) else ()


@functools.lru_cache(maxsize=64)
def _descriptions(metadata: str) -> dict[int, str]:
    """Return the description of each band by its number, from 0; most chips of a run share it."""
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


def misplaced(tags: Tags, grid: PixelGrid) -> str | None:
    """Return where a file says that its pixels lie, in words, if not on a grid; else None.

    Its crs is compared where both are EPSG codes.
    """
    keys = _keys(tags)
    transform = _transform(tags, keys)
    if transform is None:
        return "it does not say where its pixels lie"
    code = keys.get(_PROJECTED) or keys.get(_GEOGRAPHIC)
    coded = code not in (None, _USER_DEFINED) and grid.crs.startswith("EPSG:")
    if coded and grid.crs != f"EPSG:{code}":
        return f"its crs is EPSG:{code}, not {grid.crs}"
    found = PixelGrid(grid.crs, transform, grid.shape).bounds
    a, b, _, d, e, _ = grid.transform
    sides = (math.hypot(a, d), math.hypot(b, e)) * 2
    off = (
        abs(one - other) / side for one, other, side in zip(found, grid.bounds, sides, strict=True)
    )
    if max(off) > _CLOSE:
        return f"its bounds are {found}, not {grid.bounds}"
    return None


def _keys(tags: Tags) -> dict[int, int]:
    """Return the GeoTIFF keys that are plain numbers."""
    numbers = tags.get(_KEYS, ())
    fours = zip(*[iter(numbers[4:])] * 4, strict=False)
    return {key: value for key, place, _, value in fours if place == 0}


def _transform(tags: Tags, keys: Mapping[int, int]) -> Transform | None:
    """Return the transform from (column, row) to the crs; None if there is none."""
    if _MATRIX in tags:
        a, b, _, c, d, e, _, f, *_ = tags[_MATRIX]
    elif _SCALE in tags and _TIEPOINT in tags:
        a, e = tags[_SCALE][0], -tags[_SCALE][1]
        column, row, _, x, y, _ = tags[_TIEPOINT][:6]
        b, c, d, f = 0.0, x - column * a, 0.0, y - row * e
    else:
        return None
    if keys.get(_RASTER_TYPE) == _OF_CENTRES:
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return (a, b, c, d, e, f)
