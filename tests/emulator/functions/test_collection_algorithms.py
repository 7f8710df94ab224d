"""Features, collections, filters, joins and aggregates."""

import math

import numpy as np
import pytest
import shapely
from graphs import Tables, call, function, info_of, value_of

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry, rectangle
from eedask.emulator.values.info import feature_json
from eedask.emulator.values.value_types import Feature


def fails(item, catalog=None):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item, catalog)
    assert caught.value.code == 400
    assert "Internal error" not in caught.value.message
    return caught.value.message


def point(lon, lat):
    return call("GeometryConstructors.Point", coordinates=[lon, lat])


def feature(geometry=None, **properties):
    return call("Feature", geometry=geometry, metadata=properties)


def collection(*features):
    return call("Collection", features=list(features))


def array(items, name):
    return call("AggregateFeatureCollection.array", collection=items, property=name)


def column(items, name, catalog=None):
    return info_of(array(items, name), catalog)


def filtered(items, condition):
    return call("Collection.filter", collection=items, filter=condition)


def compare(name, field, value):
    return call(f"Filter.{name}", leftField=field, rightValue=value)


DAY = 86_400_000.0
ROWS = collection(
    feature(point(0, 0), n=1, s="apple", **{"system:time_start": 0}),
    feature(point(10, 0), n=2.5, s="banana", **{"system:time_start": 40 * DAY}),
    feature(point(20, 0), n=-3, t=["x"], **{"system:time_start": 400 * DAY}),
    feature(),
)


def kept(condition):
    return column(filtered(ROWS, condition), "system:index")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (compare("equals", "n", 1), ["0"]),
        (compare("eq", "n", 1.0), ["0"]),
        (compare("notEquals", "n", 1), ["1", "2"]),
        (compare("lessThan", "n", 1), ["2"]),
        (compare("lessThanOrEquals", "n", 1), ["0", "2"]),
        (compare("greaterThan", "n", 1), ["1"]),
        (compare("greaterThanOrEquals", "n", 1), ["0", "1"]),
        (compare("stringStartsWith", "s", "app"), ["0"]),
        (compare("stringEndsWith", "s", "ana"), ["1"]),
        (compare("stringContains", "s", "an"), ["1"]),
        (compare("listContains", "t", "x"), ["2"]),
        (call("Filter.listContains", leftValue=[1, -3], rightField="n"), ["0", "2"]),
        (compare("inList", "s", ["apple", "pear"]), ["0"]),
        (compare("equals", "system:index", "3"), ["3"]),
        (compare("hasType", "s", "String"), ["0", "1"]),
        (call("Filter.maxDifference", difference=1.5, leftField="n", rightValue=1), ["0", "1"]),
        (call("Filter.rangeContains", field="n", minValue=1, maxValue=2.5), ["0", "1"]),
        (call("Filter.notNull", properties=["n", "s"]), ["0", "1"]),
        (call("Filter.hasGeometry"), ["0", "1", "2"]),
        (call("Filter.never"), []),
        (call("Filter.calendarRange", start=2, field="month"), ["1", "2"]),
        (call("Filter.calendarRange", start=300, end=10, field="day_of_year"), ["0"]),
        (call("Filter.and", filters=[compare("gt", "n", 0), compare("lt", "n", 2)]), ["0"]),
        (call("Filter.or", filters=[compare("gt", "n", 2), compare("lt", "n", 0)]), ["1", "2"]),
        (call("Filter.not", filter=compare("gt", "n", 2)), ["0", "2", "3"]),
        (compare("intersects", ".all", point(10, 0)), ["1"]),
        (compare("intersects", ".geo", feature(point(10, 0))), ["1"]),
        (compare("disjoint", ".geo", point(10, 0)), ["0", "2"]),
        (
            call("Filter.withinDistance", distance=1.2e6, leftField=".geo", rightValue=point(5, 0)),
            ["0", "1"],
        ),
        ("n > 0 && s != 'apple'", ["1"]),
        ("n in [1, -3] or s == 'banana'", ["0", "1", "2"]),
        ("!(n > 0) and system:index != '3'", ["2"]),
        ("0 < n <= 1", ["0"]),
    ],
)
def test_filters(condition, expected):
    assert kept(condition) == expected


def test_filters_that_make_no_sense_are_refused():
    assert "Unable to compare" in fails(array(filtered(ROWS, compare("lt", "n", "a")), "n"))
    assert "leftField" in fails(filtered(ROWS, call("Filter.equals", leftValue=1, rightValue=2)))
    assert "Cannot parse" in fails(filtered(ROWS, "n >"))
    assert "field" in fails(call("Filter.calendarRange", start=1, field="moon"))


def test_filters_tell_readers_what_they_need():
    features = [
        Feature(rectangle((i, 0, i + 1, 1)), {"c": i % 2, "system:time_start": i * DAY}, str(i))
        for i in range(8)
    ]
    catalog = Tables({"T": features})
    dates = call("DateRange", start=call("Date", value=2 * DAY), end=call("Date", value=6 * DAY))
    during = call("Filter.dateRangeContains", leftValue=dates, rightField="system:time_start")
    items = call("Collection.loadTable", tableId="T")
    for condition in (
        compare(
            "intersects",
            ".all",
            call("GeometryConstructors.BBox", west=3.2, south=0.2, east=9, north=0.4),
        ),
        during,
        compare("equals", "c", 1),
    ):
        items = filtered(items, condition)
    assert column(items, "system:index", catalog) == ["3", "5"]
    (query,) = catalog.queries
    assert query.bounds == pytest.approx((3.2, 0.2, 9, 0.4))
    assert (query.start, query.end) == (2 * DAY, 6 * DAY)
    assert query.equals == {"c": 1}


def test_hints_do_not_reach_through_what_changes_the_elements():
    catalog = Tables({"T": [Feature(None, {"c": i}, str(i)) for i in range(4)]})
    table = call("Collection.loadTable", tableId="T")
    changed = function(lambda f: call("Element.set", object=f, key="c", value=7), "f")
    mapped = call("Collection.map", collection=table, baseAlgorithm=changed)
    assert len(column(filtered(mapped, compare("equals", "c", 7)), "c", catalog)) == 4
    limited = call("Collection.limit", collection=table, limit=2)
    assert column(filtered(limited, compare("equals", "c", 3)), "c", catalog) == []
    assert all(not q.equals for q in catalog.queries)


def test_limit_sort_first_and_lists():
    def limited(**arguments):
        return column(call("Collection.limit", collection=ROWS, **arguments), "system:index")

    assert limited(limit=2) == ["0", "1"]
    assert limited(limit=2, key="n") == ["2", "0"]
    assert limited(key="n", ascending=False) == ["1", "0", "2", "3"]
    assert info_of(call("Collection.first", collection=ROWS))["id"] == "0"
    empty = filtered(ROWS, call("Filter.never"))
    assert info_of(call("Collection.first", collection=empty)) is None
    listed = info_of(call("Collection.toList", collection=ROWS, count=2, offset=1))
    assert [f["id"] for f in listed] == ["1", "2"]
    assert info_of(call("Collection.size", collection=ROWS)) == 4


def test_ids_after_map_merge_and_flatten():
    two = collection(feature(a=1), feature(a=2))
    merged = call("Collection.merge", collection1=two, collection2=two)
    assert column(merged, "system:index") == ["1_0", "1_1", "2_0", "2_1"]
    flat = call("Collection.flatten", collection=collection(two, merged))
    assert column(flat, "system:index") == ["0_0", "0_1", "1_1_0", "1_1_1", "1_2_0", "1_2_1"]
    last = filtered(flat, compare("equals", "system:index", "1_2_1"))
    assert column(last, "a") == [2]
    fresh = function(lambda f: feature(point(1, 1), b=3), "f")
    later = filtered(two, compare("gt", "a", 1))
    mapped = call("Collection.map", collection=later, baseAlgorithm=fresh)
    assert info_of(mapped)["features"][0]["id"] == "1"
    nested = call(
        "Collection.flatten",
        collection=call(
            "Collection.map", collection=later, baseAlgorithm=function(lambda f: two, "f")
        ),
    )
    assert column(nested, "system:index") == ["1_0", "1_1"]
    assert "must be collections" in fails(call("Collection.flatten", collection=two))


def test_mapped_functions_may_drop_elements_but_must_return_elements():
    def mapped(body, **arguments):
        return call("Collection.map", collection=ROWS, baseAlgorithm=body, **arguments)

    some = function(
        lambda f: call("If", condition=call("Element.get", object=f, property="s"), trueCase=f),
        "f",
    )
    assert column(mapped(some, dropNulls=True), "system:index") == ["0", "1"]
    assert "must return a Feature or Image" in fails(mapped(some))
    number = function(lambda f: call("Element.get", object=f, property="n"), "f")
    assert "must return a Feature or Image" in fails(mapped(number))
    total = function(
        lambda f, n: call(
            "Number.add", left=call("Element.getNumber", object=f, property="n"), right=n
        ),
        "f",
        "n",
    )
    three = call("Collection.limit", collection=ROWS, limit=3)
    assert info_of(call("Collection.iterate", collection=three, function=total, first=0)) == 0.5


def test_distinct_remap_and_geometry():
    rows = collection(feature(point(0, 0), a=1), feature(point(0, 0), a=1), feature(a="x"))
    assert column(call("Collection.distinct", collection=rows, properties="a"), "a") == [1, "x"]
    by_place = call("Collection.distinct", collection=rows, properties=["a", ".geo"])
    assert column(by_place, "a") == [1, "x"]
    remapped = call(
        "Collection.remap", collection=rows, lookupIn=["x"], lookupOut=[5], columnName="a"
    )
    assert column(remapped, "a") == [5]
    shape = info_of(call("Collection.geometry", collection=rows))
    assert shape == {"type": "MultiPoint", "coordinates": [[0, 0], [0, 0]]}
    union = info_of(call("Collection.union", collection=rows))["features"]
    assert union[0]["id"] == "union_result"
    assert union[0]["geometry"] == {"type": "Point", "coordinates": [0, 0]}
    assert column(rows, ".geo") == [{"type": "Point", "coordinates": [0, 0]}] * 2


def test_features():
    made = call("Feature", geometry=point(1, 2), metadata={"a": 1, "b": None, "c": "x"})
    assert info_of(made) == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"a": 1, "c": "x"},
    }
    selected = call(
        "Feature.select",
        input=made,
        propertySelectors=["[ac]"],
        newProperties=["p", "q"],
        retainGeometry=False,
    )
    assert info_of(selected) == {
        "type": "Feature",
        "geometry": None,
        "properties": {"p": 1, "q": "x"},
    }
    assert info_of(call("Element.get", object=made, property="z")) is None
    removed = call("Element.set", object=made, key="a", value=None)
    assert info_of(call("Element.propertyNames", element=removed)) == ["c"]
    times = call("Feature", metadata={"system:time_start": 3, "k": 4})
    copied = call("Element.copyProperties", destination=made, source=times)
    assert info_of(call("Element.toDictionary", element=copied)) == {"a": 1, "c": "x", "k": 4}
    named = call(
        "Element.copyProperties", destination=made, source=times, properties=["system:time_start"]
    )
    assert info_of(call("Element.get", object=named, property="system:time_start")) == 3
    moved = call("Feature.buffer", feature=made, distance=10)
    assert info_of(moved)["properties"] == {"a": 1, "c": "x"}
    assert info_of(moved)["geometry"]["type"] == "Polygon"
    assert "Feature.area: The feature has no geometry" in fails(
        call("Feature.area", feature=call("Feature"))
    )


def test_features_in_tables_are_planar_in_degrees():
    edge = [(-5, 60), (65, 60), (30, 40), (-5, 60)]
    made = feature_json(Feature(Geometry(shapely.Polygon(edge)), {"a": 1.0}, "7"))
    assert made["properties"] == {"a": 1, "system:index": "7"}
    ring = np.array(made["geometry"]["coordinates"][0])
    assert ring[:, 1].max() > 64
    # The same field seen planar, whose northern edge is the parallel, stays as it is.
    flat = feature_json(Feature(Geometry(shapely.Polygon(edge), geodesic=False)))
    assert flat["geometry"]["coordinates"] == [[list(c) for c in edge]]
    assert feature_json(Feature(None))["geometry"] is None


def test_aggregates():
    def aggregate(name):
        return info_of(call(f"AggregateFeatureCollection.{name}", collection=ROWS, property="n"))

    values = np.array([1, 2.5, -3])
    assert aggregate("count") == 3
    assert aggregate("sum") == 0.5
    assert aggregate("min") == -3
    assert aggregate("max") == 2.5
    assert aggregate("mean") == pytest.approx(values.mean())
    assert aggregate("product") == -7.5
    stats = aggregate("stats")
    assert stats["sample_sd"] == pytest.approx(values.std(ddof=1))
    assert stats["total_var"] == pytest.approx(values.var())
    assert (stats["total_count"], stats["valid_count"]) == (4, 3)
    assert stats["sum_sq"] == pytest.approx((values**2).sum())
    assert aggregate("histogram") == {"-3": 1, "1": 1, "2.5": 1}
    assert aggregate("count_distinct") == 3
    words = call("AggregateFeatureCollection.mean", collection=ROWS, property="s")
    assert "Expected numbers" in fails(words)


def joined(join, condition, primary, secondary):
    return call("Join.apply", join=join, primary=primary, secondary=secondary, condition=condition)


def test_joins():
    left = collection(feature(k=1), feature(k=2), feature(k=9))
    right = collection(feature(k=2, v="b"), feature(k=1, v="a"), feature(k=1, v="c"))
    same = call("Filter.equals", leftField="k", rightField="k")

    def keys(join):
        return column(joined(join, same, left, right), "k")

    assert keys(call("Join.simple")) == [1, 2]
    assert keys(call("Join.inverted")) == [9]
    first = call("Join.saveFirst", matchKey="m", ordering="v", ascending=False)
    found = column(joined(first, same, left, right), "m")
    assert [f["properties"]["v"] for f in found] == ["c", "b"]
    everything = call("Join.saveAll", matchesKey="m", outer=True)
    lists = column(joined(everything, same, left, right), "m")
    assert [[f["properties"]["v"] for f in group] for group in lists] == [["a", "c"], ["b"], []]
    pairs = info_of(joined(call("Join.inner"), same, left, right))["features"]
    assert [f["id"] for f in pairs] == ["0_1", "0_2", "1_0"]
    assert pairs[0]["properties"]["secondary"]["properties"]["v"] == "a"
    near = call("Filter.maxDifference", difference=5, leftField="k", rightField="k")
    best = call("Join.saveBest", matchKey="m", measureKey="d")
    matches = column(joined(best, near, left, right), "m")
    assert [m["properties"]["d"] for m in matches] == [0, 0]
    assert "no join measure" in fails(joined(best, same, left, right))


def random_points(region, n, seed=0):
    points = call("FeatureCollection.randomPoints", region=region, points=n, seed=seed)
    return np.array([f["geometry"]["coordinates"] for f in info_of(points)["features"]])


def test_random_points_are_uniform_on_the_sphere():
    box = call("GeometryConstructors.BBox", west=-60, south=0, east=60, north=80)
    found = random_points(box, 4000, 42)
    assert (np.abs(found[:, 0]) <= 60).all()
    # Uniform on the sphere means uniform in the sine of the latitude.
    share = np.sin(np.radians(found[:, 1])) / math.sin(math.radians(80))
    counts, _ = np.histogram(share, bins=8, range=(0, 1))
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # chi-squared, 7 degrees, 0.1 %
    assert np.array_equal(found, random_points(box, 4000, 42))
    assert not np.array_equal(found, random_points(box, 4000, 43))


def test_random_points_fall_in_all_parts_of_a_region():
    parts = [[[[0, 0], [1, 0], [1, 1], [0, 1]]], [[[50, 0], [52, 0], [52, 1], [50, 1]]]]
    region = call("GeometryConstructors.MultiPolygon", coordinates=parts)
    found = random_points(region, 3000)
    shape = value_of(region).lonlat
    assert shapely.intersects_xy(shape, *found.T).all()
    assert (found[:, 0] > 10).mean() == pytest.approx(2 / 3, abs=0.04)
    across = call("GeometryConstructors.BBox", west=170, south=-10, east=-170, north=10)
    assert (np.abs(random_points(across, 200)[:, 0]) >= 170).all()
    line = call("GeometryConstructors.LineString", coordinates=[[0, 0], [0, 10]])
    assert (random_points(line, 50)[:, 0] == 0).all()


def test_random_columns_depend_on_seed_and_id():
    many = call(
        "FeatureCollection.randomPoints",
        region=call("GeometryConstructors.BBox", west=0, south=0, east=1, north=1),
        points=2000,
    )
    numbers = column(call("Collection.randomColumn", collection=many), "random")
    assert 0 <= min(numbers) < max(numbers) < 1
    assert np.mean(numbers) == pytest.approx(0.5, abs=0.03)
    assert len(set(numbers)) == 2000
    again = call("Collection.randomColumn", collection=many, seed=1)
    assert column(again, "random") != numbers
    normal = call("Collection.randomColumn", collection=many, distribution="normal")
    assert np.std(column(normal, "random")) == pytest.approx(1, abs=0.07)


def test_columns_of_a_collection():
    answer = info_of(ROWS)
    assert answer["columns"]["s"] == "String"
    assert answer["columns"]["system:index"] == "String"
    assert "system:index" not in answer["features"][0]["properties"]
    assert [f["id"] for f in answer["features"]] == ["0", "1", "2", "3"]
