"""``TIGER/2018`` and ``USDOS/LSIB_SIMPLE/2017``: real states, counties and countries."""

from __future__ import annotations

from typing import Any

from eedask.emulator.catalog.tables.making import gaul, us_outlines
from eedask.emulator.catalog.tables.making.made import Made, snapped
from eedask.emulator.catalog.world import outlines

# FIPS code and postal code of the states and territories.
_CODES = (
    "01AL 02AK 04AZ 05AR 06CA 08CO 09CT 10DE 11DC 12FL 13GA 15HI 16ID 17IL 18IN 19IA 20KS 21KY "
    "22LA 23ME 24MD 25MA 26MI 27MN 28MS 29MO 30MT 31NE 32NV 33NH 34NJ 35NM 36NY 37NC 38ND 39OH "
    "40OK 41OR 42PA 44RI 45SC 46SD 47TN 48TX 49UT 50VT 51VA 53WA 54WV 55WI 56WY 60AS 66GU 69MP "
    "72PR 78VI"
)
_POSTAL = {code[:2]: code[2:] for code in _CODES.split()}
# LSIB's two-letter codes (FIPS 10-4), of the countries that scripts select by them.
_LETTERS = {
    "Afghanistan": "AF",
    "Argentina": "AR",
    "Australia": "AS",
    "Austria": "AU",
    "Bangladesh": "BG",
    "Belgium": "BE",
    "Bolivia": "BL",
    "Brazil": "BR",
    "Cameroon": "CM",
    "Canada": "CA",
    "Chile": "CI",
    "China": "CH",
    "Colombia": "CO",
    "Czechia": "EZ",
    "Ecuador": "EC",
    "Egypt": "EG",
    "Ethiopia": "ET",
    "Finland": "FI",
    "France": "FR",
    "Germany": "GM",
    "Ghana": "GH",
    "Guyana": "GY",
    "India": "IN",
    "Indonesia": "ID",
    "Ireland": "EI",
    "Italy": "IT",
    "Japan": "JA",
    "Kenya": "KE",
    "Mexico": "MX",
    "Mozambique": "MZ",
    "Nepal": "NP",
    "Netherlands": "NL",
    "New Zealand": "NZ",
    "Nigeria": "NI",
    "Norway": "NO",
    "Paraguay": "PA",
    "Peru": "PE",
    "Poland": "PL",
    "Portugal": "PO",
    "Romania": "RO",
    "Russia": "RS",
    "Rwanda": "RW",
    "Senegal": "SG",
    "South Africa": "SF",
    "South Korea": "KS",
    "Spain": "SP",
    "Suriname": "NS",
    "Sweden": "SW",
    "Switzerland": "SZ",
    "Tanzania": "TZ",
    "Thailand": "TH",
    "Turkey": "TU",
    "Uganda": "UG",
    "Ukraine": "UP",
    "United Kingdom": "UK",
    gaul.UNITED_STATES: "US",
    "Uruguay": "UY",
    "Venezuela": "VE",
    "Vietnam": "VM",
    "Zambia": "ZA",
    "Zimbabwe": "ZI",
}
# LSIB's names of countries that differ from Natural Earth's.
_LSIB_NAMES = {
    gaul.UNITED_STATES: "United States",
    "Bosnia and Herz.": "Bosnia & Herzegovina",
    "Cabo Verde": "Cabo Verde",
    "Central African Rep.": "Central African Rep",
    "Côte d'Ivoire": "Cote d'Ivoire",
    "Dem. Rep. Congo": "Dem Rep of the Congo",
    "Dominican Rep.": "Dominican Republic",
    "Eq. Guinea": "Equatorial Guinea",
    "Myanmar": "Burma",
    "S. Sudan": "South Sudan",
    "South Korea": "Korea, South",
    "North Korea": "Korea, North",
}


def tiger_states() -> Made:
    """Make ``TIGER/2018/States``: the states and territories."""
    states = sorted(us_outlines.states(), key=lambda state: state.code or "")
    rows = [
        {
            "GEOID": state.code,
            "STATEFP": state.code,
            "STUSPS": _POSTAL[state.code or ""],
            "NAME": state.name,
            "LSAD": "00",
            "MTFCC": "G4000",
            "FUNCSTAT": "A",
        }
        for state in states
    ]
    return Made(rows, snapped([state.shape for state in states]))


def tiger_counties() -> Made:
    """Make ``TIGER/2018/Counties``."""
    counties = sorted(us_outlines.counties(), key=lambda county: county.code or "")
    rows = [
        {
            "GEOID": county.code,
            "STATEFP": (county.code or "")[:2],
            "COUNTYFP": (county.code or "")[2:],
            "NAME": county.name,
            "MTFCC": "G4020",
            "FUNCSTAT": "A",
        }
        for county in counties
    ]
    return Made(rows, snapped([county.shape for county in counties]))


def lsib() -> Made:
    """Make ``USDOS/LSIB_SIMPLE/2017``."""
    countries = sorted(outlines.countries(), key=lambda country: country.name)
    rows: list[dict[str, Any]] = []
    for country in countries:
        row = {"country_na": _LSIB_NAMES.get(country.name, country.name)}
        if country.name in _LETTERS:
            row["country_co"] = _LETTERS[country.name]
        rows.append(row)
    return Made(rows, snapped([country.shape for country in countries]))
