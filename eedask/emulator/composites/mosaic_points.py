"""Reads mosaics at single pixels, where only the topmost image of each place is read.

It works where the band of every image has a ``source``
(see :class:`~eedask.emulator.pixels.raster.Band`). A place whose grid crosses the edge of its
topmost image is read as a whole grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from eedask.emulator.limits import metering
from eedask.emulator.pixels.native_sources import NativeSource
from eedask.emulator.pixels.raster import Band, Grid, Pixels, Places
from eedask.emulator.pixels.scattered import counted
from eedask.emulator.pixels.source_points import covers, read_ahead


class Shown(NamedTuple):
    """The places at which one image is the topmost.

    Attributes
    ----------
    image : int or None
        The image's number; None for the places that no image covers.
    numbers : list of int
        The numbers of the places.
    passed : float
        Pixels that reading these places as whole grids would have read in vain, from images that
        come before this one in the stacks but do not cover the places; they are metered too.
    """

    image: int | None
    numbers: list[int]
    passed: float


def mosaic_points(
    bands: Sequence[Band],
    stacks: tuple[tuple[int, ...], ...],
    places: tuple[Places, ...],
    read: Callable[[Grid], Pixels],
    dtype: DTypeLike,
) -> Pixels | None:
    """Return a mosaic's pixels at places, shape (1, n); None if all grids have to be read instead.

    Parameters
    ----------
    bands : sequence of Band
        One band of each image.
    stacks : tuple of tuples of int
        For each place, the numbers of the bands that may have pixels there, topmost first.
    places : tuple of Places
    read : callable
        Reads the mosaic on a grid; used for places whose whole grid has to be read.
    dtype : dtype
        Of the values returned.
    """
    sources = tuple(getattr(band.read, "source", None) for band in bands)
    showing = _showing(sources, stacks, places)
    if showing is None:
        return None
    n = sum(len(place.rows) for place in places)
    values, mask = np.zeros((1, n), dtype), np.zeros((1, n), np.float32)
    spans = counted(places)
    open_places = set(range(len(places)))
    for image, numbers, passed in showing:
        if image is not None:
            pixels = _read(bands[image], [places[k] for k in numbers])
            if pixels is None:
                continue
            at = np.concatenate([np.arange(spans[k].start, spans[k].stop) for k in numbers])
            values[0, at], mask[0, at] = pixels.values[0], pixels.mask[0]
        metering.charge(passed)
        open_places.difference_update(numbers)
    for k in sorted(open_places):
        with metering.scope():
            block = read(places[k].grid)
        within = places[k].rows, places[k].cols
        values[0, spans[k]], mask[0, spans[k]] = block.values[within], block.mask[within]
    return Pixels(values, mask)


def _read(band: Band, places: Sequence[Places]) -> Pixels | None:
    found: Pixels | None = band.read.points(tuple(places))  # type: ignore[attr-defined]
    return found


# Cached, because the mosaic's bands are read at the same places one after the other.
@lru_cache(maxsize=4)
def _showing(
    sources: tuple[NativeSource | None, ...],
    stacks: tuple[tuple[int, ...], ...],
    places: tuple[Places, ...],
) -> list[Shown] | None:
    """Return the topmost image of each place; None if an image's coverage is not known.

    Places that lie across the edge of their topmost image are left out. The sources are told
    which pixels will be read of each, since several of them can often compute theirs together.
    """
    covered: list[list[bool | None]] = []
    for source in sources:
        answers = None if source is None else covers(source, places)
        if answers is None:
            return None
        covered.append(answers)
    found: dict[int | None, Shown] = {}
    for k, stack in enumerate(stacks):
        top = next((i for i, image in enumerate(stack) if covered[image][k] is not False), None)
        image = None if top is None else stack[top]
        if image is not None and covered[image][k] is None:
            continue
        passed = places[k].grid.width * places[k].grid.height * (len(stack) if top is None else top)
        shown = found.get(image, Shown(image, [], 0.0))
        found[image] = Shown(image, [*shown.numbers, k], shown.passed + passed)
    showing = list(found.values())
    read_ahead(
        [(sources[s.image], [places[k] for k in s.numbers]) for s in showing if s.image is not None]
    )
    return showing
