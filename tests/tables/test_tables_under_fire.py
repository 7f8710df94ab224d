"""Tables under limits, in processes, interrupted and tried again: every row there, and once."""

import contextlib
import json
import os
import re
import signal
from collections import Counter

import distributed
import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from mounted import write

import eedask
from eedask.emulator import Emulator

pytestmark = pytest.mark.usefixtures("threads")

PLAIN = "projects/eedask-tests/assets/plain"
PIXEL, SIZE = 10.0, 1500
WEST, NORTH = 500_000.0, 4_700_000.0
ONCE = eedask.RetryPolicy(tries=1)


@pytest.fixture(scope="module")
def values():
    """What every pixel holds, shape (rows, columns)."""
    return np.random.default_rng(0).normal(10, 2, (SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def plain(values, tmp_path_factory):
    """A raster of one band of noise."""
    path = tmp_path_factory.mktemp("plain") / "plain.tif"
    transform = rasterio.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)
    write(path, values[np.newaxis], "EPSG:32614", transform)
    return path


@pytest.fixture
def start(plain):
    """Start an emulator with limits, and the ``ee`` client on it."""

    @contextlib.contextmanager
    def start(**limits):
        with Emulator({PLAIN: plain}, processes=1, **limits) as running, running.initialized():
            yield running

    return start


def squares(corners, side):
    """Return squares on the raster's grid, their upper left corners as (column, row)."""
    x, y = WEST + PIXEL * corners[:, 0], NORTH - PIXEL * corners[:, 1]
    shapes = shapely.box(x, y - PIXEL * side, x + PIXEL * side, y)
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32614")


def many(count, side=8):
    """Return corners of squares and the squares, at random."""
    corners = np.random.default_rng(1).integers(0, SIZE - side, (count, 2))
    return corners, squares(corners, side)


def means(values, corners, side):
    """Return numpy's means of squares."""
    return [values[r : r + side, c : c + side].mean(dtype=float) for c, r in corners]


def rows_on_disk(out):
    """Return the ids in a table's parts, as often as they are there."""
    parts = (out / "table").glob("part-*.parquet")
    return Counter(id_ for part in parts for id_ in pq.read_table(part)["id"].to_pylist())


# Limits.


@pytest.mark.slow
@pytest.mark.parametrize("slots", [2, 40])
def test_batches_are_halved_to_what_the_time_allows(start, values, tmp_path, slots):
    corners, items = many(1500)
    with start(timeout=0.0014) as running:
        plan = eedask.reduce_regions(
            items, ee.Image(PLAIN), "mean", out=tmp_path / "out", concurrency=slots, rate=None
        )
        result = plan.run(progress=False)
        stats = running.stats()
    assert result.failed.empty
    # A square's edges are not quite the pixels', in degrees: weights are off by their rounding.
    np.testing.assert_allclose(result.table()["b1"], means(values, corners, 8), atol=0.02)
    too_large = stats["by_status"]["400"]
    assert 1 <= too_large <= 0.05 * stats["requests"], stats
    # Nor by asking for so little that nothing can be too large.
    assert stats["requests"] < len(items) / 2


@pytest.mark.slow
def test_memory_raises_the_tile_scale_and_what_stays_too_large_fails_alone(
    start, values, tmp_path, sent
):
    corners, small = many(100)
    heavy = squares(np.array([[10, 10], [20, 30]]), 250), squares(np.array([[0, 0]]), 1490)
    items = pd.concat([small, *heavy], ignore_index=True)
    # A tile of 250 pixels a side holds more than the memory; the largest has more pixels than
    # the time allows, by tiles of any size.
    with start(memory=0.6, timeout=0.02):
        image = ee.Image(PLAIN)
        for _ in range(3):
            image = image.add(ee.Image(PLAIN))
        options = {"out": tmp_path / "out", "concurrency": 3}
        result = eedask.reduce_regions(items, image, "mean", **options).run(progress=False)
    assert result.failed.index.tolist() == [102]
    assert result.failed["error_kind"].tolist() == ["too_large"]
    assert "timed out" in result.failed["error"].iloc[0]
    assert (result.manifest["attempts"][100:102] > 1).all()
    scales = Counter(scale for body in sent for scale in tile_scales(body))
    assert {1, 4} <= set(scales) <= {1, 4, 16}
    # The small ones go with large tiles: those of the three are a few requests.
    assert scales[4] + scales[16] <= 2 * 3
    expected = [*means(values, corners, 8), *means(values, [(10, 10), (20, 30)], 250)]
    np.testing.assert_allclose(result.table()["b1"][:102], 4 * np.array(expected), atol=0.1)


def tile_scales(body):
    """Return the tile scales in a request's body."""
    return [float(found) for found in re.findall(r'"tileScale": {"constantValue": ([0-9.]+)', body)]


# Processes.


@pytest.fixture
def processes():
    """Two worker processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def series(count):
    """Return so many images, days apart, the k-th with k more than the raster in every pixel."""

    def image(k):
        moved = ee.Image(PLAIN).add(ee.Number(k)).set("system:index", ee.Number(k).format("%05d"))
        return moved.set("system:time_start", ee.Number(k).multiply(86_400_000))

    return ee.ImageCollection.fromImages(ee.List.sequence(0, count - 1).map(image))


@pytest.mark.slow
def test_tables_made_by_processes_have_a_row_for_every_item(start, values, tmp_path, processes):
    corners, items = many(60)
    items.index = [f"i{k}" for k in np.random.default_rng(2).permutation(60)]
    expected = np.array(means(values, corners, 8))
    more = {"partition_size": 20, "batch_size": 7}
    with start():
        plain, dates = tmp_path / "plain", tmp_path / "dates"
        regions = eedask.reduce_regions(items, ee.Image(PLAIN), "mean", out=plain, **more)
        result = regions.run(progress=False)
        over_time = eedask.time_series(items, series(3), "mean", out=dates, **more)
        long = over_time.run(progress=False)
    assert (result.manifest["status"] == "ok").all()
    assert result.table().index.equals(items.index)
    np.testing.assert_allclose(result.table()["b1"], expected, atol=0.02)
    assert rows_on_disk(plain) == dict.fromkeys(items.index, 1)
    assert rows_on_disk(dates) == dict.fromkeys(items.index, 3)
    assert (long.manifest["status"] == "ok").all()
    table = long.table()
    assert table.index.tolist() == list(items.index.repeat(3))
    assert table["image"].tolist() == ["00000", "00001", "00002"] * 60
    got = table["b1"].to_numpy().reshape(60, 3)
    np.testing.assert_allclose(got, expected[:, None] + [0, 1, 2], atol=0.02)


# Interrupted, and tried again.


def asked(bodies, items):
    """Return how often each item's region is in requests."""
    first = {repr(shape.exterior.coords[0][0]): id_ for id_, shape in items.geometry.items()}
    assert len(first) == len(items)
    found = (number for body in bodies for number in re.findall(r"-?\d+\.\d+", body))
    # Each ring ends where it begins.
    return {first[x]: n // 2 for x, n in Counter(found).items() if x in first}


@pytest.fixture
def interrupt():
    """A listener of progress that sends this process an interrupt, once."""
    sent = []

    def listen(progress):
        if 40 <= progress.done < progress.total and not sent:
            sent.append(progress)
            os.kill(os.getpid(), signal.SIGINT)

    return listen


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["reduce_regions", "time_series"])
def test_an_interrupted_table_is_gone_on_with(start, tmp_path, sent, interrupt, verb):
    items = many(160)[1].to_crs("EPSG:4326")
    out, each = tmp_path / "out", {"reduce_regions": 1, "time_series": 3}[verb]
    options = {"partition_size": 20, "concurrency": 2, "out": out}
    # Long enough for progress to be told between the fortieth item and the last.
    with start(latency=0.4):
        what = {"reduce_regions": ee.Image(PLAIN), "time_series": series(3)}[verb]
        plan = getattr(eedask, verb)(items, what, "mean", **options)
        with pytest.raises(KeyboardInterrupt):
            plan.run(progress=interrupt)
        manifest = eedask.open_result(out).manifest
        kept = set(manifest.index[manifest["status"] == "ok"])
        assert 40 <= len(kept) < len(items)
        assert set(rows_on_disk(out).values()) == {each}
        sent.clear()
        result = getattr(eedask, verb)(items, what, "mean", **options).run(progress=False)
    assert asked(sent, items) == dict.fromkeys(set(items.index) - kept, 1)
    assert (result.manifest["status"] == "ok").all()
    assert rows_on_disk(out) == dict.fromkeys(items.index, each)


def as_sent(items):
    """Yield ids, and the coordinates of their geometries as they stand in requests."""
    for name, shape in items.geometry.to_crs("EPSG:4326").items():
        text = json.dumps(shapely.get_coordinates(shape).tolist())
        # A point's number in the request comes after its coordinates.
        yield name, text[1:-2] if shape.geom_type == "Point" else text


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["reduce_regions", "time_series", "sample_points"])
def test_only_what_failed_of_a_table_is_asked_again(start, values, tmp_path, sent, verb):
    corners, items = many(200)
    out, each = tmp_path / "out", 2 if verb == "time_series" else 1
    options = {"partition_size": 40, "batch_size": 4, "retry": ONCE, "out": out}
    with start(seed=5) as running:
        if verb == "sample_points":
            items = items.set_geometry(items.centroid)
            plan = eedask.sample_points(items, ee.Image(PLAIN), **options)
        elif verb == "time_series":
            plan = eedask.time_series(items, series(2), "mean", **options)
        else:
            plan = eedask.reduce_regions(items, ee.Image(PLAIN), "mean", **options)
        # The first word of progress comes when the run has asked what the image is.
        result = plan.run(progress=lambda p: running.set_faults("500=0.3") if not p.done else None)
        failed = set(result.failed.index)
        assert 20 < len(failed) < 150
        assert set(rows_on_disk(out)) == set(items.index) - failed
        running.set_faults(None)
        sent.clear()
        again = result.retry_failed(progress=False)
    assert again.failed.empty
    asks = [body for body in sent if "reduceRegions" in body]
    assert len(asks) >= -(-len(failed) // 4)
    assert {name for name, text in as_sent(items) if any(text in body for body in asks)} == failed
    assert rows_on_disk(out) == dict.fromkeys(items.index, each)
    if verb == "reduce_regions":
        np.testing.assert_allclose(again.table()["b1"], means(values, corners, 8), atol=0.02)


# Long collections.


@pytest.mark.slow
def test_a_series_of_more_images_than_an_answer_holds_comes_by_spans_of_time(
    start, values, tmp_path, sent
):
    corners, items = many(1)
    with start():
        plan = eedask.time_series(items, series(5010), "mean", out=tmp_path / "out")
        result = plan.run(progress=False)
    assert result.failed.empty
    table = result.table()
    assert table["image"].tolist() == [f"{k:05d}" for k in range(5010)]
    assert table["time"].is_monotonic_increasing
    expected = means(values, corners, 8)[0] + np.arange(5010)
    np.testing.assert_allclose(table["b1"], expected, rtol=1e-6, atol=0.02)
    spans = [body for body in sent if "dateRangeContains" in body]
    assert len(spans) >= 3
    assert len(sent) == len(spans) + 2, "of what the bands are, and of the times"
