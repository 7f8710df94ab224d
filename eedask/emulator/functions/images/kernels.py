"""Kernel.*: the algorithms that make and combine kernels.

``radius``, ``x`` and ``y`` are in ``units``, pixels or metres; ``normalize`` scales the weights to
a sum of ``magnitude``.
"""

from __future__ import annotations

from typing import Any

from eedask.emulator.functions.registry import algorithm
from eedask.emulator.neighbours import kernels
from eedask.emulator.neighbours.kernels import Kernel


def _register_shape(kind: str, distance: bool) -> None:
    def shape(
        radius: float,
        units: str = "pixels",
        normalize: bool = not distance,
        magnitude: float = 1.0,
    ) -> Kernel:
        return kernels.shaped(kind, radius, units, normalize, magnitude)

    algorithm(f"Kernel.{kind}")(shape)


for _name in kernels.SHAPES:
    _register_shape(_name, False)
for _name in kernels.DISTANCES:
    _register_shape(_name, True)


def _register_edge(kind: str) -> None:
    def edge(magnitude: float = 1.0, normalize: bool = False) -> Kernel:
        return kernels.edge(kind, magnitude, normalize)

    algorithm(f"Kernel.{kind}")(edge)


for _name in kernels.EDGES:
    _register_edge(_name)


@algorithm("Kernel.rectangle")
def rectangle(
    x: float, y: float, units: str = "pixels", normalize: bool = True, magnitude: float = 1.0
) -> Kernel:
    """Return a rectangular kernel of equal weights with the radii ``x`` and ``y``."""
    return kernels.rectangle(x, y, units, normalize, magnitude)


@algorithm("Kernel.gaussian")
def gaussian(
    radius: float,
    sigma: float = 1.0,
    units: str = "pixels",
    normalize: bool = True,
    magnitude: float = 1.0,
) -> Kernel:
    """Return a kernel of a Gaussian with deviation ``sigma``, cut off at ``radius``."""
    return kernels.gaussian(radius, sigma, units, normalize, magnitude)


@algorithm("Kernel.fixed")
def fixed(
    width: int, height: int, weights: list[list[Any]], x: int, y: int, normalize: bool
) -> Kernel:
    """Return a kernel of given weights, as rows; (``x``, ``y``) is its focus."""
    return kernels.fixed(weights, width, height, x, y, normalize)


@algorithm("Kernel.rotate")
def rotate(kernel: Kernel, rotations: int) -> Kernel:
    """Return a kernel rotated clockwise by ``rotations`` times 90 degrees."""
    return kernels.rotated(kernel, rotations)


@algorithm("Kernel.add")
def add(first: Kernel, second: Kernel, normalize: bool = False) -> Kernel:
    """Return the sum of two kernels, laid over each other with their focuses at one place."""
    return kernels.added(first, second, normalize)


@algorithm("Kernel.inverse")
def inverse(kernel: Kernel) -> Kernel:
    """Return a kernel whose weights are one over those of another."""
    return kernels.inverted(kernel)
