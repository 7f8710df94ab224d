"""The verbs whose results are tables: regions and points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ee
import geopandas as gpd

from eedask.crs import NATIVE, UTM
from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError
from eedask.expressions.compile import Expression, compile_expression, digest_of
from eedask.expressions.digest import digest
from eedask.grid import Lattice
from eedask.items.item import sample_items
from eedask.tables.grouping import BatchLimits
from eedask.tables.reduce_task import MOST_TILE_SCALE, ReduceTask
from eedask.tables.reducers import Reducer
from eedask.verbs.options import id_type

Region = Callable[[Any], Any]


@dataclass(frozen=True)
class Reduction:
    """What is reduced, and on which pixels; checked together.

    Attributes
    ----------
    image : ee object or callable
    reducer : Reducer
    region : callable, optional
    scale : float, optional
    crs : str or anything pyproj takes, optional
    tile_scale : float
    expect : type
        Of ``image``: an image, or a collection that stands for each of its images.
    described : ee.Image or callable, optional
        Has the bands and the projection; ``image`` itself if None.
    """

    image: Any
    reducer: Reducer
    region: Region | None
    scale: float | None
    crs: Any
    tile_scale: float
    expect: type = ee.Image
    described: Any = None

    def __post_init__(self) -> None:
        lattice = self.lattice
        if not 1 <= self.tile_scale <= MOST_TILE_SCALE:
            raise InputError(f"tile_scale is from 1 to {MOST_TILE_SCALE:g}; got {self.tile_scale}")
        if self.region is not None and lattice.crs == UTM:
            raise InputError(
                "crs='utm' needs the items' own geometries, which region= does without; state a"
                " crs, or leave it out for the image's own"
            )

    @cached_property
    def lattice(self) -> Lattice:
        """The pixels that are reduced; the image's own unless a crs is stated."""
        return Lattice(NATIVE if self.crs is None else self.crs, self.scale)

    def task(
        self,
        items: gpd.GeoDataFrame,
        endpoint: Endpoint,
        limits: BatchLimits,
        kind: type[ReduceTask] = ReduceTask,
        **more: Any,
    ) -> tuple[ReduceTask, dict[str, Any]]:
        """Return the workers' task, of the given kind, and what determines its results."""
        samples = sample_items(items)
        image = compile_expression(self.image, samples, expect=self.expect)
        region = None if self.region is None else compile_expression(self._place, samples)
        task = kind(
            endpoint=endpoint,
            image=image,
            about=self._about(samples),
            reducer=self.reducer,
            region=region,
            lattice=self.lattice,
            tile_scale=float(self.tile_scale),
            limits=limits,
            id_type=id_type(items),
            remarks=remarks(items),
            of_run=len(items),
            **more,
        )
        return task, {
            "expression": digest_of(image, samples),
            "reducer": self.reducer.asked,
            "reducer_expression": digest(self.reducer.expression),
            "region": None if region is None else digest_of(region, samples),
            "scale": self.lattice.scale,
            "crs": self.lattice.crs,
        }

    def _about(self, samples: Sequence[Any]) -> Expression:
        outputs = ee.ApiFunction.apply_(
            "Reducer.getOutputs", {"reducer": ee.deserializer.decode(self.reducer.expression)}
        )

        described = self.image if self.described is None else self.described

        def about(item: Any) -> ee.Dictionary:
            image = ee.Image(described(item) if callable(described) else described)
            return ee.Dictionary(
                {
                    "names": image.bandNames(),
                    "types": image.bandTypes(),
                    "projection": image.select(0).projection(),
                    "outputs": outputs,
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


def remarks(items: gpd.GeoDataFrame) -> tuple[str, ...]:
    """Return what is done to items that their user may want to know."""
    crs = items.crs
    if crs is None or crs == "EPSG:4326" or items.geometry.isna().all():
        return ()
    return (f"the items are in {crs.to_string()}; their vertices are sent in EPSG:4326",)
