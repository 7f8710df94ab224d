"""Traps: patterns in an expression that make Earth Engine repeat the same work in every request.

For each trap there is a function that looks for the pattern in a graph, before anything is sent. It
returns the advice to give to the user, or None if the expression does not have the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eedask.expressions.compile import Expression
from eedask.expressions.graph import Part, graphs
from eedask.items.item import WorkItem

Trap = Callable[[Part], str | None]

# Functions that make points anew; some read the pixels of a whole region for it.
_SAMPLES = ("Image.sample", "Image.stratifiedSample", "Image.sampleRegions")
_DRAWS = ("FeatureCollection.randomPoints", *_SAMPLES)
_GETS = ("List.get", "List.getArray", "List.getGeometry", "List.getNumber", "List.getString")
_MAPS = ("Collection.map", "List.map")
# Others that read the pixels of a whole region, or learn from them.
_REDUCTIONS = (
    *("Image.reduceRegion", "Image.reduceRegions", "Image.reduceToVectors"),
    *("Classifier.train", "Clusterer.train"),
)
_COMPOSITES = ("ImageCollection.reduce", "ImageCollection.qualityMosaic")
_BOUNDS = "Filter.intersects"


def found_in(
    expression: Expression, items: Sequence[WorkItem], traps: Sequence[Trap]
) -> tuple[str, ...]:
    """Return the advice about an expression, each piece once.

    Parameters
    ----------
    expression : Expression
    items : sequence of WorkItem
        A few, as examples.
    traps : sequence of callable
        Which traps to look for, such as :data:`TRAPS`.
    """
    told = (trap(root) for root in graphs(expression, items) for trap in traps)
    return tuple(dict.fromkeys(words for words in told if words is not None))


def points_by_index(root: Part) -> str | None:
    """Return advice if each item picks one of the points that Earth Engine draws, by a number."""
    for source in (*_picked(root), *_filtered(root)):
        if any(not drawn.of_item for drawn in source.calls(*_DRAWS)):
            return (
                "each item picks its point from points that Earth Engine draws, by a number: it"
                " draws all of them anew for every request. Draw them once, with"
                " items.random_points or items.stratified_sample, and use item.geometry"
            )
    return None


def element_by_index(root: Part) -> str | None:
    """Return advice if each item picks an element of a collection's ``toList``, by a number."""
    for source in _picked(root):
        if source.has(*_DRAWS) or not source.has("Collection.toList"):
            continue
        if source.has(*_MAPS):
            return (
                "each item picks its element, by a number, from a list that Earth Engine computes"
                " (map, then toList): it computes the whole list anew for every request. Make the"
                " items ranges of time, with items.date_ranges, and filter by them before map"
            )
        return (
            "each item picks its element, by a number, from a collection that is made a list:"
            " every request reads the whole list, and numbers change where the collection grows."
            " Make the items ids, with items.image_ids, and load each with item.image('id')"
        )
    return None


def mapped_list(root: Part) -> str | None:
    """Return advice if a function is mapped over a collection's ``toList``.

    See https://developers.google.com/earth-engine/guides/best_practices (avoid converting to
    lists unnecessarily).
    """
    lists = [call.parts["list"] for call in root.calls("List.map") if "list" in call.parts]
    if any(_is_list(one) for one in lists) and element_by_index(root) is None:
        return (
            "a function is mapped over a collection that is made a list (toList, then map), which"
            " holds all of its elements in memory: map the collection itself"
        )
    return None


def repeated_aggregate(root: Part) -> str | None:
    """Return advice if a reduction over a region is the same for all items."""
    # If points are picked by a number, points_by_index gives the advice.
    looked_for = _REDUCTIONS if points_by_index(root) else (*_REDUCTIONS, *_SAMPLES)
    for call in root.calls(*looked_for, *_MAPS):
        # What uses an argument of a function around it depends on what that is mapped over.
        inside = [] if call.of_item or call.arguments else [*call.calls(*looked_for)]
        if inside:
            return (
                f"{inside[0].function} does not depend on the item, and is computed anew for every"
                " request: compute it once, with getInfo or as an asset, and put the result into"
                " the function"
            )
    return None


def whole_collection(root: Part) -> str | None:
    """Return advice if a composite is made of all images of a collection, not filtered by date."""
    for call in root.all():
        if not (call.function in _COMPOSITES or call.function.startswith("reduce.")):
            continue
        if "collection" in call.parts and (name := _unfiltered(call.parts["collection"])):
            return (
                f"every request reduces all images of {name} at its place ({call.function}):"
                " filter the collection by date, or make the composite once, as an asset"
            )
    return None


TRAPS: tuple[Trap, ...] = (
    points_by_index,
    element_by_index,
    mapped_list,
    repeated_aggregate,
    whole_collection,
)
# Traps whose repeated work the standard endpoint may keep from one request to the next.
SHAREABLE: tuple[Trap, ...] = (repeated_aggregate, whole_collection)


def _picked(root: Part) -> list[Part]:
    """Return the lists and collections from which an element is taken by an item's number."""
    found = []
    for call in root.calls(*_GETS, "Collection.toList"):
        place = "offset" if call.function == "Collection.toList" else "index"
        if place in call.parts and call.parts[place].of_item:
            found.append(call)
    return found


def _filtered(root: Part) -> list[Part]:
    """Return the collections that are filtered by something of the item."""
    both = ("collection", "filter")
    calls = [call.parts for call in root.calls("Collection.filter") if {*both} <= {*call.parts}]
    return [parts["collection"] for parts in calls if parts["filter"].of_item]


def _is_list(part: Part) -> bool:
    """Return whether a list holds the elements of a collection."""
    while part.function.startswith("List.") and "list" in part.parts:
        part = part.parts["list"]
    return part.function == "Collection.toList"


def _unfiltered(part: Part) -> str | None:
    """Return the id of a collection whose images of all times are taken; None if they are not."""
    while part.function != "ImageCollection.load":
        by = part.parts.get("filter")
        chosen = part.function == "Collection.filter" and by is not None and by.function != _BOUNDS
        if chosen or part.function == "Collection.limit" or "collection" not in part.parts:
            return None
        part = part.parts["collection"]
    id_ = part.parts["id"].constant if "id" in part.parts else None
    return id_ if isinstance(id_, str) else None
