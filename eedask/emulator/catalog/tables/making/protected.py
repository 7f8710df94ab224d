"""``WCMC/WDPA/current/polygons``: protected areas with invented borders, a few with real names.

Columns and their possible values are those of
https://developers.google.com/earth-engine/datasets/catalog/WCMC_WDPA_current_polygons. No row is
from the real database: ids are greater than any in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.emulator.catalog.tables.making.made import QUANTUM, Made
from eedask.emulator.catalog.tables.making.subdivision import areal, scatter, seeded
from eedask.emulator.catalog.world import iso, outlines
from eedask.emulator.geometry import geodesy
from eedask.emulator.geometry.geometry import Geometry

_FIRST_ID = 900_000_001
_DEGREE_KM = 111.195
_VERTICES = 48
_MOST = 40  # areas in a country
_SIDE_PER_AREA_KM = 60.0
# Amplitudes of the waves of a border, by the number of waves around it; their sum is under 1.
_WAVES = {2: 0.25, 3: 0.15, 5: 0.08, 9: 0.04}
# Designation and management category, and the percentage of areas that have them.
_KINDS = {
    ("Strict Nature Reserve", "Ia"): 6,
    ("Wilderness Area", "Ib"): 4,
    ("National Park", "II"): 18,
    ("Natural Monument", "III"): 10,
    ("Wildlife Reserve", "IV"): 24,
    ("Protected Landscape", "V"): 14,
    ("Forest Reserve", "VI"): 12,
    ("Ramsar Site, Wetland of International Importance", "Not Reported"): 8,
    ("World Heritage Site", "Not Applicable"): 2,
    ("UNESCO-MAB Biosphere Reserve", "Not Applicable"): 2,
}
_NATIONAL = 7  # the number of national kinds, which come first
_STATUSES = {"Designated": 86, "Established": 6, "Proposed": 5, "Adopted": 3}
_WORDS = ("Blue", "Great", "Lower", "North", "Old", "Red", "Upper", "White")
_LANDS = ("Forest", "Hills", "Lake", "Marsh", "Plain", "Ridge", "River", "Valley")


class _Site(NamedTuple):
    """A protected area: longitude and latitude of its middle, area in km2, index of its kind."""

    name: str
    country: str
    lon: float
    lat: float
    area: float
    kind: int
    year: int


# Real, well-known parks.
_KNOWN = (
    _Site("Yellowstone", "USA", -110.5, 44.6, 8980, 2, 1872),
    _Site("Yosemite", "USA", -119.5, 37.85, 3080, 2, 1890),
    _Site("Grand Canyon", "USA", -112.1, 36.2, 4930, 2, 1919),
    _Site("Rocky Mountain", "USA", -105.68, 40.35, 1075, 2, 1915),
    _Site("Banff", "CAN", -115.9, 51.5, 6640, 2, 1885),
    _Site("Serengeti", "TZA", 34.8, -2.3, 14760, 2, 1951),
    _Site("Kruger", "ZAF", 31.5, -24.0, 19480, 2, 1926),
    _Site("Virunga", "COD", 29.4, -0.6, 7800, 2, 1925),
    _Site("Kakadu", "AUS", 132.6, -13.0, 19800, 2, 1979),
    _Site("Kaziranga", "IND", 93.35, 26.65, 430, 2, 1974),
    _Site("Jirisan", "KOR", 127.65, 35.33, 480, 2, 1967),
    _Site("Bialowieza", "POL", 23.8, 52.75, 105, 2, 1947),
    _Site("Manu", "PER", -71.6, -11.9, 17160, 2, 1973),
    _Site("Torres del Paine", "CHL", -72.9, -51.0, 2270, 2, 1959),
)


def protected_areas(countries: Collection[str] | None = None) -> Made:
    """Make the table of some countries or of all, ordered by country, real parks first."""
    rows, shapes = [], []
    for number, site in enumerate(_sites()):
        if countries is not None and site.country not in countries:
            continue
        rng = seeded(f"{site.name} {site.country}")
        land, sea = _shapes(site, rng)
        ashore, afloat = (shapely.set_precision(part, QUANTUM) for part in (land, sea))
        shapes.append(areal(shapely.union(ashore, afloat, grid_size=QUANTUM)))
        rows.append(_row(number, site, _km2(shapes[-1]), _km2(sea), rng))
    return Made(rows, shapes)


def _sites() -> Iterator[_Site]:
    for country, shape in iso.countries().items():
        yield from (site for site in _KNOWN if site.country == country)
        rng = seeded(f"protected {country}")
        side = float(np.sqrt(_km2(shape)))
        count = int(np.clip(round(side / _SIDE_PER_AREA_KM), 1, _MOST))
        places = scatter(shape, count, rng)
        kinds = rng.choice(len(_KINDS), len(places), p=np.array(list(_KINDS.values())) / 100)
        # Sizes range from a hill to a province, but are never a large part of the country.
        radii = np.minimum(np.exp(rng.normal(1.8, 0.9, len(places))), side / 8)
        for index, (lon, lat) in enumerate(places):
            words = f"{_WORDS[rng.integers(8)]} {_LANDS[rng.integers(8)]}"
            yield _Site(
                f"{words} {country}-{index + 1}",
                country,
                lon,
                lat,
                float(np.pi * radii[index] ** 2),
                int(kinds[index]),
                int(2023 - min(rng.exponential(25), 140)),
            )


def _shapes(site: _Site, rng: np.random.Generator) -> tuple[BaseGeometry, BaseGeometry]:
    """Return the part of an area on its country's land, and the part at sea; each may be empty."""
    blob = _blob(site, rng)
    country = iso.countries()[site.country]
    shapely.prepare(country)
    if country.contains(blob):
        return blob, shapely.Polygon()
    land = areal(shapely.intersection(_near(country, blob), blob))
    if rng.random() < 0.5:
        return land, shapely.Polygon()
    shapes, tree = _countries()
    ashore = [_near(shapes[number], blob) for number in np.sort(tree.query(blob))]
    return land, areal(shapely.difference(blob, shapely.union_all(ashore)))


def _blob(site: _Site, rng: np.random.Generator) -> BaseGeometry:
    """Return a roundish polygon of the site's area with a wavy border, in degrees."""
    turn = np.linspace(0, 2 * np.pi, _VERTICES, endpoint=False)
    waves = [a * np.sin(n * turn + rng.uniform(0, 2 * np.pi)) for n, a in _WAVES.items()]
    # The area is pi times the mean square of the radius.
    size = np.sqrt(site.area / np.pi / (1 + sum(a * a for a in _WAVES.values()) / 2))
    radius = size * (1 + np.sum(waves, axis=0)) / _DEGREE_KM
    lon = site.lon + radius * np.cos(turn) / np.cos(np.radians(site.lat))
    lat = site.lat + radius * np.sin(turn)
    return areal(shapely.clip_by_rect(_polygon(lon, lat), -180, -90, 180, 90))


def _polygon(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> shapely.Polygon:
    return shapely.Polygon(np.column_stack([lon, lat]).round(6))


def _near(shape: BaseGeometry, blob: BaseGeometry) -> BaseGeometry:
    """Return the part of a shape in a blob's box, which leaves later overlays few vertices."""
    part = areal(shapely.clip_by_rect(shape, *blob.bounds))
    return part if part.is_valid else shape


@cache
def _countries() -> tuple[list[BaseGeometry], shapely.STRtree]:
    shapes = [country.shape for country in outlines.countries()]
    return shapes, shapely.STRtree(shapes)


def _km2(shape: BaseGeometry) -> float:
    return geodesy.area(Geometry(shape, geodesic=False)) / 1e6


def _row(
    number: int, site: _Site, gis: float, at_sea: float, rng: np.random.Generator
) -> dict[str, Any]:
    designation, category = list(_KINDS)[site.kind]
    is_national = site.kind < _NATIONAL
    status = rng.choice(list(_STATUSES), p=np.array(list(_STATUSES.values())) / 100)
    marine = "0" if at_sea == 0 else ("2" if at_sea >= gis else "1")
    reported = 1 + rng.normal(0, 0.03)
    identifier = _FIRST_ID + number
    return {
        "WDPAID": float(identifier),
        "WDPA_PID": str(identifier),
        "PA_DEF": "1",
        "NAME": site.name,
        "ORIG_NAME": site.name,
        "DESIG": designation,
        "DESIG_ENG": designation,
        "DESIG_TYPE": "National" if is_national else "International",
        "IUCN_CAT": category,
        "INT_CRIT": "Not Applicable" if is_national else "Not Reported",
        "MARINE": marine,
        "REP_M_AREA": round(at_sea * reported, 3),
        "GIS_M_AREA": at_sea,
        "REP_AREA": round(gis * reported, 3),
        "GIS_AREA": gis,
        "NO_TAKE": "Not Applicable" if marine == "0" else "Not Reported",
        "NO_TK_AREA": 0.0,
        "STATUS": str(status) if is_national else "Inscribed",
        "STATUS_YR": site.year,
        "GOV_TYPE": "Federal or national ministry or agency",
        "OWN_TYPE": "State" if rng.random() < 0.6 else "Not Reported",
        "MANG_AUTH": "Not Reported",
        "MANG_PLAN": "Not Reported",
        "VERIF": "State Verified",
        "METADATAID": 1,
        "SUB_LOC": "Not Reported",
        "PARENT_ISO": site.country,
        "ISO3": site.country,
    }
