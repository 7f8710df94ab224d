"""What a plan says that it will ask is what the emulator's log shows when it is run."""

from dataclasses import replace

import ee
import geopandas as gpd
import numpy as np
import pytest
import shapely
from limits import limited
from mounted import FIELD, SCENE, SERIES
from watching import requests_since

import eedask
from eedask.earthengine.endpoint import URLS
from eedask.errors import InputError
from eedask.pixels.query import PIXEL_LIMITS
from eedask.run.forecast import Bounds

pytestmark = pytest.mark.usefixtures("threads")


def explained(emulator, plan):
    """Return what a plan says, having seen that saying it took no request."""
    before = emulator.stats()
    found = plan.explain()
    assert requests_since(emulator, before) == 0
    return found


def run(emulator, plan):
    """Return the result of a plan, and how many requests it took."""
    before = emulator.stats()
    result = plan.run(progress=False)
    return result, requests_since(emulator, before)


def files(result):
    return result.manifest["nbytes"].sum()


def scene(*bands):
    return ee.Image(SCENE).select(list(bands) or ["R", "G", "B"])


def of_item(item):
    return scene().clip(item.geometry.buffer(300))


@pytest.mark.parametrize(
    ("image", "asked", "before", "each"),
    [
        (scene, {"scale": 5, "format": "npy"}, 1, 1),
        (scene, {"crs": "native", "format": "tif"}, 1, 1),
        (scene, {"scale": 5, "format": "png", "method": "thumb_url"}, 1, 2),
        (lambda: of_item, {"scale": 5, "format": "tif"}, 0, 1),
        (lambda: of_item, {"crs": "native", "format": "npy", "partition_size": 8}, 0, 9 / 8),
        (scene, {"region": 40, "format": "png"}, 1, 1),
    ],
    ids=["shared", "native", "url", "own", "own-native", "region"],
)
def test_requests_pixels_and_bytes_of_chips_are_known(
    earth_engine, points, tmp_path, image, asked, before, each
):
    few = points.iloc[:8]
    plan = eedask.chips(few, image(), out=tmp_path, shape=(16, 24), **asked)
    found = explained(earth_engine, plan)
    assert found.before == Bounds.exactly(before)
    assert found.requests == Bounds.exactly(before + 8 * each)
    assert found.pixels == Bounds.exactly(8 * 16 * 24)
    assert found.items_a_request == Bounds.exactly(1 / each)
    # A byte a value and one of its mask; of data, each band's mask is a band as well.
    pixel = 3 * 2 * (1 if asked["format"] == "png" else 2)
    assert found.nbytes.least == 8 * 16 * 24 * pixel
    assert found.largest.least == 16 * 24 * pixel
    result, sent = run(earth_engine, plan)
    assert (result.manifest["status"] == "ok").all()
    assert sent == found.requests.most
    assert files(result) <= found.files.most


def test_casts_tell_the_bytes_of_a_value(earth_engine, points, tmp_path):
    for cast, size in (("toByte", 1), ("toInt16", 2), ("toFloat", 4), ("toDouble", 8)):
        image = getattr(ee.Image(SCENE).select("R"), cast)()
        plan = eedask.chips(points, image, out=tmp_path, shape=(8, 8), scale=5, format="npy")
        assert plan.explain().nbytes == Bounds.exactly(40 * 64 * (size + 1 + 2))
    plain = eedask.chips(
        points, ee.Image(SCENE), out=tmp_path, shape=(8, 8), scale=5, format="npy"
    ).explain()
    assert plain.nbytes == Bounds(40 * 64 * 4, None)
    assert plain.requests == Bounds.exactly(41)
    named = eedask.chips(
        points, ee.Image(SCENE), out=tmp_path, shape=(8, 8), scale=5, format="npy", bands=["R"]
    ).explain()
    assert named.nbytes == Bounds(40 * 64 * 4, 40 * 64 * 11)


def test_tiles_of_large_chips_are_counted_and_told(earth_engine, points, tmp_path):
    image = scene().toUint8()
    asked = {"shape": (60, 50), "scale": 5, "format": "npy", "bands": ["R", "G", "B"]}
    plan = eedask.chips(points.iloc[:3], image, out=tmp_path, **asked)
    small = limited(plan, bytes=9000)
    found = explained(earth_engine, small)
    assert found.largest == Bounds.exactly(9000)
    assert any("fetched in" in words for words in found.warnings)
    _, sent = run(earth_engine, small)
    assert found.requests == Bounds.exactly(sent) == Bounds.exactly(1 + 3 * 3)
    assert not any("fetched in" in words for words in plan.explain().warnings)
    wide = eedask.chips(
        points, scene().toDouble(), out=tmp_path, shape=(2500, 2500), region=9.0, format="npy"
    )
    assert any("it will be refused" in words for words in wide.explain().warnings)
    shape = (6000, 6000)
    large = eedask.chips(points, scene(), out=tmp_path, shape=shape, scale=5, format="npy")
    by_url = eedask.chips(
        points,
        scene(),
        out=tmp_path,
        shape=(4000, 4000),
        scale=5,
        format="npy",
        method="download_url",
    )
    for plan, most in ((large, "48 MB"), (by_url, "32 MB")):
        assert any(f"a request {most} at most" in words for words in plan.explain().warnings)


def test_a_chip_that_is_refused_and_cut_is_counted_with_its_refusal(earth_engine, points, tmp_path):
    asked = {"shape": (2400, 2400), "scale": 1, "format": "npy", "bands": ["constant"]}
    plan = eedask.chips(points.iloc[:1], ee.Image(1).toDouble(), out=tmp_path, **asked)
    found = explained(earth_engine, plan)
    assert found.requests == Bounds(3, 4)
    assert found.nbytes == Bounds.exactly(2400 * 2400 * 11)
    assert found.largest == Bounds.exactly(PIXEL_LIMITS.bytes)
    _, sent = run(earth_engine, plan)
    assert sent == found.requests.most


def test_polygons_have_their_own_sizes_and_what_cannot_be_placed_is_counted(
    earth_engine, points, tmp_path
):
    sizes = np.arange(5) * 10 + 20
    few = points.iloc[:5].to_crs("EPSG:32614")
    boxes = few.set_geometry(few.buffer(sizes))
    plan = eedask.chips(boxes, scene(), out=tmp_path, crs="EPSG:32614", scale=5, format="npy")
    found = explained(earth_engine, plan)
    result, sent = run(earth_engine, plan)
    assert sent == found.requests.most == found.requests.least
    assert (result.manifest["height"] * result.manifest["width"]).sum() == found.pixels.most
    bowtie = shapely.Polygon([(-99, 42), (-98.9, 42.1), (-98.9, 42), (-99, 42.1)])
    shapes = [bowtie, None, shapely.box(-99, 42, -98.9, 42.1)]
    odd = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326")
    placed = eedask.reduce_regions(odd, scene(), "mean", out=tmp_path, scale=5).explain()
    assert (placed.items, placed.refused, placed.requests.least) == (3, 2, 2)
    assert "fail unasked     2 items" in str(placed)


def dense(count, rasters):
    rng = np.random.default_rng(1)
    xy = np.array([-98.995, 42.445]) + rng.uniform(0, 0.004, (count, 2))
    return gpd.GeoDataFrame(geometry=shapely.points(xy), crs="EPSG:4326")


def test_points_share_requests_within_the_bounds(earth_engine, rasters, tmp_path):
    items = dense(2500, rasters)
    asked = {"out": tmp_path, "scale": 5, "batch_size": 500}
    plan = eedask.sample_points(items, scene(), by="points", **asked)
    found = explained(earth_engine, plan)
    assert found.pixels == Bounds.exactly(2500)
    assert found.nbytes == Bounds(2500 * 3 * 2, 2500 * 3 * 9)
    _, sent = run(earth_engine, plan)
    assert found.requests.least <= sent <= found.requests.most
    assert found.requests.most < 100
    (told,) = (words for words in found.warnings if "items.covering_grid" in words)
    assert "1 cell of pixels, a request each, would hold what 5 requests ask for" in told
    itself = eedask.sample_points(items, scene(), **asked).explain()
    assert (itself.requests.least, itself.warnings) == (itself.before.least + 3, ())
    wide = gpd.GeoDataFrame(
        geometry=shapely.points(np.random.default_rng(2).uniform(-60, 60, (2500, 2))), crs=4326
    )
    spread = eedask.sample_points(wide, scene(), out=tmp_path / "b", scale=5).explain()
    assert spread.warnings == ()
    own = eedask.sample_points(items[:50], of_item, out=tmp_path / "c", scale=5, batch_size=20)
    found = explained(earth_engine, own)
    _, sent = run(earth_engine, own)
    assert found.requests.least <= sent <= found.requests.most


def test_chips_that_overlap_are_told_to_be_fetched_as_cells(earth_engine, rasters, tmp_path):
    asked = {"out": tmp_path, "shape": (64, 64), "scale": 5, "crs": "EPSG:32614"}
    close = eedask.chips(dense(300, rasters), scene(), **asked).explain()
    assert any("items.covering_grid" in words for words in close.warnings)
    x, y = np.meshgrid(np.arange(10) * 320.0, np.arange(10) * 320.0)
    apart = gpd.GeoDataFrame(geometry=shapely.points(x.ravel(), y.ravel()), crs="EPSG:32614")
    assert eedask.chips(apart, scene(), **asked).explain().warnings == ()


def test_regions_and_series_take_at_least_what_is_said(earth_engine, points, tmp_path):
    metres = points.to_crs("EPSG:32614")
    fields = points.set_geometry(metres.buffer(60).to_crs("EPSG:4326"))
    plan = eedask.reduce_regions(
        fields, ee.Image(FIELD), "mean", out=tmp_path / "a", scale=30, batch_size=15
    )
    found = explained(earth_engine, plan)
    _, sent = run(earth_engine, plan)
    assert found.requests.least <= sent <= found.requests.most
    expected = metres.buffer(60).area.sum() / 900
    assert found.pixels.about
    assert found.pixels.least == pytest.approx(expected, rel=0.02)
    assert found.nbytes == Bounds(2 * found.pixels.least, None, about=True)
    cast = ee.Image(FIELD).select(0).toInt16()
    told = eedask.reduce_regions(fields, cast, "mean", out=tmp_path / "a", scale=30).explain()
    assert told.nbytes.least == told.nbytes.most == 3 * found.pixels.least
    native = eedask.reduce_regions(fields, ee.Image(FIELD), "mean", out=tmp_path / "b")
    assert explained(earth_engine, native).requests.most is None
    series = ee.ImageCollection(SERIES)
    own = lambda item: series.filterBounds(item.geometry)  # noqa: E731
    for k, (collection, reducer) in enumerate([(series, ee.Reducer.mean()), (own, "max")]):
        plan = eedask.time_series(fields, collection, reducer, out=tmp_path / f"s{k}", scale=250)
        found = explained(earth_engine, plan)
        _, sent = run(earth_engine, plan)
        assert found.requests.least <= sent
        assert "or more" in str(found)


def test_values_are_counted(earth_engine, points, tmp_path):
    count = ee.ImageCollection(SERIES)
    for k, schema in enumerate((None, {"value": "int64"})):
        plan = eedask.compute(
            points,
            lambda item: count.filterBounds(item.geometry).size(),
            out=tmp_path / str(k),
            schema=schema,
        )
        found = explained(earth_engine, plan)
        assert found.before.is_exact
        _, sent = run(earth_engine, plan)
        assert found.requests.least <= sent <= found.requests.most


def test_time_is_that_of_the_quota_or_of_the_latency(earth_engine, points, tmp_path):
    asked = {"out": tmp_path, "shape": (8, 8), "scale": 5, "concurrency": 10, "rate": 20}
    plan = eedask.chips(points, scene(), **asked)
    assert plan.explain().seconds_at_quota.most == pytest.approx(41 / 20)
    assert plan.explain(latency=2).seconds_at_latency.most == pytest.approx(41 * 2 / 10)
    assert plan.explain(latency=0.1).seconds_at_latency.most == pytest.approx(41 / 20)
    assert plan.explain(latency=99).seconds_at_latency.least == pytest.approx(41 * 99 / 10)
    unlimited = eedask.chips(points, scene(), **{**asked, "rate": None}).explain()
    assert unlimited.seconds_at_quota == Bounds.exactly(0)
    for latency in (0, -1, "1", float("inf")):
        with pytest.raises(InputError, match="latency is a positive number"):
            plan.explain(latency=latency)


def at(plan, name):
    """Return a plan whose requests would go to one of Earth Engine's own addresses."""
    return replace(
        plan, task=replace(plan.task, endpoint=replace(plan.task.endpoint, url=URLS[name]))
    )


def test_the_endpoint_that_is_meant_for_the_plan_is_told(earth_engine, rasters, tmp_path):
    items = dense(1000, rasters).set_geometry(
        shapely.points(np.random.default_rng(3).uniform(-60, 60, (1000, 2))), crs=4326
    )
    place = ee.Geometry.Rectangle(-99, 42, -98.99, 42.01)

    def relative(item):
        return scene("R").subtract(scene("R").reduceRegion("mean", place, 5).getNumber("R"))

    asked = {"out": tmp_path, "shape": (8, 8), "scale": 5, "format": "npy"}
    light, heavy = (eedask.chips(items, image, **asked) for image in (scene(), relative))
    told = {
        (name, kind): "\n".join(at(plan, name).explain().warnings)
        for name in URLS
        for kind, plan in (("light", light), ("heavy", heavy))
    }
    assert "endpoint='high-volume' is meant for" in told["standard", "light"]
    assert "endpoint='standard' may cost less" in told["high-volume", "heavy"]
    assert told["high-volume", "light"] == ""
    assert "endpoint=" not in told["standard", "heavy"]
    assert "Image.reduceRegion does not depend on the item" in told["standard", "heavy"]
    few = at(eedask.chips(items[:5], scene(), **asked), "standard")
    assert few.explain().warnings == ()
    assert not any(
        "reduceRegion" in w for w in eedask.chips(items[:1], relative, **asked).explain().warnings
    )


def test_it_reads_well(earth_engine, points, tmp_path):
    plan = eedask.chips(
        points, scene(), out=tmp_path, shape=(256, 256), scale=5, crs="EPSG:32614", format="png"
    )
    text = str(plan.explain(latency=0.5))
    assert repr(plan.explain(latency=0.5)) == text
    assert text.splitlines()[:10] == [
        "What chips of 40 items will ask of Earth Engine",
        "",
        "  requests         41 (of them 1 before the first item)",
        "  items a request  1",
        "  pixels           2,621,440",
        "  at Earth Engine  15.7 MB, with a byte of mask a value",
        "  largest request  393 kB",
        "  image files      at most 15.9 MB",
        "  at the quota     1 s (100 requests a second)",
        "  at this latency  1 s (0.5 s a request, 40 at once)",
    ]
    assert text.splitlines()[12] == "Look at this first:"
    assert "items.covering_grid" in text.replace("\n", "")
    assert max(map(len, text.splitlines())) <= 100
