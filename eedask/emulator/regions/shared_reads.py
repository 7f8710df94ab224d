"""Reads many small windows of one projection together if they lie close to each other.

Earth Engine computes tiles of 256 pixels and takes all regions that lie in a tile from it. In the
same way, the windows of regions that lie in one such tile are read here with one read.
https://developers.google.com/earth-engine/guides/scale
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.limits import budget, metering
from eedask.emulator.pixels.projection import window_grid
from eedask.emulator.pixels.raster import Band, Pixels, Places, Projection
from eedask.emulator.pixels.tiling import LEAST_TILE, PixelRectangle

_SMALL = 64  # pixels: a window with a longer side is read by itself
# Reading this many pixels costs about as much as the overhead of one read.
_PIXELS_A_READ = 8192
_KEPT_BYTES = 16 * 2**20


class SharedReads:
    """Reads windows of bands, with one read for the small windows that share a tile.

    Parameters
    ----------
    projection : Projection
        The windows are in its pixels.
    windows : sequence of PixelRectangle
        The windows that will be read. Any other window is read by itself.
    """

    def __init__(self, projection: Projection, windows: Sequence[PixelRectangle]) -> None:
        self._projection = projection
        self._around = _grouped(windows)
        # The band is kept with its pixels: its id is part of the key and must not be used again.
        self._kept: OrderedDict[tuple[int, PixelRectangle], tuple[Band, Pixels]] = OrderedDict()
        self._bytes = 0
        self._places: tuple[Sequence[PixelRectangle], tuple[Places, ...]] | None = None

    def read(self, band: Band, window: PixelRectangle) -> Pixels:
        """Return the pixels of a band in a window."""
        around = self._around.get(window)
        if around is not None and (block := self._fitting(band, around)) is not None:
            return _cut_out(block, around, window)
        return band.read(window_grid(self._projection, *window))

    def together(self, windows: Sequence[PixelRectangle]) -> list[list[int]]:
        """Return the positions of windows in groups, one group for each shared read."""
        groups: dict[PixelRectangle, list[int]] = {}
        for k, window in enumerate(windows):
            groups.setdefault(self._around.get(window, window), []).append(k)
        return list(groups.values())

    def points(self, band: Band, windows: Sequence[PixelRectangle]) -> Pixels | None:
        """Return the pixels of n windows of one pixel each, shape (1, n).

        They are in the order of the groups of :meth:`together`. None if the band cannot read
        single pixels or if that takes too much memory.
        """
        read = getattr(band.read, "points", None)
        if read is None:
            return None
        # The same objects for every band, because readers cache results by the places they read.
        if self._places is None or self._places[0] != windows:
            self._places = (windows, self._placed(windows))
        try:
            found: Pixels | None = read(self._places[1])
        except budget.MemoryLimit:
            return None  # smaller reads may fit into memory
        return found

    def _placed(self, windows: Sequence[PixelRectangle]) -> tuple[Places, ...]:
        places = []
        for group in self.together(windows):
            around = self._around.get(windows[group[0]], windows[group[0]])
            grid = window_grid(self._projection, *around)
            places.append(Places(grid, *_within(around, [windows[k] for k in group])))
        return tuple(places)

    def group(self, band: Band, windows: Sequence[PixelRectangle]) -> Pixels:
        """Return the pixels, (1, n), of a group of one-pixel windows that share a read."""
        around = self._around.get(windows[0])
        if around is not None and (block := self._fitting(band, around)) is not None:
            at = _within(around, windows)
            return Pixels(block.values[at][None], block.mask[at][None])
        alone = [self.read(band, window) for window in windows]
        return Pixels(*(np.concatenate(arrays, axis=1) for arrays in zip(*alone, strict=True)))

    def _fitting(self, band: Band, around: PixelRectangle) -> Pixels | None:
        """Return the pixels of a shared read; None if it takes more memory than allowed.

        From then on the windows in it are read by themselves, since each may fit alone.
        """
        try:
            return self._block(band, around)
        except budget.MemoryLimit:
            self._around = {w: a for w, a in self._around.items() if a != around}
            return None

    def _block(self, band: Band, around: PixelRectangle) -> Pixels:
        key = (id(band), around)
        if key in self._kept:
            return self._kept[key][1]
        with metering.scope():
            pixels = band.read(window_grid(self._projection, *around))
        self._kept[key] = (band, pixels)
        self._bytes += pixels.values.nbytes
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1].values.nbytes
        return pixels


def _within(
    around: PixelRectangle, windows: Sequence[PixelRectangle]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of windows' first pixels, counted from those of ``around``."""
    cols, rows, _, _ = np.array(windows, np.intp).T
    return rows - around[1], cols - around[0]


def _cut_out(block: Pixels, around: PixelRectangle, window: PixelRectangle) -> Pixels:
    col, row, width, height = window
    left, top, _, _ = around
    at = np.s_[row - top : row - top + height, col - left : col - left + width]
    return Pixels(block.values[at], block.mask[at])


def _grouped(windows: Sequence[PixelRectangle]) -> dict[PixelRectangle, PixelRectangle]:
    """Return the shared window to read for each small window, where sharing costs less."""
    groups: dict[tuple[int, int], list[PixelRectangle]] = {}
    for window in windows:
        col, row, width, height = window
        if width <= _SMALL and height <= _SMALL:
            groups.setdefault((col // LEAST_TILE, row // LEAST_TILE), []).append(window)
    around: dict[PixelRectangle, PixelRectangle] = {}
    for group in groups.values():
        if len(group) > 1:
            union = _union(group)
            if union[2] * union[3] <= len(group) * _PIXELS_A_READ:
                around |= dict.fromkeys(group, union)
    return around


def _union(windows: Sequence[PixelRectangle]) -> PixelRectangle:
    cols, rows, widths, heights = np.array(windows).T
    left, top = int(cols.min()), int(rows.min())
    return (left, top, int((cols + widths).max()) - left, int((rows + heights).max()) - top)
