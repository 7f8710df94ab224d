"""What is asked of Earth Engine for regions and points: a reducer over an image.

A request holds *groups*: an image and the features that are reduced over it. Where all items
share the image there is one group; where the image depends on the item, a group for each image.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from eedask.arguments import is_count
from eedask.crs import NATIVE, UTM
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import (
    REFUSALS,
    Send,
    ask,
    checked_projection,
    compute_value,
    first_answered,
    reading,
    value_of,
)
from eedask.earthengine.nodes import Encoded, Graph, Node, call, constant
from eedask.errors import InputError, PermanentError
from eedask.expressions.compile import Expression
from eedask.grid import Lattice, NativeProjection
from eedask.items.item import WorkItem
from eedask.pixels.descriptions import PROPERTIES, properties_in
from eedask.run.forecast import Bounds
from eedask.tables.bands import BANDS_KEY, ExpectedBands, band_names
from eedask.tables.classes import grouped_columns
from eedask.tables.columns import Column, columns
from eedask.tables.features import joined, point_features, property_marks, region_features, slim
from eedask.tables.reducers import Reducer

# The pixels that the image itself has.
_OWN_PIXELS = Lattice(NATIVE)


@dataclass(frozen=True)
class About:
    """What Earth Engine says of an image before it is reduced.

    Attributes
    ----------
    native : NativeProjection, optional
        Its grid; None where it has none and needs none.
    columns : tuple of Column
        Of each band and result.
    bands : tuple of str
        Their names.
    outputs : tuple of str
        The names of the reducer's results.
    types : mapping of str to mapping
        The type of each band, as ``ee.PixelType.getInfo`` tells it.
    properties : mapping of str to object
        Of the image, those that are wanted; None for those that it does not have.
    """

    native: NativeProjection | None
    columns: tuple[Column, ...]
    bands: tuple[str, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, Mapping[str, Any]]
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """The items of a request that have one image, and that image.

    Attributes
    ----------
    source : Node
        Their image, or their collection.
    features : Node
        They themselves with the results as properties.
    positions : tuple of int
        Their numbers among the items of the request.
    """

    source: Node
    features: Node
    positions: tuple[int, ...]


@dataclass(frozen=True)
class RegionQuery:
    """A reducer over the region, or the pixel at the point, of each of several items.

    Attributes
    ----------
    image : Expression
        An image, or a collection that stands for each of its images.
    about : Expression
        Band names, types and projection of the image, and the names of the reducer's results.
    reducer : Reducer
    region : Expression, optional
        The item's region, where it is Earth Engine that knows it.
    points : bool
        Whether items are points.
    lattice : Lattice
        The pixels that are reduced; the image's own by default.
    bands : ExpectedBands, optional
        Those that every image is held to; None where all items share one image, and before they
        are known.
    max_pixels : int, optional
        The most pixels that a region may have; no limit when None.
    properties : tuple of str
        Of each item's image, or of each image of its collection, which are wanted besides.

    Raises
    ------
    InputError
        If items are points, or in UTM, and do not hold the region themselves; or if
        ``max_pixels`` is no number of pixels.
    """

    image: Expression
    about: Expression
    reducer: Reducer
    region: Expression | None = None
    points: bool = False
    lattice: Lattice = _OWN_PIXELS
    bands: ExpectedBands | None = None
    max_pixels: int | None = None
    properties: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_pixels is not None and not is_count(self.max_pixels):
            raise InputError(
                "max_pixels_per_region is a whole number of pixels, 1 or more, or None for no"
                f" limit; got {self.max_pixels!r}"
            )
        if self.region is not None and (self.points or self.lattice.crs == UTM):
            raise InputError(
                "region= is not for points, nor for crs='utm', as where the regions lie is known to"
                " Earth Engine only: leave region= out, or state another crs="
            )

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's expressions, by the name of the argument that each came from."""
        region = {} if self.region is None else {"region": self.region}
        return {"image": self.image, **region}

    def expression(self, items: Sequence[WorkItem], tile_scale: float) -> Encoded:
        """Return the features of all items, with the results as properties."""
        graph = Graph()
        groups = self.groups(items, tile_scale, graph)
        return graph.encode(slim(graph, joined([group.features for group in groups])))

    def groups(
        self,
        items: Sequence[WorkItem],
        tile_scale: float,
        graph: Graph,
        image: Node | None = None,
    ) -> Iterator[Group]:
        """Yield the groups of a request.

        Parameters
        ----------
        items : sequence of WorkItem
        tile_scale : float
        graph : Graph
            Takes the nodes that are shared.
        image : Node, optional
            What features are reduced over, if not the group's image itself: one of the group's
            collection, as a function's argument. The features then say nothing of its bands and
            properties.
        """
        reducer, most = graph.embed(self.reducer.expression), self.max_pixels
        masked = None if self.bands is None else self.bands.masked(graph)
        for (key, crs), positions in self._grouped(items, graph).items():
            source = {"valueReference": key}
            reduced = source if image is None else image
            marks = {} if image is not None else property_marks(source, self.properties, graph)
            if self.bands is not None and masked is not None:
                if image is None:
                    marks[BANDS_KEY] = graph.shared(band_names(source))
                reduced = self.bands.of(reduced, masked)
            features = call(
                "Image.reduceRegions",
                image=reduced,
                collection=self._features(items, positions, marks, graph),
                reducer=reducer,
                scale=None if self.lattice.scale is None else constant(self.lattice.scale),
                crs=None if crs is None else constant(crs),
                tileScale=constant(tile_scale),
                maxPixelsPerRegion=None if most is None else constant(int(most)),
            )
            yield Group(source, features, tuple(positions))

    def _grouped(
        self, items: Sequence[WorkItem], graph: Graph
    ) -> dict[tuple[str, str | None], list[int]]:
        """Return the positions of items by the key of their image, and their crs."""
        groups: dict[tuple[str, str | None], list[int]] = {}
        images: dict[Hashable, str] = {}
        for position, item in enumerate(items):
            alike = self.image.likeness(item)
            if alike not in images:
                images[alike] = graph.embed(self.image.encode(item))["valueReference"]
            groups.setdefault((images[alike], self._crs_of(item)), []).append(position)
        return groups

    def _crs_of(self, item: WorkItem) -> str | None:
        """Return the crs that an item's pixels lie in; None for the image's own."""
        if self.lattice.crs == UTM:
            return item.utm_crs
        return None if self.lattice.is_native else self.lattice.crs

    def _features(
        self,
        items: Sequence[WorkItem],
        positions: Sequence[int],
        marks: Mapping[str, Node],
        graph: Graph,
    ) -> Node:
        chosen = [(items[k], k) for k in positions]
        if self.points:
            return point_features(chosen, marks, graph)
        return region_features(chosen, self.region, marks, graph)

    def held_to(self, about: About) -> RegionQuery:
        """Return the question that asks of every image the bands of the one that is described."""
        return replace(self, bands=ExpectedBands(about.bands, about.native))

    def describe(self, endpoint: Endpoint, send: Send, items: Sequence[WorkItem]) -> About:
        """Return what Earth Engine says of the image.

        Parameters
        ----------
        endpoint : Endpoint
        send : Send
        items : sequence of WorkItem
            A few, as examples.

        Raises
        ------
        InputError
            If the image has no grid of its own and none is stated.
        RequestError
            If nothing was answered for any item.
        """
        told = first_answer(endpoint, self.about, send, items)
        native = None
        try:
            found = NativeProjection.from_info(told["projection"])
            # Earth Engine reduces on a grid that cannot be read here; batches do without it.
            native = found if found.is_readable else None
        except PermanentError as error:
            if self.lattice.scale is None:
                raise InputError(str(error)) from error
        bands, outputs = tuple(told["types"]), tuple(told["outputs"])
        made = columns(told["types"], outputs)
        if self.reducer.groups is not None:
            made = grouped_columns(told["of_groups"], self.reducer.groups.name)
        properties = properties_in(told, self.properties if PROPERTIES in told else ())
        return About(native, made, bands, outputs, told["types"], properties)

    def requests_before(self, samples: int) -> Bounds:
        """Return how many requests it takes to describe the image, and the reducer's results.

        Parameters
        ----------
        samples : int
            Items that are tried as examples.
        """
        about = Bounds(1, samples if self.image.depends_on_item else 1)
        return about if self.reducer.is_named else about + Bounds(0, samples)

    def nulls(self, found: Mapping[str, Any]) -> bool:
        """Return whether all values of a row are null, as its image has no bands at all.

        Raises
        ------
        InputError
            If the image has other bands than the table.
        """
        return self.bands is not None and self.bands.has_none(found)


def first_answer(
    endpoint: Endpoint, about: Expression, send: Send, items: Sequence[WorkItem]
) -> dict[str, Any]:
    """Return what Earth Engine says of the image of the first item for which it answers.

    Raises
    ------
    RequestError, InputError
        Of the last item, if none gives an answer.
    """
    return first_answered(
        items if about.depends_on_item else items[:1],
        lambda item: ask(send, compute_value(endpoint, about.encode(item)), _about_of),
    )


def _about_of(body: bytes) -> dict[str, Any]:
    """Return what an answer says of an image: types of bands, projection, outputs, properties."""
    with reading(body, "bands and a projection"):
        value = value_of(body)
        return {
            "types": {str(name): dict(value["types"][name]) for name in value["names"]},
            "outputs": [str(name) for name in value["outputs"]],
            "of_groups": [str(name) for name in value.get("of_groups", [])],
            "projection": checked_projection(value["projection"]),
            **{name: value[name] for name in value.keys() & {PROPERTIES}},
        }


def columns_by_example(
    about: About,
    items: Sequence[WorkItem],
    rows_of: Callable[[WorkItem], Sequence[Mapping[str, Any]]],
) -> tuple[Column, ...]:
    """Return the columns of a reducer of the user's own, by what the rows of some items hold.

    Most reducers give results for each band. One of several bands at once names its results
    itself. What else rows hold, Earth Engine has added; nobody asked for it.

    Parameters
    ----------
    about : About
    items : sequence of WorkItem
    rows_of : callable
        From an item to its rows. Items that it is refused for are left out.
    """
    rows: list[Mapping[str, Any]] = []
    for item in items:
        try:
            rows += rows_of(item)
        except REFUSALS:
            continue
    found = {key for row in rows for key in row}
    expected = about.columns
    of_bands = {key for column in expected for key in column.keys}
    if not found & of_bands and found.intersection(about.outputs):
        expected = tuple(Column(name, (name,), pa.null()) for name in about.outputs)
    return tuple(one.typed_by(rows) for one in expected)
