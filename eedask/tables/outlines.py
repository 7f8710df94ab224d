"""Outlines of regions as they are sent: simplified, repaired, and within 180 degrees, as asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from shapely.geometry.base import BaseGeometry

from eedask.arguments import is_positive
from eedask.crs import METRES_PER_DEGREE
from eedask.errors import InputError, ItemsError
from eedask.items.item import WorkItem


@dataclass(frozen=True)
class Outlines:
    """What is done to the items' own outlines before they are sent.

    Attributes
    ----------
    repair : bool
        Whether an invalid polygon is made valid; otherwise it is refused.
    simplify : float, optional
        Metres by which an outline may be moved to have fewer vertices.

    Raises
    ------
    InputError
        If ``simplify`` is not above 0.
    """

    repair: bool = False
    simplify: float | None = None

    def __post_init__(self) -> None:
        if self.simplify is not None and not is_positive(self.simplify):
            raise InputError(f"simplify is a positive number of metres; got {self.simplify!r}")

    def usable(self, items: Sequence[WorkItem]) -> Iterator[WorkItem | ItemsError]:
        """Yield each item with an outline that can be sent, or the error that tells why not."""
        unchanged = [False] * len(items) if self.simplify is not None else as_they_are(items)
        for item, ready in zip(items, unchanged, strict=True):
            try:
                yield item if ready else self.mended(item)
            except ItemsError as error:
                yield error

    def mended(self, item: WorkItem) -> WorkItem:
        """Return an item with its outline as it can be sent.

        Raises
        ------
        ItemsError
            If there is none, or none that is valid.
        """
        shape = item.geometry
        if shape is None or shape.is_empty:
            raise ItemsError(
                f"item {item.id!r} has no geometry, or an empty one: give it one, or leave it out"
            )
        if self.simplify is not None:
            shape = _simplified(shape, self.simplify)
        if not shape.is_valid:
            if not self.repair:
                raise ItemsError(
                    f"item {item.id!r} is not a valid geometry"
                    f" ({shapely.is_valid_reason(shape)}); mend it, or pass invalid='repair'"
                )
            shape = _repaired(item.id, shape)
        return replace(item, geometry=_wrapped(shape))


def as_they_are(items: Sequence[WorkItem]) -> list[bool]:
    """Return which items have an outline that can be sent unchanged, all of them at once."""
    shapes = np.array([item.geometry for item in items], dtype=object)
    west, _, east, _ = shapely.bounds(shapes).T
    # Without a geometry, or with an empty one, bounds are NaN.
    found = (west >= -180) & (east <= 180) & shapely.is_valid(shapes)
    return [bool(one) for one in found]


def vertices(item: WorkItem) -> int:
    """Return how many vertices an item's geometry has."""
    return int(shapely.get_num_coordinates(item.geometry))


def _wrapped(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape cut at the antimeridian, with all longitudes from -180 to 180."""
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
        raise ItemsError(
            f"item {id_!r} has no area, even when it is repaired: give it another geometry, or"
            " leave it out"
        )
    return valid


def _simplified(shape: BaseGeometry, metres: float) -> BaseGeometry:
    return shape.simplify(metres / METRES_PER_DEGREE, preserve_topology=True)
