"""Image.sample, stratifiedSample, sampleRegions, sampleRectangle: pixels as features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import select
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.crs import WGS84, convert
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.limits.metering import hold
from eedask.emulator.pixels.array_values import choose, is_ragged, picked
from eedask.emulator.pixels.projection import grid_covering
from eedask.emulator.pixels.raster import Grid, Image, Pixels, Projection, apply
from eedask.emulator.pixels.tiling import read_tiled
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.regions.zone_batches import batches
from eedask.emulator.regions.zones import (
    Tile,
    Zone,
    aggregation_projection,
    check_tile_scale,
    in_pieces,
    region_of,
)
from eedask.emulator.values.elements import index_of, ordinary, with_index
from eedask.emulator.values.value_types import Collection, Feature

_PIXEL_BYTES = 128

Pixel = tuple[dict[str, Any], Grid, int, int]


def _tile_pixels(
    image: Image,
    tile: Tile,
    chosen: NDArray[np.bool_] | None,
    drop_nulls: bool,
    tile_scale: float,
) -> list[Pixel]:
    """Return the values of a tile's pixels, row by row.

    They are those that ``chosen`` (bool, the tile's shape) marks, or if it is None those whose
    centres are in the region.
    """
    inside = tile.centres if chosen is None else chosen
    if not inside.any():
        return []
    found: list[Pixel] = []

    def work(piece: Tile) -> list[Pixel]:
        return list(_piece_pixels(image, tile, piece, inside, drop_nulls))

    def keep(pixels: list[Pixel]) -> None:
        hold(_PIXEL_BYTES * len(pixels) * (1 + len(image.bands)))
        found.extend(pixels)

    in_pieces(tile, tile_scale, work, keep)
    return sorted(found, key=lambda pixel: (pixel[3], pixel[2]))


def _piece_pixels(
    image: Image, tile: Tile, piece: Tile, inside: NDArray[np.bool_], drop_nulls: bool
) -> Iterator[Pixel]:
    col, row, width, height = piece.window
    left, top = col - tile.window[0], row - tile.window[1]
    inside = inside[top : top + height, left : left + width]
    if not inside.any():
        return
    pixels = [piece.read(band) for band in image.bands]
    if drop_nulls:
        for each in pixels:
            inside = inside & (each.mask > 0)
    rows, cols = np.nonzero(inside)
    columns = []
    for each in pixels:
        valid = (each.mask[rows, cols] > 0).tolist()
        found = picked(each.values, (rows, cols))
        columns.append([v if ok else None for v, ok in zip(found, valid, strict=True)])
    names = image.band_names
    places = zip((rows + top).tolist(), (cols + left).tolist(), strict=True)
    for i, (row, col) in enumerate(places):
        values = {n: c[i] for n, c in zip(names, columns, strict=True)}
        yield ({n: v for n, v in values.items() if v is not None}, tile.grid, col, row)


def _features(pixels: Sequence[Pixel], geometries: bool) -> list[Feature]:
    points: list[Geometry | None] = [None] * len(pixels)
    if geometries and pixels:
        xy = np.array([apply(grid.transform, col + 0.5, row + 0.5) for _, grid, col, row in pixels])
        lon, lat = convert(xy[:, 0], xy[:, 1], pixels[0][1].crs, WGS84)
        points = [Geometry(shapely.Point(x, y)) for x, y in zip(lon, lat, strict=True)]
    return [Feature(point, pixel[0]) for pixel, point in zip(pixels, points, strict=True)]


def _collection(features: Sequence[Feature]) -> Collection:
    numbered = [with_index(feature, str(i)) for i, feature in enumerate(features)]
    return Collection("FeatureCollection", lambda _: iter(numbered))


@algorithm("Image.sample", takes_arrays=True)
def sample(
    image: Image,
    region: Geometry | None = None,
    scale: float | None = None,
    projection: Projection | None = None,
    factor: float | None = None,
    count: int | None = None,
    seed: int = 0,
    drop_nulls: bool = True,
    tile_scale: float = 1.0,
    geometries: bool = False,
) -> Collection:
    """Return a feature for each pixel in a region, or for a random sample of them.

    ``numPixels`` (``count``) is the size of the sample; ``factor`` is the probability with which
    each pixel is kept. Earth Engine does not publish which pixels it picks. Pixels with a masked
    band are left out unless ``dropNulls`` is False.
    https://developers.google.com/earth-engine/apidocs/ee-image-sample
    """
    name = "Image.sample"
    check_tile_scale(tile_scale, name)
    if factor is not None and not 0 < factor <= 1:
        raise EarthEngineError(f"{name}: factor must be within (0, 1]. Got {factor}.")
    if factor is not None and count is not None:
        raise EarthEngineError(f"{name}: Only one of 'factor' and 'numPixels' may be specified.")
    target = aggregation_projection(image, name, projection, None, scale)
    zone = Zone.of(region_of(image, region, name), target)
    zone.foresee(len(image.bands))
    random = np.random.default_rng(seed % 2**63)
    if count is not None:
        best = _Lowest(count)
        for tile in zone.tiles():
            best.add(0, tile, tile.centres, random)
        pixels = best.pixels(image, drop_nulls, tile_scale)
    else:
        pixels = []
        for tile in zone.tiles():
            chosen = tile.centres
            if factor is not None:
                chosen = chosen & (random.random(chosen.shape) < factor)
            pixels += _tile_pixels(image, tile, chosen, drop_nulls, tile_scale)
    return _collection(_features(pixels, geometries))


class _Lowest:
    """A random sample of at most ``count`` pixels of one class, gathered tile by tile.

    Each pixel gets a random number, and those with the lowest numbers are kept.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: list[tuple[float, Tile, int, int]] = []

    def add(
        self, _: int, tile: Tile, candidates: NDArray[np.bool_], random: np.random.Generator
    ) -> None:
        """Add the pixels of a tile that ``candidates`` marks (bool, the tile's shape)."""
        rows, cols = np.nonzero(candidates)
        numbers = random.random(len(rows))
        if len(rows) > self.count:
            best = np.argpartition(numbers, self.count)[: self.count]
            rows, cols, numbers = rows[best], cols[best], numbers[best]
        found = zip(numbers.tolist(), rows.tolist(), cols.tolist(), strict=True)
        self._kept += [(n, tile, r, c) for n, r, c in found]
        self._kept = sorted(self._kept, key=lambda kept: kept[0])[: self.count]

    def pixels(self, image: Image, drop_nulls: bool, tile_scale: float) -> list[Pixel]:
        """Return the pixels with their values, in random order."""
        by_tile: dict[int, list[tuple[float, Tile, int, int]]] = {}
        for kept in self._kept:
            by_tile.setdefault(id(kept[1]), []).append(kept)
        order = {}
        result: list[tuple[float, Pixel]] = []
        for group in by_tile.values():
            tile = group[0][1]
            chosen = np.zeros(tile.grid.shape, bool)
            for number, _, row, col in group:
                chosen[row, col] = True
                order[(id(tile), row, col)] = number
            for pixel in _tile_pixels(image, tile, chosen, drop_nulls, tile_scale):
                result.append((order[(id(tile), pixel[3], pixel[2])], pixel))
        return [pixel for _, pixel in sorted(result, key=lambda item: item[0])]


@algorithm("Image.stratifiedSample", takes_arrays=True)
def stratified_sample(
    image: Image,
    count: int,
    class_band: str | None = None,
    region: Geometry | None = None,
    scale: float | None = None,
    projection: Projection | None = None,
    seed: int = 0,
    class_values: Sequence[int] | None = None,
    class_points: Sequence[int] | None = None,
    drop_nulls: bool = True,
    tile_scale: float = 1.0,
    geometries: bool = False,
) -> Collection:
    """Return ``count`` random pixels of each class, or all of a class that has fewer.

    Classes are the integer values of ``class_band``, by default the first band. ``class_points``
    are counts for the classes ``class_values`` that replace ``count``. Features come class by
    class.
    https://developers.google.com/earth-engine/apidocs/ee-image-stratifiedsample
    """
    name = "Image.stratifiedSample"
    check_tile_scale(tile_scale, name)
    if len(class_values or ()) != len(class_points or ()):
        raise EarthEngineError(f"{name}: classValues and classPoints must be of equal length.")
    counts = dict(zip(class_values or (), class_points or (), strict=True))
    band = select(image, [class_band or 0]).bands[0]
    if band.type.dimensions:
        raise EarthEngineError(f"{name}: The class band '{band.id}' must have numbers.")
    target = aggregation_projection(image, name, projection, None, scale)
    zone = Zone.of(region_of(image, region, name), target)
    zone.foresee(len(image.bands))
    random = np.random.default_rng(seed % 2**63)
    classes: dict[int, _Lowest] = {}
    for tile in zone.tiles():
        if not tile.centres.any():
            continue
        classified = read_tiled(band, tile.grid, tile_scale)
        candidates = tile.centres & (classified.mask > 0)
        if drop_nulls:
            for other in image.bands:
                if other is not band:
                    candidates = candidates & (read_tiled(other, tile.grid, tile_scale).mask > 0)
        values = _whole(classified.values, candidates, name)
        for value in np.unique(values[candidates]).tolist():
            lowest = classes.setdefault(value, _Lowest(counts.get(value, count)))
            lowest.add(value, tile, candidates & (values == value), random)
    pixels = [
        p for value in sorted(classes) for p in classes[value].pixels(image, drop_nulls, tile_scale)
    ]
    return _collection(_features(pixels, geometries))


def _whole(values: NDArray[Any], there: NDArray[np.bool_], name: str) -> NDArray[np.int64]:
    """Return a class band's values as integers; raise Earth Engine's 400 if one is not whole."""
    with np.errstate(invalid="ignore"):  # masked pixels may hold any value
        whole = values.astype(np.int64, copy=False)
    if (whole != values)[there].any():
        raise EarthEngineError(f"{name}: The classBand must contain integer values.")
    return whole


@algorithm("Image.sampleRegions", takes_arrays=True)
def sample_regions(
    image: Image,
    collection: Collection,
    properties: Sequence[str] | None = None,
    scale: float | None = None,
    projection: Projection | None = None,
    tile_scale: float = 1.0,
    geometries: bool = False,
) -> Collection:
    """Return a feature for each pixel in each region, with the region's properties.

    Pixels with a masked band are left out.
    https://developers.google.com/earth-engine/apidocs/ee-image-sampleregions
    """
    name = "Image.sampleRegions"
    check_tile_scale(tile_scale, name)
    target = aggregation_projection(image, name, projection, None, scale)

    def pixels_of(number: int, feature: Feature, tiles: Iterator[Tile]) -> Iterator[Feature]:
        kept = ordinary(feature.properties)
        if properties is not None:
            kept = {k: v for k, v in feature.properties.items() if k in properties}
        pixels: list[Pixel] = []
        for tile in tiles:
            pixels += _tile_pixels(image, tile, None, True, tile_scale)
        index = index_of(feature) or str(number)
        for i, sampled in enumerate(_features(pixels, geometries)):
            merged = Feature(sampled.geometry, {**kept, **sampled.properties})
            yield with_index(merged, f"{index}_{i}")

    def source(_: Any) -> Iterator[Feature]:
        number = 0
        for batch in batches(collection.elements(), target):
            for k, feature in enumerate(batch.features):
                zone = batch.zone(k)
                if zone is not None:
                    yield from pixels_of(number + k, feature, zone.tiles(batch.reads))
            number += len(batch.features)

    return Collection("FeatureCollection", source)


@algorithm("Image.sampleRectangle", takes_arrays=True)
def sample_rectangle(
    image: Image,
    region: Geometry | None = None,
    properties: Sequence[str] | None = None,
    default: float | None = None,
    default_array: Any = None,
) -> Feature:
    """Return a feature whose properties are the bands' pixels in a region's bounds, as arrays.

    A band of arrays gives an array of shape (rows, columns, …the arrays' shape); the arrays must
    all have one shape (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-samplerectangle
    """
    name = "Image.sampleRectangle"
    region = region_of(image, region, name)
    arrays: dict[str, Any] = {}
    for band in image.bands:
        shape = shape_in(region, band.projection.crs, abs(band.projection.transform.a))
        grid, _, _ = grid_covering(band.projection, shape.bounds)
        if grid.width * grid.height > 262144:
            raise EarthEngineError(
                f"{name}: Too many pixels in sample; must be <= 262144. "
                f"Got {grid.width * grid.height}."
            )
        rest = default_array if band.type.dimensions else default
        arrays[band.id] = _without_gaps(band.read(grid), rest, band.id)
    kept = dict(image.properties)
    if properties is not None:
        kept = {k: v for k, v in kept.items() if k in properties}
    return Feature(region, {**kept, **arrays})


def _without_gaps(pixels: Pixels, default: Any, name: str) -> NDArray[Any]:
    """Return a band's values with a default where it is masked; 400 if there is no default."""
    if is_ragged(pixels.values):
        raise EarthEngineError(
            f"Image.sampleRectangle: The arrays of band '{name}' differ in shape."
        )
    masked = pixels.mask == 0
    if not masked.any():
        return np.array(pixels.values)
    if default is None:
        raise EarthEngineError(
            "Image.sampleRectangle: Fully masked pixels / pixels outside of the image footprint "
            f"when sampling band '{name}' with no default value set. Note that calling "
            "sampleRectangle() multiple times may be needed."
        )
    if pixels.values.ndim == 2:
        return np.where(masked, default, pixels.values)
    if not masked.all() and np.shape(default) != pixels.values.shape[2:]:
        raise EarthEngineError(
            f"Image.sampleRectangle: The arrays of band '{name}' have the shape "
            f"{list(pixels.values.shape[2:])}, but the default one {list(np.shape(default))}."
        )
    whole = np.broadcast_to(default, masked.shape + np.shape(default))
    return choose(~masked, pixels.values, whole) if not masked.all() else whole
