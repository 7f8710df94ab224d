"""Coordinate reference systems by their names in Earth Engine, and coordinates between them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from pyproj.exceptions import CRSError, ProjError

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.readings import reading

WGS84 = "EPSG:4326"

# The sinusoidal projection of MODIS: pyproj's database lacks the codes that Earth Engine has.
_SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
_NAMED = {"SR-ORG:6974": _SINUSOIDAL, "SR-ORG:6842": _SINUSOIDAL, "CRS:84": WGS84}
# An authority's code, WKT or a PROJ string.
_NAME = re.compile(r"\s*[A-Za-z-]+:\d+\s*$|\s*[A-Za-z_]+\s*\[|\s*\+proj")
# EPSG's codes, and WKT 1.
_PLAIN = re.compile(
    r"\s*(EPSG:\d+\s*$|(PROJCS|GEOGCS|GEOCCS|LOCAL_CS|COMPD_CS)\s*\[)", re.IGNORECASE
)


@lru_cache(maxsize=256)
def resolve(name: str) -> pyproj.CRS:
    """Return the pyproj CRS of an authority code, WKT or PROJ string; else an EarthEngineError."""
    if not _NAME.match(name):
        # pyproj would search its whole database for a crs with a similar name, which takes long.
        raise _unknown(name)
    try:
        return pyproj.CRS.from_user_input(_NAMED.get(name, name))
    except CRSError:
        raise _unknown(name) from None


def check_requested(name: str) -> None:
    """Raise Earth Engine's 400 if requests may not name a crs so.

    By the reading ``crs_code`` they may name codes of EPSG and WKT 1 only.
    """
    if reading("crs_code") == "epsg" and not _PLAIN.match(name):
        raise _unknown(name)


def _unknown(name: str) -> EarthEngineError:
    return EarthEngineError(f"The CRS of a map projection could not be parsed: {name}")


@lru_cache(maxsize=256)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the pyproj transformer from one crs to another; x, or longitude, comes first."""
    return pyproj.Transformer.from_crs(resolve(source), resolve(target), always_xy=True)


@lru_cache(maxsize=256)
def is_geographic(name: str) -> bool:
    """Return whether the coordinates of a crs are longitudes and latitudes in degrees."""
    return name == WGS84 or resolve(name).is_geographic


def convert(xs: Any, ys: Any, source: str, target: str) -> tuple[Any, Any]:
    """Return arrays of x and y transformed to another crs.

    Raises
    ------
    EarthEngineError
        A point cannot be transformed, or a crs is unknown.
    """
    try:
        return transformer(source, target).transform(xs, ys, errcheck=True)
    except ProjError as error:
        raise EarthEngineError(
            f"Unable to transform coordinates from {source} to {target}: {error}"
        ) from None


def converted(coordinates: Any, source: str, target: str) -> Any:
    """Return an array of coordinates, shape (n, 2), as :func:`convert` transforms them."""
    return np.column_stack(convert(coordinates[:, 0], coordinates[:, 1], source, target))
