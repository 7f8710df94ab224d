"""Checks and compiles the arguments of reductions: over regions, at points and of time series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ee
import geopandas as gpd
import pyarrow as pa

from eedask.crs import NATIVE, UTM
from eedask.dataset.question import Question
from eedask.earthengine.nodes import Encoded
from eedask.errors import InputError
from eedask.expressions.compile import Expression, compile_expression
from eedask.expressions.digest import digest
from eedask.expressions.symbols import Item
from eedask.grid import Lattice
from eedask.items.from_earth_engine import property_names
from eedask.items.item import sample_items
from eedask.pixels.descriptions import PROPERTIES, property_keys
from eedask.tables.columns import Table
from eedask.tables.grouping import Batching
from eedask.tables.outlines import Outlines
from eedask.tables.reducers import Reducer
from eedask.tables.region_jobs import RegionJobs
from eedask.tables.region_query import RegionQuery
from eedask.verbs.options import id_type

Region = Callable[[Item], Any]


@dataclass(frozen=True)
class Reduction:
    """The arguments that say what is reduced, where and on which pixels, checked together.

    Attributes
    ----------
    image : ee.Image, ee.ImageCollection or callable
        What is reduced (of a collection, each of its images), or a function from an item to it.
    reducer : Reducer
    region : callable, optional
        From an item to its region; None: the items' own geometries are the regions.
    scale : float, optional
        Metres a pixel; None: the image's own.
    crs : str or anything pyproj takes, optional
        The crs that pixels lie in; None: the image's own.
    tile_scale : float
        Earth Engine's ``tileScale``, from 1 to 16.
    expect : type
        The class that ``image`` must have or give: ``ee.Image`` or ``ee.ImageCollection``.
    described : ee.Image or callable, optional
        An image, or a function from an item to one, that has the same bands and projection as all
        that is reduced; ``image`` itself when None.
    properties : sequence of str
        Properties of the image that become columns of the manifest and the table; or, if ``image``
        is a collection, of each image, as columns of the table alone.
    """

    image: Any
    reducer: Reducer
    region: Region | None
    scale: float | None
    crs: Any
    tile_scale: float
    expect: type = ee.Image
    described: Any = None
    properties: Sequence[str] = ()

    def __post_init__(self) -> None:
        _ = self.names
        if self.region is not None and self.lattice.crs == UTM:
            raise InputError(
                "crs='utm' needs the items' own geometries, which region= does without; state a"
                " crs, or leave it out for the image's own"
            )

    @cached_property
    def lattice(self) -> Lattice:
        """The crs and scale of the pixels that are reduced; the image's own unless stated."""
        return Lattice(NATIVE if self.crs is None else self.crs, self.scale)

    @property
    def names(self) -> tuple[str, ...]:
        """The properties that are wanted, each once."""
        return property_names(self.properties)

    def query(self, items: gpd.GeoDataFrame, *, points: bool = False) -> RegionQuery:
        """Return the question to Earth Engine about checked items.

        Parameters
        ----------
        items : GeoDataFrame
        points : bool
            Whether the items are points, of which the pixel that each lies in is sampled.
        """
        samples = sample_items(items)
        return RegionQuery(
            image=compile_expression(self.image, samples, expect=self.expect),
            about=self._about(samples),
            reducer=self.reducer,
            region=None if self.region is None else compile_expression(self._place, samples),
            points=points,
            lattice=self.lattice,
            properties=self.names,
        )

    def maker(self, items: gpd.GeoDataFrame, batching: Batching, outlines: Outlines) -> RegionJobs:
        """Return the object that makes jobs of checked items."""
        own = outlines if self.region is None else None
        return RegionJobs(batching, own, self.tile_scale, len(items))

    def question(self, terms: Mapping[str, Any], query: RegionQuery) -> Question:
        """Return what determines the results, by which a dataset is resumed.

        Parameters
        ----------
        terms : mapping
            The verb, and its own arguments on which results depend.
        query : RegionQuery
        """
        recipes = {"image": query.image}
        if query.region is not None:
            recipes["region"] = query.region
        uses = frozenset({"geometry"}) if query.region is None else frozenset()
        return Question({**terms, **self._terms()}, recipes, uses)

    def _terms(self) -> dict[str, Any]:
        return {
            "reducer": self.reducer.asked,
            "reducer_expression": digest(self.reducer.expression),
            "scale": self.lattice.scale,
            "crs": self.lattice.crs,
            "properties": self.names,
            "group": None if self.reducer.groups is None else self.reducer.groups.name,
        }

    def _about(self, samples: Sequence[Any]) -> Expression:
        groups = self.reducer.groups
        outputs = {"outputs": _outputs(self.reducer.expression)}
        if groups is not None:
            outputs["of_groups"] = _outputs(groups.within)
        described = self.image if self.described is None else self.described
        keys = property_keys(self.names if self.expect is ee.Image else ())

        def about(item: Any) -> ee.Dictionary:
            image = ee.Image(described(item) if callable(described) else described)
            own = ee.Feature(None, {key: image.get(keys[key]) for key in keys})
            return ee.Dictionary(
                {
                    **({PROPERTIES: own} if keys else {}),
                    "names": image.bandNames(),
                    "types": image.bandTypes(),
                    "projection": image.select(0).projection(),
                    **outputs,
                }
            )

        what = about if callable(described) else about(None)
        return compile_expression(what, samples, expect=ee.Dictionary)

    def _place(self, item: Any) -> Any:
        assert self.region is not None
        place = self.region(item)
        if isinstance(place, ee.FeatureCollection | ee.Feature):
            return place.geometry()
        return place


def _outputs(reducer: Encoded) -> Any:
    decoded = ee.deserializer.decode(reducer)
    return ee.ApiFunction.apply_("Reducer.getOutputs", {"reducer": decoded})


def reduced_table(items: gpd.GeoDataFrame, own: Mapping[str, pa.DataType] | None = None) -> Table:
    """Return the table of a reduction; its columns of values are filled in before the run.

    Parameters
    ----------
    items : GeoDataFrame
        Checked items, which give the type of the ids.
    own : mapping of str to pyarrow.DataType, optional
        Further columns between the ids and the values, by name.
    """
    return Table(id_type(items), own=own or {}, of_features=True)


def remarks(items: gpd.GeoDataFrame) -> tuple[str, ...]:
    """Return notes for the user about changes to the items before they are sent."""
    crs = items.crs
    if crs is None or crs == "EPSG:4326" or items.geometry.isna().all():
        return ()
    return (f"the items are in {crs.to_string()}; their vertices are sent in EPSG:4326",)
