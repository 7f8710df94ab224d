"""Pictures of features: ``Collection.draw`` and ``FeatureCollection.style``."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.pixel_types import BYTE
from eedask.emulator.pixels.raster import DEFAULT_PROJECTION, Band, Grid, Image, Pixels
from eedask.emulator.regions.styling import Style, picture
from eedask.emulator.values.value_types import Collection

_NAMES = ("vis-red", "vis-green", "vis-blue")


def _drawn(collection: Collection, style: Style, field: str | None = None) -> Image:
    @lru_cache(maxsize=1)  # the colours of a picture are read one after the other
    def compute(grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return picture(collection, grid, style, field)

    def read(index: int, grid: Grid) -> Pixels:
        colours, opacity = compute(grid)
        return Pixels(colours[index], opacity)

    return Image(
        tuple(
            Band(name, BYTE, DEFAULT_PROJECTION, partial(read, i)) for i, name in enumerate(_NAMES)
        )
    )


@algorithm("Collection.draw")
def draw(collection: Collection, color: str, radius: int = 3, width: int = 2) -> Image:
    """Return a picture of features: bands of red, green and blue, whose mask is the opacity.

    https://developers.google.com/earth-engine/guides/feature_collections_visualizing
    """
    given = {"color": color, "pointSize": 2 * radius, "width": width}
    return _drawn(collection, Style().changed(given))


@algorithm("Collection.style")
def style(
    collection: Collection,
    color: str = "black",
    size: int = 3,
    shape: str = "circle",
    width: float = 2.0,
    fill: str | None = None,
    field: str | None = None,
    neighbourhood: int = 5,
    line: str = "solid",
) -> Image:
    """Return a picture of features; the property ``field`` may hold a feature's own style.

    https://developers.google.com/earth-engine/apidocs/ee-featurecollection-style
    """
    del neighbourhood  # concerns the edges of Earth Engine's tiles; this has none
    given = {
        "color": color,
        "pointSize": size,
        "pointShape": shape,
        "width": width,
        "fillColor": fill,
        "lineType": line,
    }
    return _drawn(collection, Style().changed(given), field)
