"""A run that cannot succeed stops by itself, says why, and can be resumed."""

import itertools
import threading
import time

import ee
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from ee import _state
from fsspec.implementations.memory import MemoryFileSystem
from mounted import SCENE
from watching import chips_since, requests_since

import eedask
from eedask.errors import DatasetError, RunStopped
from eedask.run.stopping import ALIKE, Verdict


def many(points, count):
    """Return the points again and again, under ids of their own."""
    chosen = points.iloc[np.arange(count) % len(points)]
    return chosen.set_index(np.arange(count))


def plan_of(items, out, image=None, **more):
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 50, **more}
    return eedask.chips(items, image or ee.Image(SCENE), out=out, **options)


def test_a_verdict_hears_long_words_at_once():
    started = time.process_time()
    for words in ("x" * 100_000, "x'" * 50_000, "x1" * 50_000, "' " * 50_000, '"x ' * 30_000):
        Verdict().hear("unexpected", words)
    assert time.process_time() - started < 2


def test_first_items_that_fail_alike_stop_a_verdict():
    verdict = Verdict()
    for number in range(ALIKE - 1):
        assert verdict.hear("permanent", f"Image 'a/{number}' not found (try {number}).") is None
    reason = verdict.hear("permanent", "Image 'b' not found (try 99).")
    assert f"the first {ALIKE} items all failed alike" in reason
    assert "Image 'b' not found" in reason
    assert verdict.hear("permanent", "Image 'b' not found (try 99).") is None


@pytest.mark.parametrize(
    "other", [(None, None), ("permanent", "Something else."), ("transient", "Image 'a' not found.")]
)
def test_one_other_end_keeps_it_going(other):
    verdict = Verdict()
    for number in range(3 * ALIKE):
        end = other if number == 7 else ("permanent", f"Image '{number}' not found.")
        assert verdict.hear(*end) is None


def test_a_verdict_on_other_than_the_first_items_never_falls():
    verdict = Verdict(first=False)
    assert {verdict.hear("permanent", "Image 'a' not found.") for _ in range(2 * ALIKE)} == {None}


def bands(items, bad):
    """Return items of which some ask for a band that is not there."""
    return items.assign(band=np.where(bad, "nope", "R"))


def test_any_number_of_failures_that_are_alike_is_tried_again(
    earth_engine, threads, points, tmp_path
):
    """As the message of a run that stopped for them advises."""
    items = bands(many(points, 110), np.arange(110) % 2 == 0)
    plan = plan_of(items, tmp_path, lambda item: ee.Image(SCENE).select([item["band"]]))
    result = plan.run(progress=False)
    before = earth_engine.stats()
    again = result.retry_failed(progress=False)
    assert chips_since(earth_engine, before) == 55 > ALIKE
    assert again.manifest["status"].value_counts().to_dict() == {"ok": 55, "failed": 55}
    (tmp_path / "manifest" / "part-00002.parquet").unlink()
    assert len(plan.run(progress=False).failed) == 55


def test_a_run_whose_first_part_was_fine_is_gone_on_with(earth_engine, threads, points, tmp_path):
    items = bands(many(points, 110), np.arange(110) >= 50)
    plan = plan_of(items, tmp_path, lambda item: ee.Image(SCENE).select([item["band"]]))
    plan.run(progress=False)
    for part in (tmp_path / "manifest").iterdir():
        table = pq.read_table(part)
        pq.write_table(table.filter(pc.equal(table["status"], "ok")), part)
    assert eedask.open_result(tmp_path).manifest["status"].isna().sum() == 60 > ALIKE
    status = plan.run(progress=False).manifest["status"]
    assert status.value_counts().to_dict() == {"failed": 60, "ok": 50}


def test_the_first_reason_stays():
    verdict = Verdict()
    verdict.stop("one")
    verdict.stop("two")
    assert verdict.reason == "one"


def test_a_plan_that_fails_everywhere_stops_early(earth_engine, points, tmp_path):
    before = earth_engine.stats()
    items = bands(many(points, 1000), True)
    plan = plan_of(items, tmp_path, lambda item: ee.Image(SCENE).select([item["band"]]))
    with pytest.raises(RunStopped, match=r"all failed alike.*Band pattern 'nope' did not match"):
        plan.run(progress=False)
    assert ALIKE <= requests_since(earth_engine, before) < ALIKE + 60
    status = eedask.open_result(tmp_path).manifest["status"]
    assert status.isna().sum() > 800


def test_a_refused_project_stops_the_run_at_once(earth_engine, points, tmp_path, monkeypatch):
    monkeypatch.setattr(_state.get_state(), "cloud_api_user_project", "somebody-elses")
    started = time.monotonic()
    with pytest.raises(RunStopped, match=r"does not accept the credentials or the project.*permis"):
        plan_of(many(points, 80), tmp_path).run(progress=False)
    assert time.monotonic() - started < 60
    assert eedask.open_result(tmp_path).manifest["status"].isna().all()
    monkeypatch.undo()
    result = plan_of(many(points, 80), tmp_path).run(progress=False)
    assert (result.manifest["status"] == "ok").all()


def test_a_folder_that_cannot_be_written_stops_the_run(earth_engine, threads, points, tmp_path):
    (tmp_path / "out" / "chips").mkdir(parents=True)
    (tmp_path / "out" / "chips").rmdir()
    plan = plan_of(many(points, 60), tmp_path / "out")
    plan.bag()  # lays out the folder
    (tmp_path / "out" / "chips").write_text("in the way")
    with pytest.raises(RunStopped, match=r"cannot be written to.*go on"):
        plan.run(progress=False)
    (tmp_path / "out" / "chips").unlink()
    assert (plan.run(progress=False).manifest["status"] == "ok").all()


def test_overwriting_replaces_a_dataset_and_nothing_else(earth_engine, threads, points, tmp_path):
    out, points = tmp_path / "out", points.iloc[:10]
    plan_of(points, out).run(progress=False).report()
    (out / "mine.txt").write_text("keep")
    other = plan_of(points.iloc[:5], out, scale=10)
    with pytest.raises(DatasetError, match="different plan"):
        other.run(progress=False)
    result = other.run(progress=False, overwrite=True)
    assert len(result.manifest) == 5
    assert sorted(p.name for p in out.iterdir()) == [
        "chips",
        "items.parquet",
        "manifest",
        "mine.txt",
        "plan.json",
        "stats",
    ]
    assert len(list((out / "chips").iterdir())) == 5
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.txt").write_text("years")
    with pytest.raises(DatasetError, match="something else"):
        plan_of(points, tmp_path / "else").run(progress=False, overwrite=True)


def test_a_store_with_errors_of_its_own_stops_the_run(earth_engine, points, tmp_path, monkeypatch):
    plain, broken = MemoryFileSystem.pipe_file, threading.Event()
    written = itertools.count()

    def pipe_file(self, path, value, **more):
        if "/chips/" in path and next(written) == 60:
            broken.set()
        if broken.is_set() and "/chips/" in path:
            raise LookupError("503 backend error")
        return plain(self, path, value, **more)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
    plan = plan_of(many(points, 160), f"memory://{tmp_path.name}/out")
    with pytest.raises(RunStopped, match=r"cannot be written to \(LookupError: 503 backend error"):
        plan.run(progress=False)
    monkeypatch.undo()
    before = earth_engine.stats()
    status = plan.run(progress=False).manifest["status"]
    assert (status == "ok").all()
    # What was done before the store broke was kept. One more asks which bands the image has.
    assert chips_since(earth_engine, before) <= 100
