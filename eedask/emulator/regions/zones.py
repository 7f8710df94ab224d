"""Reducing or listing an image's pixels in a region (``reduceRegion``, ``sample``), by tiles.

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
from eedask.emulator.limits import budget, metering
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
from eedask.emulator.pixels.tiling import READ_TILE, PixelRectangle, least_side, quarters
from eedask.emulator.reducers.banded import input_groups, output_names
from eedask.emulator.reducers.reduce import Reducer, Run
from eedask.emulator.regions.coverage import Cover
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.regions.shared_reads import SharedReads

T = TypeVar("T")
Inputs = tuple[list[NDArray[Any]], NDArray[np.float64], NDArray[np.float64]]

_PER_TILE = 100.0  # operations charged for each tile of a region
# A pixel counts if its region covers at least this fraction and its weight is at least this much.
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
    """Return the projection whose pixels are aggregated.

    Parameters
    ----------
    image : Image
        The projection of its first band is the default.
    algorithm : str
        The name of the Earth Engine algorithm, for the error message.
    crs : Projection, optional
    transform : sequence of float, optional
        The six terms of an affine transform that replaces the projection's.
    scale : float, optional
        Metres per pixel; rescales the projection.

    Raises
    ------
    EarthEngineError
        The image has no projection of its own (a composite), and no scale was given.
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
    """Return the region to aggregate over: the geometry, or by default the image's footprint.

    Raises
    ------
    EarthEngineError
        It is unbounded.
    """
    region = image.footprint if geometry is None else geometry
    if region is not None and not region.unbounded:
        return region
    if geometry is None:
        raise EarthEngineError(
            f"{algorithm}: Provide 'geometry' parameter when aggregating over an unbounded image."
        )
    raise EarthEngineError(f"{algorithm}: The region is unbounded.")


class _PointCover:
    """Stands for the :class:`Cover` of a point: its window is the one pixel that it covers."""

    def fractions(self, col: int, row: int, width: int, height: int) -> NDArray[np.float32]:
        return np.ones((height, width), np.float32)

    def centres(self, col: int, row: int, width: int, height: int) -> NDArray[np.bool_]:
        return np.ones((height, width), bool)


class Tile:
    """A rectangle of a zone's pixels, and which of them the region covers.

    Attributes
    ----------
    grid : Grid
        The rectangle as a grid to read bands on.
    window : (column, row, width, height)
        The rectangle in pixels of the zone's projection.
    """

    def __init__(
        self,
        cover: Cover | _PointCover,
        projection: Projection,
        window: PixelRectangle,
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
        """The fraction of each pixel that the region covers, shape (height, width)."""
        return self._cover.fractions(*self.window)

    @cached_property
    def centres(self) -> NDArray[np.bool_]:
        """Whether each pixel's centre is in the region, shape (height, width)."""
        return self._cover.centres(*self.window)

    def quarters(self, least: int) -> list[Tile]:
        """Return the two or four tiles that halving its sides makes; none if it is too small.

        Only sides longer than ``least`` pixels are halved.
        """
        parts = quarters(self.window, least)
        return [Tile(self._cover, self._projection, part, self._reads) for part in parts]


@dataclass(frozen=True)
class Zone:
    """A region laid on the pixels of a projection.

    Attributes
    ----------
    shape : shapely geometry
        The region in the projection's crs.
    projection : Projection
    """

    shape: BaseGeometry
    projection: Projection

    @classmethod
    def of(cls, region: Geometry, projection: Projection) -> Zone:
        """Return the zone of a region, reprojected to the crs of a projection."""
        pixel = math.sqrt(abs(projection.transform.determinant))
        return cls(shape_in(region, projection.crs, pixel), projection)

    @property
    def pixels(self) -> float:
        """The region's area in pixels, which ``maxPixels`` limits."""
        return float(self.shape.area / abs(self.projection.transform.determinant))

    def foresee(self, bands: int) -> None:
        """Raise :class:`TimeLimit` if reading its pixels would exceed the request's operations."""
        metering.foresee(self.pixels * bands)

    @cached_property
    def window(self) -> PixelRectangle | None:
        """The rectangle of pixels that the region's bounds touch; None if the region is empty."""
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
        cover = _PointCover() if is_point else Cover(self.shape, self.projection)
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
        """Return whether the shape touches each tile of a row of tiles."""
        shapely.prepare(self.shape)
        right, bottom = cols + widths, np.full_like(cols, row + height)
        top = np.full_like(cols, row)
        corners = [(cols, top), (right, top), (right, bottom), (cols, bottom)]
        x, y = zip(*(apply(self.projection.transform, *c) for c in corners), strict=True)
        frames = shapely.polygons(np.stack([np.stack(x, -1), np.stack(y, -1)], -1))
        return np.asarray(shapely.intersects(self.shape, frames))

    def coarser(self, most: float) -> Zone:
        """Return the zone with its pixel size doubled until it has at most ``most`` pixels."""
        factor = 2.0 ** math.ceil(math.log2(math.sqrt(self.pixels / most)))
        transform = compose(self.projection.transform, Affine.scale(factor))
        return Zone(self.shape, Projection(self.projection.crs, transform))


def limited(zone: Zone, most: float | None, best_effort: bool | None, algorithm: str) -> Zone:
    """Return the zone, coarser if need be, if it has at most ``most`` pixels.

    Parameters
    ----------
    zone : Zone
    most : float, optional
        ``maxPixels``; None for no limit.
    best_effort : bool, optional
        ``bestEffort``: whether a zone of too many pixels is made coarser. None for an algorithm
        without such an argument, whose error message then does not advise to set it.
    algorithm : str
        The name of the Earth Engine algorithm, for error messages.

    Raises
    ------
    EarthEngineError
        ``maxPixels`` is not positive, or the zone has more pixels and may not be made coarser.
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
    """Raise unless a ``tileScale`` is within the documented range of 0.1 to 16."""
    if not 0.1 <= value <= 16:
        raise EarthEngineError(f"{algorithm}: tileScale must be between 0.1 and 16. Got {value}.")


def reduce_zone(
    image: Image,
    reducer: Reducer,
    zone: Zone,
    algorithm: str,
    single: str,
    tile_scale: float = 1.0,
    reads: SharedReads | None = None,
) -> dict[str, Any]:
    """Return the outputs of a reducer over a zone's pixels, by name; None if no pixel counted.

    Parameters
    ----------
    image : Image
    reducer : Reducer
    zone : Zone
    algorithm : str
        The name of the Earth Engine algorithm, for error messages.
    single : {"band", "output", "both"}
        How outputs are named, see :func:`output_names`.
    tile_scale : float
        See :func:`in_pieces`.
    reads : SharedReads, optional
        Reads the pixels; by default each tile is read by itself.
    """
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
    """Call ``combine(work(tile))``; if that takes too much memory, do so for the tile's quarters.

    Parameters
    ----------
    tile : Tile
    tile_scale : float
        Divides the side of the smallest tile that is tried, 256 pixels, as ``tileScale`` does.
    work : callable
        ``work(tile)`` computes a result, which ``combine`` takes.
    combine : callable

    Raises
    ------
    MemoryLimit
        Even the smallest tile takes too much memory.
    """
    try:
        with metering.scope():
            made = work(tile)
    except budget.MemoryLimit:
        pieces = tile.quarters(least_side(tile_scale))
        if not pieces:
            raise
        for piece in pieces:
            in_pieces(piece, tile_scale, work, combine)
    else:
        combine(made)


def _inputs(reducer: Reducer, bands: Sequence[Band], tile: Tile) -> Inputs | None:
    """Return the values and weights of a tile's pixels that count; None if no pixel counts.

    These are the arguments of :meth:`Run.add`; a pixel whose centre is in the region is counted.
    """
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
    """Return the weight of each pixel: min(mask, covered fraction), rounded to a 255th.

    It is 0 if the fraction is below 0.005 or the minimum below 1/256.
    """
    least = np.minimum(mask, fractions).astype(np.float64)
    weights = np.rint(least * 255) / 255
    weights[(fractions < _LEAST_COVERAGE) | (least < _LEAST_WEIGHT)] = 0
    return weights
