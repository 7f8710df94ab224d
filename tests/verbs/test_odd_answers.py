"""Answers with status 200 that are not what was asked for, as a proxy may give them.

They are tried again like any other fault that passes. Those that stay are failures of the items
that they were for, or end the run in words where all items hang on them.
"""

import io
import json

import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from fire import initialized
from loopback import serving
from mounted import SCENE, SERIES
from proxying import Proxy

import eedask
from eedask.earthengine.methods import projection_of, value_of
from eedask.errors import RequestError, RunStopped, TransientError
from eedask.items import from_features
from eedask.quota import asking
from eedask.tables.features import features_by_item

pytestmark = pytest.mark.usefixtures("threads")

TRIES = 3
# So often is asked for several items together, if the answer is no answer to them.
TOGETHER = 2
AT_ONCE = eedask.RetryPolicy(tries=TRIES, delay=0, max_delay=0, jitter=(0, 0))
ODD = {
    "empty": b"{}",
    "a list": b"[]",
    "no JSON": b"<html>Please sign in</html>",
    "a null result": b'{"result": null}',
}
odd = pytest.mark.parametrize("body", ODD.values(), ids=ODD)


def each_odd(requests):
    """Run a test for each request with each odd answer; with all but one of them when slow.

    Which bodies are told to be none is tested by itself, without a run; see ``MISSHAPEN``.
    """
    cases = [
        pytest.param(
            *request,
            body,
            marks=[] if (j - k) % len(ODD) == 0 else [pytest.mark.slow],
            id="-".join((*request, name)),
        )
        for k, request in enumerate(requests)
        for j, (name, body) in enumerate(ODD.items())
    ]
    return pytest.mark.parametrize(("verb", "word", "body"), cases)


@pytest.fixture(scope="module")
def served(emulator):
    """The client talks to the emulator through it."""
    made = Proxy(emulator.url)
    with serving(made.answer) as url, initialized(url, emulator.project):
        yield made
    made.http.clear()


@pytest.fixture
def proxy(served):
    """The same, which spoils nothing yet."""
    served.spoil(b"", (), times=0)
    return served


@pytest.fixture
def squares(rasters):
    """Two squares in the middle of the scene and of the series."""
    with rasterio.open(rasters.scene) as file:
        x, y = file.transform @ (200, 150)
        shapes = [shapely.box(x + k, y, x + k + 40, y + 40) for k in (0, 60)]
        return gpd.GeoDataFrame(geometry=shapes, crs=file.crs).to_crs("EPSG:4326")


def own_reducer():
    """A reducer whose columns are not known before it is asked."""
    return ee.Reducer.minMax()


def dated(item=None):
    """The series with times."""
    return ee.ImageCollection(SERIES).map(lambda image: image.set("system:time_start", 1e12))


def square_of(item):
    """A value of each item, which a dictionary holds."""
    return ee.Dictionary({"area": item.geometry.area(1), "one": 1})


PLANS = {
    "regions": lambda i, out: eedask.reduce_regions(i, ee.Image(SCENE), "mean", **out),
    "own reducer": lambda i, out: eedask.reduce_regions(i, ee.Image(SCENE), own_reducer(), **out),
    "points": lambda i, out: eedask.sample_points(
        i.set_geometry(i.representative_point()), ee.Image(SCENE), **out
    ),
    "series": lambda i, out: eedask.time_series(i, dated(), "mean", **out),
    "series of each": lambda i, out: eedask.time_series(
        i, lambda item: dated().filterBounds(item.geometry), "mean", **out
    ),
    "compute": lambda i, out: eedask.compute(i, square_of, **out),
    "compute stated": lambda i, out: eedask.compute(
        i, square_of, schema={"area": float, "one": int}, **out
    ),
    "native chips": lambda i, out: eedask.chips(
        i.set_geometry(i.representative_point()),
        lambda item: ee.Image(SCENE).set("id", item.id),
        crs="native",
        shape=(8, 8),
        format="tif",
        **out,
    ),
    "native chips of one": lambda i, out: eedask.chips(
        i.set_geometry(i.representative_point()),
        ee.Image(SCENE),
        crs="native",
        shape=(8, 8),
        format="tif",
        **out,
    ),
    "chips by URL": lambda i, out: eedask.chips(
        i.set_geometry(i.representative_point()),
        ee.Image(SCENE),
        crs="EPSG:32614",
        scale=5,
        shape=(8, 8),
        format="tif",
        method="download_url",
        **out,
    ),
}
# Which requests are spoilt: a word that stands in no others of the plan.
BEFORE_ITEMS = [
    ("regions", "Reducer.getOutputs"),
    ("own reducer", "Reducer.getOutputs"),
    ("own reducer", "Image.reduceRegions"),
    ("points", "Reducer.getOutputs"),
    ("series", "Reducer.getOutputs"),
    ("series", "AggregateFeatureCollection.array"),
    ("compute", "value:compute"),
    ("native chips of one", "value:compute"),
]
OF_ITEMS = [
    ("regions", "Image.reduceRegions"),
    ("points", "Image.reduceRegions"),
    ("series", "Image.reduceRegions"),
    ("series of each", "Image.reduceRegions"),
    ("compute stated", "value:compute"),
    ("native chips", "value:compute"),
    ("chips by URL", "/thumbnails?"),
]


def made(verb, items, folder, **options):
    return PLANS[verb](items, {"out": folder, "retry": AT_ONCE, **options})


@each_odd(OF_ITEMS)
@pytest.mark.cross(4)
def test_items_whose_answers_stay_odd_are_failures_of_theirs(
    proxy, squares, tmp_path, verb, word, body
):
    plan = made(verb, squares, tmp_path / "out")
    proxy.spoil(body, word)
    result = plan.run(progress=False)
    assert result.failed["error_kind"].tolist() == ["transient"] * len(squares)
    assert all("answer" in error for error in result.failed["error"])
    # JSON with a result may be wrong because of one item, so each is asked for by itself then.
    shared = TOGETHER if body == ODD["a null result"] and verb != "chips by URL" else 0
    # Where a chip lies is asked before it is tried.
    expected = 0 if verb == "native chips" else shared + TRIES
    assert set(result.failed["attempts"]) == {expected}


@pytest.mark.parametrize(("verb", "word"), OF_ITEMS + BEFORE_ITEMS)
@pytest.mark.cross(3)
def test_an_odd_answer_is_asked_for_again(proxy, squares, tmp_path, verb, word):
    plan = made(verb, squares, tmp_path / "out")
    proxy.spoil(ODD["empty"], word, times=1)
    assert plan.run(progress=False).failed.empty
    assert proxy.spoilt == 1


def without_a_row(body):
    """A series' answer that lacks the last of its rows."""
    answer = json.loads(body)
    answer["result"]["rows"]["features"].pop()
    return json.dumps(answer).encode()


@pytest.mark.parametrize("verb", ["series", "series of each"])
@pytest.mark.parametrize("times", [1, float("inf")])
def test_a_series_that_lacks_a_row_is_never_ok(proxy, squares, tmp_path, verb, times):
    plan = made(verb, squares, tmp_path / "out")
    proxy.spoil(without_a_row, "Image.reduceRegions", times)
    result = plan.run(progress=False)
    if times == 1:
        assert result.failed.empty
        assert result.table().index.value_counts().to_dict() == {0: 3, 1: 3}
        assert set(result.manifest["attempts"]) == {2}
    else:
        assert result.failed["error_kind"].tolist() == ["transient"] * len(squares)
        assert all("rows for" in error for error in result.failed["error"])
        assert set(result.failed["attempts"]) == {TOGETHER + TRIES}
        assert result.table().dropna(subset="time").empty


def without_the_last(body):
    """An answer that lacks the last of its features, or of its values."""
    answer = json.loads(body)
    values = answer["result"]
    (values["features"] if isinstance(values, dict) else values).pop()
    return json.dumps(answer).encode()


@pytest.mark.parametrize(
    ("verb", "spoil", "word"),
    [
        ("series", without_a_row, "Image.reduceRegions"),
        ("regions", without_the_last, "Image.reduceRegions"),
        ("points", without_the_last, "Image.reduceRegions"),
        ("compute stated", without_the_last, "value:compute"),
        ("native chips", without_the_last, "value:compute"),
    ],
)
@pytest.mark.cross(2)
def test_of_items_that_share_a_request_the_one_whose_answer_stays_wrong_fails_alone(
    proxy, squares, tmp_path, verb, spoil, word
):
    items = squares.iloc[[0, 1, 0, 1, 0]].set_axis(["a", "b", "c", "d", "e"])
    # What stands in the requests for one of them, and in no other.
    items.loc["c", "geometry"] = shapely.affinity.translate(items.loc["c", "geometry"], 1e-4)
    own = {"native chips": '"c"', "points": str(items.representative_point()["c"].x)}
    there = own.get(verb, str(items.loc["c", "geometry"].exterior.coords[0][0]))
    plan = made(verb, items, tmp_path / "out", partition_size=len(items))
    proxy.spoil(spoil, (word, there))
    result = plan.run(progress=False)
    assert result.failed.index.tolist() == ["c"]
    assert result.failed["error_kind"].tolist() == ["transient"]
    # Five together, then two or three, then one.
    assert TOGETHER + TRIES < proxy.spoilt <= 3 * TOGETHER + TRIES


@each_odd(BEFORE_ITEMS)
@pytest.mark.cross(2)
def test_a_run_ends_in_words_where_what_all_items_need_stays_odd(
    proxy, squares, tmp_path, verb, word, body
):
    plan = made(verb, squares, tmp_path / "out")
    proxy.spoil(body, word)
    with pytest.raises(RunStopped, match=r"asked for .*; the answer"):
        plan.run(progress=False)
    assert proxy.spoilt >= 8, "as often as all items are worth"


@odd
def test_an_empty_collection_is_refused_in_words_whatever_its_size_is_said_to_be(
    proxy, squares, tmp_path, body
):
    empty = dated().filterDate("1980", "1981")
    plan = eedask.time_series(squares, empty, "mean", out=tmp_path / "out", retry=AT_ONCE)
    proxy.spoil(body, '"Collection.size"')
    with pytest.raises(RunStopped, match=r"asked for (a value|the size).*; the answer"):
        plan.run(progress=False)
    assert proxy.spoilt >= 8


PAGES = {
    "a list": b"[]",
    "no JSON": b"<html>Please sign in</html>",
    "null": b"null",
    "null features": b'{"features": null}',
    "a text": b'{"features": "none"}',
    "features of nothing": b'{"features": [null]}',
    "bare features": b'{"features": [{"type": "Feature"}]}',
    "no id": b'{"features": [{"geometry": null, "properties": {"a": 1}}]}',
    "a shape that is none": b'{"features": [{"geometry": {"type": "Blob"},'
    b' "properties": {"eedask:id": "x"}}]}',
    "a token that is none": b'{"features": [], "nextPageToken": 7}',
}


@pytest.mark.parametrize("body", PAGES.values(), ids=PAGES)
@pytest.mark.cross(3)
def test_pages_of_features_that_are_odd_are_asked_for_again(proxy, body, monkeypatch):
    monkeypatch.setattr(asking, "RetryPolicy", lambda: AT_ONCE)
    made = ee.FeatureCollection([ee.Feature(ee.Geometry.Point([1, 2]), {"a": k}) for k in range(3)])
    proxy.spoil(body, "computeFeatures", times=1)
    assert from_features(made, geometry=True)["a"].tolist() == [0, 1, 2]
    proxy.spoil(body, "computeFeatures")
    with pytest.raises(RequestError, match="answer"):
        from_features(made, geometry=True)
    assert proxy.spoilt == TRIES


MISSHAPEN = [
    *ODD.values(),
    b"null",
    b'"result"',
    b"[" * 100_000,
    b'{"result": "ok"}',
    b'{"result": [null, null]}',
    b'{"result": {}}',
]


@pytest.mark.parametrize("body", MISSHAPEN)
def test_a_body_that_is_no_projection_and_no_features_is_said_to_be_none(body):
    with pytest.raises(TransientError, match="asked for a"):
        projection_of(body)
    with pytest.raises(TransientError, match="asked for"):
        features_by_item(body, 2)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'"result"', b"7", b"\xff", b""])
def test_a_body_without_a_value_is_said_to_have_none(body):
    with pytest.raises(TransientError, match="asked for a value; the answer"):
        value_of(body)
    assert value_of(b'{"result": null}') is None


@pytest.mark.parametrize("item", ["-1", "2", "1e999", "NaN", "null", "[]"])
def test_a_feature_of_no_item_of_the_request_is_noticed(item):
    body = b'{"result": {"features": [{"properties": {"eedask:item": %s}}]}}' % item.encode()
    with pytest.raises(TransientError, match="asked for features of the items"):
        features_by_item(body, 2)


@pytest.mark.parametrize("transform", ["null", "[null]", '["a"]', "7"])
def test_a_projection_whose_transform_is_none_is_noticed(transform):
    body = b'{"result": {"crs": "EPSG:4326", "transform": %s}}' % transform.encode()
    with pytest.raises(TransientError, match="asked for a projection"):
        projection_of(body)


ODD_VALUES = {
    "half a character": rb'"\ud800"',
    "a list": b"[1, 2]",
    "a dictionary": b"{}",
    "deep": b"[" * 400 + b"]" * 400,
}


@pytest.mark.parametrize("value", ODD_VALUES.values(), ids=ODD_VALUES)
def test_an_odd_value_is_a_failure_of_its_item_alone(proxy, squares, tmp_path, value):
    kinds = {"area": float, "one": str}
    plan = eedask.compute(squares, square_of, schema=kinds, out=tmp_path / "out", retry=AT_ONCE)
    fine = b'{"area": 1, "one": "fine"}'
    proxy.spoil(b'{"result": [%s, {"area": 1, "one": %s}]}' % (fine, value), "value:compute")
    result = plan.run(progress=False)
    assert result.failed["error_kind"].tolist() == ["input"]
    assert (result.table()["one"] == "fine").sum() == 1


@pytest.mark.parametrize("value", [b"1e999", b'"1"', b"[1]", b"1" * 400])
def test_an_odd_number_is_a_failure_of_its_item_alone(proxy, squares, tmp_path, value):
    kinds = {"area": float, "one": int}
    plan = eedask.compute(squares, square_of, schema=kinds, out=tmp_path / "out", retry=AT_ONCE)
    body = b'{"result": [{"area": 1, "one": 1}, {"area": 1, "one": %s}]}'
    proxy.spoil(body % value, "value:compute")
    result = plan.run(progress=False)
    assert result.failed["error_kind"].tolist() == ["input"]
    assert (result.table()["one"] == 1).sum() == 1


def test_images_of_odd_names_and_times_do_not_end_a_partition(proxy, squares, tmp_path):
    def collection(item):
        times = ee.List(["noon", 1e12, 1e30])
        image = ee.Image(SCENE).select("R").set("system:time_start", times.get(item["k"]))
        return ee.ImageCollection([image.set("system:index", 7)])

    three = squares.iloc[[0, 1, 1]].reset_index(drop=True).assign(k=[0, 1, 2])
    plan = eedask.time_series(three, collection, "mean", out=tmp_path / "out", retry=AT_ONCE)
    result = plan.run(progress=False)
    assert result.failed.index.tolist() == [0, 2]
    assert set(result.failed["error_kind"]) == {"input"}
    assert len(result.table()["R"].dropna()) == 1


def test_words_from_outside_are_shown_escaped():
    error = RequestError("red \x1b[31m, half \ud800, reversed \u202e;\nthe next line é", 400)
    shown = "red \\x1b[31m, half \\ud800, reversed \\u202e; the next line é"
    assert str(error) == f"HTTP 400: {shown}"
    assert error.message == shown


def chip_of(*types):
    """Return an NPY file of 4 by 4 pixels, with a band of ones for each (name, type)."""
    file = io.BytesIO()
    np.save(file, np.ones((4, 4), [*types]))
    return file.getvalue()


# Instead of R, G, B, N and a mask for each of them.
OTHER_CHIPS = {
    "without masks": chip_of(*((name, "u1") for name in "RGBN")),
    "without the last": chip_of(*((name, "u1") for name in "RGBNxyz")),
    "other bands": chip_of(("R", "i2"), ("mask", "u1")),
    "twice the same": chip_of(("R", "u1"), ("R_1", "u1")),
}


@pytest.mark.parametrize("own", [False, True], ids=["one image", "an image of each"])
@pytest.mark.parametrize("fmt", ["npy", "tif"])
@pytest.mark.parametrize("other", OTHER_CHIPS.values(), ids=OTHER_CHIPS)
def test_a_band_of_another_image_is_never_taken_for_a_mask(
    proxy, squares, tmp_path, other, fmt, own
):
    image = ee.Image(SCENE)
    image_of = (lambda item: image.set("at", item.geometry)) if own else image
    points = squares.set_geometry(squares.representative_point())
    asked = {"format": fmt, "shape": (4, 4), "scale": 5, "retry": AT_ONCE}
    plan = eedask.chips(points, image_of, out=tmp_path, **asked)
    proxy.spoil(other, ":computePixels", times=1)
    result = plan.run(progress=False)
    assert proxy.spoilt == 1
    assert sorted(result.manifest["attempts"]) == [1, 2]
    assert list(result.bands) == list("RGBN")
