"""Drawing the invented land, to the metre, as materials, tones and light.

Smooth surfaces (see :mod:`~eedask.emulator.catalog.world.country`) say where there are trees, rock
or water; textures of plants, rock and ground add the detail; fields and towns are painted as
shapes. What a pixel shows depends only on its place, its size and the year.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world import patterns
from eedask.emulator.catalog.world.canvas import Canvas
from eedask.emulator.catalog.world.country import Country, CountryAt
from eedask.emulator.catalog.world.fields import COARSEST, by_square, paint_fields, paint_fields_at
from eedask.emulator.catalog.world.laying import Mask, lay
from eedask.emulator.catalog.world.palette import TONES, Material
from eedask.emulator.catalog.world.surface import Cells, Scattered

Floats = NDArray[np.float32]

# In metres: half the width of tracks, at most half that of streams and rivers, and beaches' width.
_TRACK_WIDTH = 2.6
_BROADEST_STREAM = 25.0
_BROADEST_RIVER = 150.0
_BEACH = 25.0


class Land(NamedTuple):
    """A rectangle of land, or n scattered pixels of it as an array (1, n).

    Attributes
    ----------
    kind : ndarray of uint16, shape (height, width)
        16 times the material, plus the tone: an index into :func:`palette.colors`.
    light : ndarray of float32, shape (height, width)
        Brightness, around 1.
    """

    kind: NDArray[np.uint16]
    light: Floats


@lru_cache(maxsize=16)
def land(cells: Cells, year: int) -> Land:
    """Return the land of a rectangle of at most 512 pixels a side; crops change with the year."""
    country = Country(cells)
    canvas = Canvas.empty(cells)
    _ground(canvas, country)
    paint_fields(canvas, year)
    return _finished(canvas, country)


def land_at(pixels: Scattered, year: int) -> Land | None:
    """Return the land at n scattered pixels, shape (1, n), exactly as :func:`land` draws it.

    None for large pixels (see :data:`~eedask.emulator.catalog.world.fields.COARSEST`), and if a
    coast is near one of the pixels.
    """
    coast = CountryAt.coast(pixels)
    if coast is None or pixels.q > COARSEST:
        return None
    # Pixels of the same square of 800 metres are painted together.
    order = by_square(pixels)
    pixels = Scattered(pixels.q, pixels.cols[order], pixels.rows[order])
    country = CountryAt(pixels, coast)
    canvas = Canvas.empty(pixels)
    _ground(canvas, country)
    paint_fields_at(canvas, year)
    found = _finished(canvas, country)
    back = np.argsort(order)
    return Land(found.kind[:, back], found.light[:, back])


def _finished(canvas: Canvas, country: Country) -> Land:
    """Draw plants and water over the ground and fields, and return the finished land."""
    _plants(canvas, country)
    _water(canvas, country)
    kind = canvas.material.astype(np.uint16)
    kind *= TONES
    kind += np.clip(canvas.tone, 0, TONES - 1).astype(np.uint16)
    return Land(kind, canvas.light)


def _ground(canvas: Canvas, country: Country) -> None:
    """Draw grass, bare soil, rock and snow, and set the density of trees and shrubs."""
    grain = patterns.grain().cut(canvas.cells)
    canvas.material[...] = Material.GRASS
    np.add(country.fine("tone"), 3.2 * grain, out=canvas.tone)
    np.multiply(country.fine("light"), 1 + 0.07 * grain, out=canvas.light)
    bare = country.above("bare", 0.25, grain)
    if bare.any():
        canvas.fill(bare, Material.SOIL)
        canvas.fill(bare & country.above("red", 0.55, grain), Material.RED_SOIL)
    if country.above("rock", -0.3).any():
        crags = patterns.crags().cut(canvas.cells)
        strength = np.clip(country.fine("rock") + 0.3, 0, 1) * (np.float32(0.3) * canvas.contrast)
        canvas.light[...] *= 1 + crags * strength
        rock = country.above("rock", 0.42, grain)
        canvas.fill(rock, Material.ROCK)
        canvas.fill(rock & country.above("red", 0.6), Material.RED_SOIL)
    canvas.fill(country.above("snow", 0.2, grain), Material.SNOW)
    canvas.trees[...] = country.fine("trees")
    canvas.shrubs[...] = country.fine("shrubs")


def _plants(canvas: Canvas, country: Country) -> None:
    """Draw shrubs, then the shadows and crowns of trees, as dense as the canvas states."""
    shrubs = patterns.shrubs()
    shows = canvas.ranks(shrubs.rank) < canvas.shrubs
    if shows.any():
        canvas.fill(shows, Material.SHRUB)
        lay(canvas.light, shows, canvas.light * canvas.lit(shrubs.light))
    conifer = country.above("conifer", 0.75)
    for plants, material, where in (
        (patterns.broadleaf(), Material.BROADLEAF, ~conifer),
        (patterns.conifers(), Material.CONIFER, conifer),
    ):
        if where.any() and canvas.trees.max() > 0:
            rank = plants.rank.cut(canvas.cells)
            crowns = (canvas.ranks(plants.rank) < canvas.trees) & where
            canvas.fill((canvas.ranks(plants.shadow) < canvas.trees) & where, Material.SHADOW)
            if not crowns.any():
                continue
            canvas.fill(crowns, material)
            lay(canvas.light, crowns, canvas.light * canvas.lit(plants.light))
            # Each plant has its own tone.
            tone = canvas.tone * np.float32(0.5)
            tone += (rank & 7) * np.float32(0.9)
            lay(canvas.tone, crowns, tone)


def _water(canvas: Canvas, country: Country) -> None:
    """Draw tracks in wild land, then streams, rivers, lakes and the sea over everything."""
    if country.near("track", _TRACK_WIDTH):
        track = np.abs(country.fine("track")) < _TRACK_WIDTH
        canvas.fill(track & ~canvas.tamed, Material.GRAVEL)
    if country.near("stream", _BROADEST_STREAM):
        shore = np.abs(country.fine("stream")) - country.fine("stream width")
        canvas.fill((shore < 4) & country.above("bare", 0.1), Material.SAND)
        _flood(canvas, (shore < 0) & ~country.above("bare", 0.2), np.minimum(-shore, 9))
    if country.near("river", _BROADEST_RIVER):
        _river(canvas, country)
    lake = country.above("lake", 0)
    if lake.any():
        _flood(canvas, lake, 40 * country.fine("lake"))
    _sea(canvas, country)


def _river(canvas: Canvas, country: Country) -> None:
    """Draw rivers with sandy shores; in bare land their beds are dry."""
    shore = np.abs(country.fine("river")) - country.fine("river width")
    dry = country.above("bare", 0.35)
    canvas.fill((shore < 9) & (country.above("bare", 0.1) | dry), Material.SAND)
    _flood(canvas, (shore < 0) & ~dry, np.minimum(-shore * np.float32(0.15), 9))


def _sea(canvas: Canvas, country: Country) -> None:
    """Draw the sea and its beaches."""
    inland = country.above("coast", _BEACH)
    if inland.all():
        return
    canvas.fill(~inland, Material.SAND)
    sea = ~country.above("coast", 0.0)
    depth = 3 - country.fine("coast") * np.float32(0.02)
    _flood(canvas, sea, np.clip(depth, 0, 10))


def _flood(canvas: Canvas, water: Mask, depth: Floats) -> None:
    canvas.fill(water, Material.WATER)
    lay(canvas.tone, water, 5 + depth)
    lay(canvas.light, water, 1)
