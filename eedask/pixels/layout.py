"""Where the pixels of an item's chip lie, before they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import shapely

from eedask.arguments import check_scale
from eedask.crs import NATIVE, UTM, from_degrees
from eedask.errors import InputError, ItemsError
from eedask.grid import (
    NativeProjection,
    PixelGrid,
    Transform,
    chip_grid,
    covering_grid,
    lattice,
    rescaled,
)
from eedask.items.item import WorkItem


@dataclass(frozen=True)
class Layout:
    """How an item's grid is found.

    Attributes
    ----------
    crs : str
        A crs that Earth Engine takes, ``"utm"`` (each item's own zone) or ``"native"`` (the
        grid of the image itself).
    scale : float, optional
        Metres a pixel. Needed unless the crs is native; with it, a native grid is rescaled
        about its own origin.
    shape : (int, int), optional
        Rows and columns of a chip centred on the item's centroid. Without it the grid covers
        the item's bounding box in the crs, exactly so where the items are in that crs.
    """

    crs: str
    scale: float | None = None
    shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.scale is None and self.crs != NATIVE:
            raise InputError(
                f"crs={self.crs!r} needs a scale (metres a pixel); only crs='native' has its own"
            )
        check_scale(self.scale)

    @property
    def is_native(self) -> bool:
        """Whether the image's own projection has to be asked for."""
        return self.crs == NATIVE

    def grid(self, item: WorkItem, native: NativeProjection | None = None) -> PixelGrid:
        """Return the item's grid.

        Raises
        ------
        ItemsError
            If the item has no geometry, or none that the crs can hold.
        """
        crs, transform = self._lattice(item, native)
        if item.geometry is None:
            raise ItemsError(f"item {item.id!r} has no geometry")
        if self.shape is None:
            return covering_grid(crs, transform, _projected_bounds(item, crs))
        centre = item.geometry.centroid
        x, y = from_degrees(crs).transform(centre.x, centre.y)
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ItemsError(f"item {item.id!r} at {centre.wkt} lies outside {crs}")
        return chip_grid(crs, transform, x, y, self.shape)

    def _lattice(self, item: WorkItem, native: NativeProjection | None) -> tuple[str, Transform]:
        if native is not None:
            factor = 1.0 if self.scale is None else self.scale / native.scale
            return native.crs, rescaled(native.transform, factor)
        assert self.scale is not None
        crs = item.utm_crs if self.crs == UTM else self.crs
        return crs, lattice(crs, self.scale)


def _projected_bounds(item: WorkItem, crs: str) -> tuple[float, float, float, float]:
    """Return the bounds of an item's geometry in a crs; edges are straight in degrees.

    Where the item was given in that crs they are those of what was given: a box on pixel edges
    has just those pixels, where its edges in degrees would bulge into the next.
    """
    assert item.geometry is not None
    if item.crs == crs and item.bounds is not None:
        return item.bounds
    # Straight edges bend in another crs; fifty pieces leave far less than a pixel in error.
    extent = max(shapely.bounds(item.geometry)[2:] - shapely.bounds(item.geometry)[:2])
    dense = shapely.segmentize(item.geometry, extent / 50) if extent > 0 else item.geometry
    xs, ys = from_degrees(crs).transform(*shapely.get_coordinates(dense).T)
    bounds = (float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys)))
    if not all(math.isfinite(value) for value in bounds):
        raise ItemsError(f"item {item.id!r} reaches outside {crs}")
    return bounds
