"""Composites at pixels by themselves: of each place, the image that shows there.

Only images that say which grids they cover (see :class:`~eedask.emulator.raster.Band`) are
looked through; a grid that lies across the edge of one is read as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    there: dict[int, tuple[Band, list[int]]] = {}
    for k, bands in enumerate(layers):
        for band in bands:
            there.setdefault(id(band), (band, []))[1].append(k)
    covers: dict[tuple[int, int], bool | None] = {}
    for band, numbers in there.values():
        tell: Any = getattr(band.read, "covers", None)
        answers = tell and tell(tuple(places[k] for k in numbers))
        if answers is None:
            return None
        covers.update({(id(band), k): a for k, a in zip(numbers, answers, strict=True)})
    found: dict[int, Shown] = {}
    for k, bands in enumerate(layers):
        size = places[k].grid.width * places[k].grid.height
        top = next((i for i, band in enumerate(bands) if covers[id(band), k] is not False), None)
        shows = None if top is None else bands[top]
        if shows is not None and covers[id(shows), k] is None:
            continue
        passed = size * (len(bands) if top is None else top)
        shown = found.get(id(shows), Shown(shows, [], 0.0))
        found[id(shows)] = Shown(shows, [*shown.numbers, k], shown.passed + passed)
    return list(found.values())
