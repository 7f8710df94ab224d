"""Finds the image of an item in a collection, by its index or by a range of dates."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import ee

from eedask.expressions.symbols import Item
from eedask.items.item import WorkItem

INDEX = "system:index"
# The columns of a range of dates, as in eedask.items.date_ranges.
START, END = "start", "end"
# The entry of an image's description that says which item the image belongs to.
KEY = "key"

# Makes the description of an image.
Describe = Callable[[ee.Image], ee.Dictionary]

# One more than the most elements that Earth Engine puts into a list. With more images than that it
# refuses the request, instead of leaving some out
# (https://developers.google.com/earth-engine/guides/debugging).
_ALL = 5001


class Finder(Protocol):
    """Says which images of a collection belong to an item. There should be one for each item."""

    def matching(self, images: ee.ImageCollection, item: Item) -> ee.ImageCollection:
        """Return the images of a collection that belong to an item."""

    def key(self, item: WorkItem) -> Any:
        """Return what identifies the item in requests and answers, as a value for JSON."""

    def same_key(self, told: Any) -> Hashable:
        """Return a key, from :meth:`key` or from an answer, in a form that can be compared."""

    def described(self, images: ee.ImageCollection, keys: Any, describe: Describe) -> ee.List:
        """Return the descriptions of the images of several items, each with :data:`KEY`.

        Parameters
        ----------
        images : ee.ImageCollection
        keys : ee.ComputedObject
            The list of the items' keys.
        describe : callable
        """

    def words(self, item: WorkItem) -> str:
        """Return by what the item's image is looked for, as words that follow "image"."""

    @property
    def advice(self) -> str:
        """What the user can do if items do not have exactly one image each."""


@dataclass(frozen=True)
class ByIndex:
    """An item's id is the ``system:index`` of its image."""

    advice = (
        "take the ids of this very collection, from eedask.items.image_ids(collection). Where a"
        " collection is merged or made of lists, its indices are made up: take date ranges as items"
    )

    def matching(self, images: ee.ImageCollection, item: Item) -> ee.ImageCollection:
        """Return the images with the item's index."""
        return images.filter(ee.Filter.eq(INDEX, item.id))

    def key(self, item: WorkItem) -> str:
        """Return the ``system:index`` of the item's image: the item's id, as text."""
        return str(item.id)

    def same_key(self, told: Any) -> str:
        """Return a ``system:index`` from Earth Engine's answer in the form that `key` has."""
        return str(told)

    def described(self, images: ee.ImageCollection, keys: Any, describe: Describe) -> ee.List:
        """Return the descriptions of the images with these indices, by one filter for all."""

        def tell(element: ee.ComputedObject) -> ee.Dictionary:
            image = ee.Image(element)
            return describe(image).set(KEY, image.get(INDEX))

        return images.filter(ee.Filter.inList(INDEX, keys)).toList(_ALL).map(tell)

    def words(self, item: WorkItem) -> str:
        """Return the index in words."""
        return f"with system:index {item.id!r}"


@dataclass(frozen=True)
class ByDates:
    """An item's columns ``start`` and ``end`` are the range in which its image lies."""

    advice = (
        "let a range hold one image, such as a composite of it with its system:time_start; or make"
        " one of several with eedask.chips, of a function that takes mosaic() or median()"
    )

    def matching(self, images: ee.ImageCollection, item: Item) -> ee.ImageCollection:
        """Return the images of the item's range."""
        return images.filterDate(item[START], item[END])

    def key(self, item: WorkItem) -> list[int]:
        """Return the milliseconds from 1970 at which the range begins and ends."""
        return [round(item.values[name].timestamp() * 1000) for name in (START, END)]

    def same_key(self, told: Any) -> tuple[int, ...]:
        """Return the milliseconds of a key."""
        return tuple(int(part) for part in told)

    def described(self, images: ee.ImageCollection, keys: Any, describe: Describe) -> ee.List:
        """Return the descriptions of at most two images of each range, by a filter for each.

        Two are enough to see that a range has several images.
        """

        def tell(key: ee.ComputedObject) -> ee.List:
            first, end = (ee.Date(ee.List(key).get(which)) for which in (0, 1))
            found = images.filterDate(first, end).toList(2)
            return found.map(lambda element: describe(ee.Image(element)).set(KEY, key))

        return ee.List(keys).map(tell).flatten()

    def words(self, item: WorkItem) -> str:
        """Return the range in words."""
        return f"from {item.values[START]} until {item.values[END]}"
