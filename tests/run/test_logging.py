"""What a run writes to the log: each retry and each failure once, and next to nothing else."""

import logging
import re
from collections import Counter

import ee
import geopandas as gpd
import pandas as pd
import pytest
from mounted import SCENE

import eedask
from eedask.earthengine.retry import Attempts, RetryPolicy, call_with_retry
from eedask.errors import TransientError

QUICK = RetryPolicy(tries=8, delay=0.01, max_delay=0.05, jitter=(0.0, 0.0))


@pytest.fixture
def log(caplog):
    with caplog.at_level(logging.INFO, logger="eedask"):
        yield caplog


def chips(items, out, image):
    plan = eedask.chips(items, image, out=out, shape=(8, 8), scale=5, format="npy", retry=QUICK)
    return plan.run(progress=False)


def test_each_retry_and_each_failure_is_logged_once_with_its_item(
    earth_engine, threads, points, tmp_path, log
):
    items = points.assign(band=["R", "nope", *["G"] * 38])
    earth_engine.set_faults("500=0.3")
    try:
        result = chips(items, tmp_path, lambda item: ee.Image(SCENE).select([item["band"]]))
    finally:
        earth_engine.set_faults(None)
    assert list(result.failed.index) == ["p01"]
    retried = re.compile(r"item '?(p\d\d)'?: attempt \d+ failed \(HTTP 500.*; next in ")
    lines = Counter(found[1] for text in log.messages if (found := retried.match(text)))
    again = result.manifest["attempts"] - 1
    assert again.sum() > 3
    assert lines == Counter({id_: n for id_, n in again.items() if n})
    failed = [text for text in log.messages if "failed (permanent)" in text]
    assert len(failed) == 1
    assert failed[0].startswith("item 'p01' failed (permanent): HTTP 400: Image.select: Band")
    # Nothing else, but for the tries of questions that come before the first item.
    others = [text for text in log.messages if text not in failed and not retried.match(text)]
    assert all(text.startswith("chips: attempt") for text in others)


def test_a_healthy_run_says_next_to_nothing(earth_engine, threads, points, tmp_path, log):
    many = gpd.GeoDataFrame(pd.concat([points] * 4, ignore_index=True))
    result = chips(many, tmp_path, ee.Image(SCENE).select(["R"]))
    assert (result.manifest["status"] == "ok").all()
    assert len(log.records) <= 1


def test_loggers_are_those_of_the_modules_and_have_no_handlers(log):
    def fails():
        raise TransientError("HTTP 503")

    with pytest.raises(TransientError):
        call_with_retry(fails, RetryPolicy(2, 0.0, jitter=(0.0, 0.0)), Attempts(), "item 1")
    assert [record.name for record in log.records] == ["eedask.earthengine.retry"]
    found = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "eedask"]
    for name in found:
        logger = logging.getLogger(name)
        assert not logger.handlers
        # The fixture has set the level of the first.
        assert name == "eedask" or logger.level == logging.NOTSET
