"""Kernels as values: weights around a pixel, laid out on a grid when one asks.

A kernel in metres has as many pixels as the grid that it is used on makes of its radius, so what
is kept is a recipe. https://developers.google.com/earth-engine/guides/image_convolutions
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.projection import unit_metres
from eedask.emulator.pixels.raster import Grid

Weights = NDArray[np.float64]
LARGEST_RADIUS = 512
"""Pixels from the focus to the edge of a kernel; Earth Engine's own limit is not documented."""

_ROUNDING = 1e-9
_TRIM = 2  # a Gaussian is not sampled further out than so many standard deviations


@dataclass(frozen=True)
class Stencil:
    """The weights of the pixels around one.

    Attributes
    ----------
    weights : ndarray of float64, shape (height, width)
        0 where a pixel does not count.
    x, y : int
        Column and row of the focus, the pixel that the others are around.
    """

    weights: Weights
    x: int
    y: int

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Pixels to the left of the focus, above, to the right and below."""
        height, width = self.weights.shape
        return self.x, self.y, width - 1 - self.x, height - 1 - self.y

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """(column, row) of the pixels that count, from the focus, along rows."""
        return [(int(c) - self.x, int(r) - self.y) for r, c in np.argwhere(self.weights != 0)]


@dataclass(frozen=True)
class Kernel:
    """A kernel.

    Attributes
    ----------
    kind : str
        The name of the algorithm that made it, without ``Kernel.``.
    lay : callable
        ``lay(metres) -> Stencil`` on pixels of that size.
    arguments : mapping
        What it was made of, for getInfo.
    scaled : bool
        Whether the stencil depends on the size of pixels.
    """

    kind: str
    lay: Callable[[float], Stencil]
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False)
    scaled: bool = False

    def on(self, grid: Grid) -> Stencil:
        """Return the stencil on a grid; 400 where it is too large.

        Pixels count as squares of their area, in metres at the projection's true scale. The
        first row of weights is the northern one, on grids whose rows go north as well.
        """
        stencil = self.lay(pixel_metres(grid) if self.scaled else 1.0)
        if not is_upside_down(grid):
            return stencil
        return Stencil(stencil.weights[::-1], stencil.x, len(stencil.weights) - 1 - stencil.y)

    def to_info(self) -> dict[str, Any]:
        """Return getInfo's description; its form is a guess, the weights are as documented."""
        info: dict[str, Any] = {"type": f"Kernel.{self.kind}", **self.arguments}
        if not self.scaled:
            stencil = self.lay(1.0)
            rows = (f"  {[float(v) for v in row]}" for row in stencil.weights)
            info |= {
                "width": stencil.weights.shape[1],
                "height": stencil.weights.shape[0],
                "center": [stencil.x, stencil.y],
                "weights": "\n".join(["", *rows]),
            }
        return info


def is_upside_down(grid: Grid) -> bool:
    """Whether rows go north, as those of a crs at a stated scale do."""
    return bool(grid.transform.e > 0)


def pixel_metres(grid: Grid) -> float:
    """Return the side of a square of a pixel's area, in metres."""
    return math.sqrt(abs(grid.transform.determinant)) * unit_metres(grid.crs)


def _ring(x: Weights, y: Weights, n: float) -> Weights:
    return np.asarray(np.abs(x) + np.abs(y) <= n + n // 2, dtype=np.float64)


# Weights by the columns and rows from the focus, the radius in pixels (or its whole part).
_SHAPES: dict[str, Callable[[Weights, Weights, float], Any]] = {
    "circle": lambda x, y, r: x**2 + y**2 <= r**2 + _ROUNDING,
    "square": lambda x, y, r: np.ones(np.broadcast(x, y).shape),
    "plus": lambda x, y, r: (x == 0) | (y == 0),
    "cross": lambda x, y, r: np.abs(x) == np.abs(y),
    "diamond": lambda x, y, r: np.abs(x) + np.abs(y) <= math.floor(r + _ROUNDING),
    "octagon": lambda x, y, r: _ring(x, y, math.floor(r + _ROUNDING)),
}
_DISTANCES: dict[str, Callable[[Weights, Weights], Any]] = {
    "euclidean": np.hypot,
    "manhattan": lambda x, y: np.abs(x) + np.abs(y),
    "chebyshev": lambda x, y: np.maximum(np.abs(x), np.abs(y)),
}
SHAPES, DISTANCES = tuple(_SHAPES), tuple(_DISTANCES)

_FIXED: dict[str, list[list[float]]] = {
    "laplacian4": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "laplacian8": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
    "sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "roberts": [[1, 0], [0, -1]],
    "prewitt": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "compass": [[1, 1, -1], [1, -2, -1], [1, 1, -1]],
    "kirsch": [[5, -3, -3], [5, 0, -3], [5, -3, -3]],
}
EDGES = tuple(_FIXED)


def _pixels(radius: float, units: str, metres: float) -> float:
    """Return a radius in pixels of a size in metres."""
    result = radius / metres if units == "meters" else radius
    if result > LARGEST_RADIUS:
        raise EarthEngineError(
            f"Kernel: A radius of {result:.0f} pixels is over the limit of {LARGEST_RADIUS}."
        )
    return result


def _around(x_radius: float, y_radius: float) -> tuple[Weights, Weights]:
    """Return the columns and rows, from the focus, of the pixels within two radii."""
    nx, ny = (math.floor(r + _ROUNDING) for r in (x_radius, y_radius))
    return np.arange(-nx, nx + 1.0)[None, :], np.arange(-ny, ny + 1.0)[:, None]


def _centred(weights: Any) -> Stencil:
    made = np.asarray(weights, dtype=np.float64)
    return Stencil(made, made.shape[1] // 2, made.shape[0] // 2)


def weighted(weights: Weights, normalize: bool, magnitude: float = 1.0) -> Weights:
    """Return weights scaled to sum to 1 if wanted, then multiplied.

    Those of both signs are made to sum to 0, the positive to 1 and the negative to -1 (that
    they sum to 0 is documented, how is a guess).
    https://developers.google.com/earth-engine/guides/image_convolutions
    """
    if normalize:
        positive, negative = weights.clip(min=0).sum(), -weights.clip(max=0).sum()
        if negative and positive:
            weights = np.where(weights > 0, weights / positive, weights / negative)
        elif positive or negative:
            weights = weights / (positive or negative)
    return weights * magnitude


def _checked(radius: float, units: str) -> None:
    if units not in ("pixels", "meters"):
        raise EarthEngineError(f"Unknown kernel units '{units}': use 'pixels' or 'meters'.")
    if not (radius >= 0 and math.isfinite(radius)):
        raise EarthEngineError(f"Kernel: The radius must not be negative, found {radius}.")


def shaped(kind: str, radius: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return a kernel of 0 and 1 of one of :data:`SHAPES`, or distances (:data:`DISTANCES`).

    Distances are in the units of the radius.
    """
    _checked(radius, units)
    if kind not in _SHAPES and kind not in _DISTANCES:
        raise EarthEngineError(f"Unknown kernel type '{kind}'.")

    def lay(metres: float) -> Stencil:
        r = _pixels(radius, units, metres)
        x, y = _around(r, r)
        if kind in _SHAPES:
            weights = np.asarray(_SHAPES[kind](x, y, r), dtype=np.float64)
        else:
            weights = _DISTANCES[kind](x, y) * (metres if units == "meters" else 1.0)
        return _centred(weighted(weights, normalize, magnitude))

    arguments = {"radius": radius, "units": units, "magnitude": magnitude, "normalize": normalize}
    return Kernel(kind, lay, arguments, units == "meters")


def rectangle(x: float, y: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return a kernel of ones with two radii."""
    _checked(x, units)
    _checked(y, units)

    def lay(metres: float) -> Stencil:
        columns, rows = _around(_pixels(x, units, metres), _pixels(y, units, metres))
        return _centred(weighted(np.ones((rows.size, columns.size)), normalize, magnitude))

    return Kernel("rectangle", lay, {"xRadius": x, "yRadius": y, "units": units}, units == "meters")


def gaussian(radius: float, sigma: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return samples of a Gaussian of height 1, up to the radius but to two sigmas at most.

    (The reference prints 5x5 weights for a radius of 3 and a sigma of 1: that they end at two
    sigmas is a guess from it.)
    https://developers.google.com/earth-engine/apidocs/ee-kernel-gaussian
    """
    _checked(radius, units)
    if not sigma > 0:
        raise EarthEngineError("Kernel.gaussian: The sigma must be positive.")

    def lay(metres: float) -> Stencil:
        size = metres if units == "meters" else 1.0
        r = _pixels(min(radius, max(_TRIM * sigma, size)), units, metres)
        x, y = _around(r, r)
        weights = np.exp(-(x**2 + y**2) * size**2 / (2 * sigma**2))
        return _centred(weighted(weights, normalize, magnitude))

    return Kernel("gaussian", lay, {"radius": radius, "sigma": sigma}, units == "meters")


def edge(kind: str, magnitude: float, normalize: bool) -> Kernel:
    """Return one of the edge detectors of :data:`EDGES`."""
    stencil = _centred(weighted(np.array(_FIXED[kind], np.float64), normalize, magnitude))
    return Kernel(kind, lambda _: stencil)


def fixed(
    weights: Sequence[Sequence[Any]],
    width: int = -1,
    height: int = -1,
    x: int = -1,
    y: int = -1,
    normalize: bool = False,
) -> Kernel:
    """Return a kernel of given weights, rows from the top; a negative focus is the centre."""
    try:
        made = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise EarthEngineError("Kernel.fixed: The weights must be rows of numbers.") from None
    if made.ndim != 2 or not made.size or not np.isfinite(made).all():
        raise EarthEngineError("Kernel.fixed: The weights must be rows of numbers.")
    for name, stated, actual in (
        ("height", height, made.shape[0]),
        ("width", width, made.shape[1]),
    ):
        if stated >= 0 and stated != actual:
            raise EarthEngineError(
                f"Kernel.fixed: The {name} of the weights is {actual}, not {stated}."
            )
    centre = _centred(weighted(made, normalize))
    focus = (centre.x if x < 0 else x, centre.y if y < 0 else y)
    if not (focus[0] < made.shape[1] and focus[1] < made.shape[0]):
        raise EarthEngineError("Kernel.fixed: The focus must lie within the kernel.")
    if max(made.shape) > 2 * LARGEST_RADIUS + 1:
        raise EarthEngineError("Kernel.fixed: The kernel is too large.")
    stencil = Stencil(centre.weights, *focus)
    return Kernel("fixed", lambda _: stencil)


def _turned(stencil: Stencil, times: int) -> Stencil:
    """Return a stencil turned clockwise by so many right angles."""
    for _ in range(times % 4):
        height = stencil.weights.shape[0]
        turned = np.rot90(stencil.weights, -1)
        stencil = Stencil(turned, height - 1 - stencil.y, stencil.x)
    return stencil


def rotated(kernel: Kernel, times: int) -> Kernel:
    """Return a kernel turned clockwise by so many right angles."""
    return Kernel(
        kernel.kind, lambda m: _turned(kernel.lay(m), times), kernel.arguments, kernel.scaled
    )


def _sum(a: Stencil, b: Stencil) -> Stencil:
    """Return the sum of two stencils, focus on focus."""
    left, top, right, bottom = (max(p, q) for p, q in zip(a.margins, b.margins, strict=True))
    total = np.zeros((top + 1 + bottom, left + 1 + right))
    for stencil in (a, b):
        height, width = stencil.weights.shape
        row, col = top - stencil.y, left - stencil.x
        total[row : row + height, col : col + width] += stencil.weights
    return Stencil(total, left, top)


def added(first: Kernel, second: Kernel, normalize: bool) -> Kernel:
    """Return the sum of two kernels, focus on focus."""

    def lay(metres: float) -> Stencil:
        total = _sum(first.lay(metres), second.lay(metres))
        return Stencil(weighted(total.weights, normalize), total.x, total.y)

    return Kernel("fixed", lay, scaled=first.scaled or second.scaled)


def inverted(kernel: Kernel) -> Kernel:
    """Return a kernel of one over the weights, 0 where they are 0."""

    def lay(metres: float) -> Stencil:
        stencil = kernel.lay(metres)
        some = stencil.weights != 0
        weights = np.where(some, 1 / np.where(some, stencil.weights, 1), 0.0)
        return Stencil(weights, stencil.x, stencil.y)

    return Kernel(kernel.kind, lay, kernel.arguments, kernel.scaled)
