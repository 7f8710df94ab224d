"""Kill, resume and extend in any order: a dataset has one row an item, with the right value."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import dask
import ee
import geopandas as gpd
import pytest
import shapely
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import eedask
from eedask.dataset.folder import Folder
from eedask.errors import DatasetError

IDS = st.lists(st.sampled_from("abcdefghij"), min_size=1, unique=True)
VALUES = st.integers(0, 255)


class Stop(Exception):
    """The user, or the system, ends the script."""


def value(item):
    """Return an image that holds its item's value in every pixel."""
    return ee.Image(ee.Number(item["v"])).toByte()


def rest(item):
    """Return an image that holds what the value lacks of 255."""
    return ee.Image(255).subtract(value(item)).toByte()


def chips(items, out, image=value):
    """Plan chips that hold their item's value in every pixel."""
    return eedask.chips(
        items,
        image,
        out=out,
        shape=(2, 2),
        scale=10,
        format="npy",
        partition_size=3,
    )


def pairs(items, out):
    """Plan chips of two images."""
    return chips(items, out, {"value": value, "rest": rest})


def values(items, out):
    """Plan a table that holds twice the value."""
    return eedask.compute(
        items,
        lambda item: ee.Number(item["v"]).multiply(2),
        out=out,
        schema={"value": "int64"},
        batch_size=2,
        partition_size=3,
    )


class Growing(RuleBasedStateMachine):
    """What a user does to a frame and to its dataset; ``verb`` makes the plan."""

    verb = staticmethod(chips)

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.out = self.folder / "out"
        # What the frame says, and what the dataset is to hold: its items and their values.
        self.items, self.known = {}, {}
        # The frame that the dataset took in last, which needs no leave to be run again; and what
        # it may be where the script was ended meanwhile.
        self.last = []

    @initialize(ids=IDS)
    def begin(self, ids):
        self.items = dict.fromkeys(ids, 1)

    @rule(ids=IDS, value=VALUES)
    def change(self, ids, value):
        self.items |= dict.fromkeys(ids, value)

    @rule(id_=st.sampled_from("abcdefghij"))
    def drop(self, id_):
        if len(self.items) > 1:
            self.items.pop(id_, None)

    @rule(random=st.randoms())
    def shuffle(self, random):
        self.items = dict(random.sample([*self.items.items()], len(self.items)))

    @rule(extend=st.booleans(), other=st.integers(1, 2))
    def run(self, extend, other):
        plan = self.verb(self.frame(other), self.out)
        frame = [*self.items.items(), other]
        is_other = bool(self.known) and self.known != self.items
        if is_other and not extend and self.last != [frame]:
            if frame not in self.last:
                with pytest.raises(DatasetError, match=r"same, .* new, .* changed, .* gone"):
                    plan.run(progress=False)
            return
        result = plan.run(progress=False, extend=extend)
        self.known |= self.items
        self.last = [frame]
        assert [*result.manifest.index][: len(self.items)] == [*self.items]
        self.check(result, whole=True)

    @rule(writes=st.integers(0, 8))
    def is_ended_at_a_write(self, writes):
        plan, write, left = self.verb(self.frame(1), self.out), Folder.write, [writes]

        def dies(folder, name, *arguments, **options):
            if not left[0] and not name.startswith(".locks"):
                raise Stop
            left[0] -= not name.startswith(".locks")
            return write(folder, name, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Folder, "write", dies)
            with contextlib.suppress(Stop, eedask.errors.RunStopped):
                plan.run(progress=False, extend=True)
        self.last.append([*self.items.items(), 1])
        if (self.out / "plan.json").exists():
            self.known = {
                id_: row.v for id_, row in eedask.open_result(self.out).manifest.iterrows()
            }
            # All that it had before is there still, changed or not.
            assert {*self.known} <= {*"abcdefghij"}

    @invariant()
    def holds_what_it_says(self):
        if self.known:
            self.check(eedask.open_result(self.out), whole=False)

    def frame(self, other):
        names = [*self.items]
        shapes = shapely.points([(ord(name) - 90.0, 10.0) for name in names])
        data = {"v": [*self.items.values()], "other": other}
        return gpd.GeoDataFrame(data, geometry=shapes, crs="EPSG:4326", index=names)

    def check(self, result, whole):
        manifest = result.manifest
        assert sorted(manifest.index) == sorted(self.known)
        done = manifest[manifest["status"] == "ok"]
        assert not whole or len(done) == len(manifest), manifest["error"].dropna().tolist()
        self.check_values(result, done)

    def check_values(self, result, done):
        for id_ in done.index:
            (pixels,) = [result.open(id_)[name] for name in result.open(id_).dtype.names]
            assert (pixels == self.known[id_]).all()
        files = {path.stem for path in (self.out / "chips").glob("*")}
        assert files >= {*done.index}

    def teardown(self):
        shutil.rmtree(self.folder)


class GrowingPairs(Growing):
    """The same of items with two files each."""

    verb = staticmethod(pairs)

    def check_values(self, result, done):
        for id_ in done.index:
            for role, expected in (("value", self.known[id_]), ("rest", 255 - self.known[id_])):
                opened = result.open(id_, role)
                assert (opened[opened.dtype.names[0]] == expected).all()
        for role in ("value", "rest"):
            assert {path.stem for path in (self.out / "chips" / role).glob("*")} >= {*done.index}


class GrowingTable(Growing):
    """The same of a table."""

    verb = staticmethod(values)

    def check_values(self, result, done):
        if (self.out / "table").exists():
            found = result.table()["value"].dropna()
            assert found.to_dict() == {id_: 2 * self.known[id_] for id_ in done.index}


@pytest.mark.parametrize(
    "machine", [Growing, GrowingPairs, GrowingTable], ids=["chips", "pairs", "table"]
)
@pytest.mark.parametrize(
    ("runs", "steps"),
    [(2, 8), pytest.param(6, 15, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["a few", "more"],
)
def test_in_whatever_order_a_dataset_has_one_right_row_an_item(earth_engine, machine, runs, steps):
    how = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    with dask.config.set(scheduler="synchronous"):
        run_state_machine_as_test(machine, settings=how)


def test_extend_and_overwrite_exclude_each_other(earth_engine, tmp_path):
    items = gpd.GeoDataFrame({"v": [1]}, geometry=shapely.points([(0, 0)]), crs="EPSG:4326")
    with pytest.raises(eedask.errors.InputError, match="give only one of them"):
        values(items, tmp_path / "out").run(extend=True, overwrite=True)
    assert not (tmp_path / "out").exists()
