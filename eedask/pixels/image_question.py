"""Asks about the images of a collection, many in one request, before their pixels are fetched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ee

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import Send, ask, compute_value, reading, value_of
from eedask.errors import NoImageError
from eedask.expressions.compile import Expression, compile_expression
from eedask.expressions.symbols import Item
from eedask.items.item import WorkItem
from eedask.pixels.finding import KEY, Finder
from eedask.pixels.image_bands import ImageBands, told_bands

# The column in which the keys of all items of a request stand.
_KEYS = "keys"


@dataclass(frozen=True)
class Wanted:
    """What to ask about every image, besides the names of its bands.

    Attributes
    ----------
    types : bool
        Whether to ask for the types of its bands.
    grid : bool
        Whether to ask for the projection of the first of ``bands``, or of the image's first band.
    bands : tuple of str
        The bands that the user names; empty for all.
    region : ee.Geometry, optional
        If given, ask whether the image's footprint meets it.
    """

    types: bool
    grid: bool
    bands: tuple[str, ...]
    region: ee.Geometry | None

    def of(self, image: ee.Image) -> ee.Dictionary:
        """Return the description of an image. It is not an error if the image lacks a band."""
        names = image.bandNames()
        told: dict[str, Any] = {"names": names}
        if self.types:
            told["types"] = image.bandTypes()
        if self.grid:
            position = names.indexOf(self.bands[0]).max(0) if self.bands else 0
            told["projection"] = image.select([position]).projection()
        if self.region is not None:
            told["meets"] = ee.ImageCollection([image]).filterBounds(self.region).size()
        return ee.Dictionary(told)


@dataclass(frozen=True)
class Told:
    """What Earth Engine answered about an image.

    Attributes
    ----------
    bands : ImageBands
        With empty types if they were not asked for.
    meets : bool
        Whether its footprint meets the region; True if that was not asked.
    """

    bands: ImageBands
    meets: bool


@dataclass(frozen=True)
class ImageQuestion:
    """Asks which image of a collection each item has, and for a description of these images.

    Attributes
    ----------
    finder : Finder
    expression : Expression
        The list of descriptions, given an item whose column :data:`_KEYS` holds the keys.
    """

    finder: Finder
    expression: Expression

    def ask(
        self, endpoint: Endpoint, items: Sequence[WorkItem], send: Send
    ) -> list[Told | NoImageError]:
        """Return the answer about the image of each item, by one request.

        An item that has no image, or several, has the NoImageError that says so.

        Raises
        ------
        RequestError
            If Earth Engine refuses, or the tries are used up.
        """
        keys = [self.finder.key(item) for item in items]
        request = compute_value(endpoint, self.expression.encode(_keyed(keys)))
        found = ask(send, request, self._read)
        return [
            self._only(item, found.get(self.finder.same_key(key), []))
            for item, key in zip(items, keys, strict=True)
        ]

    def _read(self, body: bytes) -> dict[Hashable, list[Told]]:
        found = defaultdict(list)
        with reading(body, "a list of images"):
            for told in value_of(body):
                found[self.finder.same_key(told[KEY])].append(_told(told))
        return found

    def _only(self, item: WorkItem, found: Sequence[Told]) -> Told | NoImageError:
        if len(found) == 1:
            return found[0]
        count = "several images" if found else "no image"
        words, advice = self.finder.words(item), self.finder.advice
        return NoImageError(f"the collection has {count} {words}: {advice}")


def image_question(
    finder: Finder, collection: ee.ImageCollection, wanted: Wanted, sample: WorkItem
) -> ImageQuestion:
    """Return the question about the images of a collection.

    Parameters
    ----------
    finder : Finder
    collection : ee.ImageCollection
    wanted : Wanted
    sample : WorkItem
        Any of the items.
    """

    def question(item: Item) -> ee.List:
        return finder.described(collection, item[_KEYS], wanted.of)

    keyed = _keyed([finder.key(sample)])
    return ImageQuestion(finder, compile_expression(question, [keyed], expect=ee.List))


def _keyed(keys: list[Any]) -> WorkItem:
    return WorkItem("", values={_KEYS: keys})


def _told(told: Mapping[str, Any]) -> Told:
    types = told.get("types") or {name: {} for name in told["names"]}
    return Told(told_bands({**told, "types": types}), bool(told.get("meets", True)))
