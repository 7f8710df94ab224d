"""The work of a plan of chips: for each item, its grid, its requests and its file."""

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
from eedask.errors import InputError, PermanentError, TransientError
from eedask.expressions.compile import Expression, built_on_workers
from eedask.expressions.graph import Part, graphs
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.pixels.chip_forecast import ChipSizes
from eedask.pixels.descriptions import (
    TOGETHER,
    Known,
    Undescribed,
    batches,
    describe,
    halves,
    placeable,
)
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import Masking
from eedask.pixels.image_bands import bands_of
from eedask.pixels.known_pixels import (
    KnownPixels,
    before_masks,
    known_pixels,
    stated_shape,
)
from eedask.pixels.layout import Layout
from eedask.pixels.many_grids import grids, placed
from eedask.pixels.query import (
    PIXEL_LIMITS,
    URL_LIMITS,
    Limits,
    PixelQuery,
    compute_pixels,
    create_thumbnail,
    get_thumbnail,
    name_of_thumbnail,
)
from eedask.pixels.tiles import TileSizes, check_chip, divisible, fetch_tiled
from eedask.pixels.visualization import Visualization
from eedask.run.forecast import Bounds, Forecast, jobs_of
from eedask.run.request_pool import Split
from eedask.run.task import File, Job, Sender

COMPUTE_PIXELS = "compute_pixels"
# The two URL ways differ in the formats that the Earth Engine client gives them.
URL_METHODS = {"thumb_url": True, "download_url": False}
METHODS = (COMPUTE_PIXELS, *URL_METHODS)
FOLDER = "chips"


@dataclass(frozen=True)
class ChipTask:
    """How every chip of a plan is asked for.

    Attributes
    ----------
    endpoint : Endpoint
    image : Expression
    layout : Layout, optional
        How an item's grid is found; None where the image itself is clipped and scaled to a region,
        so that only Earth Engine knows the grid.
    about : Expression, optional
        The names and types of the image's bands, and its projection if the layout is native; None
        where each item has an image of its own.
    description : Expression, optional
        What is to be known of an item's own image before its pixels are asked for: its projection,
        if the layout is native, and its properties, if any are wanted; None where nothing is.
    format : ImageFormat
    method : str
    bands : tuple of str
        Those that the user names; empty for all.
    visualization : Visualization, optional
    subfolders : Subfolders
        Those that files lie in.
    masking : Masking
        How files of data say which pixels are masked.
    unique_case : bool
        Whether no two ids, or folder values, differ by case alone.
    properties : tuple of str
        Properties of the image that the manifest is to have.
    limits : Limits, optional
        How large a request and a chip may be; those of the method when None.
    native : NativeProjection, optional
        The projection of the image, if all items share one; :meth:`prepare` asks for it.
    told : mapping, optional
        The properties of the image, if all items share one; :meth:`prepare` asks for them.
    remarks : tuple of str
        What the user may want to know of the chips' pixels.
    """

    endpoint: Endpoint
    image: Expression
    layout: Layout | None
    about: Expression | None
    description: Expression | None
    format: ImageFormat
    method: str
    bands: tuple[str, ...]
    visualization: Visualization | None
    subfolders: Subfolders
    masking: Masking
    unique_case: bool
    properties: tuple[str, ...] = ()
    limits: Limits | None = None
    native: NativeProjection | None = None
    told: Mapping[str, Any] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return self.image.reason is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        return self.remarks + built_on_workers(self.expressions)

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """What the user stated the work in, by what the user calls it."""
        return {"image": self.image}

    def sizes(self) -> TileSizes:
        """Return what the chips of one process share: the size of tiles that work."""
        return TileSizes()

    @property
    def schema(self) -> None:
        """None, as chips are files, not rows of a table."""
        return None

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ChipTask:
        """See that the image that all items share has the bands that the chips need.

        Returns
        -------
        ChipTask
            With the image's grid, if the layout is native, and its properties, if any are wanted.

        Raises
        ------
        InputError
            If the image lacks a band, or its bands make no picture; or if it has no grid of its
            own, or one in a crs that cannot be read here.
        """
        if self.about is None:
            return self
        request = compute_value(self.endpoint, self.about.encode(items[0]))
        found = ask(send, request, partial(bands_of, names=self.properties))
        found.check(self.bands)
        if self.masking.nodata is not None:
            found.check_nodata(self.bands, self.masking.nodata)
        if self.format.is_visual and self.visualization is None:
            found.check_drawable(self.bands, self.format)
        known = replace(self, told=found.properties)
        if found.projection is None:
            return known
        try:
            return replace(known, native=placeable(found.projection))
        except PermanentError as error:
            raise InputError(str(error)) from error

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: one about an image that all share."""
        return Bounds.exactly(0 if self.about is None else 1)

    def forecast(self, items: Sequence[WorkItem], size: int) -> Forecast:
        """Return what the items' chips are expected to take.

        Where a chip lies is not known before the grid of a native layout is. Boxes that are not in
        the crs of the chips are placed by their corners alone, so that pixels are estimates.
        """
        seen = graphs(self.image, items[:1])
        sizes, shape = self._sizes_of(seen), self._shape_of(seen)
        found = sizes.of_chip(shape).times(len(items))
        if self._is_placed:
            assert self.layout is not None
            places = placed(self.layout, items)
            found = sizes.of_chips(places.shapes[places.placed], about=places.about)
            fields = self.image.fields
            # Chips of one size can be cut out of cells of that size, unless images differ by more.
            alike = shape is not None and fields is not None and fields <= {"geometry", "utm_crs"}
            found = replace(found, cells=places.cells() if alike else None)
        if self.description is not None:
            # Their images are described together, those of a partition.
            found = found.after(jobs_of(found.items, size, TOGETHER))
        return Forecast.total([found, Forecast.unasked(len(items) - found.items)])

    def _shape_of(self, seen: Sequence[Part]) -> tuple[int, int] | None:
        """Return the rows and columns of chips whose grid is not known yet, if all have the same.

        Those that Earth Engine cuts to a region have them in their expression.
        """
        if self.layout is not None:
            return self.layout.shape
        return stated_shape(seen[0]) if seen else None

    def _sizes_of(self, seen: Sequence[Part]) -> ChipSizes:
        drawn = self.format.is_visual
        image = (seen[0] if drawn else before_masks(seen[0])) if seen else None
        known = KnownPixels() if image is None else known_pixels(image)
        if self.bands:
            known = replace(known, bands=Bounds.exactly(len(self.bands)))
        if drawn:
            known = KnownPixels(self._drawn(known.bands), Bounds.exactly(1))
        else:
            names = self.sent_as.mask_names(self.bands)
            known = known.with_masks(names, of_one_type=self.sent_as.has_one_type)
        return ChipSizes(
            known,
            self._limits,
            self._least_bands,
            a_tile=1 if self.method == COMPUTE_PIXELS else 2,
            is_tiled=self.layout is not None,
        )

    def _drawn(self, bands: Bounds) -> Bounds:
        """Return how many bands a picture has: one, or three colours."""
        if self._least_bands == 3 or bands == Bounds.exactly(3):
            return Bounds.exactly(3)
        return bands if bands.is_exact else Bounds(1, 3)

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

    def do(self, job: Job, sender: Sender) -> list[File] | Split:
        """Return the item's chip, of one request or put together of several.

        Of a job whose images are to be described first, return a job for each item, with that.

        A picture of one request is the very file that Earth Engine sent. A chip of several is held
        in memory decoded, with the tiles under way beside it, and then as a file: as many of them
        at once as there are items under way.

        Raises
        ------
        RequestError, InputError
            If the chip cannot be had.
        """
        if isinstance(job.laid_out, Undescribed):
            assert self.description is not None
            with self._explained(job):
                wanted = self.description, self.properties
                return Split(describe(self.endpoint, *wanted, job, sender))
        (item,), known = job.items, job.laid_out
        with self._explained(job):
            self.format.check_writes()
            grid = self._grid(item, known)
            expression = self.image.encode(item)
            query = PixelQuery(expression, self.sent_as, grid, self._sent, self.visualization)
            file = self._file(self.path(item), self._pixels(query, sender), grid)
            return [replace(file, properties=known.properties)]

    def _explained(self, job: Job) -> contextlib.AbstractContextManager[None]:
        """Explain the refusal of a request that is one item's; see :func:`of_one_item`."""
        alone = len(job.items) == 1
        return of_one_item(only_images=True) if alone else contextlib.nullcontext()

    def _file(self, path: str, answer: bytes, grid: PixelGrid | None) -> File:
        """Return a chip's file; where its pixels lie is read from the answer if not asked for."""
        found = self.sent_as.bands_in(answer)
        count = 0 if found is None else len(self.bands) or found // 2
        grid = grid or self.sent_as.grid_of(answer)
        data = self.format.settle(answer, self.sent_as, self.masking, count, grid)
        bands = self.format.bands_of(data, () if self.visualization is not None else self.bands)
        if grid is None:
            return File(path, data, *self.sent_as.shape_of(answer), bands=bands)
        return File(path, data, *grid.shape, grid.crs, grid.transform, bands)

    @property
    def _sent(self) -> tuple[str, ...]:
        """The bands that are asked for by name: of data, with those of their masks."""
        return (*self.bands, *self.sent_as.mask_names(self.bands))

    @property
    def sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.format.sent_as(has_grid=self.layout is not None)

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return the halves of a job whose items cannot be described together.

        Chips that are too large :meth:`do` itself cuts into tiles.
        """
        return halves(job, error) if isinstance(job.laid_out, Undescribed) else ()

    def _laid_out(self, items: Sequence[WorkItem]) -> Sequence[PixelGrid | Exception | None]:
        if not self._is_placed:
            return [None] * len(items)
        assert self.layout is not None
        return grids(self.layout, items)

    @property
    def _is_placed(self) -> bool:
        """Whether chips are placed before Earth Engine tells anything."""
        return self.layout is not None and not self.layout.lattice.is_native

    def path(self, item: WorkItem) -> str:
        """Return the path of the item's file, relative to the dataset."""
        name = f"{safe_name(item.id, unique_case=self.unique_case)}.{self.format.suffix}"
        return f"{FOLDER}/{self.subfolders.path(item, unique_case=self.unique_case)}{name}"

    def _grid(self, item: WorkItem, known: Known) -> PixelGrid | None:
        """Return the grid of an item's chip; None if only Earth Engine knows it."""
        if self.layout is None or known.grid is not None:
            return known.grid
        own = self.native if known.projection is None else placeable(known.projection)
        return self.layout.grid(item, own)

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Raise InputError, with the reason, if no chip of (rows, columns) can be had."""
        check_chip(shape, self._least_bands, self.format.on_grid, self._limits)

    @property
    def _limits(self) -> Limits:
        of_method = PIXEL_LIMITS if self.method == COMPUTE_PIXELS else URL_LIMITS
        return self.limits or of_method

    @property
    def _least_bands(self) -> int:
        """How many bands come back, as far as that is known before asking."""
        coloured = self.visualization is not None and self.visualization.palette
        return 3 if coloured else max(1 if self.format.is_visual else 2, len(self._sent))

    def _pixels(self, query: PixelQuery, sender: Sender) -> bytes:
        if query.grid is None:
            # The expression itself states the grid, so that there is nothing to cut.
            return self._answer(query, sender)

        def ask(grid: PixelGrid) -> bytes:
            if grid is query.grid:
                return self._answer(query, sender)
            return self._answer(replace(query, grid=grid), sender, is_tile=True)

        return fetch_tiled(
            ask,
            sender.recruit,
            query.grid,
            self.format.on_grid,
            self._limits,
            self._least_bands,
            sender.sizes,
        )

    def _answer(self, query: PixelQuery, sender: Sender, *, is_tile: bool = False) -> bytes:
        """Return the file of the pixels, checked; a tile's is joined with others."""
        grid = query.grid
        bands = () if query.visualization is not None else query.bands

        def check(data: bytes) -> None:
            sent_as = query.format
            sent_as.check(data, None if grid is None else grid.shape, bands)
            if not bands and (sent_as.bands_in(data) or 0) % 2:
                raise TransientError("the image does not have as many bands of masks as of values")
            if grid is None:
                with sent_as.reading(data):
                    sent_as.grid_of(data)
            # These are read here, once they are taken for whole.
            if is_tile or (grid is None and not sent_as.is_visual):
                sent_as.check_values(data)

        if self.method == COMPUTE_PIXELS:
            request = compute_pixels(self.endpoint, query)
        else:
            name = ask(sender.send, create_thumbnail(self.endpoint, query), name_of_thumbnail)
            request = get_thumbnail(name, query)
        grid = query.grid
        if grid is not None and divisible(grid.shape, self._limits):
            request = replace(request, divisible=True)
        return sender.send(request, check)
