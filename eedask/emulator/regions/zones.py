"""Reducing, or listing, an image's pixels in a region, tile by tile.

https://developers.google.com/earth-engine/guides/reducers_reduce_region
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.limits import metering
from eedask.emulator.pixels.array_values import column
from eedask.emulator.pixels.projection import grid_covering, requested, window_grid
from eedask.emulator.pixels.raster import (
    DEFAULT_PROJECTION,
    Band,
    Grid,
    Image,
    Pixels,
    Projection,
    apply,
    compose,
)
from eedask.emulator.pixels.tiling import READ_TILE, Window, least_side, quarters
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.regions.coverage import Cover
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.regions.shared_reads import SharedReads

T = TypeVar("T")
Inputs = tuple[list[NDArray[Any]], NDArray[np.float64], NDArray[np.float64]]

_PER_TILE = 100.0
_LEAST_COVERAGE = 0.005
_LEAST_WEIGHT = 1 / 256

# The second line of the live service's error, as users report it.
_ADVICE = (
    "Ensure that you are not aggregating at a higher resolution than you intended; "
    "that is a frequent cause of this error. If not, then you may set the 'maxPixels' "
    "argument to a limit suitable for your computation; set 'bestEffort' to true to aggregate "
    "at whatever scale results in 'maxPixels' total pixels; or both."
)


def aggregation_projection(
    image: Image,
    algorithm: str,
    crs: Projection | None,
    transform: Sequence[float] | None,
    scale: float | None,
) -> Projection:
    """Return the projection that pixels are aggregated in.

    It is the first band's unless another is given; ``scale`` rescales either.

    Raises
    ------
    EarthEngineError
        There is no scale: the image has no projection of its own, and none was given.
    """
    base = image.bands[0].projection if image.bands else None
    projection = requested(base, crs, transform, scale)
    if projection is None or (
        projection == DEFAULT_PROJECTION and scale is None and transform is None
    ):
        raise EarthEngineError(
            f"{algorithm}: The default WGS84 projection is invalid for aggregations. "
            "Specify a scale or crs & crs_transform."
        )
    return projection


def region_of(image: Image, geometry: Geometry | None, algorithm: str) -> Geometry:
    """Return a region, the image's footprint if none is given; it must have bounds."""
    region = image.footprint if geometry is None else geometry
    if region is not None and not region.unbounded:
        return region
    if geometry is None:
        raise EarthEngineError(
            f"{algorithm}: Provide 'geometry' parameter when aggregating over an unbounded image."
        )
    raise EarthEngineError(f"{algorithm}: The region is unbounded.")


class _Everything:
    """The cover of a point, on the pixel that it lies in."""

    def fractions(self, col: int, row: int, width: int, height: int) -> NDArray[np.float32]:
        return np.ones((height, width), np.float32)

    def centres(self, col: int, row: int, width: int, height: int) -> NDArray[np.bool_]:
        return np.ones((height, width), bool)


class Tile:
    """Some pixels of a region.

    Attributes
    ----------
    grid : Grid
    window : (column, row, width, height)
        In pixels of the zone's projection.
    """

    def __init__(
        self,
        cover: Cover | _Everything,
        projection: Projection,
        window: Window,
        reads: SharedReads | None = None,
    ) -> None:
        self._cover, self._projection, self.window = cover, projection, window
        self._reads = reads
        self.grid: Grid = window_grid(projection, *window)

    def read(self, band: Band) -> Pixels:
        """Return the tile's pixels of a band."""
        return band.read(self.grid) if self._reads is None else self._reads.read(band, self.window)

    @cached_property
    def fractions(self) -> NDArray[np.float32]:
        """The covered fraction of each pixel."""
        return self._cover.fractions(*self.window)

    @cached_property
    def centres(self) -> NDArray[np.bool_]:
        """Whether the region holds each pixel's centre."""
        return self._cover.centres(*self.window)

    def quarters(self, least: int) -> list[Tile]:
        """Return the tile in parts, its sides halved where longer than ``least``; else none."""
        parts = quarters(self.window, least)
        return [Tile(self._cover, self._projection, part, self._reads) for part in parts]


@dataclass(frozen=True)
class Zone:
    """A region on the pixels of a projection.

    Attributes
    ----------
    shape : shapely geometry
        In the projection's crs.
    projection : Projection
    """

    shape: BaseGeometry
    projection: Projection

    @classmethod
    def of(cls, region: Geometry, projection: Projection) -> Zone:
        """Return a region on a projection's pixels."""
        pixel = math.sqrt(abs(projection.transform.determinant))
        return cls(shape_in(region, projection.crs, pixel), projection)

    @property
    def pixels(self) -> float:
        """The region's area in pixels: what ``maxPixels`` counts."""
        return float(self.shape.area / abs(self.projection.transform.determinant))

    def foresee(self, bands: int) -> None:
        """Raise at once where the zone's pixels are more than can be read in time."""
        metering.foresee(self.pixels * bands)

    @cached_property
    def window(self) -> Window | None:
        """The pixels that the region's bounds touch; None of an empty region."""
        if self.shape.is_empty:
            return None
        # A point on a pixel's edge takes one pixel, the one to the right and below.
        grid, col, row = grid_covering(self.projection, self.shape.bounds)
        return (col, row, grid.width, grid.height)

    def tiles(self, reads: SharedReads | None = None) -> Iterator[Tile]:
        """Yield the tiles that the region touches, along rows of tiles."""
        if self.window is None:
            return
        left, top, all_cols, all_rows = self.window
        metering.foresee(_PER_TILE * (all_cols / READ_TILE) * (all_rows / READ_TILE))
        is_point = self.shape.geom_type == "Point"
        cover = _Everything() if is_point else Cover(self.shape, self.projection)
        for row in range(0, all_rows, READ_TILE):
            height = min(READ_TILE, all_rows - row)
            cols = np.arange(0, all_cols, READ_TILE)
            widths = np.minimum(READ_TILE, all_cols - cols)
            if all_cols > READ_TILE or all_rows > READ_TILE:
                touched = self._touches(left + cols, top + row, widths, height)
                cols, widths = cols[touched], widths[touched]
            for col, width in zip(cols.tolist(), widths.tolist(), strict=True):
                yield Tile(cover, self.projection, (left + col, top + row, width, height), reads)

    def _touches(
        self, cols: NDArray[np.intp], row: int, widths: NDArray[np.intp], height: int
    ) -> NDArray[np.bool_]:
        """Return which tiles of a row of tiles the shape touches."""
        shapely.prepare(self.shape)
        right, bottom = cols + widths, np.full_like(cols, row + height)
        top = np.full_like(cols, row)
        corners = [(cols, top), (right, top), (right, bottom), (cols, bottom)]
        x, y = zip(*(apply(self.projection.transform, *c) for c in corners), strict=True)
        frames = shapely.polygons(np.stack([np.stack(x, -1), np.stack(y, -1)], -1))
        return np.asarray(shapely.intersects(self.shape, frames))

    def coarser(self, most: float) -> Zone:
        """Return the zone with pixels doubled until there are at most so many."""
        factor = 2.0 ** math.ceil(math.log2(math.sqrt(self.pixels / most)))
        transform = compose(self.projection.transform, Affine.scale(factor))
        return Zone(self.shape, Projection(self.projection.crs, transform))


def limited(zone: Zone, most: float | None, best_effort: bool | None, algorithm: str) -> Zone:
    """Return a zone of at most so many pixels, or raise Earth Engine's error.

    ``best_effort`` is None of an algorithm without such an argument: its error ends with the
    first line, for the advice of the second would not help.
    """
    if most is not None and most < 1:
        raise EarthEngineError(f"{algorithm}: maxPixels must be positive.")
    if most is None or zone.pixels <= most:
        return zone
    if best_effort:
        return zone.coarser(most)
    words = (
        f"{algorithm}: Too many pixels in the region. Found {int(zone.pixels)}, "
        f"but maxPixels allows only {int(most)}."
    )
    raise EarthEngineError(words if best_effort is None else f"{words}\n{_ADVICE}")


def check_tile_scale(value: float, algorithm: str) -> None:
    """Raise unless a ``tileScale`` is within the documented 0.1 to 16.

    It changes how much memory Earth Engine needs, and no result; here memory is bounded anyway.
    """
    if not 0.1 <= value <= 16:
        raise EarthEngineError(f"{algorithm}: tileScale must be between 0.1 and 16. Got {value}.")


def output_names(bands: Sequence[str], reducer: Reducer, single: str) -> list[list[str]]:
    """Return the names of a reducer's outputs for each band, or for all as its inputs.

    Parameters
    ----------
    bands : sequence of str
    reducer : Reducer
    single : str
        ``band``: an only output is called by its band; ``output``: an only band's outputs are
        called by their own names; ``both``: ``band_output`` always.
    """
    if reducer.inputs != 1:
        return [list(reducer.outputs)]
    if single == "band" and len(reducer.outputs) == 1:
        return [[band] for band in bands]
    if single == "output":
        if len(bands) == 1:
            return [list(reducer.outputs)]
        if len(reducer.outputs) == 1:
            return [[band] for band in bands]
    return [[f"{band}_{output}" for output in reducer.outputs] for band in bands]


def input_groups(bands: Sequence[Any], reducer: Reducer, algorithm: str) -> list[list[Any]]:
    """Return which bands are a reducer's inputs together: each alone, or all."""
    if reducer.inputs == 1:
        return [[band] for band in bands]
    if len(bands) != reducer.inputs:
        raise EarthEngineError(
            f"{algorithm}: Need {reducer.inputs} bands for the reducer's inputs. "
            f"The image has {len(bands)}."
        )
    return [list(bands)]


def reduce_zone(
    image: Image,
    reducer: Reducer,
    zone: Zone,
    algorithm: str,
    single: str,
    tile_scale: float = 1.0,
    reads: SharedReads | None = None,
) -> dict[str, Any]:
    """Return the outputs of a reducer over a zone's pixels, None where there were none."""
    groups = input_groups(image.bands, reducer, algorithm)
    names = output_names(image.band_names, reducer, single)
    runs = [Run(reducer) for _ in groups]
    zone.foresee(len(image.bands))
    result: dict[str, Any] = {}
    with metering.scope():
        for tile in zone.tiles(reads):
            for group, run in zip(groups, runs, strict=True):
                in_pieces(tile, tile_scale, partial(_inputs, reducer, group), partial(_add, run))
        for run, labels in zip(runs, names, strict=True):
            result.update(zip(labels, run.values().values(), strict=True))
    return result


def _add(run: Run, inputs: Inputs | None) -> None:
    if inputs is not None:
        run.add(*inputs)


def in_pieces(
    tile: Tile, tile_scale: float, work: Callable[[Tile], T], combine: Callable[[T], object]
) -> None:
    """Hand on what ``work`` makes of a tile; of its quarters where memory does not suffice.

    Raises
    ------
    MemoryLimit
        It does not even for tiles of Earth Engine's size, divided by ``tileScale``.
    """
    try:
        with metering.scope():
            made = work(tile)
    except metering.MemoryLimit:
        pieces = tile.quarters(least_side(tile_scale))
        if not pieces:
            raise
        for piece in pieces:
            in_pieces(piece, tile_scale, work, combine)
    else:
        combine(made)


def _inputs(reducer: Reducer, bands: Sequence[Band], tile: Tile) -> Inputs | None:
    """Return the values of the pixels of a tile that count, and their weights; None if none do."""
    pixels = [tile.read(band) for band in bands]
    mask = pixels[0].mask
    for other in pixels[1:]:
        mask = np.minimum(mask, other.mask)
    weights = np.zeros(tile.grid.shape)
    counted = np.zeros(tile.grid.shape, bool)
    if reducer.is_weighted:
        weights = pixel_weights(mask, tile.fractions)
    if reducer.is_counted:
        counted = tile.centres & (mask > 0)
    some = (weights > 0) | counted
    if not some.any():
        return None
    columns = [column(p.values, some) for p in pixels]
    return columns, weights[some][:, None], counted[some].astype(np.float64)[:, None]


def pixel_weights(mask: NDArray[np.float32], fractions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return min(mask, fraction) in 255ths; what is too little is nothing."""
    least = np.minimum(mask, fractions).astype(np.float64)
    weights = np.rint(least * 255) / 255
    weights[(fractions < _LEAST_COVERAGE) | (least < _LEAST_WEIGHT)] = 0
    return weights
