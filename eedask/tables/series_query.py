"""What is asked of Earth Engine for a time series: a reducer over regions, on many images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.earthengine.methods import reading, value_of
from eedask.earthengine.nodes import Encoded, Graph, Node, argument, call, constant, listed, mapped
from eedask.errors import InputError
from eedask.expressions.compile import Expression
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.tables.bands import BANDS_KEY, band_names, checked_bands
from eedask.tables.composites import NO_IMAGES
from eedask.tables.features import joined, property_marks, rows_by_item
from eedask.tables.grouping import RegionBatching
from eedask.tables.region_query import RegionQuery

# The properties of a feature that tell of which image it is.
IMAGE_KEY, TIME_KEY = "eedask:image", "system:time_start"
# Features of one answer: less than half of what Earth Engine allows
# (https://developers.google.com/earth-engine/guides/usage).
MOST_FEATURES = 2000

_IMAGE, _FEATURE = "_eedask_image", "_eedask_feature"
# Of the answer: the features of all items, and how many images each item has.
_ROWS, _IMAGES = "rows", "images"


@dataclass(frozen=True)
class Span:
    """A span of time for whose images one request asks.

    Attributes
    ----------
    start, end : int
        Milliseconds since 1970; the end is left out.
    timeless : bool
        Whether images that have no time are asked for with it.

    Raises
    ------
    InputError
        If it does not end after it starts.
    """

    start: int
    end: int
    timeless: bool

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InputError(f"a span ends after it starts; got {self.start} to {self.end}")


@dataclass(frozen=True)
class SeriesQuery:
    """A reducer over the region of every item, on every image of a collection.

    Attributes
    ----------
    regions : RegionQuery
        Whose image is the collection.
    times_of : Expression
        The times of the collection's images.
    size_of : Expression
        How many images there are, of which a composite may be made.
    composite : bool
        Whether images are composites, which are called by their day.
    times : tuple of int
        Of the images, sorted, each once, milliseconds since 1970. They are known where all items
        share the collection, and empty otherwise.
    """

    regions: RegionQuery
    times_of: Expression
    size_of: Expression
    composite: bool = False
    times: tuple[int, ...] = ()

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's expressions, by the name of the argument that each came from."""
        return self.regions.expressions

    @property
    def is_shared(self) -> bool:
        """Whether all items share the collection."""
        return not self.regions.image.depends_on_item

    def expression(
        self, items: Sequence[WorkItem], tile_scale: float, span: Span | None = None
    ) -> Encoded:
        """Return the expression of a request, whose answer :func:`series_by_item` reads.

        Parameters
        ----------
        items : sequence of WorkItem
        tile_scale : float
        span : Span, optional
            Only images within it are asked for.
        """
        graph = Graph()
        image = argument(_IMAGE)
        series = []
        sizes: list[Node] = [constant(0)] * len(items)
        for group in self.regions.groups(items, tile_scale, graph, image):
            labelled = _labelled(graph, group.features, image, self.regions.properties)
            of_image = graph.function([_IMAGE], labelled)
            within = graph.shared(_between(group.source, span))
            of_all = call("Collection.map", collection=within, baseAlgorithm=of_image)
            series.append(call("Collection.flatten", collection=of_all))
            size = graph.shared(call("Collection.size", collection=within))
            for position in group.positions:
                sizes[position] = size
        return graph.encode(mapped({_ROWS: joined(series), _IMAGES: listed(sizes)}))


@dataclass(frozen=True)
class SeriesBatching:
    """Regions share a request while the rows of all their images fit in its answer.

    Attributes
    ----------
    regions : RegionBatching
        How they are put together for a single image.
    images : int
        Of each region.
    """

    regions: RegionBatching
    images: int = 1

    @property
    def presumed(self) -> float:
        """How many pixels, of all images, a request may have before any has shown what works."""
        return self.regions.presumed

    @property
    def least(self) -> float:
        """A lower bound of the weight of a small region on all images."""
        return self.regions.least * self.images

    def on(self, native: NativeProjection | None) -> SeriesBatching:
        """Return the batching of regions on the images' grid."""
        return replace(self, regions=self.regions.on(native))

    def batches(self, items: Sequence[WorkItem]) -> tuple[list[list[int]], list[float]]:
        """Return the positions of regions that share requests, and the weight of each."""
        most = self.regions.limits.pixels
        batches, of_one = self.regions.batches(items)
        weights = [max(weight, most / MOST_FEATURES) * self.images for weight in of_one]
        cuts: list[list[int]] = []
        for batch in batches:
            held = most
            for position in batch:
                if held + weights[position] > most:
                    cuts.append([])
                    held = 0.0
                cuts[-1].append(position)
                held += weights[position]
        return cuts, weights


def series_by_item(body: bytes, count: int) -> list[list[Mapping[str, Any]]]:
    """Return the properties of each item's features, of which there is one for each image.

    Raises
    ------
    TransientError
        If the answer is not a whole one.
    """
    with reading(body, "a row for every image of the items", count):
        answer = value_of(body)
        rows = rows_by_item(answer[_ROWS], count)
        for of_item, images in zip(rows, answer[_IMAGES], strict=True):
            if len(of_item) != images:
                raise ValueError(f"{len(of_item)} rows for {images} images")
            for row in of_item:
                checked_bands(row)
        return rows


def _labelled(graph: Graph, reduced: Node, image: Node, properties: Sequence[str]) -> Node:
    """Return the features without geometry, with the image's index, bands, time and properties."""
    # Not by Element.set, which takes no null, and images may lack any of them.
    marks = {
        IMAGE_KEY: call("Element.get", object=image, property=constant("system:index")),
        BANDS_KEY: band_names(image),
        **property_marks(image, properties, graph),
    }
    label = graph.shared(call("Feature", geometry=constant(None), metadata=mapped(marks)))
    banded = call("Element.copyProperties", destination=label, source=argument(_FEATURE))
    timed = call(
        "Element.copyProperties",
        destination=banded,
        source=image,
        properties=constant([TIME_KEY, NO_IMAGES]),
    )
    make = graph.function([_FEATURE], timed)
    return call("Collection.map", collection=reduced, baseAlgorithm=make)


def _between(collection: Node, span: Span | None) -> Node:
    """Return the images of a collection whose time lies in a span."""
    if span is None:
        return collection
    dates = call("DateRange", start=constant(span.start), end=constant(span.end))
    within = call("Filter.dateRangeContains", leftValue=dates, rightField=constant(TIME_KEY))
    if span.timeless:
        timed = call("Filter.notNull", properties=constant([TIME_KEY]))
        within = call("Filter.or", filters=listed([within, call("Filter.not", filter=timed)]))
    return call("Collection.filter", collection=collection, filter=within)
