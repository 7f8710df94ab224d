"""Composites of mapped collections: the same pixels, whether far images are mapped or not."""

from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
import shapely
from affine import Affine
from graphs import call, encode, function, info_of
from hypothesis import example, given, settings
from pixel_images import UTM, image

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import landsat, sentinel2
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.expression import lineage
from eedask.emulator.expression.expression import Context, Function, evaluate
from eedask.emulator.expression.linking import link
from eedask.emulator.expression.signatures import signature
from eedask.emulator.functions.registry import IMPLEMENTATIONS, Keeps
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.limits.budget import Budget
from eedask.emulator.limits.metering import metered
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.values.value_types import NOTHING_KEPT, Collection, Kept, Query

MANY = 90
NAMES = ["red", "nir", "qa"]
WHOLE = Kept(place=True, changed=frozenset())


class Scenes:
    """A collection of many images of 8 by 8 pixels, one beside the other, in two rows.

    They overlap by half; a quarter of the pixels are masked.
    """

    def __init__(self):
        rng = np.random.default_rng(5)
        self.made = [self._image(i, rng) for i in range(MANY)]
        self.queries = []

    @staticmethod
    def _image(i, rng):
        values = rng.integers(0, 1000, (3, 8, 8)).astype(np.uint16)
        mask = (rng.random((8, 8)) > 0.25).astype(np.float32)
        place = Affine(10, 0, 500000 + 40 * (i // 2), 0, -10, 4400000 - 40 * (i % 2))
        properties = {"system:index": f"I{i}", "system:time_start": 1000 * i, "CLOUDS": i % 7}
        return image(values, place, names=NAMES, mask=mask, **properties)

    def load_collection(self, _):
        def source(query: Query) -> Iterator:
            self.queries.append(query)
            return iter(self.made)

        return Collection("ImageCollection", source, id="SCENES")

    def load_image(self, _):
        values = np.arange(400, dtype=np.uint16).reshape(20, 20)
        return image(values, Affine(100, 0, 500000, 0, -100, 4400500), names=["red"])


CATALOG = Scenes()
SCENES = call("ImageCollection.load", id="SCENES")
ELSEWHERE = call("Image.load", id="ELSEWHERE")
POINT = call("GeometryConstructors.Point", coordinates=[-104.99, 39.75])
NEAR = call("Geometry.buffer", geometry=POINT, distance=400)
CORNER = call("GeometryConstructors.Point", coordinates=[-104.9997, 39.7496])
GRID = Grid(UTM, Affine(10, 0, 500805, 0, -10, 4399995), 13, 11)


def constant(value):
    return call("Image.constant", value=value)


def select(i, *names):
    return call("Image.select", input=i, bandSelectors=list(names))


def of_two(name, other):
    return lambda i: call(f"Image.{name}", image1=i, image2=other)


def index(i):
    ratio = call("Image.normalizedDifference", input=i, bandNames=["nir", "red"])
    return call("Image.addBands", dstImg=i, srcImg=call("Image.rename", input=ratio, names=["nd"]))


def clear(i):
    bits = call("Image.bitwiseAnd", image1=select(i, "qa"), image2=constant(8))
    return call("Image.updateMask", image=i, mask=call("Image.eq", image1=bits, image2=0))


def scaled(i):
    return call("Image.add", image1=call("Image.multiply", image1=i, image2=0.1), image2=-0.2)


def with_time(i):
    return call("Element.copyProperties", destination=scaled(i), source=i,
                properties=["system:time_start"])  # fmt: skip


def by_cloud(yes, no):
    def chosen(i):
        few = call("Number.lt", left=call("Element.get", object=i, property="CLOUDS"), right=4)
        return call("If", condition=few, trueCase=yes(i), falseCase=no(i))

    return chosen


SUM = call("Reducer.sum")
PRUNED = {
    "itself": lambda i: i,
    "select": lambda i: select(i, "nir", "red", "qa"),
    "scaled": scaled,
    "index": index,
    "clear": clear,
    "masked from elsewhere": lambda i: call(
        "Image.updateMask", image=i, mask=call("Image.gt", image1=ELSEWHERE, image2=30)
    ),
    "plus elsewhere": of_two("add", ELSEWHERE),
    "a constant less it": lambda i: call("Image.subtract", image1=constant(5), image2=i),
    "unmasked": lambda i: call("Image.unmask", input=i, value=7),
    "unmasked, said": lambda i: call("Image.unmask", input=i, value=7, sameFootprint=True),
    "where": lambda i: call(
        "Image.where", input=i, test=call("Image.gt", image1=i, image2=500), value=3
    ),
    "cast": lambda i: call("Image.toFloat", value=i),
    "named": lambda i: call("Image.sqrt", value=i),
    "clipped": lambda i: call("Image.clip", input=i, geometry=NEAR),
    "largest around": lambda i: call("Image.focalMax", image=i, radius=2, units="pixels"),
    "cat": lambda i: call("Image.cat", images=[select(i, "red"), select(i, "nir"), i]),
    "set": lambda i: call("Element.set", object=i, key="a", value=1),
    "set many": lambda i: call("Element.setMulti", object=i, properties={"a": 1, "b": "c"}),
    "with time": with_time,
    "one of two": by_cloud(scaled, lambda i: i),
    "remembered": lambda i: call(
        "Image.addBands", dstImg=i, srcImg=call("Image.metadata", image=i, property="CLOUDS")
    ),
}
NOT_PRUNED = {
    "a constant": lambda _: constant(4),
    "elsewhere": lambda _: ELSEWHERE,
    "elsewhere plus it": lambda i: call("Image.add", image1=ELSEWHERE, image2=i),
    "unmasked all over": lambda i: call("Image.unmask", input=i, value=7, sameFootprint=False),
    "moved": lambda i: call("Image.translate", input=i, x=200, y=0),
    "blended": lambda i: call("Image.blend", bottom=i, top=ELSEWHERE),
    "one or the other": by_cloud(lambda i: i, lambda _: constant([1, 2, 3])),
    "set by a dictionary": lambda i: call(
        "Element.setMulti", object=i, properties=call("Image.bandTypes", image=i)
    ),
}
# Bands that others need are lost on the way, or it takes long.
LAST_ONLY = {"elsewhere", "elsewhere plus it", "a constant", "one or the other", "blended", "moved"}
COMPOSITES = {
    "mosaic": lambda c: call("ImageCollection.mosaic", collection=c),
    "median": lambda c: call("reduce.median", collection=c),
    "mean": lambda c: call("reduce.mean", collection=c),
    "count": lambda c: call("reduce.count", collection=c),
    "best": lambda c: call("ImageCollection.qualityMosaic", collection=c, qualityBand="red"),
    "percentiles": lambda c: call(
        "ImageCollection.reduce",
        collection=c,
        reducer=call("Reducer.percentile", percentiles=[20, 80]),
    ),
    "arrays": lambda c: call("ImageCollection.toArray", collection=c),
}


def each(collection, step, **more):
    return call("Collection.map", collection=collection, baseAlgorithm=function(step, "i"), **more)


def pixels_of(graph):
    """Return a composite's bands and pixels, and how often each algorithm was called."""
    with metered(Budget()) as meter:
        made = evaluate(encode(graph), Context(CATALOG))
        found = []
        for band in made.bands:
            values, mask = band.read(GRID)
            shown = [
                values[at].tolist() for at in np.argwhere(mask > 0).tolist() for at in [(*at,)]
            ]
            found.append((band.id, band.type, band.projection, repr(shown), mask.tolist()))
        return found, meter


def both_ways(graph):
    """Return the pixels and the meters of a composite, pruned and not."""
    pruned, less = pixels_of(graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Function, "kept", NOTHING_KEPT)
        whole, more = pixels_of(graph)
    return pruned, whole, less, more


SEVERAL = [
    *((name, composite) for name in PRUNED for composite in ("mosaic", "percentiles")),
    *(("clear", composite) for composite in COMPOSITES),
    *(("clipped", composite) for composite in COMPOSITES),
]


@pytest.mark.parametrize(("name", "composite"), SEVERAL)
@pytest.mark.cross(5)
def test_far_images_are_left_out_before_they_are_mapped(name, composite):
    pruned, whole, less, more = both_ways(COMPOSITES[composite](each(SCENES, PRUNED[name])))
    assert pruned == whole
    assert any(np.any(mask) for *_, mask in pruned)
    assert less.operations < more.operations


@pytest.mark.parametrize("composite", ["mosaic", "percentiles"])
@pytest.mark.parametrize("name", NOT_PRUNED)
@pytest.mark.cross(5)
def test_what_may_lie_elsewhere_is_mapped_as_ever(name, composite):
    pruned, whole, less, more = both_ways(COMPOSITES[composite](each(SCENES, NOT_PRUNED[name])))
    assert pruned == whole
    assert any(np.any(mask) for *_, mask in pruned)
    assert less.operations == more.operations


STEPS = {**PRUNED, **{k: v for k, v in NOT_PRUNED.items() if k not in LAST_ONLY}}


def outcome(graph):
    try:
        return both_ways(graph)[:2]
    except EarthEngineError as error:
        return error.message, error.message


@pytest.mark.slow
@settings(deadline=None, max_examples=5)
@example(inner=["clipped"], outer="remembered", composite="median")
@example(inner=["clipped"], outer="remembered", composite="count")
@given(
    inner=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=3),
    outer=st.sampled_from(sorted({**PRUNED, **NOT_PRUNED})),
    composite=st.sampled_from(["mosaic", "median", "count", "percentiles"]),
)
def test_functions_of_functions_are_pruned_alike(inner, outer, composite):
    def chained(i):
        for name in inner:
            i = STEPS[name](i)
        return select(i, "red", "nir", "qa")

    once = each(each(SCENES, chained), {**PRUNED, **NOT_PRUNED}[outer])
    pruned, whole = outcome(COMPOSITES[composite](once))
    assert pruned == whole


def test_only_the_first_and_the_near_ones_are_mapped():
    _, meter = pixels_of(COMPOSITES["mosaic"](each(SCENES, scaled)))
    first, near = 65, meter.entries["Image.multiply"].count - 65
    # Of 45 places 40 m apart a grid of 130 m meets few, in two rows.
    assert first < meter.entries["Image.multiply"].count
    assert near < 3 * 12


# Filters behind a map.


def filtered(collection, condition):
    return call("Collection.filter", collection=collection, filter=condition)


def names_of(collection):
    return call("AggregateFeatureCollection.array", collection=collection, property="system:index")


FILTERS = {
    "place": call("Filter.intersects", leftField=".geo", rightValue=NEAR),
    "time": call(
        "Filter.dateRangeContains",
        leftValue=call("DateRange", start=10_000, end=20_000),
        rightField="system:time_start",
    ),
    "property": call("Filter.equals", leftField="CLOUDS", rightValue=3),
    "index": call("Filter.equals", leftField="system:index", rightValue="I30"),
    "all": call(
        "Filter.and",
        filters=[
            call("Filter.intersects", leftField=".geo", rightValue=NEAR),
            call("Filter.equals", leftField="CLOUDS", rightValue=3),
        ],
    ),
}
SETTERS = {
    "time set": lambda i: call("Element.set", object=i, key="system:time_start", value=15_000),
    "clouds set": lambda i: call("Element.set", object=i, key="CLOUDS", value=3),
    "place set": lambda i: call("Element.set", object=i, key=".geo", value=NEAR),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("step", [*PRUNED, *(n for n in NOT_PRUNED if n != "moved"), *SETTERS])
@pytest.mark.cross(4)
def test_filters_behind_a_map_leave_the_same(name, step):
    steps = {**PRUNED, **NOT_PRUNED, **SETTERS}
    graph = names_of(filtered(each(SCENES, steps[step]), FILTERS[name]))
    pruned = info_of(graph, CATALOG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Function, "kept", NOTHING_KEPT)
        assert info_of(graph, CATALOG) == pruned


@pytest.mark.parametrize(
    ("step", "asked"),
    [
        ("select", Query(equals={"CLOUDS": 3})),
        ("clouds set", Query()),
        ("set by a dictionary", Query()),
    ],
)
def test_readers_are_asked_for_what_a_map_keeps(step, asked):
    steps = {**PRUNED, **NOT_PRUNED, **SETTERS}
    CATALOG.queries.clear()
    info_of(names_of(filtered(each(SCENES, steps[step]), FILTERS["property"])), CATALOG)
    assert CATALOG.queries == [asked]


# Sizes.


def test_sizes_compute_no_map():
    broken = each(SCENES, lambda i: select(i, "no such band"))
    assert info_of(call("Collection.size", collection=broken), CATALOG) == MANY
    assert info_of(call("Collection.size", collection=each(broken, scaled)), CATALOG) == MANY
    near = filtered(SCENES, FILTERS["place"])
    assert 0 < info_of(call("Collection.size", collection=each(near, scaled)), CATALOG) < MANY


S2, L8 = "COPERNICUS/S2_SR_HARMONIZED", "LANDSAT/LC08/C02/T1_L2"


def dated(start, end):
    return call(
        "Filter.dateRangeContains",
        leftValue=call("DateRange", start=start, end=end),
        rightField="system:time_start",
    )


HOUR = dated("2020-06-01T10:00:00", "2020-06-01T10:20:00")
SHORT = dated("2020-06-01T10:03:10", "2020-06-01T10:15:10")
NARROWED = {
    "dates": (HOUR,),
    "dates within dates": (HOUR, SHORT),
    "both dates": (call("Filter.and", filters=[HOUR, SHORT]),),
    "no date": (HOUR, dated("2021-01-01", "2021-01-02")),
    "dates and a property": (HOUR, call("Filter.gt", leftField="system:time_start", rightValue=1)),
    "not those dates": (HOUR, call("Filter.not", filter=SHORT)),
}


@pytest.mark.parametrize("name", NARROWED)
@pytest.mark.parametrize("asset", [S2, L8])
@pytest.mark.cross(4)
def test_sizes_by_dates_are_the_numbers_of_images(asset, name):
    found = call("ImageCollection.load", id=asset)
    for condition in NARROWED[name]:
        found = filtered(found, condition)
    size = info_of(call("Collection.size", collection=found), Catalog())
    listed = info_of(names_of(found), Catalog())
    assert size == len(listed)
    assert bool(size) == (name != "no date")


def test_sizes_by_dates_make_no_image(monkeypatch):
    monkeypatch.setattr(landsat, "scene_image", None)
    monkeypatch.setattr(sentinel2, "scene_image", None)
    for asset in (S2, L8):
        some = filtered(call("ImageCollection.load", id=asset), HOUR)
        assert info_of(call("Collection.size", collection=each(some, scaled)), Catalog()) > 3


def test_sizes_count_what_is_dropped():
    some = each(SCENES, by_cloud(lambda i: i, lambda _: None), dropNulls=True)
    size = info_of(call("Collection.size", collection=some), CATALOG)
    assert size == sum(i % 7 < 4 for i in range(MANY))


# What is known of a function.


def kept(step):
    root, constants = link(encode(function(step, "i")))
    return lineage.kept(root.scope.body, 1, constants)


@pytest.mark.parametrize("name", PRUNED)
def test_what_is_kept(name):
    named = {"set": {"a"}, "set many": {"a", "b"}}
    assert kept(PRUNED[name]) == Kept(True, frozenset(named.get(name, ())))


@pytest.mark.parametrize("name", NOT_PRUNED)
def test_what_is_not_kept(name):
    known = kept(NOT_PRUNED[name])
    assert not known.place or known.changed is None


def test_the_element_of_an_outer_map_is_not_the_inners():
    def outer(i):
        return each(SCENES, lambda _: i)

    root, constants = link(encode(function(lambda o: each(o, lambda i: o), "o")))
    inner = root.scope.body.inputs[1].scope
    assert lineage.kept(inner.body, inner.level, constants) == NOTHING_KEPT


def test_long_chains_are_walked():
    graph = {"a": {"argumentReference": "i"}}
    for n in range(5000):
        before = {"valueReference": f"v{n - 1}" if n else "a"}
        graph[f"v{n}"] = {
            "functionInvocationValue": {"functionName": "Image.abs", "arguments": {"value": before}}
        }
    graph["f"] = {"functionDefinitionValue": {"argumentNames": ["i"], "body": "v4999"}}
    root, constants = link({"result": "f", "values": graph})
    assert lineage.kept(root.scope.body, 1, constants) == WHOLE


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("b('red') * 2 + c", True),
        ("2 - image.red", True),
        ("b(0) > 100 ? b(1) : c", True),
        ("1 > 0 ? b(1) : c", True),
        ("max(1, b(0), c)", True),
        ("red - 1", True),
        ("sqrt(b(0))", True),
        ("1 + 2", False),
        ("c - b(0)", False),
        ("1 - c", False),
        ("1 +", False),
    ],
)
def test_what_formulas_keep(text, known):
    graph = {
        "i": {"argumentReference": "i"},
        "c": {
            "functionInvocationValue": {
                "functionName": "Image.load",
                "arguments": {"id": {"constantValue": "ELSEWHERE"}},
            }
        },
        "p": {
            "functionInvocationValue": {
                "functionName": "Image.parseExpression",
                "arguments": {
                    "expression": {"constantValue": text},
                    "argName": {"constantValue": "image"},
                    "vars": {"constantValue": ["image", "c"]},
                },
            }
        },
        "a": {
            "functionInvocationValue": {
                "functionReference": "p",
                "arguments": {"image": {"valueReference": "i"}, "c": {"valueReference": "c"}},
            }
        },
        "f": {"functionDefinitionValue": {"argumentNames": ["i"], "body": "a"}},
    }
    root, constants = link({"result": "f", "values": graph})
    assert lineage.kept(root.scope.body, 1, constants) == (WHOLE if known else NOTHING_KEPT)


# Every listed algorithm leaves the footprint where it was.

ARRAYS = {"arrayFlatten", "arrayGet", "arrayProject", "arrayReduce", "arraySlice"}
KERNEL = call("Kernel.square", radius=1, units="pixels")
MORE = {
    "addBands": {"srcImg": ELSEWHERE},
    "arrayFlatten": {"coordinateLabels": [["x", "y", "z"]]},
    "arrayGet": {"position": 0},
    "arrayProject": {"axes": [0]},
    "arrayReduce": {"reducer": SUM, "axes": [0]},
    "arraySlice": {"axis": 0, "start": 1},
    "cast": {"bandTypes": {"red": "float"}},
    "clamp": {"low": 1, "high": 2},
    "clip": {"geometry": call("Geometry.buffer", geometry=CORNER, distance=50)},
    "clipToCollection": {"collection": call("Collection", features=[CORNER])},
    "convolve": {"kernel": KERNEL},
    "entropy": {"kernel": KERNEL},
    "interpolate": {"x": [1, 2], "y": [3, 4]},
    "mask": {"mask": ELSEWHERE},
    "metadata": {"property": "CLOUDS"},
    "polynomial": {"coefficients": [1, 2]},
    "reduce": {"reducer": SUM},
    "reduceNeighborhood": {"reducer": SUM, "kernel": KERNEL},
    "reduceResolution": {"reducer": call("Reducer.mean")},
    "regexpRename": {"regex": "r", "replacement": "x"},
    "remap": {"from": [1], "to": [2]},
    "rename": {"names": ["x", "y", "z"]},
    "reproject": {"crs": call("Projection", crs="EPSG:4326"), "scale": 10},
    "select": {"bandSelectors": ["red"]},
    "setDefaultProjection": {"crs": call("Projection", crs="EPSG:4326"), "scale": 10},
    "slice": {"start": 0},
    "unitScale": {"low": 0, "high": 1},
    "unmask": {"value": ELSEWHERE},
    "unmix": {"endmembers": [[1, 2, 3], [3, 2, 1]]},
    "updateMask": {"mask": ELSEWHERE},
    "where": {"test": ELSEWHERE, "value": ELSEWHERE},
}
LEARNERS = {"classify", "cluster"}


def keeping(*kinds):
    """Return the algorithms of images whose results keep something in one of some ways."""
    found = (name for name, known in IMPLEMENTATIONS.items() if known.keeps in kinds)
    return sorted(name.removeprefix("Image.") for name in found if name.startswith("Image."))


KEEPING = keeping(Keeps.FIRST, Keeps.FIRST_IF_SAME_FOOTPRINT)


@pytest.mark.parametrize("name", [name for name in KEEPING if name not in LEARNERS])
def test_algorithms_that_say_so_keep_the_footprint(name):
    scene = call("Image.first", image1=call("Collection.first", collection=SCENES), image2=1)
    scene = call("Element.set", object=scene, key="CLOUDS", value=2)
    if name == "bitsToArrayImage":
        scene = call("Image.toInt", value=scene)
    if name in ARRAYS:
        scene = call("Image.toArray", image=scene)
    first = signature(f"Image.{name}").arguments[0].name
    made = call(f"Image.{name}", **{first: scene}, **MORE.get(name, {}))
    result = evaluate(encode(made), Context(CATALOG))
    shape, own = result.footprint.lonlat, CATALOG.made[0].footprint.lonlat
    assert shape.equals(own) or name.startswith("clip")
    assert shapely.covers(own.buffer(1e-9), shape)


@pytest.mark.parametrize("name", keeping(Keeps.FIRST_OR_SECOND))
@pytest.mark.parametrize("constant_first", [False, True])
def test_arithmetic_leaves_the_footprint(name, constant_first):
    name = f"Image.{name}"
    arguments = [a.name for a in signature(name).arguments[:2]]
    scene = call("Collection.first", collection=SCENES)
    pair = (constant(2), scene) if constant_first else (scene, ELSEWHERE)
    result = evaluate(
        encode(call(name, **dict(zip(arguments, pair, strict=True)))), Context(CATALOG)
    )
    assert result.footprint == CATALOG.made[0].footprint
    assert isinstance(result.footprint, Geometry)


def test_there_are_algorithms_of_every_way_to_keep_something():
    assert len(KEEPING) > 100
    assert len(keeping(Keeps.FIRST_OR_SECOND)) > 30
    assert {known.keeps for known in IMPLEMENTATIONS.values()} == set(Keeps)
