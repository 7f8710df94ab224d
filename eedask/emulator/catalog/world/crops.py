"""Painting the crops of a farm's square: in strips, in a circle, or in old fields with hedges.

Parameters that the functions share: ``west`` and ``north`` are the square's corner in metres on
the land plane; ``part`` are its pixels on the canvas. Two random generators draw the properties of
the square: ``lasting`` those that stay the same, ``yearly`` those that change each year.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.canvas import Canvas, CanvasIndex
from eedask.emulator.catalog.world.laying import Mask, lay
from eedask.emulator.catalog.world.palette import Material

Floats = NDArray[np.float32]

SQUARE = 800  # metres
_CIRCLE = 388  # metres: the radius of a field watered by a centre pivot

# Each crop, its share of the fields, and the range of its tones. A field's crop changes each year.
_SOWN = (
    (Material.CROP, 0.46, 2.0, 14.0),
    (Material.RIPE, 0.17, 2.0, 13.0),
    (Material.TILLED, 0.1, 3.0, 12.0),
    (Material.STUBBLE, 0.15, 2.0, 12.0),
    (Material.MEADOW, 0.12, 3.0, 13.0),
)
_SHARES = np.cumsum([share for _, share, _, _ in _SOWN])


def growing(chance: Floats) -> NDArray[np.uint8]:
    """Return the crops (materials) of whole squares, from a random number (0 to 1) of each."""
    chosen = np.minimum(np.searchsorted(_SHARES, chance), len(_SOWN) - 1)
    return np.array([m for m, _, _, _ in _SOWN], np.uint8)[chosen]


def _sow(
    canvas: Canvas, part: CanvasIndex, lasting: np.random.Generator, yearly: np.random.Generator
) -> None:
    """Paint a rectangular part as a field of one crop, in rows."""
    material, tone = _crop(yearly)
    canvas.material[part] = material
    canvas.tone[part] *= 0.35
    canvas.tone[part] += tone - 2.5
    along = canvas.x[part[1]] if lasting.random() < 0.5 else canvas.down(part)
    spacing, strength = lasting.uniform(3.2, 9.0), lasting.uniform(0.015, 0.06)
    canvas.light[part] *= _rows(canvas, along, spacing, strength)
    canvas.tame(part)


def _crop(yearly: np.random.Generator) -> tuple[Material, float]:
    chosen = min(int(np.searchsorted(_SHARES, yearly.random())), len(_SOWN) - 1)
    material, _, low, high = _SOWN[chosen]
    return material, yearly.uniform(low, high)


def _rows(canvas: Canvas, at: NDArray[np.float64], spacing: float, strength: float) -> Floats:
    """Return the light on rows of plants along a coordinate (metres), with some dark swaths."""
    phase = at * (2 * np.pi / spacing)
    swath = np.abs((at / (spacing * 7)) % 1 - 0.5) < 0.06
    light = 1 + canvas.contrast * (strength * np.sin(phase) - 0.05 * swath)
    return light.astype(np.float32)


def paint_strips(
    canvas: Canvas,
    west: float,
    north: float,
    lasting: np.random.Generator,
    yearly: np.random.Generator,
) -> None:
    """Paint a square as 1 to 8 equal strips with grass edges between them."""
    count = int(lasting.choice([1, 2, 2, 4, 4, 8]))
    upright = lasting.random() < 0.5
    width = SQUARE / count
    edge = lasting.uniform(1.0, 3.0)
    for strip in range(count):
        low, high = strip * width, (strip + 1) * width
        box = (low, 0.0, high, SQUARE) if upright else (0.0, low, SQUARE, high)
        whole = canvas.part(west + box[0], north + box[1], west + box[2], north + box[3])
        # Random numbers are drawn for every strip, whether it is on this canvas or not, so that
        # the same strips look the same on all canvases.
        lines, season = lasting.integers(2**32), yearly.integers(2**32)
        if whole is None:
            continue
        canvas.material[whole] = Material.GRASS
        canvas.tame(whole)
        inner = canvas.part(
            west + box[0] + edge, north + box[1] + edge, west + box[2] - edge, north + box[3] - edge
        )
        if inner is not None:
            _sow(canvas, inner, np.random.default_rng(lines), np.random.default_rng(season))


def paint_circle(
    canvas: Canvas,
    part: CanvasIndex,
    west: float,
    north: float,
    lasting: np.random.Generator,
    yearly: np.random.Generator,
) -> None:
    """Paint a square as a circular field (centre pivot) with wheel tracks, and dry corners."""
    canvas.material[part] = Material.STUBBLE if lasting.random() < 0.5 else Material.GRASS
    canvas.tone[part] = canvas.tone[part] * 0.5 + lasting.uniform(0, 3)
    canvas.tame(part)
    x = (canvas.x[part[1]] - (west + SQUARE / 2)).astype(np.float32)
    y = (canvas.down(part) - (north + SQUARE / 2)).astype(np.float32)
    radius = np.sqrt(x * x + y * y)
    circle = radius < _CIRCLE
    halves = int(lasting.choice([1, 1, 2, 4]))
    turn = lasting.uniform(0, np.pi)
    for sector in _sectors(halves, x, y, turn):
        material, tone = _crop(yearly)
        inside = circle & sector
        lay(canvas.material[part], inside, np.uint8(material))
        sown = canvas.tone[part] * np.float32(0.3) + np.float32(tone - 1)
        lay(canvas.tone[part], inside, sown)
    turns = radius * np.float32(1 / 54)
    turns -= np.floor(turns)  # exactly `turns % 1`, which takes ten times as long
    tracks = turns < 0.045
    ripple = np.float32(0.035) * np.sin(radius * np.float32(2 * np.pi / lasting.uniform(4, 8)))
    canvas.light[part] *= 1 + canvas.contrast * (circle * (ripple - 0.13 * tracks))
    lane = canvas.part(west, north + SQUARE / 2 - 2, west + SQUARE / 2, north + SQUARE / 2 + 2)
    if lane is not None:
        canvas.material[lane] = Material.GRAVEL


def _sectors(count: int, x: Floats, y: Floats, turn: float) -> list[Mask]:
    """Return the masks of 1, 2 or 4 equal sectors around the centre, turned by an angle."""
    if count == 1:
        return [np.True_]
    side = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn)) > 0
    if count == 2:
        return [~side, side]
    other = x * np.float32(-np.sin(turn)) + y * np.float32(np.cos(turn)) > 0
    return [~side & ~other, side & ~other, ~side & other, side & other]


def paint_old(
    canvas: Canvas,
    part: CanvasIndex,
    west: float,
    north: float,
    lasting: np.random.Generator,
    yearly: np.random.Generator,
) -> None:
    """Paint a square as irregular fields and woods divided by slanting hedges."""
    x = (canvas.x[part[1]] - (west + SQUARE / 2)).astype(np.float32)
    y = (canvas.down(part) - (north + SQUARE / 2)).astype(np.float32)
    number = np.zeros((y.shape[0], x.shape[-1]), np.intp)
    hedge = np.full(number.shape, 1e6, np.float32)
    tilt = lasting.uniform(-0.5, 0.5)
    for depth in range(3):
        count = 2**depth
        angle = tilt + (np.pi / 2) * (depth % 2) + lasting.normal(0, 0.12, count)
        shift = lasting.normal(0, (70, 190, 130)[depth], count)
        a, b = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        beyond = a[number] * x + b[number] * y - shift.astype(np.float32)[number]
        np.minimum(hedge, np.abs(beyond), out=hedge)
        number = 2 * number + (beyond > 0)
    crops = [_crop(yearly) for _ in range(8)]
    wooded = lasting.random(8) < 0.28
    material = np.array([m for m, _ in crops], np.uint8)[number]
    tone = np.array([t for _, t in crops], np.float32)[number]
    wood = wooded[number]
    canvas.shrubs[part] = 0
    canvas.tamed[part] = True
    leafy = np.maximum(canvas.trees[part], 190)
    canvas.trees[part] = leafy * wood
    lay(canvas.material[part], ~wood, material)
    sown = canvas.tone[part] * np.float32(0.35) + (tone - np.float32(2))
    lay(canvas.tone[part], ~wood, sown)
    thick = lasting.uniform(1.0, 6.5)
    lay(canvas.trees[part], hedge < thick, np.float32(lasting.uniform(60, 250)))
    lay(canvas.material[part], hedge < thick, np.uint8(Material.GRASS))
    _stripe(canvas, part, x * a[0] + y * b[0], wood, lasting)


def _stripe(
    canvas: Canvas,
    part: CanvasIndex,
    across: Floats,
    wood: NDArray[np.bool_],
    lasting: np.random.Generator,
) -> None:
    """Draw rows of plants along a slanting coordinate, except in woods."""
    rows = np.sin(across * np.float32(2 * np.pi / lasting.uniform(3.5, 8)))
    rows *= np.float32(lasting.uniform(0.01, 0.045)) * canvas.contrast
    rows += 1
    lay(canvas.light[part], ~wood, canvas.light[part] * rows)
