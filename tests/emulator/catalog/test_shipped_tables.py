"""The shipped region tables: small, what the script makes, valid, and read as far as needed."""

import geopandas as gpd
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely

from eedask.emulator.catalog.tables import build, shipped
from eedask.emulator.catalog.tables.making import boundaries, gaul, made, protected, us_outlines
from eedask.emulator.catalog.world import coastline
from eedask.emulator.values.value_types import Query

NAMES = sorted(set(shipped.FILES.values()))


def file_of(name):
    return shipped.FOLDER / f"{name}.parquet"


def part(name, column, values):
    table = pq.read_table(file_of(name))
    return table.filter(pc.field(column).isin(values)).combine_chunks()


def test_the_files_take_six_megabytes_at_most():
    assert {path.stem for path in shipped.FOLDER.iterdir()} == set(NAMES) == set(build.TABLES)
    assert sum(path.stat().st_size for path in shipped.FOLDER.iterdir()) <= 6_000_000


@pytest.mark.slow
def test_a_sample_of_the_files_is_what_the_script_makes():
    chosen = ["Uruguay", "Rwanda", "Iceland"]
    numbers = [n for n, country in enumerate(gaul.countries()) if country.name in chosen]
    for name, expected in {
        "gaul_level1": build.table_of(gaul.level1(numbers)),
        "gaul_level2": build.table_of(gaul.level2(numbers)),
    }.items():
        assert part(name, "ADM0_NAME", chosen).equals(expected)
    whole = build.table_of(boundaries.tiger_states())
    assert pq.read_table(file_of("tiger_states")).equals(whole)
    parks = build.table_of(protected.protected_areas(["TZA", "URY"]))
    identifying = ["WDPAID", "WDPA_PID"]
    found = part("wdpa", "ISO3", ["TZA", "URY"])
    assert found.drop_columns(identifying).equals(parks.drop_columns(identifying))


def test_the_land_masses_are_those_of_the_source_vertex_by_vertex():
    assert [shapely.to_wkb(part) for part in coastline.land()] == [
        shapely.to_wkb(part) for part in build.land_masses()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_the_script_makes(name):
    assert pq.read_table(file_of(name)).equals(build.table_of(build.TABLES[name]()))


@pytest.mark.parametrize("name", NAMES)
def test_geopandas_reads_the_files_and_shapes_are_valid_and_on_the_grid(name):
    frame = gpd.read_parquet(file_of(name))
    assert frame.crs == "OGC:CRS84"
    shapes = frame.geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    assert not shapely.is_empty(shapes).any()
    steps = shapely.get_coordinates(shapes) / made.QUANTUM
    assert (steps == np.round(steps)).all()
    box = (-109.0, 37.0, -102.0, 41.0)
    near = gpd.read_parquet(file_of(name), bbox=box)
    assert len(near) < len(frame) / 2
    met = frame[frame.intersects(shapely.box(*box))]
    assert set(map(shapely.to_wkb, met.geometry)) <= set(map(shapely.to_wkb, near.geometry))


@pytest.mark.parametrize("name", ["gaul_level1", "gaul_level2"])
def test_neighbours_share_their_borders(name):
    frame = gpd.read_parquet(file_of(name))
    # The outlines of counties that the Census Bureau gives overlap here and there.
    invented = frame[frame["ADM0_CODE"] != 259]
    for _, country in invented.groupby("ADM0_CODE"):
        assert shapely.coverage_is_valid(country.geometry.to_numpy())


def overlapping(shapes):
    edges = shapely.coverage_invalid_edges(np.array(shapes, dtype=object))
    return set(np.flatnonzero(~shapely.is_empty(edges)).tolist())


def test_rounding_adds_nothing_to_the_overlaps_of_counties():
    rounded = gpd.read_parquet(file_of("tiger_counties")).geometry.to_numpy()
    exact = [county.shape for county in sorted(us_outlines.counties(), key=lambda c: c.code)]
    assert overlapping(rounded) <= overlapping(exact)


@pytest.mark.parametrize(
    ("query", "groups"),
    [
        (Query(equals={"ADM1_NAME": "Colorado", "ADM0_CODE": 259}), 1),
        (Query(equals={"ADM2_NAME": "no such name"}), 0),
        (Query(bounds=(29.0, -2.0, 30.5, -1.0)), 6),
    ],
)
def test_a_query_decodes_only_the_row_groups_that_it_is_about(query, groups):
    rows = shipped.ShippedRows(file_of("gaul_level2"))
    decoded = []

    def shape(row):
        decoded.append(row)
        return rows.shape(row)

    table = shipped.FeatureTable(rows, rows.boxes(), shape)
    found = list(table.source(query))
    assert len(decoded) == len(found)
    assert rows.groups_read() <= groups < rows.groups()


def test_values_are_of_pythons_own_types_and_nulls_are_left_out():
    (mexico,) = shipped.table("USDOS/LSIB_SIMPLE/2017").source(
        Query(equals={"country_na": "Mexico"})
    )
    assert mexico.properties["country_co"] == "MX"
    (angola,) = shipped.table("USDOS/LSIB_SIMPLE/2017").source(
        Query(equals={"country_na": "Angola"})
    )
    assert "country_co" not in angola.properties
    (state,) = shipped.table("FAO/GAUL/2015/level1").source(Query(equals={"ADM1_NAME": "Colorado"}))
    assert type(state.properties["ADM1_CODE"]) is int
    assert type(state.properties["Shape_Area"]) is float
    assert type(state.properties["ADM1_NAME"]) is str
