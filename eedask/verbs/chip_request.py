"""Checks the arguments of ``chips`` together, and makes the workers' task of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ee
import geopandas as gpd

from eedask.dataset.dataset import RESERVED
from eedask.dataset.file_names import differ_only_by_case
from eedask.dataset.question import Question
from eedask.dataset.roles import column_names, terms_by_role
from eedask.dataset.subfolders import Subfolders
from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError
from eedask.grid import Lattice
from eedask.items.from_earth_engine import property_names
from eedask.items.item import WorkItem, sample_items
from eedask.pixels.chip_image import ChipImage, of_role
from eedask.pixels.chip_task import ChipTask
from eedask.pixels.descriptions import PROJECTION, PROPERTIES, property_keys
from eedask.pixels.resampling import moved_pixels
from eedask.verbs.chip_extent import ChipExtent
from eedask.verbs.image_request import ImageRequest


@dataclass(frozen=True)
class ChipRequest:
    """The arguments of :func:`eedask.chips` that determine the chips, checked together.

    Raises
    ------
    InputError
        If one of them cannot be used, or they do not fit each other.
    """

    extent: ChipExtent
    images: tuple[ImageRequest, ...]
    folder_by: str | Sequence[str] | None = None
    folder_missing: str | None = None
    properties: Sequence[str] = ()

    def __post_init__(self) -> None:
        _ = self._names, self._subfolders
        if len(self.images) > 1 and self.extent.region is not None and self.extent.crs is None:
            raise InputError(
                "with region=, images of several roles get the same grid only if a crs is stated:"
                " give crs="
            )

    @property
    def needs_geometry(self) -> bool:
        """Whether the chips lie around the items' own geometries."""
        return self.extent.region is None

    @property
    def reserved(self) -> tuple[str, ...]:
        """Names of columns that the items cannot have."""
        return (*RESERVED, *column_names([i.role for i in self.images if i.role is not None]))

    @property
    def _names(self) -> tuple[str, ...]:
        """The properties of images that the manifest is to have, each once."""
        return property_names(self.properties)

    @cached_property
    def _subfolders(self) -> Subfolders:
        return Subfolders.of(self.folder_by, self.folder_missing)

    def task(self, items: gpd.GeoDataFrame, endpoint: Endpoint) -> tuple[ChipTask, Question]:
        """Return the task of the workers, and all that determines its results.

        Parameters
        ----------
        items : GeoDataFrame
            Checked items, see :func:`~eedask.items.check.check_items`.
        endpoint : Endpoint
            Where requests go.

        Returns
        -------
        ChipTask
        Question
            Equal for plans that have the same results; a dataset is resumed by it.
        """
        self._subfolders.check(items)
        self.extent.check_items(items)
        samples, layout = sample_items(items), self.extent.layout
        images = self._chip_images(samples)
        if self.extent.is_native and images[0].blanks:
            raise InputError(
                "with crs='native', chips lie on the grid of each item's own image, and an item"
                " without an image has none: for empty='nodata', state crs= and scale= (or"
                " crs_transform=)"
            )
        description = None
        if images[0].about is None and (self.extent.is_native or self._names):
            description = self.images[0].question(self._told_of, samples)
        task = ChipTask(
            endpoint=endpoint,
            images=images,
            layout=layout,
            description=description,
            subfolders=self._subfolders,
            unique_case=not self._case_matters(items),
            properties=self._names,
            remarks=_remarks(None if layout is None else layout.lattice, images, samples),
        )
        if self.extent.rows_columns is not None and layout is not None:
            task.check_shape(self.extent.rows_columns)
        return task, Question(self._terms(), task.expressions, self._uses())

    def _chip_images(self, samples: list[WorkItem]) -> tuple[ChipImage, ...]:
        """Return the images. Of the first, more is asked for than its bands: grid, properties."""
        images = []
        for number, request in enumerate(self.images):
            with of_role(request.role):
                more = _nothing_of if number else self._told_of
                images.append(request.chip_image(samples, more))
        return tuple(images)

    def _uses(self) -> frozenset[str]:
        """Return the fields of an item that a chip depends on besides those its images use."""
        found = {"geometry"} if self.extent.region is None else set()
        return frozenset(found | {f"column:{name}" for name in self._subfolders.columns})

    def _terms(self) -> dict[str, Any]:
        return {
            "verb": "chips",
            **terms_by_role({image.role: image.terms() for image in self.images}),
            **self.extent.terms(),
            "folder_by": self._subfolders.columns,
            "folder_missing": self.folder_missing,
            "properties": self._names,
        }

    def _case_matters(self, items: gpd.GeoDataFrame) -> bool:
        return differ_only_by_case(items.index) or self._subfolders.differ_only_by_case(items)

    def _told_of(self, image: ee.Image) -> dict[str, Any]:
        """Return what has to be known of the first image before pixels are asked for."""
        told: dict[str, Any] = {}
        if self.extent.is_native:
            bands, _ = self.images[0].bands_and_look
            told[PROJECTION] = image.select(bands[0] if bands else 0).projection()
        if self._names:
            # As properties of a feature, as some of them may be null.
            keys = property_keys(self._names)
            told[PROPERTIES] = ee.Feature(None, {key: image.get(keys[key]) for key in keys})
        return told


def _remarks(
    lattice: Lattice | None, images: Sequence[ChipImage], samples: Sequence[WorkItem]
) -> tuple[str, ...]:
    """Return notes for the user about the chips' pixels, each once."""
    found = [image.remarks(samples) for image in images]
    if lattice is not None:
        found += [moved_pixels(lattice, image.expression, samples) for image in images]
    return tuple(dict.fromkeys(note for notes in found for note in notes))


def _nothing_of(image: ee.Image) -> dict[str, Any]:
    return {}
