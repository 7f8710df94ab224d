"""``Image.reduceToVectors``: features made of connected pixels of the same value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import IMPLEMENTATIONS, algorithm
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.neighbours import connected
from eedask.emulator.pixels.projection import grid_covering
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, Projection, apply
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.regions.coverage import Cover
from eedask.emulator.regions.zones import Zone, aggregation_projection, limited, region_of
from eedask.emulator.values.elements import with_index
from eedask.emulator.values.value_types import Collection, Feature, collection_of

_NAME = "Image.reduceToVectors"
_KINDS = ("polygon", "bb", "centroid")
_MOST_PIXELS = 2**26


@algorithm("Image.reduceToVectors", "Image.reduceToVectorsStreaming")
def reduce_to_vectors(
    image: Image,
    reducer: Reducer | None = None,
    geometry: Geometry | None = None,
    scale: float | None = None,
    kind: str = "polygon",
    eight: bool = True,
    label: str | None = "label",
    crs: Projection | None = None,
    transform: Sequence[float] | None = None,
    best_effort: bool = False,
    max_pixels: float = 1e7,
    tile_scale: float = 1.0,
    native: bool = False,
) -> Collection:
    """Return a feature for each connected set of pixels of one value in the first band.

    A pixel belongs to the region if its centre does. Each feature has a reducer's outputs over
    its pixels of the other bands: a reducer of several inputs takes them together, one of a
    single input takes each by itself. Without a reducer the pixels are counted.
    https://developers.google.com/earth-engine/guides/reducers_reduce_to_vectors
    """
    del tile_scale
    if kind not in _KINDS:
        raise EarthEngineError(f"{_NAME}: Unknown geometry type '{kind}'.")
    if not image.bands or image.bands[0].type.precision != "int":
        raise EarthEngineError(f"{_NAME}: The first band must be of an integer type.")
    projection = aggregation_projection(image, _NAME, crs, transform, scale)
    zone = Zone.of(region_of(image, geometry, _NAME), projection)
    zone = limited(zone, max_pixels, best_effort, _NAME)
    if zone.shape.is_empty:
        return collection_of("FeatureCollection", [])
    grid, left, top = grid_covering(zone.projection, zone.shape.bounds)
    if grid.width * grid.height > _MOST_PIXELS:
        raise EarthEngineError(f"{_NAME}: The region spans too many pixels.")
    pixels = image.bands[0].read(grid)
    inside = Cover(zone.shape, zone.projection).centres(left, top, grid.width, grid.height)
    there = np.where(inside, pixels.mask, np.float32(0))
    offsets = connected.EIGHT if eight else connected.FOUR
    labels = connected.objects(Pixels(pixels.values, there), offsets)
    found = _statistics(image, reducer, grid, labels)
    columns, rows = connected.first_pixels(labels)
    made: list[Feature] = []
    shapes = _shapes(labels, kind, len(columns))
    for i in np.lexsort((columns, rows)):
        if label is not None:
            found[i][label] = pixels.values[rows[i], columns[i]].item()
        region = Geometry(_in_crs(shapes[i], grid.transform), grid.crs, geodesic=False)
        if not native:
            region = Geometry(region.lonlat, geodesic=False)
        index = f"{left + columns[i]:+d}{top + rows[i]:+d}"
        made.append(with_index(Feature(region, found[i]), index))
    return collection_of("FeatureCollection", made)


def _statistics(
    image: Image, reducer: Reducer | None, grid: Grid, labels: NDArray[np.int32]
) -> list[dict[str, Any]]:
    """Return a dictionary of a reducer's outputs for each label; null outputs are left out."""
    used = reducer or IMPLEMENTATIONS["Reducer.countEvery"].function()
    # An image of one band has no others to reduce, but its pixels can be counted.
    bands = image.bands[1:] or image.bands[:1]
    if used.inputs not in (1, len(bands)):
        raise EarthEngineError(
            f"{_NAME}: The reducer must have one input, or one for each of the "
            f"{len(image.bands) - 1} bands after the first."
        )
    names = output_names([band.id for band in bands], used, "output")
    count = int(labels.max(initial=-1)) + 1
    found: list[dict[str, Any]] = [{} for _ in range(count)]
    for group, keys in zip(input_groups(bands, used, _NAME), names, strict=True):
        _add(found, used, group, keys, grid, labels)
    return found


def _add(
    found: list[dict[str, Any]],
    reducer: Reducer,
    bands: Sequence[Band],
    names: Sequence[str],
    grid: Grid,
    labels: NDArray[np.int32],
) -> None:
    pixels = [band.read(grid) for band in bands]
    weights = np.minimum.reduce([p.mask for p in pixels]).astype(np.float64).ravel()
    flat = [p.values.ravel() for p in pixels]
    for i, at in enumerate(connected.members(labels, range(len(found)))):
        run = Run(reducer)
        run.add([values[at][:, None] for values in flat], weights[at][:, None])
        outputs = zip(names, run.values().values(), strict=True)
        found[i].update({k: v for k, v in outputs if v is not None})


def _shapes(labels: NDArray[np.int32], kind: str, count: int) -> list[BaseGeometry]:
    """Return the geometry of each label in pixel coordinates.

    Parts of an object that touch only at corners become separate polygons (a guess).
    """
    if kind == "polygon":
        parts: list[list[shapely.Polygon]] = [[] for _ in range(count)]
        for shape, value in features.shapes(labels, mask=labels >= 0, connectivity=4):
            outline, *holes = shape["coordinates"]
            parts[int(value)].append(shapely.Polygon(outline, holes))
        return [p[0] if len(p) == 1 else shapely.MultiPolygon(p) for p in parts]
    made: list[BaseGeometry] = []
    for at in connected.members(labels, range(count)):
        rows, cols = np.divmod(at, labels.shape[1])
        if kind == "centroid":
            made.append(shapely.Point(cols.mean() + 0.5, rows.mean() + 0.5))
        else:
            made.append(shapely.box(cols.min(), rows.min(), cols.max() + 1, rows.max() + 1))
    return made


def _in_crs(shape: BaseGeometry, transform: Affine) -> BaseGeometry:
    def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(apply(transform, points[:, 0], points[:, 1]))

    return shapely.transform(shape, placed)
