"""Outlines of regions as they are sent: simplified, repaired, and within 180 degrees, as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.crs import METRES_PER_DEGREE
from eedask.errors import ItemsError
from eedask.items.item import WorkItem


def usable(item: WorkItem, *, repair: bool, simplify: float | None) -> WorkItem:
    """Return an item with its outline as it can be sent.

    Parameters
    ----------
    item : WorkItem
    repair : bool
        Whether an invalid polygon is made valid; otherwise it is refused.
    simplify : float, optional
        Metres by which the outline may be moved.

    Raises
    ------
    ItemsError
        If there is none, or none that is valid.
    """
    shape = item.geometry
    if shape is None or shape.is_empty:
        raise ItemsError(f"item {item.id!r} has no geometry, or an empty one")
    if simplify is not None:
        shape = _simplified(shape, simplify)
    if not shape.is_valid:
        if not repair:
            raise ItemsError(
                f"item {item.id!r} is not a valid geometry"
                f" ({shapely.is_valid_reason(shape)}); mend it, or pass invalid='repair'"
            )
        shape = _repaired(item.id, shape)
    return replace(item, geometry=_wrapped(shape))


def as_they_are(items: Sequence[WorkItem]) -> NDArray[np.bool_]:
    """Return which items have an outline that can be sent unchanged, all of them at once."""
    shapes = np.array([item.geometry for item in items], dtype=object)
    west, _, east, _ = shapely.bounds(shapes).T
    # Without a geometry, or with an empty one, bounds are NaN.
    return np.asarray((west >= -180) & (east <= 180) & shapely.is_valid(shapes), bool)


def vertices(item: WorkItem) -> int:
    """Return how many vertices an item's geometry has."""
    return int(shapely.get_num_coordinates(item.geometry))


def _wrapped(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape that reaches beyond 180 degrees as one of parts within them."""
    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return shape
    parts = (
        shapely.affinity.translate(shape.intersection(shapely.box(low, -90, low + 360, 90)), -turn)
        for low, turn in ((-180.0, 0.0), (180.0, 360.0), (-540.0, -360.0))
    )
    return shapely.union_all([one for one in parts if not one.is_empty])


def _repaired(id_: Any, shape: BaseGeometry) -> BaseGeometry:
    # By structure, which leaves polygons polygons: a line would add pixels of its own.
    valid = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if valid.is_empty:
        raise ItemsError(f"item {id_!r} has no area, even when it is repaired")
    return valid


def _simplified(shape: BaseGeometry, metres: float) -> BaseGeometry:
    return shape.simplify(metres / METRES_PER_DEGREE, preserve_topology=True)
