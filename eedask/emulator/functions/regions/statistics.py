"""Statistics of regions: ``reduceRegion`` and ``reduceRegions``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Image, Projection
from eedask.emulator.reducers.reduce import Reducer
from eedask.emulator.regions.zone_batches import with_statistics
from eedask.emulator.regions.zones import (
    Zone,
    aggregation_projection,
    check_tile_scale,
    limited,
    reduce_zone,
    region_of,
)
from eedask.emulator.values.elements import in_some_order
from eedask.emulator.values.value_types import Collection, Feature, Query


@algorithm("Image.reduceRegion", takes_arrays=True)
def reduce_region(
    image: Image,
    reducer: Reducer,
    geometry: Geometry | None = None,
    scale: float | None = None,
    crs: Projection | None = None,
    transform: Sequence[float] | None = None,
    best_effort: bool = False,
    max_pixels: float = 1e7,
    tile_scale: float = 1.0,
) -> dict[str, Any]:
    """Return a dictionary of a reducer's outputs over the pixels of a region.

    The output of a reducer that has one is called ``band``; those of others ``band_output``. An
    image without a default projection needs a scale or a crs transform.
    https://developers.google.com/earth-engine/guides/reducers_reduce_region
    """
    name = "Image.reduceRegion"
    check_tile_scale(tile_scale, name)
    if not image.bands:
        return {}
    projection = aggregation_projection(image, name, crs, transform, scale)
    zone = Zone.of(region_of(image, geometry, name), projection)
    zone = limited(zone, max_pixels, best_effort, name)
    return reduce_zone(image, reducer, zone, name, "band", tile_scale)


@algorithm("Image.reduceRegions", takes_arrays=True)
def reduce_regions(
    image: Image,
    collection: Collection,
    reducer: Reducer,
    scale: float | None = None,
    crs: Projection | None = None,
    transform: Sequence[float] | None = None,
    tile_scale: float = 1.0,
    max_pixels: float | None = None,
) -> Collection:
    """Return features with a reducer's outputs as properties; null ones are left out or kept.

    Names of the properties: of an image of one band ``output``; of several bands ``band`` if the
    reducer has one output, else ``band_output``.
    https://developers.google.com/earth-engine/guides/reducers_reduce_regions
    """
    name = "Image.reduceRegions"
    check_tile_scale(tile_scale, name)
    projection = aggregation_projection(image, name, crs, transform, scale)

    def source(query: Query) -> Iterator[Feature]:
        # Values that a later filter asks for may be those of the statistics, which the features do
        # not have yet; conditions on place and time hold for the features already.
        features = collection.elements(replace(query, equals={}))
        found = with_statistics(image, reducer, features, projection, max_pixels, name, tile_scale)
        return in_some_order(found)

    return collection.with_source(source)
