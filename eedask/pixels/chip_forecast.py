"""Forecasts how many requests, pixels and bytes chips will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eedask.grid import Window
from eedask.pixels.cutting import Allowance, cut, granted
from eedask.pixels.known_pixels import MOST_PIXEL_BYTES, KnownPixels
from eedask.pixels.query import Limits
from eedask.run.forecast import Bounds, Forecast

# The most bytes of a file that are not pixels, in chips of usual size.
_HEAD = 4096


@dataclass(frozen=True)
class ChipSizes:
    """What has to be known of an image to count the requests and bytes of its chips.

    Attributes
    ----------
    pixels : KnownPixels
        What is known of the pixels that Earth Engine answers with.
    limits : Limits
    tried_bands : int
        The number of bands that the size of the first tiles is worked out for. The bands' types
        are not known then.
    a_tile : int
        Requests for each tile: 2 if a URL is created and then fetched, else 1.
    is_tiled : bool
        Whether a chip that is too large for one request is fetched in tiles.
    """

    pixels: KnownPixels
    limits: Limits
    tried_bands: int
    a_tile: int = 1
    is_tiled: bool = True

    def of_chip(self, shape: tuple[int, int] | None) -> Forecast:
        """Return what one chip takes; ``shape`` is None if only Earth Engine knows it."""
        if shape is None:
            return Forecast(1, requests=Bounds(self.a_tile, None if self.is_tiled else self.a_tile))
        return _of_shape(self, shape)

    def of_chips(self, shapes: NDArray[np.int64], *, about: bool = False) -> Forecast:
        """Return what several chips take.

        Parameters
        ----------
        shapes : ndarray of int64, shape (chips, 2)
            Rows and columns of each.
        about : bool
            Whether the shapes are estimates.
        """
        pixels = shapes.prod(axis=1)
        most = self.pixels.pixel_bytes.most or MOST_PIXEL_BYTES
        granted_ = granted(self.limits, self.tried_bands)
        allowed = min(granted_.pixels, self.limits.bytes // most)
        light = (pixels <= allowed) & (shapes.max(axis=1, initial=0) <= granted_.side)
        different, counts = np.unique(shapes[~light], axis=0, return_counts=True)
        parts = [
            self.of_chip((int(rows), int(columns))).times(int(count))
            for (rows, columns), count in zip(different, counts, strict=True)
        ]
        if light.any():
            parts.append(self._of_light(pixels[light]))
        found = Forecast.total(parts)
        return found.estimated(of_requests=len(different) > 0) if about else found

    def _of_light(self, pixels: NDArray[np.int64]) -> Forecast:
        """Return what chips take that need one request each, whatever types their bands have."""
        count, total = len(pixels), Bounds.exactly(int(pixels.sum()))
        nbytes = total * self.pixels.pixel_bytes
        return Forecast(
            count,
            0,
            Bounds.exactly(count * self.a_tile),
            total,
            nbytes,
            Bounds.exactly(int(pixels.max())) * self.pixels.pixel_bytes,
            Bounds(0, None if nbytes.most is None else nbytes.most + count * _HEAD),
            a_cell=self.a_tile,
        )


def of_files(files: Sequence[Forecast]) -> Forecast:
    """Return what items with one file of each image take, given what each image's files take."""
    a_cell = sum(one.a_cell for one in files)
    return replace(Forecast.total(files), items=files[0].items, a_cell=a_cell)


@lru_cache(maxsize=1024)
def _of_shape(sizes: ChipSizes, shape: tuple[int, int]) -> Forecast:
    pixels = Bounds.exactly(shape[0] * shape[1])
    nbytes = pixels * sizes.pixels.pixel_bytes
    tiles = _tiles(sizes, shape)
    requests = tiles * Bounds.exactly(sizes.a_tile)
    files = Bounds(0, None if nbytes.most is None else nbytes.most + _HEAD)
    return Forecast(
        1,
        0,
        requests,
        pixels,
        nbytes,
        nbytes.within(sizes.limits.bytes),
        files,
        a_cell=int(requests.least),
        remarks=_remarks(sizes, shape, nbytes, tiles),
    )


def _tiles(sizes: ChipSizes, shape: tuple[int, int]) -> Bounds:
    """Return how many tiles are asked for to make a chip, those that are refused included."""
    if not sizes.is_tiled:
        return Bounds.exactly(1)
    whole, each = Window(0, 0, shape), sizes.pixels.pixel_bytes
    first = len(cut(whole, granted(sizes.limits, sizes.tried_bands)))

    def needed(pixel_bytes: float) -> int:
        most = max(1, int(sizes.limits.bytes // pixel_bytes))
        return max(first, len(cut(whole, Allowance(most, sizes.limits.side))))

    fewest = needed(each.least)
    most = needed(MOST_PIXEL_BYTES if each.most is None else each.most)
    if each.most is None and most > first:
        return Bounds(fewest, None)
    # Earth Engine's refusal tells the size that it allows, and all is cut anew.
    return Bounds(fewest, most if most == first else most + 1)


def _remarks(
    sizes: ChipSizes, shape: tuple[int, int], nbytes: Bounds, tiles: Bounds
) -> frozenset[str]:
    """Return advice about chips that have more bytes than a request may have; empty for others."""
    limit = sizes.limits.bytes
    if nbytes.least <= limit and tiles.least < 2:
        return frozenset()
    large = (
        f"a chip of {shape[0]:,} x {shape[1]:,} pixels has {_megabytes(nbytes.least)} MB or more,"
        f" and a request {_megabytes(limit)} MB at most:"
    )
    if not sizes.is_tiled:
        return frozenset([f"{large} it will be refused. Without region=, it is fetched in tiles"])
    return frozenset(
        [
            f"{large} each chip is fetched in {tiles.least:,.0f} tiles or more, and joined on the"
            " workers. Smaller chips, or fewer bands, take one request each"
        ]
    )


def _megabytes(nbytes: float) -> str:
    return f"{nbytes / 2**20:,.0f}"
