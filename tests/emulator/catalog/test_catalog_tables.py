"""The built-in tables: names that are real, regions that tile, queries that find."""

import numpy as np
import pytest
import shapely

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.tables.making import made
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
COLORADO = shapely.box(-109.05, 37.0, -102.05, 41.0)
LEVEL2 = "FAO/GAUL_SIMPLIFIED_500m/2015/level2"


def features(table, **query):
    return list(CATALOG.load_table(table).elements(Query(**query)))


def test_colorado_by_name_is_where_it_is():
    (found,) = [
        f
        for f in features("FAO/GAUL/2015/level1", equals={"ADM1_NAME": "Colorado"})
        if f.properties["ADM0_NAME"] == "United States of America"
    ]
    overlap = found.geometry.shape.intersection(COLORADO).area
    assert overlap / found.geometry.shape.union(COLORADO).area > 0.99
    (tiger,) = features("TIGER/2018/States", equals={"STUSPS": "CO"})
    assert tiger.properties["NAME"] == "Colorado"
    assert tiger.geometry.shape.equals(found.geometry.shape)
    assert len(features("TIGER/2018/Counties", equals={"STATEFP": "08"})) == 64


def test_ecoregions_of_colorado():
    table = "RESOLVE/ECOREGIONS/2017"
    met = [
        f for f in features(table, bounds=COLORADO.bounds) if f.geometry.shape.intersects(COLORADO)
    ]
    names = {f.properties["ECO_NAME"] for f in met}
    assert {
        "Colorado Rockies forests",
        "Western shortgrass prairie",
        "Colorado Plateau shrublands",
        "Wyoming Basin shrub steppe",
    } <= names
    assert 4 <= len(names) <= 8
    union = shapely.union_all([f.geometry.shape for f in met])
    assert COLORADO.difference(union).area < 1e-9
    (rockies,) = features(table, equals={"ECO_NAME": "Colorado Rockies forests"})
    assert rockies.properties["BIOME_NAME"] == "Temperate Conifer Forests"
    assert rockies.geometry.shape.contains(shapely.Point(-105.68, 40.35))  # Rocky Mountain park


def test_level_2_tiles_south_america():
    for name in ("Bolivia", "Uruguay"):
        (country,) = features("FAO/GAUL/2015/level0", equals={"ADM0_NAME": name})
        shapes = [f.geometry.shape for f in features(LEVEL2, equals={"ADM0_NAME": name})]
        assert shapely.is_valid(shapes).all()
        assert shapely.coverage_is_valid(np.array(shapes))
        whole = shapely.union_all(shapes)
        assert abs(shapely.area(shapes).sum() - whole.area) < 1e-9  # no overlaps
        rings = [
            shapely.get_num_interior_rings(shapely.get_parts(s)).sum()
            for s in (whole, country.geometry.shape)
        ]
        assert rings[0] == rings[1]  # no gaps within
        # Where a border meets the country's, that has a vertex on the grid.
        assert shapely.hausdorff_distance(whole, country.geometry.shape) < made.QUANTUM


def test_level_2_codes_and_ids_are_unique_and_nest():
    found = features(LEVEL2, bounds=(-82.0, -56.0, -34.0, 13.0))
    assert len(found) > 5000
    for key in ("ADM2_CODE", "system:index"):
        assert len({f.properties[key] for f in found}) == len(found)
    regions = {
        f.properties["ADM1_CODE"]: f
        for f in features("FAO/GAUL/2015/level1", equals={"ADM0_NAME": "Brazil"})
    }
    brazil = [f for f in found if f.properties["ADM0_NAME"] == "Brazil"]
    assert len(regions) == 27
    for feature in brazil[::200]:
        region = regions[feature.properties["ADM1_CODE"]]
        assert region.properties["ADM1_NAME"] == feature.properties["ADM1_NAME"]
        lost = feature.geometry.shape.difference(region.geometry.shape)
        assert lost.area < 1e-9


def test_counties_are_level_2_of_the_united_states():
    found = features("FAO/GAUL/2015/level2", equals={"ADM1_NAME": "Colorado", "ADM0_CODE": 259})
    names = {f.properties["ADM2_NAME"] for f in found}
    assert len(found) == 64
    assert {"Boulder", "Denver", "El Paso"} <= names


@pytest.mark.parametrize(
    "table", ["FAO/GAUL/2015/level0", "USDOS/LSIB_SIMPLE/2017", "TIGER/2018/States"]
)
def test_bounds_leave_out_only_what_is_outside(table):
    everything = features(table)
    rng = np.random.default_rng(3)
    for west, south in rng.uniform((-180, -80), (160, 70), (30, 2)):
        bounds = (west, south, west + 15, south + 8)
        box = shapely.box(*bounds)
        wanted = {f.id for f in everything if f.geometry.shape.intersects(box)}
        assert wanted <= {f.id for f in features(table, bounds=bounds)}


def test_tables_say_that_they_are_synthetic():
    for asset_id in ("RESOLVE/ECOREGIONS/2017", LEVEL2):
        assert CATALOG.load_table(asset_id).properties["eedask:synthetic"] == 1
        assert CATALOG.asset(asset_id)["type"] == "TABLE"


def test_french_guiana_is_not_part_of_france():
    (guiana,) = features("FAO/GAUL/2015/level0", equals={"ADM0_NAME": "French Guiana"})
    (france,) = features("FAO/GAUL/2015/level0", equals={"ADM0_NAME": "France"})
    cayenne = shapely.Point(-52.4, 4.6)
    assert guiana.geometry.shape.contains(cayenne)
    assert not france.geometry.shape.contains(cayenne)


def test_outlines_end_at_the_map_edge_rather_than_cross_it():
    for name, inside, outside in (
        ("Russian Federation", [(100, 60), (-175, 66), (179, 67)], [(-100, 66), (0, 67)]),
        ("Fiji", [(178, -17.8)], [(0, -17.8), (-60, -16.8)]),
        ("Antarctica", [(-120, -80), (0, -89.9), (120, -75)], [(0, -50)]),
    ):
        (found,) = features("FAO/GAUL/2015/level0", equals={"ADM0_NAME": name})
        shape = found.geometry.shape
        assert shape.is_valid
        assert shape.bounds[0] >= -180
        assert shape.bounds[2] <= 180
        assert shapely.contains_xy(shape, *np.transpose(inside)).all()
        assert not shapely.contains_xy(shape, *np.transpose(outside)).any()
