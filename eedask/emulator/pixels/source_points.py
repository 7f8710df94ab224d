"""Reading single pixels of native sources, for many small grids at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from eedask.emulator.pixels.native_sources import NativeSource, level_of, sized
from eedask.emulator.pixels.pixel_plans import Picked, nearest_plan
from eedask.emulator.pixels.projection import EDGE, pixel_ratio
from eedask.emulator.pixels.raster import Pixels, Places
from eedask.emulator.pixels.scattered import counted, lying, positions, ratios, scatter


def read_points(
    source: Any, band: int, dtype: np.dtype[Any], places: Sequence[Places]
) -> Pixels | None:
    """Return the pixels of places, shape (1, n), from the pyramid levels that suit their grids."""
    n = sum(len(place.rows) for place in places)
    values, mask = np.zeros((1, n), dtype), np.zeros((1, n), np.float32)
    if any(place.grid.resampling != "nearest" for place in places):
        return None
    for level, picked in _picked(source, tuple(places)).items():
        if picked.at.size:
            found = source.read_points(band, level, picked.cols, picked.rows)
            if found is None:
                return None
            values[0, picked.at], mask[0, picked.at] = found.values[0], found.mask[0]
    return Pixels(values, mask)


def read_ahead(wanted: Sequence[tuple[Any, Sequence[Places]]]) -> None:
    """Let the sources of each class draw together the pixels that will be read from each of them.

    Parameters
    ----------
    wanted : sequence of (source, places)
    """
    kinds: dict[Any, list[tuple[Any, int, Any, Any]]] = {}
    for source, places in wanted:
        ahead = getattr(source, "read_ahead", None)
        if ahead is None or any(place.grid.resampling != "nearest" for place in places):
            continue
        for level, picked in _picked(source, tuple(places)).items():
            if picked.at.size:
                part = (source, level, picked.cols, picked.rows)
                kinds.setdefault(ahead, []).append(part)
    for ahead, parts in kinds.items():
        if len(parts) > 1:
            ahead(parts)


def covers(source: NativeSource, places: tuple[Places, ...]) -> list[bool | None] | None:
    """Return for each grid True if it lies inside a source, False if outside, None if unknown.

    The whole result is None if it is unknown for all.
    """
    if any(place.grid.resampling != "nearest" for place in places):
        return None
    found = scatter(places, source.projection.crs)
    if found is None:
        return None
    cols, rows = positions(source.projection.transform, *found.around)
    levels = [level_of(ratio, source) for ratio in ratios(found.sizes, source.projection)]
    factor = 2.0 ** np.array(levels)
    cols, rows = cols / factor[:, None], rows / factor[:, None]
    return lying(cols, rows, source.width / factor, source.height / factor)


# Cached because the bands of a source are read at the same places in turn.
@lru_cache(maxsize=64)
def _picked(source: NativeSource, places: tuple[Places, ...]) -> dict[int, Picked]:
    """Return the positions of the pixels of places in a source, by pyramid level."""
    found = scatter(places, source.projection.crs) if places else None
    if found is None:
        return _picked_one_by_one(source, places)
    levels = [level_of(ratio, source) for ratio in ratios(found.sizes, source.projection)]
    at = np.repeat(levels, [len(place.rows) for place in places])
    picked: dict[int, Picked] = {}
    for level in sorted(set(levels)):
        on = np.flatnonzero(at == level)
        projection, width, height = sized(source, level)
        x, y = positions(projection.transform, found.x[on], found.y[on])
        with np.errstate(invalid="ignore"):
            cols, rows = np.floor(x + EDGE), np.floor(y + EDGE)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        cols, rows = cols[inside].astype(np.int64), rows[inside].astype(np.int64)
        picked[level] = Picked(on[inside], rows, cols)
    return picked


def _picked_one_by_one(source: NativeSource, places: Sequence[Places]) -> dict[int, Picked]:
    parts: dict[int, list[Picked]] = {}
    for place, span in zip(places, counted(places), strict=True):
        level = level_of(pixel_ratio(place.grid, source.projection), source)
        plan = nearest_plan(place.grid, *sized(source, level))
        if plan is not None:
            parts.setdefault(level, []).append(plan.pick(place.rows, place.cols, span.start))
    return {
        level: Picked(*(np.concatenate(part) for part in zip(*picked, strict=True)))
        for level, picked in parts.items()
    }
