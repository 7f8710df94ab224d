"""Which items are the same, and what a crash while a dataset grows leaves."""

import json
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.dataset.growth import Growth, item_hashes
from eedask.dataset.question import Question
from eedask.dataset.rows import OK, Row
from eedask.dataset.staging import stage
from eedask.errors import DatasetError
from eedask.items.item import WorkItem

USES = frozenset({"geometry", "column:v"})
QUESTION = Question({"verb": "chips"}, uses=USES)


def frame(values, **columns):
    """Return items with a value, by id; the place of an id is always the same."""
    shapes = shapely.points([(sum(map(ord, id_)) % 90, len(id_)) for id_ in values])
    data = {"v": [*values.values()], **columns}
    return gpd.GeoDataFrame(data, geometry=shapes, crs="EPSG:4326", index=[*values])


def hashes(items, fields=("column:v", "geometry")):
    return pd.Series(item_hashes(items, fields), items.index)


CELLS = st.one_of(st.none(), st.floats(), st.text(max_size=3), st.integers(-9, 9))


@given(st.dictionaries(st.text(max_size=4), CELLS, min_size=1, max_size=8), st.randoms())
def test_a_hash_is_of_the_item_alone(values, random):
    items = frame(values)
    items["v"] = pd.Series([*values.values()], items.index, dtype=object)
    order = random.sample([*values], len(values))
    shuffled = items.loc[order].assign(other=1)
    assert Growth.between(hashes(items), hashes(shuffled)).is_none


def test_what_a_file_makes_of_values_is_the_same(tmp_path):
    items = frame({"a": 1, "b": 2}, when=pd.to_datetime(["2020-01-01", None]), x=[1.5, np.nan])
    items.to_parquet(tmp_path / "items.parquet")
    fields = ["geometry", "column:v", "column:when", "column:x"]
    back = gpd.read_parquet(tmp_path / "items.parquet")
    assert Growth.between(hashes(items, fields), hashes(back, fields)).is_none
    # A whole number is one whatever its type.
    floats = items.assign(v=items["v"].astype(float))
    assert Growth.between(hashes(items), hashes(floats)).is_none


def test_what_differs_is_counted_by_kind():
    there = frame({"a": 1, "b": 2, "c": None, "d": 4})
    here = frame({"e": 5, "d": 4, "b": 0, "c": None})
    growth = Growth.between(hashes(there), hashes(here))
    assert [*map(list, (growth.same, growth.new, growth.changed, growth.gone))] == [
        ["d", "c"],
        ["e"],
        ["b"],
        ["a"],
    ]
    assert str(growth) == "2 same, 1 new, 1 changed, 1 gone"
    moved = there.set_geometry(there.geometry.translate(0, 1e-9))
    assert len(Growth.between(hashes(there), hashes(moved)).changed) == 4


@dataclass(frozen=True)
class Failing(Folder):
    """A folder whose writer dies at one of its writes."""

    after: int = 0

    def write(self, name, data, *, sync=True):
        if self.__dict__.setdefault("writes", 0) == self.after:
            raise MemoryError(f"died before {name}")
        self.__dict__["writes"] += 1
        super().write(name, data, sync=sync)


def staged(folder, values, **options):
    return stage(Dataset(folder), frame(values), QUESTION, 2, **options)


def filled(tmp_path):
    """Return a dataset of five items, all of which are done."""
    folder = Folder(str(tmp_path / "out"))
    plan = staged(folder, dict.fromkeys("abcde", 1))
    dataset = Dataset(folder)
    for number in range(plan["partitions"]):
        rows = []
        for item in dataset.partition(number):
            folder.write(f"chips/{item.id}.npy", b"12345")
            rows.append(Row(item.id, OK, f"chips/{item.id}.npy", 5, 1))
        dataset.write_rows(number, rows)
    return dataset


GROWN = {"f": 1, "b": 2, "a": 1, "g": 1, "c": 1, "d": 1}


def test_a_dataset_grows_by_partitions(tmp_path):
    dataset = filled(tmp_path)
    before = [[item.id for item in dataset.partition(n)] for n in range(3)]
    with pytest.raises(DatasetError, match="3 same, 2 new, 1 changed, 1 gone") as caught:
        staged(dataset.folder, GROWN)
    assert "new 'f', 'g'; changed 'b'; gone 'e'" in str(caught.value)
    plan = staged(dataset.folder, GROWN, extend=True)
    assert (plan["count"], plan["partitions"]) == (7, 4)
    assert [[item.id for item in dataset.partition(n)] for n in range(3)] == before
    assert {item.id for item in dataset.partition(3)} == {"f", "g"}
    # In the plan's order, and those that are gone after them.
    manifest = dataset.manifest()
    assert [*manifest.index] == [*GROWN, "e"]
    assert [*manifest.index[manifest["status"] == OK]] == ["a", "c", "d", "e"]
    assert manifest["v"].to_dict() == {**GROWN, "e": 1}
    assert dataset.folder.list("chips") == [f"chips/{id_}.npy" for id_ in "acde"]
    # What has grown is the plan of these items: again, it is found as it is.
    gone = {"e": 1}
    assert staged(dataset.folder, GROWN | gone)["count"] == 7
    with pytest.raises(DatasetError, match="6 same, 0 new, 0 changed, 1 gone"):
        staged(dataset.folder, {**GROWN, "f": 1} | {})


@pytest.mark.parametrize("after", range(5))
@pytest.mark.cross(2)
def test_a_death_at_any_write_leaves_a_whole_dataset(tmp_path, after):
    dataset = filled(tmp_path)
    url = dataset.folder.url
    try:
        staged(Failing(url, after), GROWN, extend=True)
        died = False
    except MemoryError:
        died = True
    assert died == (after < 4), "it writes: plan, manifest, items, plan"
    known = Dataset(Folder(url))
    manifest = known.manifest()
    done = {*manifest.index[manifest["status"] == OK]}
    items = {item.id for n in range(known.plan()["partitions"]) for item in known.partition(n)}
    assert items == {*manifest.index} >= {*"abcde"}
    known.forget_lost_files()
    assert done >= {*"acde"}
    # Whichever plan comes next finds it: the old one as long as the items are the old ones.
    if items == {*"abcde"}:
        assert staged(Folder(url), dict.fromkeys("abcde", 1))["count"] == 5
    assert staged(Folder(url), GROWN, extend=True)["count"] == 7
    manifest = known.manifest()
    assert {*manifest.index[manifest["status"] == OK]} == {*"acde"}
    assert "next" not in json.loads(known.folder.read("plan.json"))


def test_items_that_lack_what_the_plan_uses_are_refused(tmp_path):
    dataset = filled(tmp_path)
    lacking = frame(dict.fromkeys("abcde", 1)).drop(columns="v")
    with pytest.raises(DatasetError, match="depend on the items' column:v, which these"):
        stage(dataset, lacking, QUESTION, 2, extend=True)


def test_ids_of_two_kinds_are_refused(tmp_path):
    dataset = filled(tmp_path)
    numbered = frame(dict.fromkeys("abcde", 1)).set_index(pd.Index(range(5)))
    with pytest.raises(DatasetError, match="integers and those of the dataset strings"):
        stage(dataset, numbered, QUESTION, 2, extend=True)


def test_an_id_that_differs_by_case_from_one_that_is_gone_is_refused(tmp_path):
    dataset = filled(tmp_path)
    with pytest.raises(DatasetError, match="differs only by case"):
        staged(dataset.folder, dict.fromkeys("abcdE", 1), extend=True)


@dataclass
class Made:
    """A recipe that has no template: each item's expression is made by a function."""

    function: object
    fields = template = None

    def hash_for(self, item):
        return str(self.function(item))


def test_a_function_that_is_called_for_each_item_is_known_by_items_that_stayed(tmp_path):
    dataset = Dataset(Folder(str(tmp_path / "out")))

    def question(function):
        return Question({"verb": "chips"}, {"image": Made(function)})

    def of(values, function=lambda item: item.values["v"], **options):
        return stage(dataset, frame(values), question(function), 2, **options)

    of(dict.fromkeys("abcde", 1))
    assert of(dict.fromkeys("edcbaf", 1), extend=True)["count"] == 6
    with pytest.raises(DatasetError, match=r"image: not the same as there"):
        of(dict.fromkeys("edcbaf", 1), lambda item: item.values["v"] + 1)
    # Nothing shows that it is the same function where all items are others.
    with pytest.raises(DatasetError, match=r"image: not the same as there"):
        of(dict.fromkeys("abcdef", 2), extend=True)
    # A column that the items did not have then cannot be one that it used.
    wider = frame(dict.fromkeys("abcdef", 1), w=2)
    assert stage(dataset, wider, question(lambda item: item.values["v"]), 2)["count"] == 6
    assert WorkItem("f", None, {"v": 1}).values == {"v": 1}
