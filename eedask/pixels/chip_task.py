"""The work of a plan of chips: for each item, its grid, its requests and its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.dataset.file_names import safe_name
from eedask.dataset.subfolders import Subfolders
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import Send, ask, compute_value, of_one_item, projection_of
from eedask.errors import InputError, PermanentError
from eedask.expressions.compile import Expression, built_on_workers
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.image_bands import bands_of
from eedask.pixels.layout import Layout
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
    projection : Expression, optional
        The projection of an item's own image, if the layout is native.
    format : ImageFormat
    method : str
    bands : tuple of str
    visualization : Visualization, optional
    subfolders : Subfolders
        Those that files lie in.
    unique_case : bool
        Whether no two ids, or folder values, differ by case alone.
    limits : Limits, optional
        How large a request and a chip may be; those of the method when None.
    native : NativeProjection, optional
        The projection of the image, if all items share one; :meth:`prepare` asks for it.
    """

    endpoint: Endpoint
    image: Expression
    layout: Layout | None
    about: Expression | None
    projection: Expression | None
    format: ImageFormat
    method: str
    bands: tuple[str, ...]
    visualization: Visualization | None
    subfolders: Subfolders
    unique_case: bool
    limits: Limits | None = None
    native: NativeProjection | None = None

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return self.image.reason is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        return built_on_workers({"image": self.image})

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
            With the image's grid, if the layout is native.

        Raises
        ------
        InputError
            If the image lacks a band, or its bands make no picture; or if it has no grid of its
            own, or one in a crs that cannot be read here.
        """
        if self.about is None:
            return self
        found = ask(send, compute_value(self.endpoint, self.about.encode(items[0])), bands_of)
        found.check(self.bands)
        if self.format.is_visual and self.visualization is None:
            found.check_drawable(self.bands, self.format)
        if found.projection is None:
            return self
        try:
            return replace(self, native=_placeable(found.projection))
        except PermanentError as error:
            raise InputError(str(error)) from error

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield one job an item, with its grid unless Earth Engine has to be asked for it.

        Grids are made here and not in the threads that send requests, because pyproj makes its
        transformers anew in every thread.
        """
        for item in items:
            yield Job((item,), self._laid_out(item))

    def do(self, job: Job, sender: Sender) -> list[File]:
        """Return the item's chip, of one request or put together of several.

        A chip of one request is the very file that Earth Engine sent. One of several is held in
        memory decoded, with the tiles under way beside it, and then as a file: as many of them at
        once as there are items under way.

        Raises
        ------
        RequestError, InputError
            If the chip cannot be had.
        """
        (item,) = job.items
        with of_one_item():
            grid = job.laid_out or self._native_grid(item, sender)
            expression = self.image.encode(item)
            query = PixelQuery(expression, self.format, grid, self.bands, self.visualization)
            return [self._file(self.path(item), self._pixels(query, sender), grid)]

    def _file(self, path: str, data: bytes, grid: PixelGrid | None) -> File:
        """Return a chip's file; where its pixels lie is read from it if it was not asked for."""
        if grid is None and (grid := self.format.grid_of(data)) is None:
            return File(path, data, *self.format.shape_of(data))
        return File(path, data, *grid.shape, grid.crs, grid.transform)

    def split(self, job: Job, error: Exception) -> tuple[Job, ...]:
        """Return no jobs: :meth:`do` itself cuts a chip that is too large into tiles."""
        return ()

    def _laid_out(self, item: WorkItem) -> PixelGrid | Exception | None:
        if self.layout is None or self.layout.lattice.is_native:
            return None
        try:
            return self.layout.grid(item)
        except Exception as error:
            return error

    def path(self, item: WorkItem) -> str:
        """Return the path of the item's file, relative to the dataset."""
        name = f"{safe_name(item.id, unique_case=self.unique_case)}.{self.format.suffix}"
        return f"{FOLDER}/{self.subfolders.path(item, unique_case=self.unique_case)}{name}"

    def _native_grid(self, item: WorkItem, sender: Sender) -> PixelGrid | None:
        if self.layout is None:
            return None
        native = self.native
        if native is None:
            native = _placeable(self._projection_info(item, sender.ask))
        return self.layout.grid(item, native)

    def _projection_info(self, item: WorkItem, send: Send) -> Mapping[str, Any]:
        """Return what Earth Engine answers for the projection of an item's image."""
        assert self.projection is not None
        request = compute_value(self.endpoint, self.projection.encode(item))
        return ask(send, request, projection_of)

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Raise InputError, with the reason, if no chip of (rows, columns) can be had."""
        check_chip(shape, self._least_bands, self.format, self._limits)

    @property
    def _limits(self) -> Limits:
        of_method = PIXEL_LIMITS if self.method == COMPUTE_PIXELS else URL_LIMITS
        return self.limits or of_method

    @property
    def _least_bands(self) -> int:
        """How many bands come back, as far as that is known before asking."""
        coloured = self.visualization is not None and self.visualization.palette
        return 3 if coloured else max(1, len(self.bands))

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
            self.format,
            self._limits,
            self._least_bands,
            sender.sizes,
        )

    def _answer(self, query: PixelQuery, sender: Sender, *, is_tile: bool = False) -> bytes:
        """Return the file of the pixels, checked; a tile's is joined with others."""
        grid = query.grid
        bands = () if query.visualization is not None else query.bands

        def check(data: bytes) -> None:
            self.format.check(data, None if grid is None else grid.shape, bands, grid)
            if grid is None:
                with self.format.reading(data):
                    self.format.grid_of(data)
            elif is_tile:
                self.format.check_tile(data)

        if self.method == COMPUTE_PIXELS:
            request = compute_pixels(self.endpoint, query)
        else:
            name = ask(sender.send, create_thumbnail(self.endpoint, query), name_of_thumbnail)
            request = get_thumbnail(name, query)
        grid = query.grid
        if grid is not None and divisible(grid.shape, self.format, self._limits):
            request = replace(request, divisible=True)
        return sender.send(request, check)


def _placeable(info: Mapping[str, Any]) -> NativeProjection:
    """Return an image's grid; raise PermanentError if pixels cannot be placed on it."""
    native = NativeProjection.from_info(info)
    native.check_readable()
    return native
