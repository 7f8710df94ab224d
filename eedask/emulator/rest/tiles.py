"""Map tiles: 256-pixel squares of the web's Mercator projection."""

from __future__ import annotations

import math
from typing import Any

from eedask.emulator.errors import EarthEngineError

_SIDE = 256
_HALF_WORLD = math.pi * 6378137.0
_MAX_ZOOM = 24


def tile_grid(zoom: int, x: int, y: int) -> dict[str, Any]:
    """Return the PixelGrid of a tile; x and y count from the north-west corner.

    Raises
    ------
    EarthEngineError
        400: no such tile.
    """
    count = 2 ** min(max(zoom, 0), _MAX_ZOOM)
    if not 0 <= zoom <= _MAX_ZOOM or not 0 <= y < count or not 0 <= x < count:
        raise EarthEngineError(f"Invalid tile coordinates: zoom {zoom}, x {x}, y {y}.")
    scale = 2 * _HALF_WORLD / count / _SIDE
    transform = {
        "scaleX": scale,
        "translateX": -_HALF_WORLD + x * _SIDE * scale,
        "scaleY": -scale,
        "translateY": _HALF_WORLD - y * _SIDE * scale,
    }
    return {
        "crsCode": "EPSG:3857",
        "dimensions": {"width": _SIDE, "height": _SIDE},
        "affineTransform": transform,
    }
