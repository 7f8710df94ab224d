"""What the batches of a table are expected to take: requests, and pixels that are reduced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from eedask.expressions.graph import Part
from eedask.items.item import WorkItem
from eedask.pixels.known_pixels import KnownPixels, known_pixels
from eedask.run.forecast import UNKNOWN, Bounds, Cell, Forecast
from eedask.run.task import Job
from eedask.tables.grouping import BatchLimits, expected_pixels, tiles_of


def of_jobs(jobs: Iterable[Job], presumed: float) -> Forecast:
    """Return what jobs take, each of which may be cut to what is taken to work at first.

    Parameters
    ----------
    jobs : iterable of Job
        With a :class:`~eedask.tables.batches.Batch` laid out, or the error of an item.
    presumed : float
        The weight of a request that is taken to work before anything is known.
    """
    items = refused = least = most = 0
    for job in jobs:
        items += len(job.items)
        if isinstance(job.laid_out, Exception):
            refused += len(job.items)
        else:
            least, most = least + 1, most + _pieces(job.laid_out.weights, presumed)
    return Forecast(items, refused, Bounds(least, most))


def _pieces(weights: Sequence[float], allowed: float) -> int:
    """Return in how many jobs one is done if each weighs so much at most, or has one item."""
    pieces, held = 1, 0.0
    for weight in weights:
        if held and held + weight > allowed:
            pieces, held = pieces + 1, 0.0
        held += weight
    return pieces


def of_points(
    items: Sequence[WorkItem],
    usable: Sequence[WorkItem],
    limits: BatchLimits,
    presumed: float,
    scale: float | None,
) -> Forecast:
    """Return what points take on an image whose tiles are not known yet.

    A request is full with its points or with its tiles, or ends where a tile does not fit in
    whole; the first requests are cut to what is taken to work.

    Parameters
    ----------
    items, usable : sequence of WorkItem
        All, and those that have a place.
    limits : BatchLimits
    presumed : float
        Points of a request that are taken to work.
    scale : float, optional
        Metres a pixel, if it is stated: then the cells are counted that hold all points.
    """
    count, refused = len(usable), len(items) - len(usable)
    if not count:
        return Forecast.unasked(refused)
    least = math.ceil(count / limits.items)
    ended = count // limits.tiles + 2 * count // limits.items + 1
    most = min(count, ended + count // int(presumed))
    cells: frozenset[Cell] | None = None
    if scale is not None:
        tiles = np.unique(tiles_of(usable, None, scale), axis=0)
        cells = frozenset(map(tuple, tiles.tolist()))
    requests, pixels = Bounds(least, most), Bounds.exactly(count)
    return Forecast(len(items), refused, requests, pixels, cells=cells)


def unbounded(forecast: Forecast) -> Forecast:
    """Return a forecast in which there may be more requests than those that are known of."""
    return replace(forecast, requests=replace(forecast.requests, most=None))


def with_pixels(forecast: Forecast, items: Sequence[WorkItem], scale: float | None) -> Forecast:
    """Return a forecast of regions with the pixels that are expected in them.

    Where the size of a pixel is not known, pixels bound no request: there may be more requests.
    """
    if scale is None:
        return unbounded(forecast)
    count = round(float(expected_pixels(items, scale).sum()))
    return replace(forecast, pixels=Bounds(count, count, about=True))


def with_bytes(forecast: Forecast, image: Part | None) -> Forecast:
    """Return a forecast with the bytes of its pixels, as far as the image's expression tells them.

    Parameters
    ----------
    forecast : Forecast
    image : Part, optional
        The image of an item; None where it cannot be built.
    """
    if forecast.pixels == UNKNOWN:
        return forecast
    known = KnownPixels() if image is None else known_pixels(image)
    return replace(forecast, nbytes=forecast.pixels * known.pixel_bytes)
