"""Periodic textures of plants, ground and rock as in aerial photographs, made from seeds.

Textures of plants have, for each pixel, the *rank* of the plant over it, the brightness of its
crown there, and the rank of the plant whose shadow falls there. Vegetation of some density shows
the plants whose rank is below it. Pixels are of one metre.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.catalog.world.surface import Cells, Scattered

SIZE = 512
NOTHING = 255  # the rank where there is no plant

_SUN = (0.55, 0.83)  # the direction of the sun in the south-east: east and south components
_SHADOW = 1.15  # length of shadows, in radii of the crown


class Texture:
    """A periodic texture, sampled for pixels of 1, 2, 4 ... metres.

    Parameters
    ----------
    values : ndarray, shape (512, 512)
        One period, at pixels of a metre.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values
        self._levels: dict[int, NDArray[Any]] = {}

    def cut(self, cells: Cells | Scattered) -> NDArray[Any]:
        """Return the texture at cells: a read-only view of at most 512 cells a side.

        At n scattered cells its shape is (1, n).
        """
        period = max(1, SIZE >> cells.q)
        sheet = self._levels.get(cells.q)
        if sheet is None:
            every = min(2**cells.q, SIZE)
            one = self._values[every // 2 :: every, every // 2 :: every]
            sheet = self._levels[cells.q] = np.tile(one, (2 * SIZE // period,) * 2)
            sheet.setflags(write=False)
        if isinstance(cells, Scattered):
            return sheet[cells.rows % period, cells.cols % period][None]
        row, col = cells.row % period, cells.col % period
        return sheet[row : row + cells.height, col : col + cells.width]


class Plants(NamedTuple):
    """Textures of plants.

    Attributes
    ----------
    rank, shadow : Texture of uint8
        The rank of the plant, and of the one that casts a shadow: 0 to 254, or 255 for none.
    light : Texture of float32
        Brightness of the crown, around 1.
    """

    rank: Texture
    light: Texture
    shadow: Texture


@cache
def broadleaf() -> Plants:
    """Return broad-leaved trees, with crowns 5 to 12 metres wide."""
    return _plants(seed=1, count=9000, smallest=2.4, largest=6.0, dome=0.34)


@cache
def conifers() -> Plants:
    """Return conifers, dense and with crowns 2 to 6 metres wide."""
    return _plants(seed=2, count=24000, smallest=1.1, largest=3.1, dome=0.5)


@cache
def shrubs() -> Plants:
    """Return shrubs, 1 to 4 metres wide."""
    return _plants(seed=3, count=30000, smallest=0.6, largest=1.9, dome=0.25)


@cache
def grain() -> Texture:
    """Return the fine noise of ground at pixels of a metre, from -1 to 1."""
    rng = np.random.default_rng(4)
    total = np.zeros((SIZE, SIZE))
    for width, amplitude in ((0, 0.5), (1, 0.8), (3, 0.9), (8, 1.0)):
        layer = _blurred(rng.standard_normal((SIZE, SIZE)), width)
        total += amplitude * layer / layer.std()
    return Texture(np.clip(total / total.std() / 2.2, -1, 1).astype(np.float32))


@cache
def crags() -> Texture:
    """Return the light on broken rock, from -1 to 1: ridges with a lit and a dark side."""
    rng = np.random.default_rng(5)
    height = np.zeros((SIZE, SIZE))
    for width, amplitude in ((2, 0.7), (5, 2.0), (12, 5.0)):
        layer = _blurred(rng.standard_normal((SIZE, SIZE)), width)
        height -= amplitude * np.abs(layer / layer.std())
    lit = _SUN[0] * (height - np.roll(height, -1, axis=1))
    lit += _SUN[1] * (height - np.roll(height, -1, axis=0))
    return Texture(np.clip(lit / lit.std() / 2.5, -1, 1).astype(np.float32))


def _blurred(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return periodic values smoothed: averaged over ``2 * width + 1``, twice along each axis."""
    for _ in range(2):
        for axis in (0, 1):
            padded = np.concatenate([values, np.take(values, range(2 * width + 1), axis)], axis)
            sums = np.cumsum(padded, axis=axis)
            values = np.take(sums, range(2 * width + 1, SIZE + 2 * width + 1), axis) - np.take(
                sums, range(SIZE), axis
            )
    return values


def _plants(seed: int, count: int, smallest: float, largest: float, dome: float) -> Plants:
    rng = np.random.default_rng(seed)
    radius = smallest + (largest - smallest) * rng.random(count) ** 1.7
    # Plants grow in clumps: half of them are placed near another one.
    at = rng.uniform(0, SIZE, (count, 2))
    near = rng.integers(0, count, count // 2)
    at[: count // 2] = at[near] + rng.normal(0, 3 * largest, (count // 2, 2))
    ranks = (np.arange(count) * 255 // count).astype(np.uint8)
    light = np.ones((SIZE, SIZE), np.float32)
    rank = np.full((SIZE, SIZE), NOTHING, np.uint8)
    shadow = np.full((SIZE, SIZE), NOTHING, np.uint8)
    tone = rng.normal(1.0, 0.09, count)
    # The lowest ranks are drawn last and so end on top.
    for plant in _groups(radius):
        _draw(shadow, ranks, at - radius[:, None] * _SHADOW * np.array(_SUN), radius, plant, None)
        _draw(rank, ranks, at, radius, plant, (light, tone, dome))
    return Plants(Texture(rank), Texture(light), Texture(shadow))


def _groups(radius: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return groups of about 3000 plants to draw at once, from the highest rank to the lowest."""
    order = np.arange(len(radius))[::-1]
    return np.array_split(order, max(1, len(order) // 3000))


def _draw(
    target: NDArray[np.uint8],
    ranks: NDArray[np.uint8],
    at: NDArray[np.float64],
    radius: NDArray[np.float64],
    plants: NDArray[np.intp],
    crown: Any,
) -> None:
    """Draw some plants as discs: their ranks into ``target`` and, if given, the light of crowns."""
    reach = int(np.ceil(radius.max())) + 1
    offset = np.arange(-reach, reach + 1)
    dy, dx = (part.ravel() for part in np.meshgrid(offset, offset, indexing="ij"))
    cell = np.floor(at[plants]).astype(np.int64)
    x = cell[:, :1] + dx + 0.5 - at[plants, :1]
    y = cell[:, 1:] + dy + 0.5 - at[plants, 1:]
    r = radius[plants][:, None]
    inside = x * x + y * y < r * r
    flat = ((cell[:, 1:] + dy) % SIZE * SIZE + (cell[:, :1] + dx) % SIZE)[inside]
    target.reshape(-1)[flat] = np.broadcast_to(ranks[plants][:, None], inside.shape)[inside]
    if crown is not None:
        light, tone, dome = crown
        facing = (x * _SUN[0] + y * _SUN[1]) / r
        lit = tone[plants][:, None] * (0.95 + dome * facing)
        light.reshape(-1)[flat] = lit[inside]


@cache
def camera() -> Texture:
    """Return the noise of a camera's sensor, as factors around 1."""
    rng = np.random.default_rng(9)
    return Texture((1 + 0.018 * rng.standard_normal((SIZE, SIZE))).astype(np.float32))
