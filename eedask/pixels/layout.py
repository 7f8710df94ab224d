"""Works out where the pixels of an item's chip lie, before Earth Engine is asked for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import shapely

from eedask.arguments import is_positive
from eedask.crs import UTM, from_degrees, metres_per_unit, same_crs
from eedask.errors import InputError, ItemsError
from eedask.grid import (
    Lattice,
    NativeProjection,
    PixelGrid,
    Transform,
    aligned,
    chip_grid,
    covering_grid,
    rescaled,
)
from eedask.items.item import WorkItem


@dataclass(frozen=True)
class Layout:
    """Finds the grid of an item's chip: on which lattice of pixels it lies, and how large it is.

    Attributes
    ----------
    lattice : Lattice
        If it is native and has a scale, pixels of that size start at the origin of the image's own
        grid.
    shape : (int, int), optional
        Rows and columns of a chip centred on the item's centroid. Without it the grid covers
        the item's bounding box in the crs, exactly so where the items are in that crs.
    buffer : float, optional
        Metres by which the bounding box is widened on all sides. In a crs of degrees, a degree
        counts as long as one of the equator, as it does for a scale.

    Raises
    ------
    InputError
        If the buffer is no positive number, or stands beside a shape.
    """

    lattice: Lattice
    shape: tuple[int, int] | None = None
    buffer: float | None = None

    def __post_init__(self) -> None:
        if self.buffer is None:
            return
        if not is_positive(self.buffer):
            raise InputError(f"buffer is a positive number of metres; got {self.buffer!r}")
        if self.shape is not None:
            raise InputError(
                "buffer= widens an item's bounding box, and shape= gives chips a size of their own:"
                " give only one of them"
            )

    def grid(self, item: WorkItem, native: NativeProjection | None = None) -> PixelGrid:
        """Return the grid of an item's chip.

        Parameters
        ----------
        item : WorkItem
        native : NativeProjection, optional
            The image's own grid; needed if the lattice is native.

        Raises
        ------
        ItemsError
            If the item has no geometry, or lies where the crs is not defined.
        """
        if native is None:
            crs = item.utm_crs if self.lattice.crs == UTM else self.lattice.crs
            transform = self.transform(crs)
        else:
            crs, transform = native.crs, self._rescaled(native)
        if item.geometry is None:
            raise ItemsError(f"item {item.id!r} has no geometry: give it one, or leave it out")
        if self.shape is None:
            return covering_grid(crs, transform, self._bounds(item, crs))
        centre = item.geometry.centroid
        x, y = from_degrees(crs).transform(centre.x, centre.y)
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ItemsError(
                f"item {item.id!r} at {centre.wkt} lies outside {crs}: choose a crs= that covers"
                " it, or leave the item out"
            )
        return chip_grid(crs, transform, x, y, self.shape)

    def transform(self, crs: str) -> Transform:
        """Return the transform of the lattice's pixels in a crs. The lattice must not be native."""
        if self.lattice.transform is not None:
            return self.lattice.transform
        assert self.lattice.scale is not None
        return aligned(crs, self.lattice.scale)

    def margin(self, crs: str) -> float:
        """Return how much wider than its item a chip is on each side, in units of the crs."""
        return 0.0 if self.buffer is None else self.buffer / metres_per_unit(crs)

    def _rescaled(self, native: NativeProjection) -> Transform:
        scale = self.lattice.scale
        return rescaled(native.transform, 1.0 if scale is None else scale / native.scale)

    def _bounds(self, item: WorkItem, crs: str) -> tuple[float, float, float, float]:
        """Return the box in the crs that an item's chip covers."""
        left, bottom, right, top = _projected_bounds(item, crs)
        more = self.margin(crs)
        return (left - more, bottom - more, right + more, top + more)


def _projected_bounds(item: WorkItem, crs: str) -> tuple[float, float, float, float]:
    """Return the bounds of an item's geometry in a crs.

    If the item was given in that crs, they are the bounds of the geometry that was given, so that a
    box on pixel edges has exactly its pixels. Converted to degrees and back, its edges would be
    curves that reach into the neighbouring pixels.
    """
    assert item.geometry is not None
    if item.crs is not None and item.bounds is not None and same_crs(item.crs, crs):
        return item.bounds
    # Straight edges bend in another crs; fifty pieces leave far less than a pixel in error.
    extent = max(shapely.bounds(item.geometry)[2:] - shapely.bounds(item.geometry)[:2])
    dense = shapely.segmentize(item.geometry, extent / 50) if extent > 0 else item.geometry
    xs, ys = from_degrees(crs).transform(*shapely.get_coordinates(dense).T)
    bounds = (float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys)))
    if not all(math.isfinite(value) for value in bounds):
        raise ItemsError(
            f"item {item.id!r} reaches outside {crs}: choose a crs= that covers it, or leave the"
            " item out"
        )
    return bounds
