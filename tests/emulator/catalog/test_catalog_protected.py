"""Protected areas: the public columns; places within their countries, as large as they say."""

import ee
import numpy as np
import pyproj
import pytest
import shapely

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.tables import shipped
from eedask.emulator.catalog.tables.making import made
from eedask.emulator.catalog.world import iso, outlines
from eedask.emulator.values.value_types import Query

ASSET = "WCMC/WDPA/current/polygons"
CATALOG = Catalog()
STRINGS = """WDPA_PID PA_DEF NAME ORIG_NAME DESIG DESIG_ENG DESIG_TYPE IUCN_CAT INT_CRIT MARINE
NO_TAKE STATUS GOV_TYPE OWN_TYPE MANG_AUTH MANG_PLAN VERIF SUB_LOC PARENT_ISO ISO3"""
FLOATS = "WDPAID REP_M_AREA GIS_M_AREA REP_AREA GIS_AREA NO_TK_AREA"
INTEGERS = "STATUS_YR METADATAID"


@pytest.fixture(scope="module")
def rows():
    return list(CATALOG.load_table(ASSET).elements())


def column(rows, name):
    return [row.properties[name] for row in rows]


def test_columns_are_the_public_ones():
    types = dict.fromkeys(STRINGS.split(), "String")
    types |= dict.fromkeys(FLOATS.split(), "Float") | dict.fromkeys(INTEGERS.split(), "Integer")
    columns = dict(shipped.table(ASSET).columns())
    assert columns.pop("system:index") == "String"
    assert columns == types
    assert CATALOG.asset(ASSET)["properties"]["eedask:synthetic"] == 1


def test_values_are_those_that_the_catalogue_allows(rows):
    assert set(column(rows, "IUCN_CAT")) == {
        *("Ia", "Ib", "II", "III", "IV", "V", "VI", "Not Reported", "Not Applicable")
    }
    assert set(column(rows, "MARINE")) == {"0", "1"}
    assert set(column(rows, "DESIG_TYPE")) == {"National", "International"}
    assert set(column(rows, "STATUS")) == {
        *("Designated", "Established", "Proposed", "Adopted", "Inscribed")
    }
    years = np.array(column(rows, "STATUS_YR"))
    assert years.min() >= 1872
    assert years.max() <= 2023
    assert len(set(column(rows, "WDPAID"))) == len(set(column(rows, "NAME"))) == len(rows)
    assert 1000 < len(rows) < 2500


def test_areas_lie_in_their_countries_or_the_sea(rows):
    countries = iso.countries()
    assert set(column(rows, "ISO3")) == set(countries)
    everywhere = [country.shape for country in outlines.countries()]
    tree = shapely.STRtree(everywhere)
    for row in rows:
        shape, code = row.geometry.shape, row.properties["ISO3"]
        assert shape.is_valid
        assert not shape.is_empty
        whole = countries[code]
        shapely.prepare(whole)
        if whole.contains(shape):
            continue
        # Borders are followed as closely as the shipped table's grid allows.
        rounding = shape.length * made.QUANTUM
        abroad = shape.difference(shapely.clip_by_rect(whole, *shape.bounds))
        if row.properties["MARINE"] == "0":
            assert abroad.area < rounding
        else:
            neighbours = [everywhere[number] for number in tree.query(abroad)]
            assert abroad.intersection(shapely.union_all(neighbours)).area < rounding


def test_areas_are_as_large_as_they_say(rows):
    """By a Lambert azimuthal projection about each, which keeps areas."""
    for row in rows[::17]:
        middle = row.geometry.shape.centroid
        laea = f"+proj=laea +R=6371007.181 +lon_0={middle.x} +lat_0={middle.y}"
        to_plane = pyproj.Transformer.from_crs("+proj=longlat +R=6371007.181", laea)
        fine = shapely.segmentize(row.geometry.shape, 0.01)
        plane = shapely.transform(fine, to_plane.transform, interleaved=False)
        told = row.properties["GIS_AREA"]
        assert told == pytest.approx(plane.area / 1e6, rel=1e-4)
        assert row.properties["REP_AREA"] == pytest.approx(told, rel=0.2)
        assert row.properties["GIS_M_AREA"] <= told
        assert (row.properties["GIS_M_AREA"] > 0) == (row.properties["MARINE"] != "0")


def test_well_known_parks_are_where_they_are(rows):
    (yellowstone,) = CATALOG.load_table(ASSET).elements(Query(equals={"NAME": "Yellowstone"}))
    assert yellowstone.geometry.shape.contains(shapely.Point(-110.5, 44.6))
    assert yellowstone.properties["DESIG_ENG"] == "National Park"
    assert yellowstone.properties["GIS_AREA"] == pytest.approx(8980, rel=0.05)
    here = CATALOG.load_table(ASSET).elements(Query(bounds=(-110.6, 44.5, -110.4, 44.7)))
    assert "Yellowstone" in [row.properties["NAME"] for row in here]


def test_a_script_about_parks(emulator):
    """Filtered, counted, painted and measured as scripts do with the public table."""
    with emulator.initialized():
        table = ee.FeatureCollection(ASSET)
        kenya = table.filter(ee.Filter.eq("ISO3", "KEN"))
        strict = kenya.filter(ee.Filter.inList("IUCN_CAT", ["Ia", "Ib", "II"]))
        assert 0 < strict.size().getInfo() < kenya.size().getInfo()
        park = ee.Feature(table.filter(ee.Filter.eq("NAME", "Serengeti")).first())
        area = park.geometry().area(1).divide(1e6).getInfo()
        assert area == pytest.approx(park.get("GIS_AREA").getInfo(), rel=1e-6)
        painted = ee.Image().float().paint(ee.FeatureCollection([park]), "REP_AREA")
        found = painted.reduceRegion("mean", park.geometry(), 5000).getInfo()
        assert found["constant"] == pytest.approx(park.get("REP_AREA").getInfo())
        point = ee.Geometry.Point([34.8, -2.3])
        assert "Serengeti" in table.filterBounds(point).aggregate_array("NAME").getInfo()
