"""Fetches chips that are too large for one request, tile by tile, and joins the tiles.

How many bytes a pixel has, and how large a computation Earth Engine can do, is often not known
before a request. So a chip begins with the fewest tiles that may fit. If a tile is refused because
of its size, Earth Engine's message states the size that is allowed, and the chip is cut anew. If a
tile is too much to compute, it is cut in four.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from eedask.errors import Cause, TooLargeError
from eedask.grid import PixelGrid, Window
from eedask.pixels.cutting import NO_BOUND, Allowance, allowed, cut, granted, quarters
from eedask.pixels.formats.base import JoinableFormat, Joiner, check_memory
from eedask.pixels.query import Limits

Ask = Callable[[PixelGrid], bytes]
# Lets up to so many idle threads call a function; see :meth:`eedask.run.task.Sender.recruit`.
Recruit = Callable[[Callable[[], None], int], None]


# Causes of a refusal against which smaller tiles help. The other causes do not depend on how many
# pixels are asked for: they lie in the expression, or in a reduction, list or collection inside it
# (https://developers.google.com/earth-engine/guides/debugging).
_OF_COMPUTATION: frozenset[Cause | None] = frozenset({"capacity", "memory", "time", "output"})

# After so many chips without a refusal, larger tiles are tried again. What made one item heavy,
# such as a dense stack of scenes, may not be true of the rest, and one refusal in so many chips
# costs little.
_CALM = 16


class TileSizes:
    """The size of tiles with which the next chip begins, learned from earlier chips of a run.

    It is the smaller of two sizes: the size that Earth Engine's refusals state as allowed, which
    holds for all chips; and the size that could be computed, which may be true of one item only
    and therefore grows again after some chips without a refusal. Safe to share between threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._size = self._allowance = Allowance(NO_BOUND, NO_BOUND)
        self._computed = NO_BOUND
        self._calm = 0

    @property
    def allowance(self) -> Allowance:
        """How large tiles may be, by what is known so far."""
        return self._allowance

    def refused(self, allowed: Allowance) -> None:
        """Take note of the size that a refusal stated as allowed."""
        with self._lock:
            self._size = self._size.within(allowed)
            self._update()

    def computed(self, pixels: int, *, failures: bool) -> None:
        """Take note of a chip that was joined from tiles.

        Parameters
        ----------
        pixels : int
            Rows times columns of its largest tile that was answered.
        failures : bool
            Whether larger tiles of it were too much to compute.
        """
        with self._lock:
            self._calm = 0 if failures else self._calm + 1
            if failures:
                self._computed = min(self._computed, pixels)
            elif self._calm == _CALM:
                self._computed, self._calm = min(4 * self._computed, NO_BOUND), 0
            self._update()

    def _update(self) -> None:
        self._allowance = self._size.within(Allowance(self._computed, NO_BOUND))


def fetch_tiled(
    ask: Ask,
    recruit: Recruit,
    grid: PixelGrid,
    form: JoinableFormat,
    limits: Limits,
    bands: int,
    sizes: TileSizes,
) -> bytes:
    """Return the file of a chip, from as many requests as it takes.

    If one request is answered with the whole chip, that answer is returned unchanged. Otherwise
    tiles are joined: the chip is held decoded in memory, at most ``limits.chip_bytes`` of it, with
    the tiles that are under way, and its file is made at the end. The first tile is asked for
    alone, as it shows whether tiles of its size are accepted; then all others at once.

    Parameters
    ----------
    ask : callable
        Returns the file of a tile, given its grid. It is called from several threads.
    recruit : callable
        Finds threads to help with the tiles.
    grid : PixelGrid
        Of the chip.
    form : JoinableFormat
    limits : Limits
    bands : int
        The least number of bands that answers have.
    sizes : TileSizes
        What was learned from earlier chips of the run; this chip adds to it.

    Returns
    -------
    bytes

    Raises
    ------
    TooLargeError
        Earth Engine's refusal, if smaller tiles cannot help, or even the smallest are refused.
    SizeError
        If the chip takes more than ``limits.chip_bytes`` of memory.
    """
    check_chip(grid.shape, bands, form, limits)
    return _Chip(ask, grid, form, limits, bands, sizes).fetch(recruit)


def check_chip(shape: tuple[int, int], bands: int, form: JoinableFormat, limits: Limits) -> None:
    """Raise an error if a chip of this shape cannot be made, from one request or from several.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    bands : int
        How many there are, at least; each is counted as one byte a pixel.
    form : JoinableFormat
    limits : Limits

    Raises
    ------
    SizeError
        If it takes more than ``limits.chip_bytes`` of memory, with the arithmetic, or is larger
        than its format allows.
    """
    if granted(limits, bands).fits(shape):
        return
    check_memory(shape, bands, limits.chip_bytes)
    form.check_side(shape)


def divisible(shape: tuple[int, int], limits: Limits) -> bool:
    """Return whether a grid is large enough to be cut if it is too much to compute.

    Parameters
    ----------
    shape : (int, int)
        Rows, columns.
    limits : Limits
    """
    return max(shape) >= 2 * limits.smallest_side


class _Chip:
    """One chip that is being fetched: the tiles that are still to be asked for, and the joiner.

    Any number of threads may work on it. The thread that began the chip waits at the end for the
    threads that work on its last tiles. It never waits for another chip, so threads that have each
    begun a chip cannot block each other.
    """

    def __init__(
        self,
        ask: Ask,
        grid: PixelGrid,
        form: JoinableFormat,
        limits: Limits,
        bands: int,
        sizes: TileSizes,
    ) -> None:
        self._ask, self._grid, self._form, self._limits = ask, grid, form, limits
        self._sizes = sizes
        self._whole = Window(0, 0, grid.shape)
        self._allowance = granted(limits, bands).within(sizes.allowance)
        self._joiner: Joiner | None = None
        self._largest = 0
        self._failures = False
        self._todo = deque(cut(self._whole, self._allowance))
        self._under_way = 0
        self._error: BaseException | None = None
        # Guards all of the above once there are helpers.
        self._changed = threading.Condition()

    def fetch(self, recruit: Recruit) -> bytes:
        """Fetch the chip in as few tiles as work, and return the bytes of its file.

        Parameters
        ----------
        recruit : callable
            Asks other request threads to work on tiles as well, if there are several.
        """
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
        """Work on tiles until none is left to ask for; :meth:`fetch` raises what goes wrong."""
        while (window := self._take(wait=False)) is not None:
            self._work(window)

    def _take(self, *, wait: bool) -> Window | None:
        """Return a tile to ask for, or None if there is none.

        With ``wait``, tiles under way are waited for, as they may fail and be cut into more.
        """
        with self._changed:
            while wait and not self._todo and self._under_way and self._error is None:
                self._changed.wait()
            if not self._todo or self._error is not None:
                return None
            if len(self._todo) > 1 and self._joiner is None:
                # Before the first request is sent, as joining may turn out to be impossible.
                self._joiner = self._form.join(self._grid, self._limits.chip_bytes)
            self._under_way += 1
            return self._todo.popleft()

    def _work(self, window: Window) -> bytes | None:
        """Ask for a tile, and join it; if it is too large, put smaller tiles in its place.

        Returns the tile's file, or None if it was refused.
        """
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
        """Return the tiles to ask for instead of one that was refused.

        Raises
        ------
        TooLargeError
            The refusal itself, if smaller tiles do not help.
        """
        if error.cause in _OF_COMPUTATION:
            tiles = quarters(window, self._limits.smallest_side)
            self._failures = True
        elif (allowance := allowed(error, window.shape, self._limits)) is not None:
            self._sizes.refused(allowance)
            self._allowance = self._allowance.within(allowance)
            if not self._largest and not self._failures:
                # No tile has come yet, so the whole chip is cut anew, into the fewest tiles.
                self._todo.clear()
                window = self._whole
            tiles = cut(window, self._allowance)
        else:
            raise error
        if len(tiles) < 2:
            raise error
        return tiles
