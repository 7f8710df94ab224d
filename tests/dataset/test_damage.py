"""Whatever happens to a dataset's files: the right result, or an error that says what to do."""

import contextlib
import dataclasses
import itertools
import json
import os
import random
import re
import resource
import shutil
from pathlib import Path

import ee
import fsspec
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from fsspec.implementations.memory import MemoryFileSystem
from rasterio.errors import NotGeoreferencedWarning

import eedask
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.errors import DatasetError, EedaskError, InputError

SCENE = "projects/eedask-tests/assets/scene"
GRID = {"shape": (4, 4), "scale": 5, "crs": "EPSG:26914", "partition_size": 4}
# What any message about damage tells the user to do.
REMEDY = r"remove|copy .*back|choose a|move it elsewhere|run the same plan again"
# How many are looked at, and all of them when slow.
SOME, MANY = 3, 60
how_many = pytest.mark.parametrize(
    "most", [SOME, pytest.param(MANY, marks=pytest.mark.slow)], ids=["some", "many"]
)

pytestmark = pytest.mark.usefixtures("threads")


@pytest.fixture(scope="module")
def bed(emulator, initialize):
    initialize()
    return emulator


@pytest.fixture(scope="module")
def some(rasters):
    with rasterio.open(rasters.scene) as source:
        left, bottom, right, top = source.bounds
    rng = np.random.default_rng(5)
    x, y = rng.uniform(left + 100, right - 100, 12), rng.uniform(bottom + 100, top - 100, 12)
    frame = points_at(x, y)
    frame.insert(0, "kind", ["a", "b", None] * 4)
    return frame


def points_at(x, y):
    index = [f"p{k}" for k in range(len(x))]
    points = gpd.points_from_xy(x, y, crs="EPSG:26914")
    return gpd.GeoDataFrame(geometry=points, index=index).to_crs("EPSG:4326")


def chips_plan(some, out, **more):
    return eedask.chips(some, ee.Image(SCENE).select(["R"]), out=out, format="npy", **GRID, **more)


def table_plan(some, out):
    image = ee.Image(SCENE).select(["R", "G"])
    return eedask.sample_points(some, image, out=out, scale=5, partition_size=4)


PLANS = {"chips": chips_plan, "table": table_plan}


@pytest.fixture(scope="module")
def made(bed, some, tmp_path_factory):
    """A dataset of each kind, with its right result."""
    found = {}
    for kind, plan in PLANS.items():
        out = tmp_path_factory.mktemp(kind) / "out"
        plan(some, out).run(progress=False)
        found[kind] = (out, seen(eedask.open_result(out)))
    return found


def seen(result):
    """Return all that a user may look at."""
    manifest = result.manifest
    found = [pd.DataFrame(manifest).drop(columns=["finished", "elapsed_s", "attempts"])]
    found.append(result.summary().splitlines()[0].partition(" in ")[0])
    if result._dataset.values.exists:
        found += [pd.DataFrame(result.table()), result.dataframe().compute()]
    elif (manifest["status"] == "ok").all():
        found += [np.stack([result.open(id_).view("u1") for id_ in manifest.index])]
    return found


def same(one, other):
    for a, b in zip(one, other, strict=True):
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_like=True)
        else:
            assert np.array_equal(a, b)


def judged(kind, some, out, right):
    """Check that opening and running a damaged dataset is right, or raises an eedask error.

    Items that are lost may be missing in what is opened, until they are fetched again.
    """
    outcomes = set()
    for look in (
        lambda: eedask.open_result(out),
        lambda: PLANS[kind](some, out).run(progress=False),
    ):
        try:
            result = look()
            if result.manifest["status"].eq("ok").all():
                same(seen(result), right)
                outcomes.add("right")
            else:
                assert result.manifest["status"].isin(["ok"]).sum() < len(some)
                seen(result)
                outcomes.add("some are lost")
        except EedaskError as error:
            helps = isinstance(error, DatasetError) and re.search(REMEDY, str(error))
            outcomes.add("error" if helps else repr(error))
    assert outcomes <= {"right", "some are lost", "error"}
    return outcomes


def files_of(out):
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())


def mutated(data, rng):
    """Return the bytes with a few of them changed, cut off, doubled, or all gone."""
    how = rng.choice(["flip", "flip", "flip", "cut", "empty", "drop", "insert"])
    at = rng.randrange(len(data))
    if how == "flip":
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 4])):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    return {
        "cut": data[:at],
        "empty": b"",
        "drop": data[:at] + data[at + 1 :],
        "insert": data[:at] + bytes([rng.randrange(256)]) + data[at:],
    }[how]


@how_many
@pytest.mark.parametrize("kind", PLANS)
def test_changed_bytes_give_the_right_result_or_an_error_that_helps(
    made, some, tmp_path, kind, most
):
    source, right = made[kind]
    # The pixels of a chip have no check sum: a flipped bit in them cannot be seen.
    names = [name for name in files_of(source) if not name.startswith("chips/")]
    outcomes = set()
    for seed in range(most):
        rng = random.Random(seed)
        out = tmp_path / str(seed)
        shutil.copytree(source, out)
        name = rng.choice(names)
        (out / name).write_bytes(mutated((out / name).read_bytes(), rng))
        try:
            outcomes |= judged(kind, some, out, right)
        except BaseException as error:
            raise AssertionError(f"seed {seed}, {name}: {error!r}") from error
        shutil.rmtree(out)
    assert "error" in outcomes


@how_many
@pytest.mark.parametrize("kind", PLANS)
def test_files_that_are_gone(made, some, tmp_path, kind, most):
    source, right = made[kind]
    names = files_of(source)
    for name in random.Random(2).sample(names, min(most // 2, len(names))):
        out = tmp_path / "gone"
        shutil.copytree(source, out)
        (out / name).unlink()
        judged(kind, some, out, right)
        shutil.rmtree(out)


@how_many
@pytest.mark.parametrize("kind", PLANS)
def test_files_that_are_another_files_copy(made, some, tmp_path, kind, most):
    source, right = made[kind]
    names = [name for name in files_of(source) if not name.startswith("chips/")]
    pairs = [*itertools.permutations(names, 2)]
    for name, other in random.Random(1).sample(pairs, min(most // 2, len(pairs))):
        out = tmp_path / "copied"
        shutil.copytree(source, out)
        shutil.copy(out / other, out / name)
        judged(kind, some, out, right)
        shutil.rmtree(out)


@pytest.mark.parametrize("damage", ["gone", "empty", "short", "long"])
def test_chips_that_are_not_whole_are_fetched_again(bed, made, some, tmp_path, damage):
    source, right = made["chips"]
    out = tmp_path / "out"
    shutil.copytree(source, out)
    paths = [out / path for path in eedask.open_result(out).manifest["path"].iloc[[1, 6, 7]]]
    for path in paths:
        data = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes({"empty": b"", "short": data[:-1], "long": data + b"x"}[damage])
    with pytest.raises(DatasetError, match=r"missing or damaged.*run the same plan again"):
        eedask.open_result(out).open(some.index[1])
    before = bed.stats()["requests"]
    result = chips_plan(some, out).run(progress=False)
    # One more asks which bands the image has.
    assert bed.stats()["requests"] - before == 1 + len(paths)
    tries = result.manifest["attempts"]
    assert [*tries.iloc[[1, 6, 7]]] == [2, 2, 2], "those of the earlier run count as well"
    assert tries.sum() == len(some) + 3
    same(seen(result), right)


def test_sizes_take_one_listing_and_no_request_for_a_file(bed, some, tmp_path):
    calls = []

    class Counted(MemoryFileSystem):
        protocol, cachable = "counted", False
        store, pseudo_dirs = {}, [""]

        def ls(self, path, detail=True, **kwargs):
            calls.append(path)
            return super().ls(path, detail=detail, **kwargs)

        def info(self, path, **kwargs):
            calls.append(f"info {path}")
            return super().info(path, **kwargs)

    fsspec.register_implementation("counted", Counted, clobber=True)
    folder = Folder("counted://out [1]")
    for k in range(50):
        folder.write(f"chips/{k % 2}/{k}.npy", b"x" * k)
    calls.clear()
    assert folder.sizes("chips") == {f"chips/{k % 2}/{k}.npy": k for k in range(50)}
    assert len(calls) <= 4
    plan = chips_plan(some, "counted://out [2]")
    paths = plan.run(progress=False).manifest["path"]
    Folder("counted://out [2]").remove(paths.iloc[3])
    calls.clear()
    assert plan.run(progress=False).manifest["status"].eq("ok").all()
    of_files = [call for call in calls if call.endswith(tuple(paths.drop(paths.index[3])))]
    assert not of_files, "a run that goes on looks at no file by itself"
    assert Folder(str(tmp_path)).sizes("chips") == {}


OUTSIDE = [
    "../secret.npy",
    "chips/../../secret.npy",
    "/etc/passwd",
    "C:/secret.npy",
    "chips/C:secret.npy",
    "chips\\..\\..\\secret.npy",
    "http://127.0.0.1/secret.npy",
    "file:///etc/passwd",
    "chips//etc/passwd",
    "chips/.unfinished/x.npy",
    "",
    "plan.json",
]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.cross(3)
def test_no_manifest_leads_out_of_its_folder(made, some, tmp_path, path):
    out = tmp_path / "out"
    shutil.copytree(made["chips"][0], out)
    (tmp_path / "secret.npy").write_bytes((next(out.glob("chips/*"))).read_bytes())
    dataset = Dataset(Folder(str(out)))
    rows = dataset.rows(0)
    dataset.write_rows(0, [dataclasses.replace(rows[0], path=path), *rows[1:]])
    for look in (
        lambda: eedask.open_result(out).manifest,
        lambda: eedask.open_result(out).open(rows[0].id),
        lambda: eedask.open_result(out).contact_sheet(),
        lambda: chips_plan(some, out).run(progress=False),
    ):
        with pytest.raises(DatasetError, match="is none that a run writes"):
            look()


def test_a_tif_is_a_geotiff_and_nothing_that_names_other_files(bed, some, rasters, tmp_path):
    out = tmp_path / "out"
    image = ee.Image(SCENE).select(["R"])
    eedask.chips(some.iloc[:2], image, out=out, format="tif", **GRID).run(progress=False)
    vrt = (
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{rasters.scene}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    path = out / eedask.open_result(out).manifest["path"].iloc[0]
    size = path.stat().st_size
    path.write_text(vrt.ljust(size))
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(path) as source:
        assert source.driver == "VRT", "the test's own file is one that GDAL would open"
    result = eedask.open_result(out)
    for look in (lambda: result.open(some.index[0]), result.contact_sheet):
        with pytest.raises(DatasetError, match="missing or damaged"):
            look()
    with result.open(some.index[1]) as source:
        assert source.driver == "GTiff"


def rewritten(dataset, number, **columns):
    """Write a part of the manifest with other columns, as a run would write it."""
    path = f"{dataset.folder.url}/manifest/part-{number:05d}.parquet"
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, values)
    pq.write_table(table, path)


ODD = {
    "status": pa.array(["fine"] * 4),
    "nbytes": pa.array([-1] * 4, pa.int64()),
    "attempts": pa.array(["1"] * 4),
    "id": pa.array(["p1"] * 4),
    "transform": pa.array([[1.0, 2.0]] * 4),
    "height": pa.array([-4] * 4, pa.int32()),
    "path": pa.array([None] * 4, pa.string()),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_values_are_refused(made, some, tmp_path, name):
    out = tmp_path / "out"
    shutil.copytree(made["chips"][0], out)
    rewritten(Dataset(Folder(str(out))), 1, **{name: ODD[name]})
    for look in (
        lambda: eedask.open_result(out).manifest,
        lambda: chips_plan(some, out).run(progress=False),
    ):
        with pytest.raises(DatasetError, match=r"part-00001\.parquet is damaged.*remove it"):
            look()


def test_rows_of_other_items_are_refused(made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made["chips"][0], out)
    rewritten(Dataset(Folder(str(out))), 1, id=pa.array(["q1", "q2", "q3", "q4"]))
    with pytest.raises(DatasetError, match=r"rows of other items.*remove that folder"):
        eedask.open_result(out).manifest  # noqa: B018


@pytest.mark.parametrize("name", ["part-00003.parquet", "part-1.parquet", "part-00001 (1).parquet"])
@pytest.mark.parametrize("kind", ["manifest", "table"])
def test_stray_parts_are_named(made, some, tmp_path, kind, name):
    out = tmp_path / "out"
    shutil.copytree(made["table"][0], out)
    shutil.copy(out / kind / "part-00001.parquet", out / kind / name)
    for look in (
        lambda: eedask.open_result(out).manifest,
        lambda: eedask.open_result(out).table(),
        lambda: table_plan(some, out).run(progress=False),
    ):
        with pytest.raises(DatasetError, match=r"is no part of this dataset.*move it elsewhere"):
            look()


def test_a_table_that_lacks_an_item_says_so_and_a_run_after_the_remedy_mends_it(
    made, some, tmp_path
):
    source, right = made["table"]
    out = tmp_path / "out"
    shutil.copytree(source, out)
    part = out / "table" / "part-00001.parquet"
    pq.write_table(pq.read_table(part).slice(1), part)
    result = eedask.open_result(out)
    for look in (result.table, lambda: result.dataframe().compute()):
        with pytest.raises(DatasetError, match=r"part-00001\.parquet.*remove the part"):
            look()
    part.unlink()
    mended = table_plan(some, out).run(progress=False)
    same(seen(mended)[2:], right[2:])


@pytest.mark.parametrize(
    "change",
    [
        {"count": 13},
        {"count": -1},
        {"count": "12"},
        {"partitions": 2},
        {"partitions": 99},
        {"partitions": None},
        {"asked": []},
        {"asked": {}},
        {"asked": {"verb": "chips", "folder_by": 5}},
        {"asked": {"verb": "chips", "roles": True}},
        {"asked": {"verb": "chips", "nodata": ["x"]}},
        {"fields": "geometry"},
        {"eecu_s": "much"},
        {"created": None},
        {"items_sha256": "0" * 64},
        {"items_sha256": 7},
    ],
)
def test_a_plan_that_does_not_fit_is_refused(made, some, tmp_path, change):
    out = tmp_path / "out"
    shutil.copytree(made["chips"][0], out)
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps(plan | change))
    for look in (
        lambda: eedask.open_result(out).manifest,
        lambda: chips_plan(some, out).run(progress=False),
    ):
        with pytest.raises(DatasetError, match=REMEDY):
            look()


def test_files_are_on_the_disk_before_their_rows_are(bed, some, tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def noted_sync(handle):
        order.append(("sync", str(Path(f"/proc/self/fd/{handle}").readlink())))
        fsync(handle)

    def noted_replace(source, target):
        order.append(("name", str(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    out = tmp_path / "out"
    result = chips_plan(some, out).run(progress=False)
    part_of = {id_: n for n in range(3) for id_ in (r.id for r in result._dataset.rows(n))}
    for id_, path in result.manifest["path"].items():
        part = f"{out}/manifest/part-{part_of[id_]:05d}.parquet"
        last = max(k for k, what in enumerate(order) if what[0] == "name" and what[2] == part)
        assert ("sync", f"{out}/{path}") in order[:last]
        assert ("sync", f"{out}/chips") in order[:last]
        assert ("sync", order[last][1]) in order[:last], "the rows themselves, too"


@contextlib.contextmanager
def no_more_files():
    """Let this process open no more files than it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    handles = [os.open(os.devnull, os.O_RDONLY)]  # the next is the lowest that is free
    resource.setrlimit(resource.RLIMIT_NOFILE, (handles[0], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(handles[0])


@pytest.mark.parametrize("kind", PLANS)
def test_what_the_system_refuses_is_not_called_damage(made, some, tmp_path, kind):
    out, right = made[kind]
    result = eedask.open_result(out)
    looks = [lambda: eedask.open_result(out), lambda: eedask.open_result(out).summary()]
    if kind == "table":
        looks += [result.table, lambda: result.to_csv_per_item(tmp_path / "csv")]
    else:
        seen(result)  # imports what reads the files
        looks += [lambda: result.open("p0"), result.contact_sheet]
    for look in looks:
        with (
            no_more_files(),
            pytest.raises(DatasetError, match=r"Too many open files.*: mend that and do the same"),
        ):
            look()
    same(seen(result), right)


def test_a_folder_for_csv_that_cannot_be_written_to(made, tmp_path):
    (tmp_path / "file").touch()
    result = eedask.open_result(made["table"][0])
    with pytest.raises(DatasetError, match=r"file/x' cannot be read or written .*: mend that"):
        result.to_csv_per_item(tmp_path / "file" / "x")


@pytest.mark.parametrize("kind", PLANS)
def test_a_dataset_that_has_gone_is_said_to_be_none(made, tmp_path, kind):
    shutil.copytree(made[kind][0], tmp_path / "out")
    result = eedask.open_result(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    looks = [lambda: result.manifest, result.summary]
    if kind == "table":
        looks += [result.table, result.dataframe, lambda: result.to_csv_per_item(tmp_path)]
    for look in looks:
        with pytest.raises(DatasetError, match="is not an eedask dataset"):
            look()


@pytest.mark.parametrize("id_", [["p0"], {}, None, 3, "nope", slice(None)])
def test_ids_that_no_item_has(made, id_):
    with pytest.raises(InputError, match="there is no item"):
        eedask.open_result(made["chips"][0]).open(id_)
