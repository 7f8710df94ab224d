"""``RESOLVE/ECOREGIONS/2017``: real ecoregions in plausible places, with invented borders.

``ecoregions.csv``, beside this module, has each ecoregion's id, name, biome and realm, and places
inside it. Land belongs to the ecoregion of the nearest place; borders are made to wind. The
columns are those of
https://developers.google.com/earth-engine/datasets/catalog/RESOLVE_ECOREGIONS_2017.
"""

from __future__ import annotations

import csv
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.catalog.tables.making.made import Made, snapped
from eedask.emulator.catalog.tables.making.subdivision import areal, seeded, winding_cells
from eedask.emulator.catalog.world import coastline

_FILE = Path(__file__).with_name("ecoregions.csv")

# Names and colours of the fourteen biomes.
_BIOMES = {
    1: ("Tropical & Subtropical Moist Broadleaf Forests", "#38A700"),
    2: ("Tropical & Subtropical Dry Broadleaf Forests", "#CCCD65"),
    3: ("Tropical & Subtropical Coniferous Forests", "#88CE66"),
    4: ("Temperate Broadleaf & Mixed Forests", "#00734C"),
    5: ("Temperate Conifer Forests", "#458970"),
    6: ("Boreal Forests/Taiga", "#7AB6F5"),
    7: ("Tropical & Subtropical Grasslands, Savannas & Shrublands", "#FEAA01"),
    8: ("Temperate Grasslands, Savannas & Shrublands", "#FEFF73"),
    9: ("Flooded Grasslands & Savannas", "#BEE7FF"),
    10: ("Montane Grasslands & Shrublands", "#D6C39D"),
    11: ("Tundra", "#9ED7C2"),
    12: ("Mediterranean Forests, Woodlands & Scrub", "#FE0000"),
    13: ("Deserts & Xeric Shrublands", "#CC6767"),
    14: ("Mangroves", "#FE01C4"),
}
_PROTECTION = {
    1: ("Half Protected", "#257339"),
    2: ("Nature Could Reach Half Protected", "#7BC141"),
    3: ("Nature Could Recover", "#F9A91B"),
    4: ("Nature Imperiled", "#EE1E23"),
}
_BORDER_WAVES = 3.0  # degrees: wave length of the borders' windings


def ecoregions() -> Made:
    """Make the table."""
    regions = _read()
    rows = [_row(number, region) for number, region in enumerate(regions)]
    return Made(rows, snapped([_on_land(cell) for cell in _cells(regions)]))


def _read() -> list[dict[str, str]]:
    regions = list(csv.DictReader(_FILE.read_text(encoding="utf-8").splitlines(), delimiter="|"))
    return sorted(regions, key=lambda region: int(region["eco_id"]))


def _cells(regions: list[dict[str, str]]) -> list[BaseGeometry]:
    """Return for each ecoregion the area, of land and sea, that is nearest to its places."""
    places, owner = [], []
    for number, region in enumerate(regions):
        for place in region["places"].split(","):
            places.append([float(part) for part in place.split()])
            owner.append(number)
    world = (-180.0, -90.0, 180.0, 90.0)
    cells = winding_cells(np.array(places), world, seeded("ecoregions"), _BORDER_WAVES)
    owners = np.array(owner)
    return [
        areal(shapely.union_all([cells[i] for i in np.flatnonzero(owners == number)]))
        for number in range(len(regions))
    ]


@cache
def _land_tree() -> shapely.STRtree:
    return shapely.STRtree(coastline.land())


def _on_land(cell: BaseGeometry) -> BaseGeometry:
    pieces: list[Any] = []
    for part in shapely.get_parts(cell):
        for number in np.sort(_land_tree().query(part)):
            mass = coastline.land()[number]
            # Cutting by the box first leaves the exact overlay few of a continent's vertices.
            near = areal(shapely.clip_by_rect(mass, *part.bounds))
            piece = areal(shapely.intersection(near if near.is_valid else mass, part))
            pieces += [polygon for polygon in shapely.get_parts(piece) if not polygon.is_empty]
    return pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces)


def _row(number: int, region: dict[str, str]) -> dict[str, Any]:
    biome = int(region["biome"])
    biome_name, biome_color = _BIOMES[biome]
    draw = zlib.crc32(region["name"].encode())
    protection = 1 + draw % 4
    return {
        "OBJECTID": number + 1,
        "ECO_ID": int(region["eco_id"]),
        "ECO_NAME": region["name"],
        "BIOME_NUM": biome,
        "BIOME_NAME": biome_name,
        "REALM": region["realm"],
        "ECO_BIOME_": f"{region['realm'][:2].upper()}{biome:02d}",
        "NNH": protection,
        "NNH_NAME": _PROTECTION[protection][0],
        "COLOR": f"#{draw % 0x1000000:06X}",
        "COLOR_BIO": biome_color,
        "COLOR_NNH": _PROTECTION[protection][1],
        "LICENSE": "CC-BY 4.0",
    }
