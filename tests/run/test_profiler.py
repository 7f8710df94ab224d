"""Dask's profiler is off where it can hang the interpreter, and only there."""

import dask
import distributed
import pytest

from eedask.run import profiler


def state():
    """Stop the profiler of this worker; return whether there is one that runs before and after."""
    callback = distributed.get_worker().periodic_callbacks.get("profile")
    before = callback is not None and callback.is_running()
    profiler.stop_profiler()
    return before, callback is not None and callback.is_running()


@pytest.mark.parametrize(("mended_in", "after"), [((99,), False), ((3, 11), True)])
def test_a_worker_goes_on_without_it(monkeypatch, mended_in, after):
    monkeypatch.setattr(profiler, "MENDED_IN", mended_in)
    options = {"processes": False, "n_workers": 1, "dashboard_address": None}
    with (
        dask.config.set({"distributed.worker.profile.enabled": True}),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        assert client.submit(state).result(30) == (True, after)


@pytest.mark.parametrize(("mended_in", "enabled"), [((99,), False), ((3, 11), True)])
def test_clusters_of_our_own_are_started_without_it(monkeypatch, mended_in, enabled):
    monkeypatch.setattr(profiler, "MENDED_IN", mended_in)
    name = "distributed.worker.profile.enabled"
    with dask.config.set({name: True}), profiler.without_profiler():
        assert dask.config.get(name) is enabled


def test_outside_of_workers_there_is_nothing_to_stop():
    profiler.stop_profiler()
