"""What a plan will ask of Earth Engine, in words and numbers, with no request sent."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np

from eedask.arguments import is_positive
from eedask.dataset.items_file import neighbours
from eedask.earthengine.endpoint import URLS, Endpoint
from eedask.errors import InputError
from eedask.expressions.traps import SHAREABLE, TRAPS, found_in
from eedask.items.item import WorkItem, sample_items, work_items
from eedask.quota.messages import Ceiling
from eedask.run.forecast import UNKNOWN, Bounds, Forecast
from eedask.run.options import RunOptions
from eedask.run.task import Task

# From so many requests on, the address that is meant for many is worth a word.
_MANY_REQUESTS = 1000
# Cells are worth a word where they take at most one request for so many.
_FEWER = 2
# Items that are looked at together: fewer take longer, and more need more memory.
_AT_ONCE = 50_000
_WRAPPED = textwrap.TextWrapper(
    width=100, initial_indent="  - ", subsequent_indent="    ", break_long_words=False
)


@dataclass(frozen=True, repr=False)
class Explanation:
    """What a plan will ask of Earth Engine; ``print`` shows it in words.

    All counts are of the whole plan, as if no item were done yet. Requests that are tried again,
    and batches that Earth Engine finds too large, come on top.

    Attributes
    ----------
    verb : str
    items : int
    refused : int
        Items, of these, that fail before any request is sent, such as those without geometry.
    before : Bounds
        Requests that come before the first item: for bands, types, grids, times.
    requests : Bounds
        All requests, those included. ``requests.least`` and ``requests.most`` are equal where the
        number is known; ``most`` is None where only Earth Engine knows it.
    pixels : Bounds
        Pixels that are asked for.
    nbytes : Bounds
        Their bytes at Earth Engine: uncompressed, with a byte of mask for each band.
    largest : Bounds
        The bytes, counted so, of the largest request.
    files : Bounds
        Bytes of the image files.
    ceiling : Ceiling
        Requests at once and a second.
    latency : float
        Seconds that a request is taken to last, for ``seconds_at_latency``.
    endpoint : Endpoint
    warnings : tuple of str
        What makes the plan slower or dearer than it need be, and what to do.
    """

    verb: str
    items: int
    refused: int
    before: Bounds
    requests: Bounds
    pixels: Bounds
    nbytes: Bounds
    largest: Bounds
    files: Bounds
    ceiling: Ceiling
    latency: float
    endpoint: Endpoint
    warnings: tuple[str, ...] = ()

    @property
    def items_a_request(self) -> Bounds:
        """Items that share a request, on average."""
        own = Bounds(self.requests.least - self.before.least, self._own_most)
        sent = self.items - self.refused
        least = 0.0 if own.most is None else sent / max(1, own.most)
        return Bounds(least, sent / max(1, own.least))

    @property
    def seconds_at_quota(self) -> Bounds:
        """Seconds that the requests take at the rate of the quota; 0 where no rate is stated."""
        rate = self.ceiling.rate
        return self.requests * Bounds.exactly(0 if rate is None else 1 / rate)

    @property
    def seconds_at_latency(self) -> Bounds:
        """Seconds that they take if each lasts ``latency`` and the quota is kept full."""
        filled = self.requests * Bounds.exactly(self.latency / self.ceiling.concurrency)
        return filled.larger(self.seconds_at_quota).larger(Bounds.exactly(self.latency))

    @property
    def _own_most(self) -> float | None:
        if self.requests.most is None or self.before.most is None:
            return None
        return self.requests.most - self.before.most

    def __repr__(self) -> str:
        lines = [f"What {self.verb} of {self.items:,} items will ask of Earth Engine", ""]
        lines += [f"  {name:<16} {text}" for name, text in self._rows()]
        if self.warnings:
            lines += ["", "Look at this first:"]
            lines += [_WRAPPED.fill(words) for words in self.warnings]
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, str]]:
        before = f" (of them {_spelled(self.before, _count)} before the first item)"
        yield "requests", _spelled(self.requests, _count) + (before if self.before.most else "")
        yield "items a request", _spelled(self.items_a_request, _ratio)
        if self.refused:
            yield "fail unasked", f"{_plural(self.refused, 'item')}, such as those without geometry"
        if self.pixels != UNKNOWN:
            yield "pixels", _spelled(self.pixels, _count)
        if self.nbytes != UNKNOWN:
            yield "at Earth Engine", f"{_spelled(self.nbytes, _size)}, with a byte of mask a value"
        if self.largest != UNKNOWN:
            yield "largest request", _spelled(self.largest, _size)
        if self.files != UNKNOWN:
            yield "image files", _spelled(self.files, _size)
        if self.ceiling.rate is not None:
            rate = f" ({self.ceiling.rate:g} requests a second)"
            yield "at the quota", _spelled(self.seconds_at_quota, _time) + rate
        each = f" ({self.latency:g} s a request, {self.ceiling.concurrency} at once)"
        yield "at this latency", _spelled(self.seconds_at_latency, _time) + each
        yield "endpoint", str(self.endpoint)


def explanation(
    task: Task, items: gpd.GeoDataFrame, options: RunOptions, verb: str, latency: float
) -> Explanation:
    """Return what a plan will ask.

    Parameters
    ----------
    task : Task
        The work of the plan.
    items : GeoDataFrame
        Checked items.
    options : RunOptions
    verb : str
    latency : float
        Seconds that a request is taken to last.

    Raises
    ------
    InputError
        If the latency is no positive number.
    """
    if not is_positive(latency):
        raise InputError(f"latency is a positive number of seconds; got {latency!r}")
    size = options.partition_of(len(items))
    forecast = Forecast.total(task.forecast(piece, size) for piece in _pieces(items, size))
    before = task.before(len(sample_items(items)))
    return Explanation(
        verb,
        forecast.items,
        forecast.refused,
        before,
        forecast.requests + before,
        forecast.pixels,
        forecast.nbytes,
        forecast.largest,
        forecast.files,
        options.ceiling,
        float(latency),
        task.endpoint,
        _warnings(task, items, forecast),
    )


def traps_of(task: Task, samples: Sequence[WorkItem]) -> list[str]:
    """Return what in a plan's functions makes Earth Engine work more than it need for each item.

    Of the warnings of :func:`explanation`, these take no time.
    """
    return [words for one in task.expressions.values() for words in found_in(one, samples, TRAPS)]


def _pieces(items: gpd.GeoDataFrame, size: int) -> Iterator[list[WorkItem]]:
    """Yield the items of several partitions at a time, whose items are ``size`` each."""
    partitions = neighbours(items, size)
    several = max(1, _AT_ONCE // size)
    for first in range(0, len(partitions), several):
        yield work_items(items.iloc[np.concatenate(partitions[first : first + several])])


def _warnings(task: Task, items: gpd.GeoDataFrame, forecast: Forecast) -> tuple[str, ...]:
    """Return what the user should look at. Traps count only if there is more than one request."""
    found = [*sorted(forecast.remarks), *_of_density(forecast)]
    if forecast.requests.most != 1:
        samples = sample_items(items)
        found += traps_of(task, samples)
        shares = any(found_in(one, samples, SHAREABLE) for one in task.expressions.values())
        found += _of_endpoint(task.endpoint, forecast.requests, shares=shares)
    return (*dict.fromkeys(found), *task.notes)


def _of_density(forecast: Forecast) -> list[str]:
    cells, requests = len(forecast.cells or ()), int(forecast.requests.least)
    if not 0 < _FEWER * cells * forecast.a_cell <= requests:
        return []
    each = "a request each" if forecast.a_cell == 1 else f"{forecast.a_cell:,} requests each"
    return [
        f"the items lie so close together that {_plural(cells, 'cell')} of pixels, {each}, would"
        f" hold what {requests:,} requests ask for: fetch the cells, with items.covering_grid and"
        " chips, and take the items' pixels out of them, as sample_points does with by='cells'"
    ]


def _of_endpoint(endpoint: Endpoint, requests: Bounds, *, shares: bool) -> list[str]:
    """Return a word on the other address, where it is meant for what the plan asks.

    https://developers.google.com/earth-engine/guides/processing_environments
    """
    name = next((name for name, url in URLS.items() if url == endpoint.url), None)
    if name == "high-volume" and shares:
        return [
            "requests share costly work, of which the high-volume endpoint keeps less from one to"
            " the next: endpoint='standard' may cost less"
        ]
    if name == "standard" and not shares and requests.least >= _MANY_REQUESTS:
        return [
            f"{int(requests.least):,} requests that share no costly work go to the standard"
            " endpoint: endpoint='high-volume' is meant for many at once"
        ]
    return []


def _spelled(bounds: Bounds, say: Callable[[float], str]) -> str:
    """Return a number in words, as exactly as it is known."""
    least, about = say(bounds.least), "about " if bounds.about else ""
    if bounds.most is None:
        return f"{about}{least} or more"
    most = say(bounds.most)
    if least == most:
        return f"{about}{most}"
    return f"{about}at most {most}" if bounds.least == 0 else f"{about}{least} to {most}"


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _ratio(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def _size(nbytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.3g} TB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"
