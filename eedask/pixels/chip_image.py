"""An image of which chips are made: how its pixels are asked for, checked, and put into a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import ask
from eedask.errors import EedaskError, TransientError
from eedask.expressions.compile import Expression
from eedask.expressions.graph import graphs
from eedask.grid import PixelGrid
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
    """An image, and the files that are made of it.

    Attributes
    ----------
    expression : Expression
        Of the image; of data, with what tells where it is masked.
    about : Expression, optional
        What is asked once: the names and types of its bands. None where each item has an image of
        its own.
    format : ImageFormat
    method : str
    bands : tuple of str
        Those that the user names; empty for all.
    visualization : Visualization, optional
    masking : Masking
        How files of data say which pixels are masked.
    has_grid : bool
        Whether it is asked for on a grid. False where the expression itself is clipped and scaled
        to a region, so that only Earth Engine knows the grid.
    role : str, optional
        What the user calls it; None where chips have one image only.
    limits : Limits, optional
        How large a request and a chip may be; those of the method when None.
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
    limits: Limits | None = None

    @property
    def sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.format.sent_as(has_grid=self.has_grid)

    def check(self, found: ImageBands) -> None:
        """Raise InputError unless an image with these bands makes the files that are wanted."""
        found.check(self.bands)
        if self.masking.nodata is not None:
            found.check_nodata(self.bands, self.masking.nodata)
        if self.format.is_visual and self.visualization is None:
            found.check_drawable(self.bands, self.format)

    def check_shape(self, shape: tuple[int, int]) -> None:
        """Raise InputError, with the reason, if no chip of (rows, columns) can be had."""
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

        It is of one request, or put together of several; see
        :func:`~eedask.pixels.tiles.fetch_tiled`.
        """
        query = PixelQuery(
            self.expression.encode(item), self.sent_as, grid, self._sent, self.visualization
        )
        if grid is None:
            # The expression itself states the grid, so that there is nothing to cut.
            return self._answer(endpoint, query, sender)

        def answer(part: PixelGrid) -> bytes:
            if part is grid:
                return self._answer(endpoint, query, sender)
            return self._answer(endpoint, replace(query, grid=part), sender, is_tile=True)

        return fetch_tiled(
            answer,
            sender.recruit,
            grid,
            self.format.on_grid,
            self._limits,
            self._least_bands,
            sizes,
        )

    def settled(self, answer: bytes, grid: PixelGrid | None) -> tuple[bytes, dict[str, str]]:
        """Return the file to keep of an answer, and the types of its bands by their names.

        A picture of one request is the very file that Earth Engine sent.
        """
        found = self.sent_as.bands_in(answer)
        count = 0 if found is None else len(self.bands) or found // 2
        data = self.format.settle(answer, self.sent_as, self.masking, count, grid)
        named = () if self.visualization is not None else self.bands
        return data, self.format.bands_of(data, named)

    def _answer(
        self, endpoint: Endpoint, query: PixelQuery, sender: Sender, *, is_tile: bool = False
    ) -> bytes:
        """Return the file of the pixels, checked; a tile's is joined with others."""
        grid = query.grid
        if self.method == COMPUTE_PIXELS:
            request = compute_pixels(endpoint, query)
        else:
            name = ask(sender.send, create_thumbnail(endpoint, query), name_of_thumbnail)
            request = get_thumbnail(name, query)
        if grid is not None and divisible(grid.shape, self._limits):
            request = replace(request, divisible=True)
        return sender.send(request, _check_of(query, is_tile=is_tile))

    @property
    def _sent(self) -> tuple[str, ...]:
        """The bands that are asked for by name: of data, with those of their masks."""
        return (*self.bands, *self.sent_as.mask_names(self.bands))

    @property
    def _limits(self) -> Limits:
        of_method = PIXEL_LIMITS if self.method == COMPUTE_PIXELS else URL_LIMITS
        return self.limits or of_method

    @property
    def _least_bands(self) -> int:
        """How many bands come back, as far as that is known before asking."""
        coloured = self.visualization is not None and self.visualization.palette
        return 3 if coloured else max(1 if self.format.is_visual else 2, len(self._sent))

    def stated_shape(self, items: Sequence[WorkItem]) -> tuple[int, int] | None:
        """Return the rows and columns to which the expression itself is cut; None if to none."""
        seen = graphs(self.expression, items)
        return stated_shape(seen[0]) if seen else None

    def sizes(self, items: Sequence[WorkItem]) -> ChipSizes:
        """Return how the requests are counted, as far as the expression tells.

        Parameters
        ----------
        items : sequence of WorkItem
            One of them, as an example.
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
        """Return how many bands a picture has: one, or three colours."""
        if self._least_bands == 3 or bands == Bounds.exactly(3):
            return Bounds.exactly(3)
        return bands if bands.is_exact else Bounds(1, 3)


@contextlib.contextmanager
def of_role(role: str | None) -> Iterator[None]:
    """Say in the errors of the ``with`` block which role they are about, if there are roles."""
    try:
        yield
    except EedaskError as error:
        if role is None:
            raise
        raise error.of(f"role {role!r}") from error


def _check_of(query: PixelQuery, *, is_tile: bool) -> Callable[[bytes], None]:
    """Return what raises TransientError unless an answer is whole and has what was asked for."""
    sent_as, grid = query.format, query.grid
    bands = () if query.visualization is not None else query.bands

    def check(data: bytes) -> None:
        sent_as.check(data, None if grid is None else grid.shape, bands)
        if not bands and (sent_as.bands_in(data) or 0) % 2:
            raise TransientError("the image does not have as many bands of masks as of values")
        if grid is None:
            with sent_as.reading(data):
                sent_as.grid_of(data)
        # These are read here, once they are taken for whole.
        if is_tile or (grid is None and not sent_as.is_visual):
            sent_as.check_values(data)

    return check
