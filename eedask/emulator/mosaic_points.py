"""Composites at pixels by themselves: of each place, the image that shows there.

Only images that say which grids they cover (see :class:`~eedask.emulator.raster.Band`) are
looked through; a grid that lies across the edge of one is read as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from eedask.emulator import metering
from eedask.emulator.raster import Band, Grid, Pixels, Places
from eedask.emulator.scattered import counted


class Shown(NamedTuple):
    """A band and the numbers of the places where it shows.

    Attributes
    ----------
    band : Band or None
        None where there is nothing.
    numbers : list of int
    passed : float
        Pixels of the bands above it, which have none there.
    """

    band: Band | None
    numbers: list[int]
    passed: float


def mosaic_points(
    layers: Sequence[Sequence[Band]],
    places: Sequence[Places],
    read: Callable[[Grid], Pixels],
    dtype: DTypeLike,
) -> Pixels | None:
    """Return what a composite has at places, shape (1, n); None if all grids have to be read.

    Parameters
    ----------
    layers : sequence of sequences of Band
        Of each place those that may have pixels there, from the top down.
    places : sequence of Places
    read : callable
        The composite's own reader, for places whose grids have to be read.
    """
    showing = _showing(layers, places)
    if showing is None:
        return None
    n = sum(len(place.rows) for place in places)
    values, mask = np.zeros((1, n), dtype), np.zeros((1, n), np.float32)
    spans = counted(places)
    open_places = set(range(len(places)))
    for band, numbers, passed in showing:
        if band is not None:
            pixels = _read(band, [places[k] for k in numbers])
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


def _showing(layers: Sequence[Sequence[Band]], places: Sequence[Places]) -> list[Shown] | None:
    """Return which bands show where, of places where that is known; None if no band tells."""
    tellers = tuple(tuple(getattr(b.read, "covers", None) for b in bands) for bands in layers)
    tops = _tops(tellers, tuple(places))
    if tops is None:
        return None
    found: dict[int, Shown] = {}
    for k, (bands, top) in enumerate(zip(layers, tops, strict=True)):
        if top is None:
            continue
        size = places[k].grid.width * places[k].grid.height
        shows = bands[top] if top < len(bands) else None
        shown = found.get(id(shows), Shown(shows, [], 0.0))
        found[id(shows)] = Shown(shows, [*shown.numbers, k], shown.passed + size * top)
    return list(found.values())


# The bands of images are asked about the same places one after the other.
@lru_cache(maxsize=4)
def _tops(
    tellers: tuple[tuple[Callable[..., Any] | None, ...], ...], places: tuple[Places, ...]
) -> list[int | None] | None:
    """Return how many of each place's layers have nothing there before one has all of it.

    None of a place where the next has some of it, or would have to be looked at; None for all if
    a layer does not tell.

    Parameters
    ----------
    tellers : tuple of tuples
        ``read.covers`` of each place's layers, from the top down.
    """
    asked: dict[Callable[..., Any] | None, list[int]] = {}
    for k, layers in enumerate(tellers):
        for tell in layers:
            asked.setdefault(tell, []).append(k)
    covers: dict[tuple[Any, int], bool | None] = {}
    for tell, numbers in asked.items():
        answers = tell and tell(tuple(places[k] for k in numbers))
        if answers is None:
            return None
        covers.update(((tell, k), a) for k, a in zip(numbers, answers, strict=True))
    tops: list[int | None] = []
    for k, layers in enumerate(tellers):
        said = [covers[tell, k] for tell in layers]
        top = next((i for i, covered in enumerate(said) if covered is not False), len(said))
        tops.append(None if top < len(said) and said[top] is None else top)
    return tops
