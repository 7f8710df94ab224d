"""What a run shows at its end, and the figures in it."""

import re

import ee
import numpy as np
import pandas as pd
import pytest
from mounted import SCENE

import eedask
from eedask.errors import RunStopped
from eedask.results.runs import RunFigures, runs_of

pytestmark = pytest.mark.usefixtures("threads")


def by_band(item):
    return ee.Image(SCENE).select([item["band"]])


def plan_of(items, out, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", **more}
    return eedask.chips(items, by_band, out=out, **options)


def shown(capsys):
    """Return the lines that were printed since the last call."""
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def twelve(points):
    return points.head(12).assign(band="R")


def test_all_is_ok_and_then_nothing_is_left(earth_engine, twelve, tmp_path, capsys):
    out = str(tmp_path / "out")
    result = plan_of(twelve, out).run()
    lines = shown(capsys)
    assert lines == result.summary().splitlines()
    what, time, speed, opened = lines
    assert what == f"12 items: 12 ok, 0 failed, 3.1 kB in {out}"
    assert time.startswith("time:   ")
    assert "; 12 requests of " in time
    assert speed.startswith("speed:  ")
    assert speed.endswith("% of what 40 at once and 100/s allow")
    assert eval(opened.removeprefix("open:   ")).shape == (8, 8)
    assert repr(result) == f"eedask result: {what}"
    plan_of(twelve, out).run()
    assert shown(capsys) == ["nothing is left to do: earlier runs came to all items", *lines]
    plan_of(twelve, out).run(progress=False)
    assert shown(capsys) == []


def test_failures_are_shown_by_kind_with_an_example(earth_engine, twelve, tmp_path, capsys):
    items = twelve.assign(band=["R", "nope", "R", "none"] * 3)
    out = str(tmp_path / "out")
    plan = plan_of(items, out)
    plan.run()
    what, cause, _, _, _, failed, retry = shown(capsys)
    assert what.startswith("12 items: 6 ok, 6 failed, ")
    said = r"6 x permanent, such as (p\d\d): HTTP 400: .*Band pattern '(\w+)' did not match any"
    id_, band = re.match(said, cause).groups()
    assert items.loc[id_, "band"] == band
    assert list(eval(failed.removeprefix("failed: ")).index) == [*items.index[1::2]]
    assert retry == "retry:  plan.run(retry_failed=True)"
    eval(retry.removeprefix("retry:  "))
    time, speed = shown(capsys)[2:4]
    assert time.endswith(" in the last of 2 runs, for 6 items; 6 requests")
    assert speed.endswith(" requests/s")  # none succeeded, so nothing is known of latency


def test_all_failed(earth_engine, twelve, tmp_path, capsys):
    plan_of(twelve.assign(band="nope"), tmp_path).run()
    lines = shown(capsys)
    assert lines[0].startswith("12 items: 0 ok, 12 failed, 0.0 kB in ")
    assert [line.partition(":")[0] for line in lines[2:]] == ["time", "speed", "failed", "retry"]


def test_a_run_that_is_stopped_says_what_there_is(earth_engine, twelve, tmp_path, capsys):
    with pytest.raises(RunStopped, match="max_items=11 are done"):
        plan_of(twelve, tmp_path).run(max_items=11)
    lines = shown(capsys)
    assert lines[0].startswith("12 items: 11 ok, ")
    assert lines[-1] == "go on:  plan.run()  # 1 item is not done"


def test_a_run_that_is_stopped_before_its_first_item_says_why_alone(
    earth_engine, twelve, tmp_path, capsys
):
    image = ee.Image(SCENE).select("nope")
    with pytest.raises(RunStopped, match="nope"):
        eedask.sample_points(twelve, image, out=tmp_path, scale=5).run()
    assert shown(capsys) == []


def test_a_table_is_opened_as_one(earth_engine, twelve, tmp_path, capsys):
    eedask.sample_points(twelve, ee.Image(SCENE), out=str(tmp_path / "out"), scale=5).run()
    opened = shown(capsys)[-1]
    assert eval(opened.removeprefix("open:   "))["R"].notna().all()


FIGURES = RunFigures(
    started=pd.Timestamp("2026-01-01", tz="UTC"),
    wall_s=40.0,
    items=3000,
    failed=0,
    requests=3100,
    retries=100,
    throttled=80,
    nbytes=10**6,
    latency_s=0.4,
    eecu_s=None,
    concurrency=40,
    rate=100.0,
)


@pytest.mark.parametrize(
    ("changes", "ideal", "share"),
    [
        ({}, 30.0, 0.75),  # by the rate
        ({"latency_s": 0.5}, 37.5, 0.9375),  # by requests at once
        ({"rate": None}, 30.0, 0.75),
        ({"requests": 1, "retries": 0, "latency_s": 30.0}, 30.0, 0.75),  # by one request
        ({"latency_s": None}, 30.0, None),
        ({"wall_s": 20.0}, 30.0, 1.0),
        ({"wall_s": 0.0}, 30.0, None),
    ],
)
def test_the_ideal_is_that_of_the_limits(changes, ideal, share):
    run = RunFigures(**{**vars(FIGURES), **changes})
    assert run.ideal_s == pytest.approx(ideal)
    assert run.share_of_ideal == (None if share is None else pytest.approx(share))


def test_a_run_is_the_sum_of_its_partitions():
    began = pd.Timestamp("2026-01-01", tz="UTC")
    at = [began + pd.Timedelta(seconds=second) for second in (9, 0, 1)]
    stats = pd.DataFrame(
        {
            "run": ["late", "early", "early"],
            "started": at,
            "ended": [one + pd.Timedelta(seconds=3) for one in at],
            "items": [5, 10, 20],
            "requests": [0, 10, 30],
            "retries": [0, 1, 2],
            "throttled": [0, 1, 1],
            "nbytes": [0, 100, 200],
            "mean_s": [np.nan, 1.0, 2.0],
            "failures": [{"input": 5}, {}, {"input": 1, "quota": 2}],
            "eecu_s": [np.nan, np.nan, 6.0],
            "concurrency": [40, 8, 8],
            "rate": [np.nan, 100.0, 100.0],
        }
    )
    counts = {"items": 30, "failed": 3, "requests": 40, "retries": 3, "throttled": 2}
    early = {**counts, "nbytes": 300, "latency_s": 1.75, "eecu_s": 8.0}
    none = {"failed": 5, **dict.fromkeys(["requests", "retries", "throttled", "nbytes"], 0)}
    assert runs_of(stats) == [
        RunFigures(started=at[1], wall_s=4.0, concurrency=8, rate=100.0, **early),
        RunFigures(at[0], 3.0, 5, **none, latency_s=None, eecu_s=None, concurrency=40, rate=None),
    ]
    assert runs_of(stats.iloc[:0]) == []
