"""A service that drips costs the items that it drips on, and no more time than their deadlines."""

import time
from functools import partial

import ee
import numpy as np
import pytest
from dripping import DRIPS, drip
from fire import initialized
from loopback import serving
from mounted import SCENE
from oracle import nearest
from proxying import Proxy

import eedask

pytestmark = pytest.mark.usefixtures("threads")

DEADLINE_S, TRIES, FINE = 3.0, 2, 4
RETRY = eedask.RetryPolicy(tries=TRIES, delay=0, max_delay=0, jitter=(0, 0))


def test_items_that_are_dripped_on_fail_in_time_and_the_others_are_whole(
    emulator, rasters, points, tmp_path
):
    ids = [f"item of the {where}" for where in DRIPS] + [f"fine {k}" for k in range(FINE)]
    items = points.iloc[: len(ids)].set_axis(ids)
    proxy = Proxy(emulator.url)
    proxy.instead = {
        id_: partial(drip, where=where, seconds=60) for id_, where in zip(ids, DRIPS, strict=False)
    }
    grid = {"shape": (8, 8), "crs": "EPSG:26914", "scale": 5, "format": "tif"}
    with serving(proxy.answer) as url, initialized(url, emulator.project):
        plan = eedask.chips(
            items,
            lambda item: ee.Image(SCENE).set("of", item.id),
            out=tmp_path / "out",
            deadline=DEADLINE_S,
            retry=RETRY,
            partition_size=len(items),
            **grid,
        )
        started = time.monotonic()
        result = plan.run(progress=False)
        assert time.monotonic() - started < 30 + DEADLINE_S * TRIES, "not for as long as it drips"
    proxy.http.clear()
    assert sorted(result.failed.index) == sorted(ids[: len(DRIPS)])
    assert set(result.failed["error_kind"]) == {"transient"}
    assert result.failed["error"].str.startswith("no whole answer within 3 s").all()
    assert set(result.failed["attempts"]) == {TRIES}
    for id_ in ids[len(DRIPS) :]:
        row = result.manifest.loc[id_]
        expected = nearest(rasters.scene, row["crs"], row["transform"], (8, 8))
        with result.open(id_) as file:
            np.testing.assert_array_equal(file.read(masked=True).filled(0), expected)
