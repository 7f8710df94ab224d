"""One image of a plan of chips: how its pixels are asked for, checked, and put into files."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import Send, ask
from eedask.errors import EedaskError, TransientError
from eedask.expressions.compile import Expression
from eedask.expressions.graph import graphs
from eedask.grid import PixelGrid, Window
from eedask.items.item import WorkItem
from eedask.pixels.chip_forecast import ChipSizes
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import Masking
from eedask.pixels.image_bands import ImageBands
from eedask.pixels.known_pixels import KnownPixels, before_masks, known_pixels, stated_shape
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
from eedask.run.forecast import Bounds
from eedask.run.task import Sender

COMPUTE_PIXELS = "compute_pixels"
# The two URL ways differ in the formats that the Earth Engine client gives them.
URL_METHODS = {"thumb_url": True, "download_url": False}
METHODS = (COMPUTE_PIXELS, *URL_METHODS)


@dataclass(frozen=True)
class ChipImage:
    """An image, and how files are made of its pixels.

    Attributes
    ----------
    expression : Expression
        The image. For formats of data, it has further bands that say where it is masked; see
        :mod:`eedask.pixels.formats.masking`.
    about : Expression, optional
        A dictionary with the names and types of its bands, which is asked for once. None if each
        item has an image of its own.
    format : ImageFormat
    method : str
        One of :data:`METHODS`.
    bands : tuple of str
        The bands that the user names; empty for all bands.
    visualization : Visualization, optional
    masking : Masking
        How files of data say which pixels are masked.
    has_grid : bool
        Whether requests state the grid of the pixels. False if the expression itself is clipped
        and scaled to a region, so that only Earth Engine knows the grid.
    role : str, optional
        The image's role; None if chips have only one image.
    blanks : tuple of Expression
        Images that are masked everywhere, by which it is learned what the files of items without an
        image hold; see :mod:`~eedask.pixels.empty_items`. Empty if such items fail.
    masked_pixel : bytes, optional
        The answer that was learned from one of them, with one pixel.
    limits : Limits, optional
        How large a request and a chip may be; the limits of the method when None.
    """

    expression: Expression
    about: Expression | None
    format: ImageFormat
    method: str
    bands: tuple[str, ...]
    visualization: Visualization | None
    masking: Masking
    has_grid: bool
    role: str | None = None
    blanks: tuple[Expression, ...] = ()
    masked_pixel: bytes | None = None
    limits: Limits | None = None

    @functools.cached_property
    def sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.format.sent_as(has_grid=self.has_grid)

    def check(self, found: ImageBands) -> None:
        """Raise InputError unless files as asked for can be made of an image with these bands."""
        found.check(self.bands)
        if self.masking.nodata is not None:
            found.check_nodata(self.bands, self.masking.nodata)
        if self.format.is_visual and self.visualization is None:
            found.check_drawable(self.bands, self.format)

    def remarks(self, items: Sequence[WorkItem]) -> tuple[str, ...]:
        """Return a note for the user if nobody asks whether a picture can hold the bands' values.

        Parameters
        ----------
        items : sequence of WorkItem
            A few, as examples.
        """
        if self.about is not None or not self.format.is_visual or self.visualization is not None:
            return ()
        seen = graphs(self.expression, items)
        if seen and known_pixels(seen[0]).value_bytes == Bounds.exactly(1):
            return ()
        return (
            f"{self.format.name} files hold whole numbers from 0 to 255, and nobody asks whether"
            " the bands of each item's own image do: unless they are 8-bit, state"
            " vis_params={'min': …, 'max': …}, or values may be cut without a sign of it",
        )

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Raise InputError, with the reason, if chips of (rows, columns) cannot be made."""
        check_chip(shape, self._least_bands, self.format.on_grid, self._limits)

    def fetch(
        self,
        endpoint: Endpoint,
        item: WorkItem,
        grid: PixelGrid | None,
        sender: Sender,
        sizes: TileSizes,
    ) -> bytes:
        """Return Earth Engine's answer with an item's pixels, in the format :attr:`sent_as`.

        If one request is not enough, it is joined from the answers of several; see
        :func:`~eedask.pixels.tiles.fetch_tiled`.
        """
        query = self._query(self.expression, item, grid)
        if grid is None:
            # The grid is known to Earth Engine only, so it cannot be cut into tiles here.
            return self._answer(endpoint, query, sender.send)

        def answer(part: PixelGrid) -> bytes:
            if part is grid:
                return self._answer(endpoint, query, sender.send)
            return self._answer(endpoint, replace(query, grid=part), sender.send, is_tile=True)

        return fetch_tiled(
            answer,
            sender.recruit,
            grid,
            self.format.on_grid,
            self._limits,
            self._least_bands,
            sizes,
        )

    def fetch_blank(
        self, endpoint: Endpoint, blank: Expression, item: WorkItem, pixel: PixelGrid, send: Send
    ) -> bytes:
        """Return Earth Engine's answer with one pixel of an image of :attr:`blanks`."""
        return self._answer(endpoint, self._query(blank, item, pixel), send, is_tile=True)

    def masked(self, grid: PixelGrid) -> bytes:
        """Return what :meth:`fetch` would return for a grid on which all is masked.

        It is joined from :attr:`masked_pixel` alone: what joiners leave open is masked as well.
        """
        assert self.masked_pixel is not None
        self.check_shape(grid.shape)
        joiner = self.format.on_grid.join(grid, self._limits.chip_bytes)
        joiner.add(Window(0, 0, (1, 1)), self.masked_pixel)
        return joiner.finish()

    def settled(self, answer: bytes, grid: PixelGrid | None) -> tuple[bytes, dict[str, str]]:
        """Return the file to write, and the types of its bands by their names.

        A picture from a single request is written exactly as Earth Engine sent it.

        Parameters
        ----------
        answer : bytes
            What :meth:`fetch` returned.
        grid : PixelGrid, optional
            Where its pixels lie, if that is known.
        """
        found = self.sent_as.bands_in(answer)
        count = 0 if found is None else len(self.bands) or found // 2
        data = self.format.settle(answer, self.sent_as, self.masking, count, grid)
        named = () if self.visualization is not None else self.bands
        return data, self.format.bands_of(data, named)

    def _query(self, image: Expression, item: WorkItem, grid: PixelGrid | None) -> PixelQuery:
        return PixelQuery(image.encode(item), self.sent_as, grid, self._sent, self.visualization)

    def _answer(
        self, endpoint: Endpoint, query: PixelQuery, send: Send, *, is_tile: bool = False
    ) -> bytes:
        """Return the checked answer to a query.

        Tiles are checked to the last pixel here, as they are joined with others afterwards.
        """
        grid = query.grid
        can_be_cut = grid is not None and divisible(grid.shape, self._limits)
        if self.method == COMPUTE_PIXELS:
            request = compute_pixels(endpoint, query, divisible=can_be_cut)
        else:
            name = ask(send, create_thumbnail(endpoint, query), name_of_thumbnail)
            request = get_thumbnail(name, query, divisible=can_be_cut)
        return send(request, _check_of(query, is_tile=is_tile))

    @functools.cached_property
    def _sent(self) -> tuple[str, ...]:
        """The names of the bands that are asked for; of data, those of the masks included."""
        return (*self.bands, *self.sent_as.mask_names(self.bands))

    @functools.cached_property
    def _limits(self) -> Limits:
        of_method = PIXEL_LIMITS if self.method == COMPUTE_PIXELS else URL_LIMITS
        return self.limits or of_method

    @functools.cached_property
    def _least_bands(self) -> int:
        """The least number of bands that the answer can have, as far as is known before asking."""
        coloured = self.visualization is not None and self.visualization.palette
        return 3 if coloured else max(1 if self.format.is_visual else 2, len(self._sent))

    def stated_shape(self, items: Sequence[WorkItem]) -> tuple[int, int] | None:
        """Return the rows and columns that the expression itself states; None if it states none."""
        seen = graphs(self.expression, items)
        return stated_shape(seen[0]) if seen else None

    def sizes(self, items: Sequence[WorkItem]) -> ChipSizes:
        """Return what is needed to count requests, as far as it can be read from the expression.

        Parameters
        ----------
        items : sequence of WorkItem
            Examples; the first one is used.
        """
        seen, drawn = graphs(self.expression, items), self.format.is_visual
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
            is_tiled=self.has_grid,
        )

    def _drawn(self, bands: Bounds) -> Bounds:
        """Return how many bands a picture of so many bands has: one, or three colours."""
        if self._least_bands == 3 or bands == Bounds.exactly(3):
            return Bounds.exactly(3)
        return bands if bands.is_exact else Bounds(1, 3)


def of_role(role: str | None) -> contextlib.AbstractContextManager[None]:
    """Put the role before the messages of errors in the ``with`` block; nothing if it is None."""
    return contextlib.nullcontext() if role is None else _of_role(role)


@contextlib.contextmanager
def _of_role(role: str) -> Iterator[None]:
    try:
        yield
    except EedaskError as error:
        raise error.of(f"role {role!r}") from error


def _check_of(query: PixelQuery, *, is_tile: bool) -> Callable[[bytes], None]:
    """Return a function that checks the answer to a query.

    It raises TransientError unless the answer is complete and has what was asked for.
    """
    sent_as, grid = query.format, query.grid
    bands = () if query.visualization is not None else query.bands

    def check(data: bytes) -> None:
        sent_as.check(data, None if grid is None else grid.shape, bands)
        if not bands and (sent_as.bands_in(data) or 0) % 2:
            raise TransientError("the image does not have as many bands of masks as of values")
        if grid is None:
            with sent_as.reading(data):
                sent_as.grid_of(data)
        # These are read in this process afterwards; a file that cannot be read is asked for again.
        if is_tile or (grid is None and not sent_as.is_visual):
            sent_as.check_values(data)

    return check
