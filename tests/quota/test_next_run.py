"""The quota holds across Ctrl-C and the next run: the service still works on what was sent."""

import contextlib
import os
import signal
import threading

import dask
import pytest
from fire import inspect, made_new, make_items, plan_of, running_bed, wait_until

SLOTS, RATE = 4, 20


@pytest.fixture
def bed(tmp_path):
    with running_bed(tmp_path) as running, made_new(running) as bed:
        yield bed


@pytest.mark.slow
@pytest.mark.parametrize("where", ["threads", "own cluster"])
def test_a_run_right_after_ctrl_c_keeps_to_the_quota(bed, tmp_path, where):
    items, out = make_items(60, seed=71), tmp_path / "out"
    # Far longer than an interrupted run waits for its requests, on a busy machine too.
    bed.emulator.set_quotas(latency=10, rate=RATE)
    threads = dask.config.set(scheduler="threads")
    with threads if where == "threads" else contextlib.nullcontext():
        plan = plan_of(items, out, concurrency=SLOTS, rate=RATE)

        def interrupt():
            wait_until(lambda: bed.emulator.stats()["in_flight"] == SLOTS)
            os.kill(os.getpid(), signal.SIGINT)

        user = threading.Thread(target=interrupt)
        user.start()
        with pytest.raises(KeyboardInterrupt):
            plan.run(progress=False)
        user.join()
        assert bed.emulator.stats()["in_flight"] == SLOTS, "it waited for its requests"
        bed.emulator.set_quotas(latency=0.01)
        plan.run(progress=False)
    stats = bed.emulator.stats()
    assert stats["peak_in_flight"] == SLOTS
    assert "429" not in stats["by_status"], "more requests a second than were allowed"
    inspect(out, items, bed.raster)
