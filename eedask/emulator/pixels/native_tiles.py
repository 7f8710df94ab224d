"""Reading native sources through a cache of recently used pixels.

Pixels are cached under the source itself, the band, the level and the window. A source equals
another only if both are of one class and all their fields are equal
(:class:`~eedask.emulator.pixels.native_sources.NativeSource`); so two sources of different pixels
never share an entry, and no data set makes keys of its own.

One cache serves all sources of a process, so that memory does not grow with the number of files.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np

from eedask.emulator.pixels.native_sources import WHOLE, NativeSource, Window, sized
from eedask.emulator.pixels.raster import Pixels, is_opaque, uniform

_KEPT_BYTES = 128 * 2**20
# Windows of more pixels than this are neither taken from the cache nor put there.
_LARGE = 1024 * 1024


def native_pixels(source: NativeSource, band: int, level: int, window: Window) -> Pixels:
    """Return the pixels of one band (from 0) in a window of a level.

    A source with tiles is asked to draw at most once: one window around all tiles that are not
    in the cache.
    """
    side = source.tile_side(level)
    if side is None or window.width * window.height > _LARGE:
        return source.draw(band, level, window)
    if side == WHOLE:
        return _whole(source, band, level, window)
    return _tiled(source, band, level, window, side)


def _whole(source: NativeSource, band: int, level: int, window: Window) -> Pixels:
    key = (source, band, level, window)
    found = _STORE.get(key)
    if found is None:
        found = source.draw(band, level, window)
        _STORE.put(key, found)
    return found


def _tiled(source: NativeSource, band: int, level: int, window: Window, side: int) -> Pixels:
    around = _tiles_around(window, sized(source, level)[1:], side)
    tiles = {tile: _STORE.get((source, band, level, tile)) for tile in _tiles(around, side)}
    if None in tiles.values():
        block = source.draw(band, level, around)
        for tile in tiles:
            values, mask = _part(block, around, tile)
            # Copied, since a view would keep the whole block in memory.
            mask = uniform(1, mask.shape) if is_opaque(mask) else mask.copy()
            _STORE.put((source, band, level, tile), Pixels(values.copy(), mask))
        return _part(block, around, window)
    found = [(tile, pixels) for tile, pixels in tiles.items() if pixels is not None]
    if len(found) == 1:
        return _part(found[0][1], found[0][0], window)
    return _part(_joined(found, around), around, window)


def _tiles_around(window: Window, size: tuple[int, int], side: int) -> Window:
    """Return the smallest window of whole tiles around a window, cut at the level's edges."""
    left, top = window.col // side * side, window.row // side * side
    right = min(size[0], -(-(window.col + window.width) // side) * side)
    bottom = min(size[1], -(-(window.row + window.height) // side) * side)
    return Window(left, top, right - left, bottom - top)


def _tiles(window: Window, side: int) -> list[Window]:
    """Return the tiles that make up a window of whole tiles, cut at its edges."""
    right, bottom = window.col + window.width, window.row + window.height
    return [
        Window(col, row, min(side, right - col), min(side, bottom - row))
        for row in range(window.row, bottom, side)
        for col in range(window.col, right, side)
    ]


def _part(block: Pixels, around: Window, window: Window) -> Pixels:
    """Return the pixels of a window from those of a larger window around it."""
    rows = slice(window.row - around.row, window.row - around.row + window.height)
    cols = slice(window.col - around.col, window.col - around.col + window.width)
    return Pixels(block.values[rows, cols], block.mask[rows, cols])


def _joined(tiles: list[tuple[Window, Pixels]], around: Window) -> Pixels:
    """Return the pixels of a window put together from those of its tiles."""
    shape = (around.height, around.width)
    opaque = all(is_opaque(pixels.mask) for _, pixels in tiles)
    values = np.empty(shape, tiles[0][1].values.dtype)
    mask = uniform(1, shape) if opaque else np.empty(shape, np.float32)
    whole = Pixels(values, mask)
    for tile, pixels in tiles:
        into = _part(whole, around, tile)
        into.values[...] = pixels.values
        if not opaque:
            into.mask[...] = pixels.mask
    return whole


class _Store:
    """A cache of the most recently used pixels, up to ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: OrderedDict[Any, Pixels] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Any) -> Pixels | None:
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: Any, pixels: Pixels) -> None:
        for array in pixels:
            array.setflags(write=False)
        with self._lock:
            if key in self._items:
                return
            self._items[key] = pixels
            self._bytes += _size(pixels)
            while self._bytes > self._limit:
                self._bytes -= _size(self._items.popitem(last=False)[1])


def _size(pixels: Pixels) -> int:
    """Return the size in bytes; an array that repeats one number (strides of 0) counts 0."""
    return sum(array.nbytes for array in pixels if any(array.strides))


_STORE = _Store(_KEPT_BYTES)
