"""Drawing features as pictures (``style``): outlines, fills and markers, antialiased."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import ImageColor
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.projection import degrees_bounds
from eedask.emulator.pixels.raster import Grid, apply
from eedask.emulator.regions.coverage import coverage
from eedask.emulator.regions.shapes import shape_in
from eedask.emulator.values.value_types import Collection, Feature, Query

Colour = tuple[float, float, float, float]  # red, green, blue, opacity, each from 0 to 1

FILL_OPACITY = 0.66
_SYNONYMS = {
    "o": "circle", "s": "square", "d": "diamond", "x": "cross", "+": "plus", "p": "pentagram",
    "h": "hexagram", "^": "triangle", "v": "triangle_down", "<": "triangle_left",
    ">": "triangle_right", "star5": "pentagram", "star6": "hexagram", "triangle_up": "triangle",
}  # fmt: skip
# The number of corners, and the direction of the first one in degrees clockwise from up.
_REGULAR = {
    "square": (4, 45.0),
    "diamond": (4, 0.0),
    "triangle": (3, 0.0),
    "triangle_right": (3, 90.0),
    "triangle_down": (3, 180.0),
    "triangle_left": (3, 270.0),
    "pentagon": (5, 0.0),
    "hexagon": (6, 0.0),
}
_STARS = {"pentagram": 5, "hexagram": 6}
# The lengths of dash and gap, as multiples of the line's width (or of a pixel, for thin lines).
_DASHES = {"dashed": (4.0, 4.0), "dotted": (1.0, 3.0)}
SHAPES = ("circle", "cross", "plus", *_REGULAR, *_STARS)
_MOST_PIXELS = 256.0


def colour(text: str) -> Colour:
    """Return the colour of a CSS name or of a hexadecimal string with or without ``#``."""
    hexadecimal = re.fullmatch(r"([0-9a-fA-F]{3,4}){1,2}", text)
    try:
        found = ImageColor.getrgb(f"#{text}" if hexadecimal else text)
    except ValueError:
        raise EarthEngineError(f"Invalid color '{text}'.") from None
    red, green, blue, *rest = (v / 255 for v in found)
    return (red, green, blue, rest[0] if rest else 1.0)


@dataclass(frozen=True)
class Style:
    """How a feature looks.

    Attributes
    ----------
    color : Colour
        The colour of lines, outlines and markers.
    fill : Colour, optional
        The colour inside outlines; by default ``color`` with 0.66 of its opacity.
    size : float
        The diameter of markers, in pixels.
    shape : str
        The shape of markers, one of :data:`SHAPES`.
    width : float
        The width of lines and outlines, in pixels.
    line : str
        ``solid``, ``dashed`` or ``dotted``.
    """

    color: Colour = (0.0, 0.0, 0.0, 1.0)
    fill: Colour | None = None
    size: float = 3.0
    shape: str = "circle"
    width: float = 2.0
    line: str = "solid"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise EarthEngineError(f"Unknown point shape '{self.shape}'.")
        if self.line != "solid" and self.line not in _DASHES:
            raise EarthEngineError(f"Unknown line type '{self.line}'.")
        if not (0 <= self.size <= _MOST_PIXELS and 0 <= self.width <= _MOST_PIXELS):
            raise EarthEngineError(f"Sizes and widths must be from 0 to {_MOST_PIXELS:.0f} pixels.")

    @property
    def inside(self) -> Colour:
        """The colour inside outlines: ``fill``, or its default."""
        if self.fill is not None:
            return self.fill
        return (*self.color[:3], self.color[3] * FILL_OPACITY)

    @property
    def reach(self) -> float:
        """How far from a feature, in pixels, its drawing may reach."""
        return self.size + self.width + 2

    def changed(self, values: Any) -> Style:
        """Return the style changed by a dictionary of ``style``'s arguments (``pointSize``…).

        Other names are ignored.

        Raises
        ------
        EarthEngineError
            It is no dictionary, or a value is invalid.
        """
        if not isinstance(values, Mapping):
            raise EarthEngineError("Collection.style: A style must be a dictionary.")
        found: dict[str, Any] = {}
        for key, value in values.items():
            if value is not None and key in _FIELDS:
                name, make = _FIELDS[key]
                try:
                    found[name] = make(value)
                except (TypeError, ValueError):
                    raise EarthEngineError(f"Collection.style: Invalid {key} {value!r}.") from None
        return replace(self, **found)


def _marker(value: Any) -> str:
    return _SYNONYMS.get(str(value), str(value))


def _shade(value: Any) -> Colour:
    return colour(str(value))


_FIELDS: dict[str, tuple[str, Any]] = {
    "color": ("color", _shade),
    "fillColor": ("fill", _shade),
    "pointSize": ("size", float),
    "pointShape": ("shape", _marker),
    "width": ("width", float),
    "lineType": ("line", str),
}


def picture(
    collection: Collection, grid: Grid, style: Style, field: str | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw features on a grid, later ones over earlier ones.

    Parameters
    ----------
    collection : Collection
    grid : Grid
    style : Style
        For all features.
    field : str, optional
        The property of a feature that holds a dictionary of changes to its style.

    Returns
    -------
    colours : ndarray of uint8, shape (3, height, width)
    opacity : ndarray of float32, shape (height, width)
        0 to 1.
    """
    canvas = np.zeros((4, *grid.shape))  # colours are multiplied by the opacity
    for feature in collection.elements(Query(bounds=degrees_bounds(grid))):
        if not isinstance(feature, Feature) or feature.geometry is None:
            continue
        own = feature.properties.get(field) if field else None
        used = style if own is None else style.changed(own)
        pixel = math.sqrt(abs(grid.transform.determinant))
        shape = _on_pixels(shape_in(feature.geometry, grid.crs, pixel), grid, used.reach)
        for part, tone in _layers(shape, used):
            _fill_shape(canvas, part, tone, grid)
    opacity = canvas[3]
    colours = canvas[:3] / np.where(opacity > 0, opacity, 1)
    return np.rint(colours.clip(0, 1) * 255).astype(np.uint8), opacity.astype(np.float32)


def _on_pixels(shape: BaseGeometry, grid: Grid, margin: float) -> BaseGeometry:
    """Return a shape in pixels of the grid, cut off at a margin (in pixels) around the grid."""
    inverse = ~grid.transform

    def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(apply(inverse, points[:, 0], points[:, 1]))

    moved = shapely.make_valid(shapely.transform(shape, placed))
    return shapely.clip_by_rect(moved, -margin, -margin, grid.width + margin, grid.height + margin)


def _layers(shape: BaseGeometry, style: Style) -> Iterator[tuple[BaseGeometry, Colour]]:
    """Yield the shapes to fill and their colours, in the order in which they are drawn."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    ranks = shapely.get_dimensions(parts)
    areas = [*parts[ranks == 2]]
    lines = [*parts[ranks == 1]]
    for point in parts[ranks == 0]:
        outline = _marker_shape(point.x, point.y, style)
        (areas if outline.geom_type == "Polygon" else lines).append(outline)
    if areas:
        yield shapely.union_all(areas), style.inside
        lines += [polygon.boundary for polygon in areas]
    if lines and style.width > 0:
        drawn = [_dashed(line, style) for line in lines]
        yield shapely.union_all([line.buffer(style.width / 2) for line in drawn]), style.color


def _marker_shape(x: float, y: float, style: Style) -> BaseGeometry:
    r = style.size / 2
    if style.shape == "circle":
        return shapely.Point(x, y).buffer(r)
    if style.shape == "plus":
        return shapely.MultiLineString([[(x - r, y), (x + r, y)], [(x, y - r), (x, y + r)]])
    if style.shape == "cross":
        d = r / math.sqrt(2)
        return shapely.MultiLineString(
            [[(x - d, y - d), (x + d, y + d)], [(x - d, y + d), (x + d, y - d)]]
        )
    if style.shape in _STARS:
        n = _STARS[style.shape]
        return _ring(x, y, 0.0, [r if i % 2 == 0 else r * 0.4 for i in range(2 * n)])
    corners, turn = _REGULAR[style.shape]
    return _ring(x, y, turn, [r] * corners)


def _ring(x: float, y: float, turn: float, radii: Sequence[float]) -> shapely.Polygon:
    angles = [math.radians(turn + 360 * i / len(radii)) for i in range(len(radii))]
    return shapely.Polygon(
        [(x + r * math.sin(a), y - r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]
    )


def _dashed(line: BaseGeometry, style: Style) -> BaseGeometry:
    if style.line == "solid":
        return line
    on, off = (length * max(style.width, 1) for length in _DASHES[style.line])
    pieces = [
        substring(part, start, start + on)
        for part in shapely.get_parts(line)
        for start in np.arange(0, part.length, on + off)
    ]
    return shapely.MultiLineString([p for p in pieces if p.geom_type == "LineString"])


def _fill_shape(canvas: NDArray[np.float64], shape: BaseGeometry, tone: Colour, grid: Grid) -> None:
    """Draw a shape (in pixels) over the canvas, each pixel as opaque as the shape covers it."""
    if shape.is_empty or tone[3] == 0:
        return
    left, top, right, bottom = shape.bounds
    col, row = max(0, math.floor(left)), max(0, math.floor(top))
    width = min(grid.width, math.ceil(right)) - col
    height = min(grid.height, math.ceil(bottom)) - row
    if width <= 0 or height <= 0:
        return
    window = Grid(grid.crs, Affine.translation(col, row), width, height)
    alpha = coverage(shape, window).astype(np.float64) * tone[3]
    at = (slice(None), slice(row, row + height), slice(col, col + width))
    source = np.stack([alpha * v for v in (*tone[:3], 1.0)])
    canvas[at] = source + canvas[at] * (1 - alpha)
