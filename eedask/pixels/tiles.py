"""Chips too large for one request: cut on their grid, asked for tile by tile, joined again.

How many bytes a pixel has, and how large a computation Earth Engine can do, is often known only
once it has been asked. So a chip starts with the fewest tiles that may fit, and every refusal
teaches: Earth Engine's own arithmetic gives the size that fits, and where the computation was too
much, each tile that failed is cut in four.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from eedask.earthengine.refusals import COMPUTATION
from eedask.errors import InputError, TooLargeError
from eedask.grid import PixelGrid, Window
from eedask.pixels.cutting import NO_BOUND, Budget, allowed, cut, granted, quarters
from eedask.pixels.formats.base import ImageFormat, Joiner, check_memory
from eedask.pixels.formats.registry import check_side, joiner, missing
from eedask.pixels.query import Limits

Ask = Callable[[PixelGrid], bytes]
# Has idle threads call something, at most so many; see :meth:`eedask.run.task.Sender.recruit`.
Recruit = Callable[[Callable[[], None], int], None]


# After so many chips without trouble, larger tiles are tried again: what made one item heavy (a
# dense stack of scenes) need not be true of the rest, and one failure in so many costs little.
_CALM = 16


class TileSizes:
    """What the chips of a run teach those after them; safe to share between threads.

    Two things are kept apart: the size that Earth Engine's arithmetic allows, which holds for
    all images alike, and the size at which computations worked, which is forgotten little by
    little, as it may be one item's own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._size = self._budget = Budget(NO_BOUND, NO_BOUND)
        self._computed = NO_BOUND
        self._calm = 0

    @property
    def budget(self) -> Budget:
        """What is known to work."""
        return self._budget

    def refused(self, allowed: Budget) -> None:
        """Take note of what Earth Engine said that it allows."""
        with self._lock:
            self._size = self._size.within(allowed)
            self._update()

    def computed(self, pixels: int, *, failures: bool) -> None:
        """Take note of a chip put together.

        Parameters
        ----------
        pixels : int
            Of its largest tile that worked.
        failures : bool
            Whether larger ones were too much to compute.
        """
        with self._lock:
            self._calm = 0 if failures else self._calm + 1
            if failures:
                self._computed = min(self._computed, pixels)
            elif self._calm == _CALM:
                self._computed, self._calm = min(4 * self._computed, NO_BOUND), 0
            self._update()

    def _update(self) -> None:
        self._budget = self._size.within(Budget(self._computed, NO_BOUND))


def fetch_tiled(
    ask: Ask,
    recruit: Recruit,
    grid: PixelGrid,
    form: ImageFormat,
    limits: Limits,
    bands: int,
    sizes: TileSizes,
) -> bytes:
    """Return the file of a chip, of as many requests as it takes.

    An answer that is the whole chip is returned as it is. Otherwise the chip is held decoded,
    with the tiles under way beside it (see :mod:`eedask.pixels.formats.pictures`), up to
    ``limits.chip_bytes``. The first tile is asked for alone, as it tells whether they are small
    enough, and the others together.

    Parameters
    ----------
    ask : callable
        From the grid of a tile to its file; any thread may call it.
    recruit : callable
        Finds threads to help with the tiles.
    grid : PixelGrid
        Of the chip.
    form : ImageFormat
    limits : Limits
    bands : int
        At least so many come back, of one byte each.
    sizes : TileSizes
        Of earlier chips; this one adds to them.

    Returns
    -------
    bytes

    Raises
    ------
    TooLargeError
        In Earth Engine's words, if smaller tiles cannot help, or the smallest do not.
    SizeError
        If the chip takes more memory than it may.
    PermanentError
        If rasterio is needed and not installed.
    """
    check_chip(grid.shape, bands, form, limits)
    return _Chip(ask, grid, form, limits, bands, sizes).fetch(recruit)


def check_chip(shape: tuple[int, int], bands: int, form: ImageFormat, limits: Limits) -> None:
    """Raise unless a chip can be had, in one request or more.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    bands : int
        At least so many, of one byte each.
    form : ImageFormat
    limits : Limits

    Raises
    ------
    SizeError
        If it takes more memory than it may, with the arithmetic, or its format cannot hold it.
    InputError
        If it needs several requests, and what joins them is not installed here.
    """
    if granted(limits, bands).fits(shape):
        return
    check_memory(shape, bands, limits.chip_bytes)
    check_side(form, shape)
    if reason := missing(form):
        raise InputError(reason)


class _Chip:
    """One chip on its way: the tiles that are still to ask for, and those that are joined.

    Any number of threads may work on it. The one that began it waits for the others in the end,
    and for nothing else, so that threads which all have begun chips never wait for one another.
    """

    def __init__(
        self,
        ask: Ask,
        grid: PixelGrid,
        form: ImageFormat,
        limits: Limits,
        bands: int,
        sizes: TileSizes,
    ) -> None:
        self._ask, self._grid, self._form, self._limits = ask, grid, form, limits
        self._sizes = sizes
        self._whole = Window(0, 0, grid.shape)
        self._budget = granted(limits, bands).within(sizes.budget)
        self._joiner: Joiner | None = None
        self._largest = 0
        self._failures = False
        self._todo = deque(cut(self._whole, self._budget))
        self._under_way = 0
        self._error: BaseException | None = None
        # Guards all of the above once there are helpers.
        self._changed = threading.Condition()

    def fetch(self, recruit: Recruit) -> bytes:
        """Return the chip's file."""
        helped = False
        while (window := self._take(wait=True)) is not None:
            data = self._work(window)
            if window == self._whole and data is not None:
                return data
            if self._largest and not helped and (hands := len(self._todo) - 1) > 0:
                helped = True
                recruit(self._help, hands)
        if self._error is not None:
            raise self._error
        self._sizes.computed(self._largest, failures=self._failures)
        assert self._joiner is not None
        return self._joiner.finish()

    def _help(self) -> None:
        """Work on tiles as long as there are some. What goes wrong is raised by :meth:`fetch`."""
        while (window := self._take(wait=False)) is not None:
            self._work(window)

    def _take(self, *, wait: bool) -> Window | None:
        """Return a tile to ask for; None if there is none, or, waiting, if all are there."""
        with self._changed:
            while wait and not self._todo and self._under_way and self._error is None:
                self._changed.wait()
            if not self._todo or self._error is not None:
                return None
            if len(self._todo) > 1 and self._joiner is None:
                # Before the first tile is paid for: it may be that they cannot be joined.
                self._joiner = joiner(self._form, self._grid, self._limits.chip_bytes)
            self._under_way += 1
            return self._todo.popleft()

    def _work(self, window: Window) -> bytes | None:
        """Ask for a tile and join it; return its file if it came."""
        data = error = None
        try:
            data = self._ask(self._grid.part(window))
        except BaseException as raised:
            error = raised
        with self._changed:
            self._under_way -= 1
            try:
                if isinstance(error, TooLargeError):
                    self._todo.extendleft(reversed(self._smaller(window, error)))
                elif error is not None:
                    raise error
                elif window != self._whole:
                    assert self._joiner is not None
                    assert data is not None
                    self._joiner.add(window, data)
                    self._largest = max(self._largest, window.pixels)
            except BaseException as raised:
                self._error = self._error or raised
            self._changed.notify_all()
        return data

    def _smaller(self, window: Window, error: TooLargeError) -> list[Window]:
        """Return what to ask for instead of a window; raise the error if nothing helps."""
        if COMPUTATION.search(error.message):
            tiles = quarters(window, self._limits.smallest_side)
            self._failures = True
        elif (budget := allowed(error, window.shape, self._limits)) is not None:
            self._sizes.refused(budget)
            self._budget = self._budget.within(budget)
            if not self._largest and not self._failures:
                # Nothing is there yet: cut the whole anew, into the fewest.
                self._todo.clear()
                window = self._whole
            tiles = cut(window, self._budget)
        else:
            raise error
        if len(tiles) < 2:
            raise error
        return tiles
