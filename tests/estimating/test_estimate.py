"""What a plan is estimated to take, by a pilot whose results are kept."""

import dataclasses

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from mounted import SCENE
from places import points_in
from watching import requests_since

import eedask
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import folder_at
from eedask.earthengine import endpoint
from eedask.errors import InputError
from eedask.estimating.course import Place, course_of
from eedask.estimating.estimate import Estimate, Pilot, estimated
from eedask.estimating.pilot import Weights
from eedask.estimating.rehearsal import Share, rehearsed
from eedask.estimating.scaling import Line, Range
from eedask.estimating.ways import Way, verdict
from eedask.items.item import WorkItem
from eedask.quota.messages import Ceiling
from eedask.run import process
from eedask.run.task import Job
from eedask.tables.batches import Batch
from eedask.tables.size_search import SizeSearch
from eedask.watching import compute_sample

COUNT = 120
REDUCER = "mean"


@pytest.fixture(scope="module")
def places(rasters):
    """Points in the scene, each with a radius in metres."""
    radius = np.random.default_rng(9).uniform(20, 150, COUNT)
    points = points_in(rasters.scene, COUNT, seed=8, margin=200)
    frame = gpd.GeoDataFrame({"radius": radius}, geometry=points)
    return frame.set_axis([f"p{k:03d}" for k in range(COUNT)], axis=0)


def chips(items, out, **more):
    options = {"shape": (16, 16), "scale": 5, "format": "npy", "partition_size": 10, **more}
    return eedask.chips(items, ee.Image(SCENE).select("R"), out=out, **options)


def regions(items, out, **more):
    discs = shapely.buffer(items.geometry, items["radius"], quad_segs=4)
    shapes = items.set_geometry(discs, crs=items.crs)
    return eedask.reduce_regions(shapes, ee.Image(SCENE), REDUCER, out=out, scale=5, **more)


def points(items, out, **more):
    return eedask.sample_points(items, ee.Image(SCENE), out=out, scale=5, **more)


@pytest.mark.parametrize("made", [chips, regions, points])
def test_the_estimate_is_what_the_run_costs_and_its_pilot_is_kept(
    earth_engine, places, tmp_path, made
):
    plan = made(places, tmp_path)
    before = earth_engine.stats()
    estimate = plan.estimate(n=12)
    done = eedask.open_result(tmp_path).manifest["status"].eq("ok").sum()
    assert (estimate.items, estimate.pilot, estimate.failed) == (COUNT, 12, 0)
    assert done == 12
    # A partition that ends before the first costs are told has none.
    assert eedask.open_result(tmp_path).stats["eecu_s"].notna().any()
    spent = earth_engine.stats()
    result = plan.run(progress=False)
    assert result.manifest["status"].eq("ok").all()
    after = earth_engine.stats()
    fetched = requests_since(earth_engine, spent)
    if made is chips:
        # One for the grid, and a few for the costs.
        assert COUNT - 12 + 1 < fetched <= COUNT - 12 + 4
        assert estimate.requests.expected == COUNT + 1
        assert estimate.nbytes.expected == pytest.approx(result.manifest["nbytes"].sum())
    # The pilot's own requests, and those that tell of an image and of costs, are few but not none.
    real = after["eecu_seconds"] - before["eecu_seconds"]
    own = (spent["eecu_seconds"] - before["eecu_seconds"]) * (made is not chips)
    assert estimate.eecu_seconds.expected == pytest.approx(real - own * 0.8, rel=0.25)
    community = estimate.tier_shares["community"]
    assert community.high == pytest.approx(estimate.eecu_seconds.high / 3600 / 150)


def test_an_estimate_reads_well_and_is_small_in_a_notebook(earth_engine, places, tmp_path, threads):
    estimate = chips(places, tmp_path / "<out>").estimate(n=8)
    lines = str(estimate).splitlines()
    assert lines[0] == "What chips of 120 items will take, by a pilot of 8"
    assert [line.split("  ")[1] for line in lines[2:]] == [
        *("requests", "time", "limited by", "bytes", "compute", "of a month"),
    ]
    assert "EECU-seconds" in str(estimate)
    assert len(estimate._repr_html_()) < 2000
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.items = 3


def test_where_costs_are_not_told_the_estimate_says_so(earth_engine, places, tmp_path, threads):
    earth_engine.set_readings({"profiles": "refused"})
    try:
        estimate = chips(places, tmp_path).estimate(n=4)
    finally:
        earth_engine.set_readings(None)
    assert (estimate.eecu_seconds, estimate.tier_shares) == (None, None)
    assert "not known: Earth Engine does not tell" in str(estimate)
    assert estimate.seconds.expected > 0


def test_costs_that_are_asked_for_as_the_pilot_ends_are_waited_for(
    earth_engine, places, tmp_path, threads, monkeypatch
):
    # As if requests lasted longer than the end of a run waits for threads.
    monkeypatch.setattr(process, "_JOIN_S", 0)
    monkeypatch.setattr(compute_sample, "_WORTH_EARLY", 1)
    earth_engine.set_quotas(latency=0.3)
    try:
        estimate = chips(places, tmp_path).estimate(n=2)
    finally:
        earth_engine.set_quotas(latency=0)
    assert estimate.eecu_seconds is not None


def test_both_endpoints_are_asked_for_the_same_items_where_none_is_chosen(
    earth_engine, places, tmp_path, threads, monkeypatch
):
    high, standard = earth_engine.url, earth_engine.url.replace("127.0.0.1", "localhost")
    monkeypatch.setitem(endpoint.URLS, "high-volume", high)
    monkeypatch.setitem(endpoint.URLS, "standard", standard)
    estimate = chips(places, tmp_path / "open").estimate(n=3)
    assert [way.name for way in estimate.ways] == ["as planned", "endpoint='standard'"]
    assert [(way.items, way.requests, way.error) for way in estimate.ways] == [(5, 5, "")] * 2
    first, second = (way.eecu_seconds for way in estimate.ways)
    assert first == pytest.approx(second, rel=0.1)
    assert estimate.cheaper.startswith("no way is much cheaper")
    chosen = chips(places, tmp_path / "chosen", endpoint="high-volume").estimate(n=3)
    assert (chosen.ways, chosen.cheaper) == ((), "")


def test_a_larger_tile_scale_is_tried_where_none_is_stated(earth_engine, places, tmp_path, threads):
    estimate = regions(places, tmp_path / "open").estimate(n=4)
    assert [way.name for way in estimate.ways] == ["as planned", "tile_scale=4"]
    ways = sum(way.eecu_seconds for way in estimate.ways)
    assert Dataset(folder_at(tmp_path / "open", "out")).plan()["eecu_s"] > ways > 0
    assert regions(places, tmp_path / "stated", tile_scale=2).estimate(n=4).ways == ()


def test_items_that_fail_are_counted_and_a_plan_that_is_done_has_no_estimate(
    earth_engine, places, tmp_path, threads
):
    bands = ["R", "nope"] * (COUNT // 2)
    items = places.assign(band=bands).iloc[:4]
    plan = eedask.chips(
        items,
        lambda item: ee.Image(SCENE).select([item["band"]]),
        out=tmp_path,
        shape=(8, 8),
        scale=5,
        format="npy",
    )
    estimate = plan.estimate()
    assert (estimate.pilot, estimate.failed) == (4, 2)
    assert "2 of the pilot's items" in str(estimate)
    with pytest.raises(InputError, match="all items are done"):
        plan.estimate()
    with pytest.raises(InputError, match=r"n is a whole number of items.*got 0"):
        plan.estimate(0)


def test_damaged_statistics_of_earlier_runs_do_not_matter(earth_engine, places, tmp_path, threads):
    plan = chips(places, tmp_path)
    plan.estimate(n=1)
    for number in (0, 5):  # the second pilot's own partition, and one that it leaves alone
        (tmp_path / f"stats/part-{number:05d}.parquet").write_bytes(b"damaged")
    estimate = plan.estimate(n=1)
    assert estimate.pilot == 1
    assert estimate.seconds.expected > 0


# From a few to all.


@given(
    st.floats(0, 10),
    st.floats(0.01, 10),
    st.lists(st.tuples(st.integers(1, 3), st.floats(1, 100)), min_size=1, max_size=9),
)
def test_what_is_a_line_is_told_as_one(each, share, measured):
    requests = np.array([r for r, _ in measured], float)
    weights = np.array([r * w for r, w in measured])
    taken = each * requests + share * weights
    line = Line.through(requests, weights, taken)
    told = line.range(requests.sum(), weights.sum())
    assert told.expected == pytest.approx(taken.sum())
    assert told.low <= told.expected <= told.high
    ratio = weights / requests
    if len(ratio) > 2 and np.ptp(ratio) > 0.1 * ratio.mean():
        assert line.of(7, 500) == pytest.approx(7 * each + 500 * share, rel=1e-3)


def test_the_range_grows_with_the_differences_and_shrinks_with_their_number():
    def width(taken):
        told = Line.through(np.ones(len(taken)), np.ones(len(taken)), taken).range(1, 1)
        return (told.high - told.low) / told.expected

    assert width([1.0] * 9) < width([1.0, 2.0, 1.5] * 3) < width([1.0, 2.0, 1.5]) < 2
    assert width([1.0]) == 1
    assert Range.around(10, 2) == Range(0, 10, 30)


def test_a_difference_of_times_that_may_be_chance_is_not_scaled_up():
    ones, weights = np.ones(4), np.array([1, 3, 5, 11])
    chance = Line.through(ones, weights, [3.05, 3.06, 3.00, 3.08], noisy=True)
    assert chance.of(1, 1000) == pytest.approx(3.05, abs=0.01)
    assert chance.range(1, 1000).high > 2 * chance.range(1, 11).high > 6
    # Where it may be chance, the weight takes what is supposed, as far as that is possible.
    supposed = Line.through(ones, weights, [3.05, 3.06, 3.00, 3.08], noisy=True, supposed=0.005)
    assert supposed.of(1, 1000) == pytest.approx(8, abs=0.1)
    assert supposed.range(1, 1000).low == pytest.approx(3, abs=0.1)
    assert supposed.range(1, 1000).high == pytest.approx(chance.range(1, 1000).high, abs=1)
    most = Line.through(ones, weights, [3.05, 3.06, 3.00, 3.08], noisy=True, supposed=9)
    assert most.of(1, 1000) < chance.range(1, 1000).high
    clear = Line.through(ones, weights, [3.1, 3.3, 3.5, 4.1], noisy=True)
    assert clear.of(1, 1000) == pytest.approx(103)
    assert [one.may_be_flat for one in (chance, supposed, clear)] == [True, True, False]


# How a run goes on.


def partitions(count, items, weight=1.0):
    places = tuple(map(WorkItem, range(items), [None] * items, [{}] * items))
    return [[Job(places, Batch((weight,) * items, 1.0))] for _ in range(count)]


def rehearsal(jobs, presumed, total, *, lasts=1.0, partitions=None, **share):
    usual = {"abreast": 40, "concurrency": 40, "rate": None, "threads": 48}
    share = Share(partitions=partitions or len(jobs), **{**usual, **share})
    found = rehearsed(jobs, share, SizeSearch(presumed, total), lambda weight: lasts)
    return found.requests, found.seconds, found.at_once


@pytest.mark.parametrize(
    ("share", "seconds", "at_once"),
    [
        ({}, 1, 8),
        ({"abreast": 2}, 4, 2),
        ({"concurrency": 3}, 3, 3),
        ({"rate": 2, "lasts": 0.1}, 3.6, 1),
        ({"rate": 2, "lasts": 1.2}, 4.7, 3),
    ],
)
def test_a_rehearsal_keeps_to_the_quota_and_to_the_partitions_that_are_worked_on(
    share, seconds, at_once
):
    found = rehearsal(partitions(8, 10), 10, 1e9, **share)
    assert found == pytest.approx((8, seconds, at_once))


def test_a_rehearsal_cuts_and_waits_as_a_run_does():
    # One of four times the size that is presumed; the others are cut to that.
    assert rehearsal(partitions(1, 16), 1, 1e9) == (13, 1, 13)
    # The first answer is waited for, as no size is known to work.
    assert rehearsal(partitions(4, 10), 10, 40) == (4, 2, 3)
    # By the fifth second, the others go on with less, and after the first answer with all.
    assert rehearsal(partitions(2, 8), 8, 16, lasts=20)[1] == pytest.approx(25)


@pytest.mark.parametrize("abreast", [1, 4])
def test_a_long_run_goes_on_as_its_beginning_does(abreast):
    requests, seconds, _ = rehearsal(
        partitions(3, 10), 10, 1e9, partitions=1000, abreast=abreast, lasts=2.0
    )
    assert (requests, seconds) == (1000, pytest.approx(2000 / abreast))


def test_no_more_requests_are_under_way_than_partitions_have():
    line = Line.through([1.0], [1.0], [2.0])
    all_ = Weights((400.0, 400.0), 400.0, partitions=100)
    ceiling = Ceiling(40, 100)
    few, many = (course_of(all_, line, Place(ceiling, 2, n)) for n in (1, 8))
    assert (few.seconds, few.at_once) == (100, 8)
    assert (many.seconds, many.at_once) == (20, 40)


def test_a_pilot_that_was_never_answered_took_no_time():
    measured = pd.DataFrame({"items": [2], "failed": [2], "requests": [2], "weight": [2.0]})
    pilot = Pilot(measured.assign(seconds=np.nan, nbytes=0, eecu_s=np.nan))
    found = estimated("chips", 9, 1, Weights((9, 9), 9), Place(Ceiling(40, 100)), pilot)
    assert (found.failed, found.eecu_seconds) == (2, None)
    assert found.seconds.expected == pytest.approx(0.09, rel=0.1)
    assert found.requests == Range(10, 10, 10)


def test_the_machine_limits_a_run_whose_requests_are_much_work():
    measured = pd.DataFrame({"items": [4], "failed": [0], "requests": [2], "weight": [4.0]})
    pilot = Pilot(measured.assign(seconds=1e-4, nbytes=0, eecu_s=1.0), 0.01, 0.002, idle_s=3)
    place = Place(Ceiling(40, None), processes=2, abreast=40)
    found = estimated("sample_points", 10_000, 0, Weights((10, 10), 70_000.0), place, pilot)
    # 0.01 s for each of 10 requests, and 0.002 s for each of 10,000 items, on two processes.
    assert found.limited_by == "this machine: each process works 10 s"
    assert found.seconds.expected == pytest.approx(3 + 10 * 1.05, rel=0.01)


def test_shares_of_a_month_are_told_as_far_as_they_matter():
    even = Range(1, 1, 1)
    small, large = (
        Estimate("chips", 9, 2, 0, even, even, even, even * hours * 3600.0, "latency")
        for hours in (0.3, 300)
    )
    assert "0.2 % (community), 0.03 % (contributor), under 0.01 % (partner)" in str(small)
    assert "2 times (community), 30 % (contributor), 0.3 % (partner)" in str(large)
    assert large.tier_shares["community"] == Range(2, 2, 2)


def test_the_verdict_names_the_cheaper_way_or_says_why_not():
    ways = [Way("as planned", 5, 5, 1.0, 4.0), Way("tile_scale=4", 5, 5, 2.0, 3.0)]
    assert verdict(ways).startswith("tile_scale=4: 3 EECU-seconds (as planned 4), for the same 5")
    unknown = [dataclasses.replace(way, eecu_seconds=None) for way in ways]
    assert "not known; requests lasted as planned 1 s, tile_scale=4 2 s" in verdict(unknown)
    assert verdict([ways[0], dataclasses.replace(ways[1], error="refused")]) == ""
