"""Kernels (``ee.Kernel``) and the stencils of weights that they become on a grid.

A kernel whose radius is in metres covers a number of pixels that depends on the grid it is used
on. So a kernel is a recipe that makes a stencil, given the size of a pixel.
https://developers.google.com/earth-engine/guides/image_convolutions
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
"""The largest radius, in pixels, of a kernel. Earth Engine's own limit is not documented."""

_ROUNDING = 1e-9
_TRIM = 2  # standard deviations from the focus to the furthest sample of a Gaussian


@dataclass(frozen=True)
class Stencil:
    """The weights of the pixels around a focus pixel.

    Attributes
    ----------
    weights : ndarray of float64, shape (height, width)
        A pixel of weight 0 is left out.
    x, y : int
        Column and row of the focus within ``weights``.
    """

    weights: Weights
    x: int
    y: int

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Numbers of pixels to the left of the focus, above it, to its right and below it."""
        height, width = self.weights.shape
        return self.x, self.y, width - 1 - self.x, height - 1 - self.y

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """(column, row) offsets from the focus to the pixels whose weight is not 0, row by row."""
        return [(int(c) - self.x, int(r) - self.y) for r, c in np.argwhere(self.weights != 0)]


@dataclass(frozen=True)
class Kernel:
    """An ``ee.Kernel``: a function that makes a stencil for pixels of a given size.

    Attributes
    ----------
    kind : str
        The name of the algorithm that made it, without ``Kernel.``.
    lay : callable
        ``lay(metres) -> Stencil`` for pixels whose side is that long.
    arguments : mapping
        The algorithm's arguments, shown by getInfo.
    scaled : bool
        Whether the stencil depends on the size of pixels.
    """

    kind: str
    lay: Callable[[float], Stencil]
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False)
    scaled: bool = False

    def on(self, grid: Grid) -> Stencil:
        """Return the stencil for a grid.

        Pixels count as squares of the same area, in metres at the projection's true scale. The
        first row of the kernel's weights is its northern one; on a grid whose rows go north the
        stencil is flipped accordingly.

        Raises
        ------
        EarthEngineError
            The radius exceeds :data:`LARGEST_RADIUS` pixels.
        """
        stencil = self.lay(pixel_metres(grid) if self.scaled else 1.0)
        if not is_upside_down(grid):
            return stencil
        return Stencil(stencil.weights[::-1], stencil.x, len(stencil.weights) - 1 - stencil.y)

    def to_info(self) -> dict[str, Any]:
        """Return the description that getInfo gives; its form is a guess, its weights are not."""
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
    """Return whether the rows of a grid go north, as they do for a crs given with a scale."""
    return bool(grid.transform.e > 0)


def pixel_metres(grid: Grid) -> float:
    """Return the side, in metres, of a square that has the area of one of the grid's pixels."""
    return math.sqrt(abs(grid.transform.determinant)) * unit_metres(grid.crs)


def _octagon(x: Weights, y: Weights, n: float) -> Weights:
    return np.asarray(np.abs(x) + np.abs(y) <= n + n // 2, dtype=np.float64)


# Each gives the weights (or whether a pixel belongs) from the pixels' columns and rows relative to
# the focus and the radius in pixels.
_SHAPES: dict[str, Callable[[Weights, Weights, float], Any]] = {
    "circle": lambda x, y, r: x**2 + y**2 <= r**2 + _ROUNDING,
    "square": lambda x, y, r: np.ones(np.broadcast(x, y).shape),
    "plus": lambda x, y, r: (x == 0) | (y == 0),
    "cross": lambda x, y, r: np.abs(x) == np.abs(y),
    "diamond": lambda x, y, r: np.abs(x) + np.abs(y) <= math.floor(r + _ROUNDING),
    "octagon": lambda x, y, r: _octagon(x, y, math.floor(r + _ROUNDING)),
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
    """Return a radius in pixels whose side is ``metres``; ``units`` says what the radius is in."""
    result = radius / metres if units == "meters" else radius
    if result > LARGEST_RADIUS:
        raise EarthEngineError(
            f"Kernel: A radius of {result:.0f} pixels is over the limit of {LARGEST_RADIUS}."
        )
    return result


def _around(x_radius: float, y_radius: float) -> tuple[Weights, Weights]:
    """Return the columns (1, w) and rows (h, 1), relative to the focus, within the two radii."""
    nx, ny = (math.floor(r + _ROUNDING) for r in (x_radius, y_radius))
    return np.arange(-nx, nx + 1.0)[None, :], np.arange(-ny, ny + 1.0)[:, None]


def _centred(weights: Any) -> Stencil:
    made = np.asarray(weights, dtype=np.float64)
    return Stencil(made, made.shape[1] // 2, made.shape[0] // 2)


def weighted(weights: Weights, normalize: bool, magnitude: float = 1.0) -> Weights:
    """Return weights normalized to a sum of 1 if wanted, then multiplied by a magnitude.

    Where weights of both signs occur, the positive ones are scaled to a sum of 1 and the negative
    ones to -1. (That such weights sum to 0 is documented, how they are scaled is a guess.)
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
    """Return a kernel of one of the :data:`SHAPES` or :data:`DISTANCES`.

    The weights of a shape are 1 inside and 0 outside of it. Those of a distance are the distances
    from the focus, in the units of the radius.

    Parameters
    ----------
    kind : str
        One of :data:`SHAPES` or :data:`DISTANCES`.
    radius : float
    units : str
        Of the radius: ``pixels`` or ``meters``.
    normalize, magnitude
        As :func:`weighted` takes them.
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
    """Return a kernel of ones that reaches ``x`` to the left and right, ``y`` up and down."""
    _checked(x, units)
    _checked(y, units)

    def lay(metres: float) -> Stencil:
        columns, rows = _around(_pixels(x, units, metres), _pixels(y, units, metres))
        return _centred(weighted(np.ones((rows.size, columns.size)), normalize, magnitude))

    return Kernel("rectangle", lay, {"xRadius": x, "yRadius": y, "units": units}, units == "meters")


def gaussian(radius: float, sigma: float, units: str, normalize: bool, magnitude: float) -> Kernel:
    """Return a kernel sampled from a Gaussian of height 1.

    It ends at the radius or at two sigmas, whichever is nearer. (The reference prints 5x5 weights
    for a radius of 3 and a sigma of 1; the rule is a guess from that example.)
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
    """Return the edge detector of a name in :data:`EDGES`."""
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
    """Return a kernel of the given weights.

    Parameters
    ----------
    weights : sequence of sequences of numbers
        Rows of equal length, the topmost first.
    width, height : int
        Checked against ``weights`` unless negative.
    x, y : int
        Column and row of the focus; negative for the centre.
    normalize : bool
        As :func:`weighted` takes it.

    Raises
    ------
    EarthEngineError
        The weights are no table of finite numbers or too many, they do not have the stated size,
        or the focus lies outside of them.
    """
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
    """Return a stencil turned clockwise by a number of right angles."""
    for _ in range(times % 4):
        height = stencil.weights.shape[0]
        turned = np.rot90(stencil.weights, -1)
        stencil = Stencil(turned, height - 1 - stencil.y, stencil.x)
    return stencil


def rotated(kernel: Kernel, times: int) -> Kernel:
    """Return a kernel turned clockwise by a number of right angles."""
    return Kernel(
        kernel.kind, lambda m: _turned(kernel.lay(m), times), kernel.arguments, kernel.scaled
    )


def _sum(a: Stencil, b: Stencil) -> Stencil:
    """Return the sum of two stencils laid over each other with the same focus."""
    left, top, right, bottom = (max(p, q) for p, q in zip(a.margins, b.margins, strict=True))
    total = np.zeros((top + 1 + bottom, left + 1 + right))
    for stencil in (a, b):
        height, width = stencil.weights.shape
        row, col = top - stencil.y, left - stencil.x
        total[row : row + height, col : col + width] += stencil.weights
    return Stencil(total, left, top)


def added(first: Kernel, second: Kernel, normalize: bool) -> Kernel:
    """Return the sum of two kernels laid over each other with the same focus."""

    def lay(metres: float) -> Stencil:
        total = _sum(first.lay(metres), second.lay(metres))
        return Stencil(weighted(total.weights, normalize), total.x, total.y)

    return Kernel("fixed", lay, scaled=first.scaled or second.scaled)


def inverted(kernel: Kernel) -> Kernel:
    """Return a kernel whose weights are the reciprocals of another's; 0 stays 0."""

    def lay(metres: float) -> Stencil:
        stencil = kernel.lay(metres)
        some = stencil.weights != 0
        weights = np.where(some, 1 / np.where(some, stencil.weights, 1), 0.0)
        return Stencil(weights, stencil.x, stencil.y)

    return Kernel(kernel.kind, lay, kernel.arguments, kernel.scaled)
