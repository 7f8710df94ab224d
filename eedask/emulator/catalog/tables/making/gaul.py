"""``FAO/GAUL/2015``: countries (level 0), regions (level 1) and districts (level 2).

Countries are those of Natural Earth; the states and counties of the United States are real.
Elsewhere levels 1 and 2 are invented by :mod:`~eedask.emulator.catalog.tables.making.subdivision`.
The columns are those of
https://developers.google.com/earth-engine/datasets/catalog/FAO_GAUL_2015_level2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.catalog.tables.making import us_outlines
from eedask.emulator.catalog.tables.making.made import Made, snapped
from eedask.emulator.catalog.tables.making.names import names
from eedask.emulator.catalog.tables.making.subdivision import areal, seeded, subdivide
from eedask.emulator.catalog.world import outlines

UNITED_STATES = "United States of America"
_FRENCH_GUIANA = "French Guiana"

# Numbers of districts and regions of the countries of South America, close to the real ones.
_SOUTH_AMERICA = {
    "Argentina": (510, 24),
    "Bolivia": (112, 9),
    "Brazil": (5560, 27),
    "Chile": (345, 15),
    "Colombia": (1065, 33),
    "Ecuador": (224, 24),
    _FRENCH_GUIANA: (22, 2),
    "Guyana": (116, 10),
    "Paraguay": (250, 18),
    "Peru": (1830, 25),
    "Suriname": (62, 10),
    "Uruguay": (125, 19),
    "Venezuela": (335, 25),
}
# GAUL's own codes of some countries; all others get 1000 plus their ISO number.
_CODES = {
    "Argentina": 12,
    "Bolivia": 33,
    "Brazil": 37,
    "Chile": 51,
    "Colombia": 57,
    "Ecuador": 73,
    _FRENCH_GUIANA: 86,
    "Guyana": 107,
    "Paraguay": 194,
    "Peru": 195,
    "Suriname": 233,
    UNITED_STATES: 259,
    "Uruguay": 260,
    "Venezuela": 263,
}
# Names that Natural Earth abbreviates or has in another form.
_LONG_NAMES = {
    "Bosnia and Herz.": "Bosnia and Herzegovina",
    "Br. Indian Ocean Ter.": "British Indian Ocean Territory",
    "Cabo Verde": "Cape Verde",
    "Central African Rep.": "Central African Republic",
    "Czechia": "Czech Republic",
    "Dem. Rep. Congo": "Democratic Republic of the Congo",
    "Dominican Rep.": "Dominican Republic",
    "Eq. Guinea": "Equatorial Guinea",
    "Iran": "Iran  (Islamic Republic of)",
    "Laos": "Lao People's Democratic Republic",
    "Moldova": "Moldova, Republic of",
    "North Korea": "Dem People's Rep of Korea",
    "Russia": "Russian Federation",
    "S. Sudan": "South Sudan",
    "Solomon Is.": "Solomon Islands",
    "South Korea": "Republic of Korea",
    "Syria": "Syrian Arab Republic",
    "Tanzania": "United Republic of Tanzania",
    "United Kingdom": "U.K. of Great Britain and Northern Ireland",
    "Vietnam": "Viet Nam",
    "W. Sahara": "Western Sahara",
    "eSwatini": "Swaziland",
}
_FIRST_STATE_CODE = 3214  # GAUL's code of Alabama; the others follow alphabetically
_TERRITORIES = frozenset({"60", "66", "69", "72", "78"})  # FIPS codes
_MOST_DISTRICTS = 6000
_MOST_REGIONS = 60
_SIMPLER = 0.09  # tolerance of simplification: side of a removed area, in sizes of a district


class Country(NamedTuple):
    """A country of level 0."""

    code: int
    name: str
    shape: BaseGeometry


class _Districts(NamedTuple):
    """The regions and districts of a country, as lists."""

    regions: list[tuple[int, str]]  # code, name
    region: list[int]  # for each district, the index of its region
    names: list[str]
    shapes: list[BaseGeometry]
    outline: Mapping[str, BaseGeometry]  # by region name, for regions whose outline is known


@cache
def countries() -> tuple[Country, ...]:
    """Return the countries ordered by name."""
    found = []
    for number, (code, name, shape) in enumerate(outlines.countries()):
        if name == "France":
            guiana, shape = _split_france(shape)
            found.append(Country(_CODES[_FRENCH_GUIANA], _FRENCH_GUIANA, guiana))
        elif name == UNITED_STATES:
            shape = shapely.coverage_union_all([state.shape for state in proper_states()])
        # A few territories have no code, or that of the country they belong to.
        unique = 1000 + int(code) if code and name != "Ashmore and Cartier Is." else 2000 + number
        found.append(Country(_CODES.get(name, unique), _LONG_NAMES.get(name, name), shape))
    return tuple(sorted(found, key=lambda country: country.name))


def proper_states() -> list[outlines.Outline]:
    """Return the fifty states and the District of Columbia, ordered by name."""
    found = [s for s in us_outlines.states() if s.code not in _TERRITORIES]
    return sorted(found, key=lambda state: state.name)


def level0() -> Made:
    """Make the table of countries."""
    shapes = snapped([country.shape for country in countries()])
    rows = [
        {
            "ADM0_CODE": country.code,
            "ADM0_NAME": country.name,
            "DISP_AREA": "NO",
            "STATUS": "Member State",
            "STR0_YEAR": 1000,
            "EXP0_YEAR": 3000,
            **_measures(shape),
        }
        for country, shape in zip(countries(), shapes, strict=True)
    ]
    return Made(rows, shapes)


def level1(numbers: Iterable[int] | None = None) -> Made:
    """Make the table of regions of some countries (indices in :func:`countries`), or of all."""
    rows: list[dict[str, Any]] = []
    shapes: list[BaseGeometry] = []
    for number in _numbers(numbers):
        districts = _districts(number)
        for at, region in enumerate(districts.regions):
            parts = [s for s, r in zip(districts.shapes, districts.region, strict=True) if r == at]
            shape = districts.outline.get(region[1]) or areal(shapely.coverage_union_all(parts))
            rows.append(_row(number, at, region, None, shape))
            shapes.append(shape)
    return Made(rows, snapped(shapes))


def level2(numbers: Iterable[int] | None = None) -> Made:
    """Make the table of districts of some countries (indices in :func:`countries`), or of all."""
    rows: list[dict[str, Any]] = []
    shapes: list[BaseGeometry] = []
    for number in _numbers(numbers):
        districts = _districts(number)
        for at, (name, region) in enumerate(zip(districts.names, districts.region, strict=True)):
            district = (_MOST_DISTRICTS * (number + 1) + at, name)
            rows.append(_row(number, at, districts.regions[region], district, districts.shapes[at]))
        shapes += districts.shapes
    return Made(rows, shapes)


def _numbers(numbers: Iterable[int] | None) -> Iterable[int]:
    return range(len(countries())) if numbers is None else numbers


def _row(
    number: int,
    at: int,
    region: tuple[int, str],
    district: tuple[int, str] | None,
    shape: BaseGeometry,
) -> dict[str, Any]:
    country = countries()[number]
    row = {
        "system:index": f"{number:04x}{at:016x}",
        "ADM0_CODE": country.code,
        "ADM0_NAME": country.name,
        "ADM1_CODE": region[0],
        "ADM1_NAME": region[1],
        "DISP_AREA": "NO",
        "STATUS": "Member State",
        "STR1_YEAR": 1000,
        "EXP1_YEAR": 3000,
    }
    if district is not None:
        del row["STR1_YEAR"], row["EXP1_YEAR"]
        row |= {
            "ADM2_CODE": district[0],
            "ADM2_NAME": district[1],
            "STR2_YEAR": 1000,
            "EXP2_YEAR": 3000,
        }
    return row | _measures(shape)


def _measures(shape: BaseGeometry) -> dict[str, float]:
    """Return the length (degrees) and area (square degrees) that GAUL has, to seven digits."""
    return {"Shape_Area": _rounded(shape.area), "Shape_Leng": _rounded(shape.length)}


def _rounded(value: float) -> float:
    """Return a number rounded to 24 bits, which takes half the space of others in the file."""
    return float(np.float32(value))


@cache
def _districts(number: int) -> _Districts:
    country = countries()[number]
    if country.name == UNITED_STATES:
        return _american()
    rng = seeded(f"GAUL {country.name}")
    wanted, regions = _SOUTH_AMERICA.get(country.name, _counts(country.shape))
    divided = subdivide(country.shape, wanted, regions, rng)
    used = sorted(set(divided.region.tolist()))
    latin = country.name in _SOUTH_AMERICA
    region_names = names(rng, len(used), latin)
    base = 10_000 + _MOST_REGIONS * number
    return _Districts(
        regions=[(base + at, name) for at, name in enumerate(region_names)],
        region=[used.index(region) for region in divided.region.tolist()],
        names=names(rng, len(divided.districts), latin),
        shapes=_simpler(divided.districts),
        outline={},
    )


def _simpler(districts: list[BaseGeometry]) -> list[BaseGeometry]:
    """Return districts snapped to the grid, with borders between them simplified.

    Coasts and the country's borders stay as they are, and the districts still tile the country.
    """
    shapes = np.array(snapped(districts), dtype=object)
    size = float(np.median(np.sqrt(shapely.area(shapes))))
    return list(shapely.coverage_simplify(shapes, _SIMPLER * size, simplify_boundary=False))


def _counts(shape: BaseGeometry) -> tuple[int, int]:
    """Return numbers of districts and of regions that suit a country's size."""
    middle = np.cos(np.radians(shape.centroid.y))
    square_km = shape.area * 111.2**2 * float(middle)
    districts = int(np.clip(square_km / 6000, 4, 1500))
    return districts, int(np.clip(districts**0.5, 3, 40))


def _american() -> _Districts:
    states = proper_states()
    number = {state.code: at for at, state in enumerate(states)}
    counties = [c for c in us_outlines.counties() if (c.code or "")[:2] in number]
    counties.sort(key=lambda county: county.code or "")
    return _Districts(
        regions=[(_FIRST_STATE_CODE + at, state.name) for at, state in enumerate(states)],
        region=[number[(county.code or "")[:2]] for county in counties],
        names=[county.name for county in counties],
        shapes=snapped([county.shape for county in counties]),
        outline=dict(
            zip([s.name for s in states], snapped([s.shape for s in states]), strict=True)
        ),
    )


def _split_france(shape: BaseGeometry) -> tuple[BaseGeometry, BaseGeometry]:
    """Return French Guiana, and France without it: Natural Earth has them as one."""
    parts = shapely.get_parts(shape)
    box = shapely.box(-55, 2, -51, 6)
    guiana = [part for part in parts if box.contains(part)]
    return shapely.MultiPolygon(guiana), shapely.MultiPolygon(
        [part for part in parts if not box.contains(part)]
    )
