"""Each trap is found in an expression that falls into it, and not in innocent ones."""

import sys
from pathlib import Path

import ee
import pytest
import shapely

from eedask.expressions.compile import Builder, Template, compile_expression
from eedask.expressions.graph import assets, graphs
from eedask.expressions.traps import (
    TRAPS,
    element_by_index,
    found_in,
    mapped_list,
    points_by_index,
    repeated_aggregate,
    whole_collection,
)
from eedask.items.item import WorkItem

sys.path.append(str(Path(__file__).parents[2] / "examples"))

import lst_timeseries
import naip_chips

pytestmark = pytest.mark.usefixtures("earth_engine")

S2, LST, DEM = "COPERNICUS/S2_SR_HARMONIZED", "MODIS/061/MOD11A2", "USGS/SRTMGL1_003"
ITEMS = [
    WorkItem(
        f"p{k}",
        shapely.Point(-105 + k, 39),
        {"n": 7 * k + 1, "id": f"{S2}/T{k}", "ADM2_CODE": 100 + k, "start": f"2019-0{k + 1}-01"},
    )
    for k in range(5)
]


def s2():
    return ee.ImageCollection(S2)


def dem():
    return ee.Image(DEM)


def drawn():
    return ee.FeatureCollection.randomPoints(ee.Geometry.Rectangle(0, 0, 1, 1), 1000)


def sampled():
    return dem().sample(ee.Geometry.Rectangle(0, 0, 1, 1), numPixels=50, geometries=True)


def at(feature):
    return dem().clip(ee.Feature(feature).geometry().buffer(100))


def gray(image):
    return image.select(0)


def year(item):
    return s2().filterDate("2019", "2020").filterBounds(item.geometry)


def kelvin(image):
    return ee.Image(image).multiply(0.02)


GLOBAL = {"reducer": ee.Reducer.minMax, "geometry": lambda: ee.Geometry.Rectangle(0, 0, 1, 1)}


def spread():
    return dem().reduceRegion(GLOBAL["reducer"](), GLOBAL["geometry"](), 1000)


FALLEN = {
    points_by_index: [
        lambda item: at(drawn().toList(1000).get(item["n"])),
        lambda item: at(ee.List(sampled().toList(50)).get(item["n"])),
        lambda item: at(drawn().toList(1, item["n"]).get(0)),
        lambda item: at(drawn().filter(ee.Filter.eq("system:index", item["n"])).first()),
        # Not traced: the index is a number of Python's.
        lambda item: at(drawn().toList(1000).get(int(str(item["n"])))),
    ],
    element_by_index: [
        lambda item: ee.Image(s2().toList(100).get(item["n"])),
        lambda item: ee.Image(s2().map(gray).toList(100).get(item["n"])),
        lambda item: ee.Image(s2().toList(100).map(kelvin).get(item["n"])),
    ],
    mapped_list: [
        lambda item: ee.ImageCollection(year(item).toList(9).map(kelvin)).mean(),
        lambda item: ee.ImageCollection(year(item).toList(9).slice(0, 3).map(kelvin)).mean(),
    ],
    repeated_aggregate: [
        lambda item: dem().subtract(spread().getNumber("elevation_min")).clip(item.geometry),
        lambda item: (
            dem()
            .addBands(s2().filterBounds(item.geometry).mosaic())
            .classify(ee.Classifier.smileCart().train(sampled(), "elevation", ["B4"]))
        ),
        lambda item: dem().set(
            "lows",
            s2()
            .filterDate("2019", "2020")
            .map(lambda i: i.set(i.reduceRegion("min", GLOBAL["geometry"](), 90)))
            .aggregate_array("B4"),
        ),
    ],
    whole_collection: [
        lambda item: s2().median(),
        lambda item: s2().filterBounds(item.geometry).map(gray).reduce(ee.Reducer.mean()),
        lambda item: s2().qualityMosaic("B4").select("B4").clip(item.geometry),
    ],
}

INNOCENT = [
    naip_chips.naip,
    lambda item: lst_timeseries.temperature("2019-01-01", "2020-01-01").max(),
    lst_timeseries.district,
    # README
    lambda item: (
        ee.ImageCollection("USDA/NAIP/DOQQ")
        .filterBounds(item.geometry)
        .filterDate("2019", "2020")
        .mosaic()
        .select(["R", "G", "B"])
    ),
    lambda item: dem(),
    lambda item: ee.ImageCollection(LST).filterBounds(item.geometry).size(),
    lambda item: item.image("id"),
    lambda item: ee.Image(item["id"]),
    # The article's chip, in its region.
    lambda item: year(item).mosaic().clip(item.geometry.buffer(127).bounds()),
    # What depends on the item is its own work.
    lambda item: dem().reduceRegion("mean", item.geometry, 30),
    lambda item: dem().subtract(
        dem().reduceRegion("min", item.geometry.buffer(1e4), 90).getNumber("elevation")
    ),
    lambda item: at(ee.FeatureCollection.randomPoints(item.geometry.buffer(9), 3).toList(3).get(0)),
    lambda item: (
        year(item).map(lambda i: i.set(i.reduceRegion("min", GLOBAL["geometry"](), 90))).mosaic()
    ),
    # A fixed element, lists of constants, limits, filters by other things than place.
    lambda item: ee.Image(s2().toList(5).get(0)).clip(item.geometry),
    lambda item: ee.List([1, 2, 3]).map(lambda n: ee.Number(n).add(item["n"])),
    lambda item: s2().filter(ee.Filter.lt("CLOUDY_PIXEL_PERCENTAGE", 10)).median(),
    lambda item: s2().filterBounds(item.geometry).limit(3, "CLOUDY_PIXEL_PERCENTAGE").mean(),
    lambda item: year(item).median().select("B[2-4]").multiply(item["n"]),
    lambda item: s2().filterDate(item["start"]).first().reduce(ee.Reducer.mean()),
]


def told(function):
    expression = compile_expression(function, ITEMS)
    return {trap for trap in TRAPS if found_in(expression, ITEMS, [trap])}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_each_trap_is_found_alone(trap):
    for function in FALLEN[trap]:
        assert told(function) == {trap}


@pytest.mark.parametrize("function", INNOCENT, ids=lambda f: f.__name__)
def test_innocent_expressions_raise_no_alarm(function):
    assert told(function) == set()


def test_a_function_that_is_called_for_every_item_is_looked_through_as_well():
    function = FALLEN[points_by_index][-1]
    assert isinstance(compile_expression(function, ITEMS), Builder)
    assert isinstance(compile_expression(FALLEN[points_by_index][0], ITEMS), Template)


def test_a_mapped_list_is_told_from_a_plain_one():
    plain, mapped = (
        found_in(compile_expression(f, ITEMS), ITEMS, TRAPS)[0]
        for f in FALLEN[element_by_index][:2]
    )
    assert "items.image_ids" in plain
    assert "items.date_ranges" in mapped


def test_a_graph_knows_what_differs_between_items_and_what_it_loads():
    function = FALLEN[points_by_index][0]
    for root in graphs(compile_expression(function, ITEMS), ITEMS):
        (index,) = [part.parts["index"] for part in root.calls("List.get")]
        (points,) = root.calls("FeatureCollection.randomPoints")
        assert (root.of_item, index.of_item, points.of_item) == (True, True, False)
        assert assets(root) == [DEM]
    fails = compile_expression(lambda item: ee.Image([1, 2, 3][min(int(str(item["n"])), 9)]), ITEMS)
    assert len(graphs(fails, ITEMS)) == 1, "those that cannot be built are left out"
