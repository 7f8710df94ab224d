"""Earth Engine's name for the coordinate reference system of a file."""

from __future__ import annotations

from pyproj import CRS, Transformer

MODIS_SINUSOIDAL = "SR-ORG:6974"
_MODIS_RADIUS = 6371007.181


def crs_name(wkt: str) -> str:
    """Return ``EPSG:n``, ``SR-ORG:6974`` (the sinusoidal of MODIS), or else the WKT itself."""
    crs = CRS.from_wkt(wkt)
    if _is_modis_sinusoidal(crs):
        return MODIS_SINUSOIDAL
    # A confidence of 100 would miss files that omit the axis order; below 70 pyproj guesses.
    code = crs.to_epsg(min_confidence=70)
    return f"EPSG:{code}" if code is not None and _same_place(crs, CRS(code)) else wkt


def _same_place(crs: CRS, known: CRS) -> bool:
    """Return whether equal coordinates are the same place in both crs.

    A check is needed because pyproj may match a crs of unknown datum to one with a known datum.
    """
    if known.area_of_use is None:
        return False
    west, south, east, north = known.area_of_use.bounds
    middle = ((west + east) / 2, (south + north) / 2)
    x, y = Transformer.from_crs("EPSG:4326", known, always_xy=True).transform(*middle)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    return all(abs(a - b) < 1e-8 for a, b in zip(back, middle, strict=True))


def _is_modis_sinusoidal(crs: CRS) -> bool:
    operation, ellipsoid = crs.coordinate_operation, crs.ellipsoid
    return (
        operation is not None
        and ellipsoid is not None
        and operation.method_name == "Sinusoidal"
        and ellipsoid.semi_major_metre == _MODIS_RADIUS
        and ellipsoid.inverse_flattening == 0
        and all(float(parameter.value) == 0 for parameter in operation.params)
    )
