"""Coordinate reference systems: their names for Earth Engine, and for pyproj."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

from eedask.errors import InputError

# One degree of the equator of WGS84, by which Earth Engine turns metres into degrees
# (ee.Projection("EPSG:4326").nominalScale() is this number).
METRES_PER_DEGREE = 111319.49079327358

# What users may give instead of a crs: "utm" for each item's own UTM zone, "native" for the image's
# own crs and grid.
UTM = "utm"

NATIVE = "native"

# Names that Earth Engine does not know, each with Earth Engine's name for the same crs. These names
# state that longitude comes before latitude, which Earth Engine takes for granted with every crs.
# OGC:CRS84 is what GeoParquet files state by default.
_SAME = {"OGC:CRS84": "EPSG:4326", "OGC:CRS83": "EPSG:4269", "OGC:CRS27": "EPSG:4267"}


def utm_crs(longitude: ArrayLike, latitude: ArrayLike) -> NDArray[np.str_]:
    """Return the EPSG code of each point's own WGS84 / UTM zone.

    Parameters
    ----------
    longitude, latitude : array_like of float, shape (n,)
        Degrees. Zones are the regular ones, 6° wide: without the exceptions for Norway and
        Svalbard, as in most tools.

    Returns
    -------
    ndarray of str, shape (n,)
        ``EPSG:326zz`` north of the equator and on it, ``EPSG:327zz`` south of it.
    """
    longitude, latitude = np.asarray(longitude, float), np.asarray(latitude, float)
    zone = np.floor((longitude + 180.0) % 360.0 / 6.0).astype(int) + 1
    code = np.where(latitude < 0, 32700, 32600) + zone
    return np.char.add("EPSG:", code.astype(str))


def canonical_crs(crs: Any) -> str:
    """Return a crs as Earth Engine takes it: an EPSG code where there is one, else WKT 1.

    Codes of other authorities, such as ``ESRI:54009``, are refused by Earth Engine ("cannot be
    parsed"), all but ``SR-ORG:6974``, which is its own name for MODIS sinusoidal.

    Raises
    ------
    InputError
        If pyproj cannot read it, it is neither projected nor geographic, or WKT 1 cannot express
        it.
    """
    if isinstance(crs, str) and crs.upper() == "SR-ORG:6974":
        return "SR-ORG:6974"
    try:
        parsed = pyproj.CRS.from_user_input(crs)
    except (pyproj.exceptions.CRSError, ValueError, TypeError) as error:
        raise InputError(
            f"crs={crs!r} is not a crs: give an EPSG code such as 'EPSG:32613', 'utm' for each"
            " point's own zone, 'native' for the image's own grid, or anything pyproj reads"
        ) from error
    if not is_plane(parsed):
        raise InputError(
            f"crs={crs!r} is a {parsed.type_name}, which has no plane for pixels: give a projected"
            " crs, such as 'EPSG:32613', or a geographic one, such as 'EPSG:4326'"
        )
    code = ":".join(parsed.to_authority(min_confidence=100) or ())
    code = _SAME.get(code, code)
    if code.startswith("EPSG:"):
        return code
    return _wkt1(parsed)


def is_plane(crs: pyproj.CRS) -> bool:
    """Whether a crs has two axes along the ground: not so one of heights, or of x, y and z."""
    return bool(crs.is_projected or crs.is_geographic)


def _wkt1(parsed: pyproj.CRS) -> str:
    try:
        wkt = parsed.to_wkt("WKT1_GDAL")
    except pyproj.exceptions.CRSError:
        wkt = None
    if not wkt:
        raise InputError(
            f"the crs {parsed.name!r} has no EPSG code and cannot be written as WKT 1, in which"
            " Earth Engine takes such ones; give another crs, such as 'utm'"
        )
    return str(wkt)


def is_readable(crs: str) -> bool:
    """Return whether pyproj can read a crs that an answer of Earth Engine names.

    Earth Engine uses codes that pyproj's database does not have, such as ``SR-ORG:6842``.
    """
    try:
        as_pyproj(crs)
    except pyproj.exceptions.CRSError:
        return False
    return True


def crs_name(crs: Any) -> str:
    """Return a user's ``crs=`` in one spelling: "utm", "native", or as :func:`canonical_crs` does.

    "utm" and "native" may be written in capital letters.

    Raises
    ------
    InputError
        If it is neither of the two words, and pyproj cannot read it.
    """
    if isinstance(crs, str) and crs.lower() in (UTM, NATIVE):
        return crs.lower()
    return canonical_crs(crs)


@lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Return how many metres one unit of a crs has, as Earth Engine counts for ``scale``.

    A degree counts as :data:`METRES_PER_DEGREE` at every latitude.
    """
    parsed = as_pyproj(crs)
    if parsed.is_geographic:
        return METRES_PER_DEGREE
    return float(parsed.axis_info[0].unit_conversion_factor or 1.0)


@lru_cache(maxsize=256)
def as_pyproj(crs: str) -> pyproj.CRS:
    """Return pyproj's crs for a name that Earth Engine uses."""
    # MODIS sinusoidal: Earth Engine's name for it is not in pyproj's database.
    if crs == "SR-ORG:6974":
        return pyproj.CRS("+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs")
    return pyproj.CRS(crs)


@lru_cache(maxsize=256)
def is_wgs84(crs: str) -> bool:
    """Whether a crs is of the datum of longitude and latitude as they are sent, WGS 84.

    Into others, programs turn coordinates in ways that may differ by a metre.
    """
    degrees = as_pyproj(crs).geodetic_crs
    return degrees is not None and degrees.equals("EPSG:4326", ignore_axis_order=True)


@lru_cache(maxsize=256)
def same_crs(one: str, other: str) -> bool:
    """Whether two names stand for one crs, as ``SR-ORG:6974`` and its WKT do."""
    if one == other:
        return True
    return is_readable(one) and is_readable(other) and bool(as_pyproj(one) == as_pyproj(other))


@lru_cache(maxsize=256)
def from_degrees(crs: str) -> pyproj.Transformer:
    """Return the transformer from longitude and latitude to a crs."""
    return pyproj.Transformer.from_crs("EPSG:4326", as_pyproj(crs), always_xy=True)
