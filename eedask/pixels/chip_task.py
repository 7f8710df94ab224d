"""The work of a plan of chips: for each item, its grid, its requests and its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from eedask.dataset.file_names import safe_name
from eedask.dataset.subfolders import Subfolders
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import Send, ask, compute_value, of_one_item
from eedask.errors import InputError, NoImageError, PermanentError
from eedask.expressions.compile import Expression, built_on_workers
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.pixels.chip_forecast import of_files
from eedask.pixels.chip_image import ChipImage, of_role
from eedask.pixels.descriptions import (
    TOGETHER,
    Known,
    Undescribed,
    batches,
    describe,
    halves,
    placeable,
)
from eedask.pixels.empty_items import learned, requests_of
from eedask.pixels.image_bands import bands_of
from eedask.pixels.layout import Layout
from eedask.pixels.many_grids import Places, grids, placed
from eedask.pixels.tiles import TileSizes
from eedask.run.forecast import Bounds, Forecast, jobs_of
from eedask.run.request_pool import Split
from eedask.run.task import Chip, File, Job, Sender

FOLDER = "chips"


@dataclass(frozen=True)
class ChipTask:
    """How every chip of a plan is asked for.

    Attributes
    ----------
    endpoint : Endpoint
    images : tuple of ChipImage
        One, or one for each role. An item has a file of each, and all files of an item have the
        same grid. A native grid, and the properties, are those of the first image.
    layout : Layout, optional
        How an item's grid is found; None where the images themselves are clipped and scaled to a
        region, so that only Earth Engine knows the grid.
    description : Expression, optional
        A dictionary that is asked for before the pixels of an item whose first image is its own:
        the image's projection, if the layout is native, and its properties, if any are wanted.
        None if neither is needed, or if all items share the image, as then ``prepare`` asks.
    subfolders : Subfolders
        The subfolders that files are written to.
    unique_case : bool
        Whether no two ids, or folder values, differ by case alone.
    properties : tuple of str
        Properties of the first image that the manifest is to have.
    native : NativeProjection, optional
        The projection of the first image, if all items share it; :meth:`prepare` asks for it.
    told : mapping, optional
        The properties of the first image, if all items share it; :meth:`prepare` asks for them.
    remarks : tuple of str
        What the user may want to know of the chips' pixels.
    """

    endpoint: Endpoint
    images: tuple[ChipImage, ...]
    layout: Layout | None
    description: Expression | None
    subfolders: Subfolders
    unique_case: bool
    properties: tuple[str, ...] = ()
    native: NativeProjection | None = None
    told: Mapping[str, Any] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def first(self) -> ChipImage:
        """The first image, whose grid and properties count for all."""
        return self.images[0]

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return any(image.expression.reason is not None for image in self.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        return self.remarks + built_on_workers(self.expressions)

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's images, by role; under "image" if there is only one."""
        return {image.role or "image": image.expression for image in self.images}

    def sizes(self) -> dict[str | None, TileSizes]:
        """Return, by role, what the chips of a process learn of the size of tiles that work."""
        return {image.role: TileSizes() for image in self.images}

    @property
    def schema(self) -> None:
        """None, as chips are files, not rows of a table."""
        return None

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ChipTask:
        """Ask about each image that all items share, and check that it has the bands needed.

        Where items without an image have files, learn what these hold.

        Returns
        -------
        ChipTask
            The task with the first image's grid, if the layout is native, and its properties, if
            any are wanted; and with what was learned.

        Raises
        ------
        InputError
            If an image lacks a band, or no picture can be made of its bands; or if the first image
            has no grid of its own, or one in a crs that pyproj cannot read; or if none of the
            examples has an image from which the bands could be learned.
        """
        prepared = self
        for image in self.images:
            if image.about is None:
                continue
            names = self.properties if image is self.first else ()
            request = compute_value(self.endpoint, image.about.encode(items[0]))
            with of_role(image.role):
                found = ask(send, request, partial(bands_of, names=names))
                image.check(found)
                if image is self.first:
                    native = None if found.projection is None else _placeable(found.projection)
                    prepared = replace(self, told=found.properties, native=native)
        images = tuple(learned(image, self.endpoint, send, items) for image in self.images)
        return replace(prepared, images=images)

    def sent_to(self, endpoint: Endpoint) -> ChipTask:
        """Return the same work with its requests sent elsewhere."""
        return replace(self, endpoint=endpoint)

    def ways(self) -> Mapping[str, ChipTask]:
        """Return nothing, as chips have no choice that an estimate could compare."""
        return {}

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: one about an image that all share.

        Of other images, some may be asked for one pixel.
        """
        about = Bounds.exactly(sum(image.about is not None for image in self.images))
        return sum((requests_of(image, samples) for image in self.images), start=about)

    def forecast(self, items: Sequence[WorkItem], size: int) -> Forecast:
        """Return what the items' chips are expected to take.

        With a native layout, it is not known yet where chips lie. Bounding boxes of items in
        another crs than the chips are converted by their corners only, so that the numbers of
        pixels are estimates.
        """
        places = placed(self.layout, items) if self.layout and self._is_placed else None
        found = of_files([self._of_files(image, items, places) for image in self.images])
        if places is not None:
            found = replace(found, cells=places.cells() if self._is_alike(items) else None)
        if self.description is not None:
            # One more request describes the images of several items of a partition.
            found = found.after(jobs_of(found.items, size, TOGETHER))
        return Forecast.total([found, Forecast.unasked(len(items) - found.items)])

    def _of_files(
        self, image: ChipImage, items: Sequence[WorkItem], places: Places | None
    ) -> Forecast:
        """Return what the files of one image are expected to take."""
        sizes = image.sizes(items[:1])
        if places is None:
            return sizes.of_chip(self._shape(items)).times(len(items))
        return sizes.of_chips(places.shapes[places.placed], about=places.about)

    def _shape(self, items: Sequence[WorkItem]) -> tuple[int, int] | None:
        """Return the rows and columns of all chips, if they are the same and known.

        Chips that Earth Engine cuts to a region state them in their expression.
        """
        return self.layout.shape if self.layout else self.first.stated_shape(items[:1])

    def _is_alike(self, items: Sequence[WorkItem]) -> bool:
        """Whether chips differ only in where they lie, so that larger cells could replace them."""
        fields = [image.expression.fields for image in self.images]
        return self._shape(items) is not None and all(
            one is not None and one <= {"geometry", "utm_crs"} for one in fields
        )

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield one job an item, or one for many whose images are to be described first.

        Grids are made here and not in the threads that send requests, because pyproj makes its
        transformers anew in every thread.
        """
        undescribed = []
        laid_out = self._laid_out(items)
        for item, grid in zip(items, laid_out, strict=True):
            if isinstance(grid, Exception):
                yield Job((item,), grid)
            elif self.description is None:
                yield Job((item,), Known(grid, properties=self.told))
            else:
                undescribed.append((item, grid))
        yield from batches(undescribed)

    def do(self, job: Job, sender: Sender) -> list[Chip] | Split:
        """Return the item's chip: all of its files, each from one request or several.

        If the images of the job's items have to be described first, ask for the descriptions, and
        return a job for each item that has its own.

        A chip of several requests is held in memory: decoded, with the tiles that are under way,
        and then as a file. There can be as many such chips at once as items are under way.

        Raises
        ------
        RequestError, InputError
            If one of the files cannot be fetched or made; the message names the role.
        """
        if isinstance(job.laid_out, Undescribed):
            return Split(self._described(job, sender))
        (item,), known = job.items, job.laid_out
        for image in self.images:
            with of_role(image.role):
                image.format.check_writes()
        known = replace(known, grid=self._grid(item, known))
        chips = [self._chip(image, item, known, sender) for image in self.images]
        # If Earth Engine works out the grid, which is the same for all files, only files of some
        # formats say what it is.
        placed = next((chip for chip in chips if chip.crs is not None), chips[0])
        files = tuple(file for chip in chips for file in chip.files)
        reasons = [str(chip.missing) for chip in chips if chip.missing is not None]
        missing = NoImageError("; ".join(reasons)) if reasons else None
        where = placed.height, placed.width, placed.crs, placed.transform
        return [Chip(files, *where, known.properties, missing)]

    def _described(self, job: Job, sender: Sender) -> list[Job]:
        """Return a job for each item of a job, with the description of its first image."""
        assert self.description is not None
        alone = len(job.items) == 1
        explained = of_one_item(only_images=True) if alone else contextlib.nullcontext()
        try:
            with of_role(self.first.role), explained:
                return describe(self.endpoint, self.description, self.properties, job, sender)
        except NoImageError as error:
            if self.first.masked_pixel is None:
                raise
            (grid,) = job.laid_out.grids
            nulls = dict.fromkeys(self.properties)
            return [Job(job.items, Known(grid, properties=nulls, missing=error))]

    def _chip(self, image: ChipImage, item: WorkItem, known: Known, sender: Sender) -> Chip:
        """Return an item's chip with the file of one image.

        If the grid is not known, where the pixels lie is read from the answer.
        """
        answer, missing = self._answer(image, item, known, sender)
        with of_role(image.role):
            found = known.grid or image.sent_as.grid_of(answer)
            data, bands = image.settled(answer, found)
            files = (File(self.path(image, item), data, bands, image.role),)
            if found is None:
                return Chip(files, *image.sent_as.shape_of(answer))
        return Chip(files, *found.shape, found.crs, found.transform, missing=missing)

    def _answer(
        self, image: ChipImage, item: WorkItem, known: Known, sender: Sender
    ) -> tuple[bytes, NoImageError | None]:
        """Return an answer with an item's pixels, and why all are masked if it has no image."""
        missing = known.missing if image is self.first else None
        if missing is None:
            try:
                with of_role(image.role), of_one_item(only_images=True):
                    sizes = sender.sizes[image.role]
                    return image.fetch(self.endpoint, item, known.grid, sender, sizes), None
            except NoImageError as error:
                if image.masked_pixel is None:
                    raise
                missing = error
        assert known.grid is not None
        with of_role(image.role):
            return image.masked(known.grid), missing

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return two halves of a job whose items cannot be described together; else nothing.

        A chip that is too large is not split here: :meth:`do` cuts it into tiles.
        """
        return halves(job, error) if isinstance(job.laid_out, Undescribed) else ()

    def _laid_out(self, items: Sequence[WorkItem]) -> Sequence[PixelGrid | Exception | None]:
        if not self._is_placed:
            return [None] * len(items)
        assert self.layout is not None
        return grids(self.layout, items)

    @property
    def _is_placed(self) -> bool:
        """Whether it is known where chips lie before Earth Engine is asked anything."""
        return self.layout is not None and not self.layout.lattice.is_native

    def path(self, image: ChipImage, item: WorkItem) -> str:
        """Return the path of the item's file of an image, relative to the dataset."""
        folder = FOLDER if image.role is None else f"{FOLDER}/{image.role}"
        name = f"{safe_name(item.id, unique_case=self.unique_case)}.{image.format.suffix}"
        return f"{folder}/{self.subfolders.path(item, unique_case=self.unique_case)}{name}"

    def _grid(self, item: WorkItem, known: Known) -> PixelGrid | None:
        """Return the grid of an item's chip; None if only Earth Engine knows it."""
        if self.layout is None or known.grid is not None:
            return known.grid
        own = self.native if known.projection is None else placeable(known.projection)
        return self.layout.grid(item, own)

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Raise InputError, with the reason, if chips of (rows, columns) cannot be made."""
        for image in self.images:
            with of_role(image.role):
                image.check_shape(shape)


def _placeable(projection: Mapping[str, Any]) -> NativeProjection:
    """Return the grid of an image that all items share; raise InputError if it cannot be used."""
    try:
        return placeable(projection)
    except PermanentError as error:
        raise InputError(str(error)) from error
