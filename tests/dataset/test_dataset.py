"""The dataset keeps what was given, and one row for each item."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.dataset.items_file import items_digest
from eedask.dataset.question import Question
from eedask.dataset.rows import FAILED, MANIFEST_COLUMNS, OK, Row
from eedask.dataset.staging import stage
from eedask.errors import DatasetError

ASKED = {"verb": "chips", "scale": 1.0, "shape": (2, 2)}


def points(count=25, ids=None, crs="EPSG:4326"):
    rng = np.random.default_rng(0)
    frame = {
        "name": [f"n{i}" for i in range(count)],
        "value": rng.random(count),
        "missing": [None if i % 2 else i for i in range(count)],
        "day": pd.date_range("2020-01-01", periods=count, tz="UTC"),
    }
    shapes = shapely.points(rng.uniform(-5, 5, (count, 2)))
    index = pd.Index(ids or range(count), name="id")
    items = gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4326", index=index)
    return items.to_crs(crs)


@pytest.fixture
def dataset(tmp_path):
    return Dataset(Folder(str(tmp_path / "out")))


def test_items_come_back_as_they_were_given(dataset):
    items = points(crs="EPSG:3857")
    stage(dataset, items, Question(ASKED), 10)
    pd.testing.assert_frame_equal(pd.DataFrame(dataset.items()), pd.DataFrame(items))
    assert dataset.items().crs == items.crs


@pytest.mark.parametrize("ids", [None, [f"i{k}" for k in range(25)]])
def test_partitions_hold_every_item_once_in_degrees(dataset, ids):
    items = points(ids=ids, crs="EPSG:3857")
    plan = stage(dataset, items, Question(ASKED), 10)
    assert plan["partitions"] == 3
    found = [item for n in range(3) for item in dataset.partition(n)]
    assert sorted(item.id for item in found) == sorted(items.index)
    degrees = items.to_crs("EPSG:4326").geometry
    for item in found:
        assert shapely.equals_exact(item.geometry, degrees[item.id], 1e-9)
        assert item.values["name"] == items["name"][item.id]


def test_neighbours_are_staged_together(dataset):
    stage(dataset, points(400), Question(ASKED), 20)
    spans = []
    for n in range(20):
        shapes = shapely.GeometryCollection([i.geometry for i in dataset.partition(n)])
        spans.append(shapes.envelope.area)
    assert np.mean(spans) < 100 / 5


def test_items_without_geometry_come_after_the_neighbours(dataset):
    items = points(400)
    items.loc[[0, 7], "geometry"] = None
    stage(dataset, items, Question(ASKED), 20)
    found = [dataset.partition(n) for n in range(20)]
    assert [item.id for item in found[-1] if item.geometry is None] == [0, 7]
    spans = [
        shapely.GeometryCollection([i.geometry for i in part]).envelope.area for part in found[:-1]
    ]
    assert np.mean(spans) < 100 / 5


def test_items_without_geometry_are_staged_too(dataset):
    items = gpd.GeoDataFrame({"code": [1, 2, 3]}, geometry=[None] * 3, crs="EPSG:4326")
    stage(dataset, items, Question(ASKED), 2)
    assert [i.geometry for i in dataset.partition(0)] == [None, None]
    assert list(dataset.manifest()["code"]) == [1, 2, 3]


def test_the_manifest_has_a_row_for_every_item_in_their_order(dataset):
    items = points(ids=[f"i{k}" for k in range(25)])
    stage(dataset, items, Question(ASKED), 10)
    empty = dataset.manifest()
    assert list(empty.index) == list(items.index)
    assert set(MANIFEST_COLUMNS) <= set(empty.columns)
    assert empty["status"].isna().all()
    for n in (0, 2):
        rows = [Row(i.id, OK, f"chips/{i.id}.png", 5, 1, 0.1) for i in dataset.partition(n)]
        rows[0] = Row(rows[0].id, FAILED, error_kind="permanent", error="no such image")
        dataset.write_rows(n, rows[:3])
        dataset.write_rows(n, rows)
        assert dataset.rows(n) == rows
    manifest = dataset.manifest()
    assert list(manifest.index) == list(items.index)
    assert manifest["status"].value_counts().to_dict() == {OK: 13, FAILED: 2}
    assert manifest["status"].isna().sum() == 10
    assert isinstance(manifest, gpd.GeoDataFrame)


def test_the_same_plan_is_resumed_and_another_refused(dataset):
    items = points()
    first = stage(dataset, items, Question(ASKED), 10)
    assert stage(dataset, items, Question(ASKED), 99) == first
    with pytest.raises(DatasetError, match=r"scale: there 1.0, asked 2.0"):
        stage(dataset, items, Question({**ASKED, "scale": 2.0}), 10)
    with pytest.raises(DatasetError, match="other items: 24 same, 0 new, 0 changed, 1 gone"):
        stage(dataset, points(24), Question(ASKED), 10)


def test_a_folder_that_holds_something_else_is_refused(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(DatasetError, match=r"already holds something else \(thesis.docx\)"):
        stage(dataset, points(), Question(ASKED), 10)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.docx"]


def test_a_file_in_the_folders_place_is_refused(dataset, tmp_path):
    (tmp_path / "out").write_text("years of work")
    with pytest.raises(DatasetError, match=r"out='.*out' is a file; choose a folder"):
        stage(dataset, points(), Question(ASKED), 10)
    assert (tmp_path / "out").read_text() == "years of work"


def test_what_is_no_dataset_is_not_opened(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"is not an eedask dataset"):
        dataset.plan()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").write_text("{")
    with pytest.raises(DatasetError, match=r"plan\.json is damaged .*run\(overwrite=True\)"):
        dataset.plan()


@pytest.mark.parametrize("version", [1, 99, "x"])
def test_a_dataset_of_another_format_is_refused_with_what_to_do(dataset, version):
    stage(dataset, points(), Question(ASKED), 10)
    plan = dataset.plan()
    dataset.folder.write("plan.json", json.dumps(plan | {"eedask": version}).encode())
    with pytest.raises(DatasetError, match=rf"format {version!r}.*reads 3: .*overwrite=True"):
        dataset.plan()


def test_a_damaged_part_is_named_with_what_to_do(dataset):
    stage(dataset, points(), Question(ASKED), 10)
    dataset.folder.write("manifest/part-00001.parquet", b"rubbish")
    for read in (dataset.manifest, dataset.counts, lambda: dataset.rows(1)):
        with pytest.raises(DatasetError, match=r"part-00001\.parquet is damaged.*remove it"):
            read()


def test_a_stage_that_was_cut_short_is_staged_again(dataset):
    items = points()
    dataset.folder.write("items.parquet", b"half a fi")
    stage(dataset, items, Question(ASKED), 10)
    assert len(dataset.items()) == 25


def test_the_digest_sees_every_change():
    items = points()
    changes = [
        items.rename(index={3: 99}),
        items.assign(value=items["value"] + 1e-9),
        items.set_geometry(items.geometry.translate(1e-9)),
        items.rename(columns={"name": "label"}),
        items.set_crs("EPSG:4269", allow_override=True),
        items.iloc[::-1],
    ]
    assert len({items_digest(i) for i in [items, *changes]}) == len(changes) + 1
    assert items_digest(items.copy()) == items_digest(items)
