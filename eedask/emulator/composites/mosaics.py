"""Makes mosaics. A mosaic reads a grid only from the images whose footprints touch the grid."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from eedask.emulator.composites.mosaic_points import mosaic_points
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import touches, touching
from eedask.emulator.pixels.array_values import is_ragged
from eedask.emulator.pixels.pixel_types import union
from eedask.emulator.pixels.projection import degrees_bounds
from eedask.emulator.pixels.raster import (
    DEFAULT_PROJECTION,
    Band,
    Grid,
    Image,
    Pixels,
    Places,
    is_opaque,
)
from eedask.emulator.pixels.sampling import masked, over
from eedask.emulator.values.value_types import Collection, Query

# A collection of at most this many images is listed once. Of a larger one only this many are
# listed, to learn the bands, and each grid queries the collection for the images that it needs.
_LISTED = 64
_GRIDS_KEPT = 4
_CELLS = 4  # cells per degree: places in the same cell are looked up with one query


class _Listed(NamedTuple):
    """Which images may have pixels at each of some places.

    Attributes
    ----------
    places : tuple of Places
    images : list of Image
    stacks : tuple of tuples of int
        For each place, the positions in ``images`` of those that touch it, topmost first.
    """

    places: tuple[Places, ...]
    images: list[Image]
    stacks: tuple[tuple[int, ...], ...]

    def of(self, name: str) -> tuple[list[Band], tuple[tuple[int, ...], ...]]:
        """Return the images' bands with a name, and each place's stack as positions among them."""
        bands = [band_named(image, name) for image in self.images]
        having = [k for k, band in enumerate(bands) if band is not None]
        if len(having) == len(bands):
            return [band for band in bands if band is not None], self.stacks
        number = {image: k for k, image in enumerate(having)}
        stacks = tuple(tuple(number[i] for i in stack if i in number) for stack in self.stacks)
        return [band for band in bands if band is not None], stacks


class Stack:
    """Finds the images of a collection that touch a grid, in the collection's order.

    Parameters
    ----------
    collection : Collection
        A collection of images.

    Attributes
    ----------
    sample : sequence of Image
        The first images (at most 64), whose bands stand for those of all.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        first = list(islice(collection.elements(), _LISTED + 1))
        self._all: list[Image] | None = first if len(first) <= _LISTED else None
        self.sample: Sequence[Image] = first[:_LISTED]
        self._by_grid: OrderedDict[Grid, list[Image]] = OrderedDict()
        self._lock = threading.Lock()
        self._by_places = _Listed((), [], ())

    def every(self) -> list[Image]:
        """Return all images of the collection."""
        return self._all if self._all is not None else list(self._collection.elements())

    def on(self, grid: Grid) -> list[Image]:
        """Return the images whose footprints touch a grid, in the collection's order."""
        with self._lock:
            if grid in self._by_grid:
                return self._by_grid[grid]
        bounds = degrees_bounds(grid)
        source: Any = self._all
        if source is None:
            source = self._collection.elements(Query(bounds=bounds))
        found = [image for image in source if touches(image.footprint, bounds)]
        with self._lock:
            self._by_grid[grid] = found
            while len(self._by_grid) > _GRIDS_KEPT:
                self._by_grid.popitem(last=False)
        return found

    def at(self, places: tuple[Places, ...]) -> _Listed:
        """Return the images whose footprints touch each place's grid."""
        listed = self._by_places
        if listed.places == places:
            return listed
        bounds = [degrees_bounds(place.grid) for place in places]
        # One query for each cell of a fraction of a degree: a query around places that are far
        # from each other would list all images between them.
        cells: dict[tuple[int, int], list[int]] = {}
        for k, (west, south, _, _) in enumerate(bounds):
            if math.isfinite(west) and math.isfinite(south):
                key = math.floor(west * _CELLS), math.floor(south * _CELLS)
            else:
                key = -1, k
            cells.setdefault(key, []).append(k)
        images: list[Image] = []
        stacks: list[list[int]] = [[] for _ in places]
        for numbers in cells.values():
            boxes = np.array([bounds[k] for k in numbers])
            low, high = boxes.min(axis=0).tolist(), boxes.max(axis=0).tolist()
            around = (low[0], low[1], high[2], high[3])
            source: Any = self._all
            if source is None:
                source = self._collection.elements(Query(bounds=around))
            for image in source:
                touched = np.flatnonzero(touching(image.footprint, boxes)).tolist()
                for k in touched:
                    stacks[numbers[k]].append(len(images))
                if touched:
                    images.append(image)
        self._by_places = _Listed(places, images, tuple(tuple(stack[::-1]) for stack in stacks))
        return self._by_places


def stack_bands(images: Sequence[Image]) -> list[Band]:
    """Return one band for each band name that occurs in images, in order of first appearance.

    Its type is the union of the types of the bands with that name. It has Earth Engine's default
    projection of composites (EPSG:4326, pixels of one degree) and is unbounded.
    https://developers.google.com/earth-engine/guides/projections
    """
    groups: dict[str, list[Band]] = {}
    for image in images:
        for band in image.bands:
            groups.setdefault(band.id, []).append(band)
    return [
        replace(
            group[0],
            type=union(band.type for band in group),
            projection=DEFAULT_PROJECTION,
            dimensions=None,
            origin=None,
        )
        for group in groups.values()
    ]


def band_named(image: Image, name: str) -> Band | None:
    """Return the band of an image with a name; None if there is none."""
    return next((band for band in image.bands if band.id == name), None)


def mosaic(collection: Collection) -> Image:
    """Return the composite whose pixels are those of the last image that is unmasked there.

    https://developers.google.com/earth-engine/guides/ic_composite_mosaic
    """
    stack = Stack(collection)
    return Image(tuple(_mosaic_band(stack, band) for band in stack_bands(stack.sample)))


def _mosaic_band(stack: Stack, band: Band) -> Band:
    name, dtype = band.id, band.type.dtype

    def read(grid: Grid) -> Pixels:
        top: Pixels | None = None
        for image in reversed(stack.on(grid)):
            layer = band_named(image, name)
            if layer is None:
                continue
            pixels = layer.read(grid)
            top = pixels if top is None else over(top, pixels)
            if is_opaque(top.mask) or top.mask.all():
                break
        if top is None:
            return masked(grid.shape, dtype)
        if is_ragged(top.values):
            return top
        return Pixels(top.values.astype(dtype, copy=False), top.mask)

    def points(places: Sequence[Places]) -> Pixels | None:
        places = tuple(places)
        return mosaic_points(*stack.at(places).of(name), places, read, dtype)

    layers = [layer for image in stack.sample if (layer := band_named(image, name))]
    if all(hasattr(layer.read, "source") for layer in layers):
        read.points = points  # type: ignore[attr-defined]
    return replace(band, read=read)


def quality_mosaic(collection: Collection, quality: str) -> Image:
    """Return the composite of the pixels whose quality band is the highest at each place.

    All bands of a pixel come from the same image: among equals the first (a guess).
    https://developers.google.com/earth-engine/apidocs/ee-imagecollection-qualitymosaic
    """
    stack = Stack(collection)
    bands = stack_bands(stack.sample)
    if any(band.type.dimensions for band in bands):
        raise EarthEngineError("ImageCollection.qualityMosaic: Bands of arrays are not supported.")
    if bands and quality not in {band.id for band in bands}:
        raise EarthEngineError(
            f"ImageCollection.qualityMosaic: Quality band '{quality}' is not in the collection."
        )
    return Image(tuple(_best_band(stack, band, quality) for band in bands))


def _best_band(stack: Stack, band: Band, quality: str) -> Band:
    name, dtype = band.id, band.type.dtype

    def read(grid: Grid) -> Pixels:
        best = np.full(grid.shape, -np.inf)
        values = np.zeros(grid.shape, dtype)
        mask = np.zeros(grid.shape, np.float32)
        for image in stack.on(grid):
            measure, layer = band_named(image, quality), band_named(image, name)
            if measure is None or layer is None:
                continue
            score = measure.read(grid)
            better = (score.mask > 0) & (score.values > best)
            if better.any():
                pixels = layer.read(grid)
                best[better] = score.values[better]
                values[better], mask[better] = pixels.values[better], pixels.mask[better]
        return Pixels(values, mask)

    return replace(band, read=read)
