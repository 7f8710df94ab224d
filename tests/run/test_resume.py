"""Resume: what is flushed stays and is not fetched again; another plan is refused by name."""

import io
import json

import ee
import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fire import (
    ASSET,
    PATIENT,
    Script,
    check_kept,
    flushed,
    inspect,
    made_new,
    make_items,
    plan_of,
    running_bed,
    wait_until_quiet,
)

import eedask
from eedask.errors import DatasetError

pytestmark = pytest.mark.usefixtures("threads")

# One try: what fails stays failed.
ONCE = eedask.RetryPolicy(tries=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_bed(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(running):
    with made_new(running, latency=0.01) as bed:
        yield bed


def fetched(bed, plan, **options):
    """Run a plan; return how many requests for chips that took."""
    before = bed.chips_asked
    plan.run(progress=False, **options)
    return bed.chips_asked - before


@pytest.fixture(scope="module")
def cut_short(running, tmp_path_factory):
    """What a script leaves that was killed halfway: items, the folder, the rows it had written."""
    items, out = make_items(400, seed=1), tmp_path_factory.mktemp("cut") / "out"
    with made_new(running, latency=0.2), Script(running, items, out, "own") as script:
        script.wait_for(100)
        script.process.kill()
        script.process.wait()
    return items, out, flushed(out)


@pytest.mark.slow
def test_a_killed_script_leaves_whole_parts_and_whole_files(cut_short):
    items, out, rows = cut_short
    assert 100 <= len(rows) < len(items)
    for part in (out / "manifest").iterdir():
        # A part that is being written has another name.
        if part.suffix == ".parquet":
            assert pq.read_table(part).num_rows > 0
    result = eedask.open_result(out)
    manifest = result.manifest
    assert list(manifest.index) == list(items.index)
    assert set(manifest.index[manifest["status"] == "ok"]) == set(rows)
    assert manifest["status"].isna().sum() == len(items) - len(rows)
    assert all((out / path).stat().st_size for path in manifest["path"].dropna())
    assert f"{len(items) - len(rows)} items are not done" in result.summary()


@pytest.mark.slow
def test_a_resume_fetches_what_was_not_flushed(bed, cut_short):
    items, out, rows = cut_short
    wait_until_quiet(bed)
    told = []
    before = bed.chips_asked
    plan_of(items, out).run(progress=told.append)
    assert bed.chips_asked - before == len(items) - len(rows)
    # What was there counts as done from the start.
    assert (told[0].total, told[0].done, told[0].failed) == (len(items), len(rows), 0)
    check_kept(rows, out)
    inspect(out, items, bed.raster)


def test_a_run_of_what_is_done_sends_nothing(bed, tmp_path):
    items = make_items(40, seed=2)
    assert fetched(bed, plan_of(items, tmp_path / "out")) == 40
    before = flushed(tmp_path / "out")
    requests = bed.emulator.stats()["requests"]
    assert fetched(bed, plan_of(items, tmp_path / "out")) == 0
    assert bed.emulator.stats()["requests"] == requests
    assert flushed(tmp_path / "out") == before


def test_a_resume_may_change_how_but_not_what(bed, tmp_path):
    items, out = make_items(50, seed=3), tmp_path / "out"
    plan_of(items, out).run(progress=False)
    (out / "manifest" / "part-00001.parquet").unlink()
    other = plan_of(items, out, concurrency=3, partition_size=7, retry=ONCE, deadline=60)
    assert fetched(bed, other) == 25
    inspect(out, items, bed.raster)


def test_only_what_failed_is_tried_again_when_asked(bed, tmp_path):
    items, out = make_items(100, seed=4), tmp_path / "out"
    bed.emulator.set_faults("500=0.2")
    result = plan_of(items, out, retry=ONCE).run(progress=False)
    failed = list(result.failed.index)
    assert 5 < len(failed) < 50
    good = {id_: at for id_, at in flushed(out).items() if id_ not in failed}
    bed.emulator.set_faults(None)
    assert fetched(bed, plan_of(items, out)) == 0, "failures are final unless asked for"
    again = result.retry_failed(progress=False)
    assert bed.chips_asked == len(items) + len(failed)
    assert again.failed.empty
    assert set(again.manifest["attempts"][failed]) == {2}, "that of the run before counts as well"
    check_kept(good, out)
    inspect(out, items, bed.raster)


def test_failed_items_of_an_opened_result_are_tried_by_the_plan(bed, tmp_path):
    items, out = make_items(40, seed=5), tmp_path / "out"
    bed.emulator.set_faults("500=0.2")
    plan_of(items, out, retry=ONCE).run(progress=False)
    bed.emulator.set_faults(None)
    failed = len(eedask.open_result(out).failed)
    assert failed
    with pytest.raises(DatasetError, match=r"plan\.run\(retry_failed=True\)"):
        eedask.open_result(out).retry_failed()
    assert fetched(bed, plan_of(items, out), retry_failed=True) == failed
    inspect(out, items, bed.raster)


OTHERS = {
    "shape": {"shape": (9, 9)},
    "scale": {"scale": 10.0},
    "crs": {"crs": "EPSG:32613"},
    "bands": {"bands": ["b1"]},
    "format": {"format": "tif"},
    "folder_by": {"folder_by": "row"},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.cross(3)
def test_another_plan_is_refused_and_the_difference_named(bed, tmp_path, name):
    items, out = make_items(30, seed=6), tmp_path / "out"
    plan_of(items, out).run(progress=False)
    left = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    options = {"shape": (8, 8), "scale": 5.0, "crs": "EPSG:32614", "format": "npy"}
    other = eedask.chips(items, ee.Image(ASSET), out=out, retry=PATIENT, **options | OTHERS[name])
    before = bed.chips_asked
    with pytest.raises(DatasetError, match=rf"different plan \({name}: there .*, asked .*\)"):
        other.run(progress=False)
    assert bed.chips_asked == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()} == left


def test_another_image_or_other_items_are_refused(bed, tmp_path):
    items, out = make_items(30, seed=7), tmp_path / "out"
    plan_of(items, out).run(progress=False)
    grid = {"shape": (8, 8), "scale": 5, "crs": "EPSG:32614", "format": "npy"}
    with pytest.raises(DatasetError, match="image: not the same as there"):
        eedask.chips(items, ee.Image(ASSET).add(1), out=out, **grid).run(progress=False)
    for others, counts in (
        (items.iloc[:-1], "29 same, 0 new, 0 changed, 1 gone"),
        (make_items(31, seed=8), "0 same, 1 new, 30 changed, 0 gone"),
    ):
        with pytest.raises(DatasetError, match=rf"{counts}.*run\(extend=True\)"):
            plan_of(others, out).run(progress=False)


def test_another_order_and_other_columns_are_the_same_plan(bed, tmp_path):
    items, out = make_items(30, seed=7), tmp_path / "out"
    plan_of(items, out).run(progress=False)
    # Neither column is used: the image is the same for all, and lies where the geometry says.
    others = items.iloc[::-1].assign(row=0, colour="green")
    plan = plan_of(others, out)
    assert fetched(bed, plan) == 0
    manifest = plan.run(progress=False).manifest
    assert [*manifest.index] == [*others.index]
    assert {*manifest["colour"]} == {"green"}
    assert (manifest["status"] == "ok").all()


def test_items_that_went_through_a_file_are_the_same_items(bed, tmp_path):
    """A script that reads its items anew each time resumes what a notebook began."""
    items, out = make_items(30, seed=9), tmp_path / "out"
    items["name"] = [None if n % 3 else f"item {n}" for n in range(30)]
    items["height"] = [float("nan") if n % 4 else n / 2 for n in range(30)]
    items["seen"] = pd.to_datetime([None if n % 5 else "2020-01-01" for n in range(30)])
    plan_of(items, out).run(progress=False)
    file = io.BytesIO()
    items.to_parquet(file)
    assert fetched(bed, plan_of(gpd.read_parquet(file), out)) == 0


def test_a_folder_that_was_staged_and_no_more_is_gone_on_with(bed, tmp_path):
    items, out = make_items(30, seed=10), tmp_path / "out"
    plan_of(items, out).bag()
    # As if the script had died between the items and the plan.
    (out / "plan.json").unlink()
    assert fetched(bed, plan_of(items, out)) == 30
    inspect(out, items, bed.raster)
    assert json.loads((out / "plan.json").read_text())["count"] == 30
