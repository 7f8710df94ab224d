"""``ImageCollection.getRegion``: the pixel values of a collection in a region, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eedask.emulator.composites.mosaics import band_named
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.crs import WGS84, convert
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.projection import requested
from eedask.emulator.pixels.raster import Image, Projection
from eedask.emulator.regions.zones import Tile, Zone
from eedask.emulator.values.elements import index_of
from eedask.emulator.values.value_types import Collection

_MOST_VALUES = 1048576


@algorithm("ImageCollection.getRegion")
def get_region(
    collection: Collection,
    geometry: Geometry,
    scale: float | None = None,
    crs: Projection | None = None,
    transform: Sequence[float] | None = None,
) -> list[Any]:
    """Return a row of id, longitude, latitude, time and band values for each image and pixel.

    The first row is the header. Masked values are None.
    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-getregion
    """
    projection = requested(None, crs or Projection(WGS84), transform, scale)
    if scale is None and transform is None:
        raise EarthEngineError("ImageCollection.getRegion: Specify a scale or a crsTransform.")
    assert projection is not None  # a crs is given
    zone = Zone.of(geometry, projection)
    images = list(collection.elements())
    names = images[0].band_names if images else []
    values = zone.pixels * len(images) * max(len(names), 1)
    if values > _MOST_VALUES:
        raise EarthEngineError(
            f"ImageCollection.getRegion: Too many values: {int(values)} > {_MOST_VALUES}."
        )
    rows: list[Any] = [["id", "longitude", "latitude", "time", *names]]
    tiles = list(zone.tiles())
    for number, image in enumerate(images):
        for tile in tiles:
            rows += _rows(image, number, names, tile)
    return rows


def _rows(image: Image, number: int, names: Sequence[str], tile: Tile) -> Iterator[list[Any]]:
    row, col = np.nonzero(tile.centres)
    if not row.size:
        return
    t = tile.grid.transform
    x = t.a * (col + 0.5) + t.b * (row + 0.5) + t.c
    y = t.d * (col + 0.5) + t.e * (row + 0.5) + t.f
    lon, lat = convert(x, y, tile.grid.crs, WGS84)
    columns = []
    for name in names:
        band = band_named(image, name)
        if band is None:
            columns.append([None] * row.size)
            continue
        pixels = band.read(tile.grid)
        values, mask = pixels.values[row, col].tolist(), pixels.mask[row, col] > 0
        columns.append([v if ok else None for v, ok in zip(values, mask, strict=True)])
    index = index_of(image)
    index = str(number) if index is None else index
    time = image.properties.get("system:time_start")
    for i in range(row.size):
        yield [index, float(lon[i]), float(lat[i]), time, *(column[i] for column in columns)]
