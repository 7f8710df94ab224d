"""Builds small SVG drawings: paths, labels and round values for axes."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eedask.results.reporting.markup import text

# Default colours by name, used in notebooks. The report's ``page.css`` sets its own.
COLOURS = {
    "ok": "#2f855a",
    "failed": "#c53030",
    "open": "#8a93a3",
    "ink": "#5b6472",
    "rule": "#d9dde3",
    "coast": "#9aa5b5",
    "sea": "#f5f7fa",
    "mark": "#3b6fb6",
}
FONT = "system-ui,sans-serif"


def colour(name: str) -> str:
    """Return the page's colour of this name, as CSS; the default one if the page has none."""
    return f"var(--{name},{COLOURS[name]})"


def drawing(width: float, height: float, label: str, *parts: str) -> str:
    """Return an SVG of some parts. It is shown as wide as there is room, at most ``width``."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label="{text(label)}" style="width:100%;max-width:{width:g}px;height:auto;'
        f'font:11px {FONT}">{"".join(parts)}</svg>'
    )


def label(x: float, y: float, words: str, anchor: str = "middle") -> str:
    """Return words at a place. By ``anchor``, they begin, have their middle or end there."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour("ink")}">'
        f"{text(words)}</text>"
    )


def line(points: NDArray[np.float64], stroke: str, width: float = 1.0) -> str:
    """Return a line through points, shape (n, 2); a dot if there is only one."""
    return lines([points], stroke, width)


def lines(several: Iterable[NDArray[np.float64]], stroke: str, width: float = 1.0) -> str:
    """Return lines, each through points of shape (n, 2), as one path."""
    path = "".join(f"M{_pairs(one)}{'h0' if len(one) == 1 else ''}" for one in several)
    return (
        f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}"'
        f' stroke-linejoin="round" stroke-linecap="round"/>'
    )


def area(points: NDArray[np.float64], fill: str, opacity: float) -> str:
    """Return an area with the given corners, shape (n, 2)."""
    return f'<path d="M{_pairs(points)}Z" fill="{fill}" fill-opacity="{opacity:g}"/>'


def dots(points: NDArray[np.float64], stroke: str, size: float, square: bool = False) -> str:
    """Return a dot at each of some points, shape (n, 2), as one path."""
    places = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points.tolist())
    cap = "square" if square else "round"
    return (
        f'<path d="{places}" fill="none" stroke="{stroke}" stroke-width="{size:g}"'
        f' stroke-linecap="{cap}" stroke-opacity=".85"/>'
    )


def _pairs(points: NDArray[np.float64]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())


def round_step(span: float, most: int) -> float:
    """Return the least of 1, 2, 5, 10 … that cuts a span into ``most`` pieces or fewer."""
    least = span / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def multiples(low: float, high: float, step: float) -> list[float]:
    """Return the multiples of a step between two values, these included."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]
