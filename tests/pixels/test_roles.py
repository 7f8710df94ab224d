"""Images by role: the files of an item have one grid, one row and one status."""

import dataclasses

import ee
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from limits import limited
from mounted import FIELD, SCENE
from oracle import native_window, nearest
from watching import requests_since

import eedask
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.errors import DatasetError

pytestmark = pytest.mark.usefixtures("threads")

NOTHING = "projects/eedask-tests/assets/nothing"
SHAPE = (7, 10)


@pytest.fixture
def few(earth_engine, points):
    return points.iloc[:3]


def scene(item):
    """Return the image of an item, about which nothing is asked before a run."""
    return ee.Image(SCENE).set("half", item["half"])


@pytest.fixture
def both(earth_engine):
    return {"image": scene, "label": ee.Image(FIELD).select("b2")}


def run(items, images, out, **asked):
    plan = eedask.chips(items, images, out=out, shape=SHAPE, **asked)
    return plan.run(progress=False)


def values(opened):
    """Return the bands of an opened chip, 0 where masked, shape (bands, rows, columns)."""
    if isinstance(opened, np.ndarray):
        return np.stack([opened[name].filled(0) for name in opened.dtype.names])
    if hasattr(opened, "read"):
        with opened:
            return opened.read(masked=True).filled(0)
    return np.moveaxis(np.asarray(opened.convert("RGB")), -1, 0)


def check_pixels(result, rasters, item_id):
    """Hold both files of an item against rasterio, on the grid that the manifest states."""
    row = result.manifest.loc[item_id]
    grid = row["crs"], row["transform"], SHAPE
    for role, path in (("image", rasters.scene), ("label", rasters.field)):
        expected = nearest(path, *grid)
        expected = expected[:3] if role == "image" else expected[1:]
        np.testing.assert_array_equal(values(result.open(item_id, role)), expected)


# No pixel is larger than the scene's own: Earth Engine would average those.
GRIDS = [
    {"crs": "native"},
    {"crs": "utm", "scale": 4},
    {"crs": "EPSG:26914", "crs_transform": (5, 0, 2, 0, -5, 3)},
    {"crs": "EPSG:32614", "region": 12.0},
]


@pytest.mark.parametrize("asked", GRIDS, ids=["native", "utm", "transform", "region"])
@pytest.mark.cross(2)
def test_all_files_of_an_item_have_one_grid(few, rasters, tmp_path, asked, both):
    formats = {"format": {"image": "png", "label": "tif"}, "bands": {"image": ["R", "G", "B"]}}
    result = run(few, both, tmp_path, **formats, **asked)
    manifest = result.manifest
    assert (manifest["status"] == "ok").all(), manifest["error"].iloc[0]
    assert manifest.index.tolist() == few.index.tolist()
    for item_id, row in manifest.iterrows():
        check_pixels(result, rasters, item_id)
        with result.open(item_id, "label") as file:
            assert file.crs == row["crs"]
            assert tuple(file.transform)[:6] == row["transform"]
        if asked["crs"] == "native":
            point = few.geometry[item_id]
            _, transform = native_window(rasters.scene, point.x, point.y, SHAPE)
            assert tuple(transform)[:6] == row["transform"]


def test_where_the_files_lie_and_what_the_manifest_says(few, tmp_path, both):
    result = run(
        few,
        both,
        tmp_path,
        crs="native",
        format={"image": "npy", "label": "tif"},
        folder_by="half",
        properties=["half"],
    )
    for item_id, row in result.manifest.iterrows():
        folder = "odd" if row["half"] == "odd" else "even%2F%E2%80%A6"
        assert row["path"] == row["path_image"] == f"chips/image/{folder}/{item_id}.npy"
        assert row["path_label"] == f"chips/label/{folder}/{item_id}.tif"
        sizes = [(tmp_path / row[f"path_{role}"]).stat().st_size for role in both]
        assert [row["nbytes_image"], row["nbytes_label"]] == sizes
        assert row["nbytes"] == sum(sizes)
        assert row["attempts"] == 2
    last = ["path_image", "nbytes_image", "path_label", "nbytes_label", "chip_half"]
    assert list(result.manifest.columns[-5:]) == last
    assert list(result.manifest["chip_half"]) == list(few["half"])
    again = eedask.open_result(tmp_path)
    assert again.manifest.equals(result.manifest)


def test_each_role_has_its_own_masking_and_resampling(few, rasters, tmp_path, both):
    asked = {"crs": "EPSG:32614", "scale": 15, "format": "tif", "bands": {"image": "R"}}
    images = {"image": ee.Image(SCENE), "label": ee.Image(FIELD).toInt16()}
    by_role = {"nodata": {"label": -1}, "resampling": {"image": "bilinear"}}
    result = run(few, images, tmp_path / "both", **asked, **by_role)
    asked |= {"bands": "R", "resampling": "bilinear"}
    alone = run(few, images["image"], tmp_path / "alone", **asked)
    for item_id in few.index:
        with result.open(item_id, "label") as file, result.open(item_id) as other:
            assert file.nodata == -1
            assert other.nodata is None
            expected = nearest(rasters.field, file.crs, file.transform, SHAPE).astype("i2")
            np.testing.assert_array_equal(file.read(masked=True).filled(0), expected)
        np.testing.assert_array_equal(values(result.open(item_id)), values(alone.open(item_id)))


@settings(
    max_examples=3,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    formats=st.tuples(*[st.sampled_from(["png", "npy", "tif"])] * 2),
    grid=st.sampled_from(GRIDS),
    own=st.tuples(*[st.booleans()] * 2),
)
def test_a_file_of_a_role_is_the_file_of_its_image_alone(
    earth_engine, points, tmp_path_factory, formats, grid, own
):
    """Only the grid is shared: a native one is that of the first role."""
    out, items = tmp_path_factory.mktemp("roles"), points.iloc[:2]
    image = ee.Image(SCENE).select(["R"])
    images = {
        role: (lambda item, k=k: image.add(k).toByte()) if own[k] else image.add(k).toByte()
        for k, role in enumerate("ab")
    }
    by_role = dict(zip("ab", formats, strict=True))
    together = run(items, images, out / "all", format=by_role, **grid)
    for role, fmt in by_role.items():
        alone = run(items, images[role], out / role, format=fmt, **grid)
        for item_id in items.index:
            one = (out / role / alone.manifest["path"][item_id]).read_bytes()
            other = (out / "all" / together.manifest[f"path_{role}"][item_id]).read_bytes()
            assert one == other
            # Of chips by region=, only GeoTIFFs say where they lie.
            place = alone.manifest["transform"][item_id]
            assert place in (None, together.manifest["transform"][item_id])


@pytest.mark.parametrize("own", [True, False])
def test_what_is_asked_before_the_pixels(few, tmp_path, earth_engine, own):
    """Of the first image its grid and properties; of those that all share, their bands."""
    images = {"image": scene if own else ee.Image(SCENE), "label": ee.Image(FIELD)}
    asked = {"crs": "native", "format": "npy", "partition_size": 3, "properties": ["system:index"]}
    plan = eedask.chips(few, images, out=tmp_path, shape=SHAPE, **asked)
    expected = 3 * 2 + 2
    before, told = earth_engine.stats(), plan.explain()
    plan.run(progress=False)
    assert requests_since(earth_engine, before) == expected == told.requests.least
    assert told.requests.is_exact
    assert told.pixels.least == 2 * 3 * SHAPE[0] * SHAPE[1]


def test_large_chips_come_in_tiles_by_role(few, rasters, tmp_path, both):
    formats = {"format": {"image": "tif", "label": "npy"}, "bands": {"image": ["R", "G", "B"]}}
    plan = eedask.chips(few, both, out=tmp_path, shape=SHAPE, crs="native", **formats)
    result = limited(plan, side=4).run(progress=False)
    assert (result.manifest["attempts"] == 2 * 2 * 3).all()
    for item_id in few.index:
        check_pixels(result, rasters, item_id)


def test_a_quota_of_one_slot_is_enough_and_is_kept(earth_engine, few, both, tmp_path):
    before = earth_engine.stats()["by_status"]
    earth_engine.set_quotas(concurrency=1)
    try:
        result = run(few, both, tmp_path, crs="native", format="npy", concurrency=1)
    finally:
        earth_engine.set_quotas(concurrency=None)
    assert (result.manifest["status"] == "ok").all()
    assert earth_engine.stats()["by_status"].get("429") == before.get("429")


# What fails, and going on.


def failing(item):
    """Return an image that some items do not have."""
    return ee.Image(item["asset"])


@pytest.mark.parametrize("first", ["image", "label"])
def test_an_item_fails_if_one_of_its_images_does(earth_engine, few, tmp_path, first):
    items = few.assign(asset=[SCENE, NOTHING, SCENE])
    images = {"image": ee.Image(FIELD), "label": failing}
    images = {first: images.pop(first), **images}
    manifest = run(items, images, tmp_path, scale=10, format="npy").manifest
    assert manifest["status"].tolist() == ["ok", "failed", "ok"]
    assert manifest["error"].iloc[1].startswith("HTTP 400: role 'label': ")
    assert manifest["error_kind"].iloc[1] == "permanent"
    assert (
        manifest.loc[manifest["status"] == "failed", ["path", "path_label"]].isna().all(axis=None)
    )
    assert {path.stem for path in tmp_path.glob("chips/*/*")} == {*items.index[::2]}


def test_what_failed_is_tried_again_whole(earth_engine, points, tmp_path):
    """Half of all requests fail, and no item has one file alone."""
    once = eedask.RetryPolicy(tries=1)
    images = {"image": scene, "label": lambda item: scene(item).add(1).toByte()}
    asked = {"shape": SHAPE, "scale": 5, "format": "npy", "retry": once}
    plan = eedask.chips(points.iloc[:8], images, out=tmp_path, **asked)
    earth_engine.set_faults("500=0.5")
    try:
        result = plan.run(progress=False)
    finally:
        earth_engine.set_faults(None)
    assert result.failed["error"].str.contains("role '(?:image|label)': ").all()
    done = result.manifest.index[result.manifest["status"] == "ok"]
    assert 0 < len(result.failed) == 8 - len(done)
    assert {path.stem for path in tmp_path.glob("chips/*/*")} == {*done}
    again = result.retry_failed(progress=False).manifest
    assert (again["status"] == "ok").all()
    assert (again["attempts"] >= 2).all()


@pytest.mark.parametrize(("role", "harm"), [("image", "short"), ("label", "gone")])
def test_an_item_that_has_lost_a_file_is_fetched_anew(
    few, rasters, tmp_path, earth_engine, role, harm, both
):
    formats = {"format": "npy", "bands": {"image": ["R", "G", "B"]}}
    result = run(few, both, tmp_path, crs="native", **formats)
    lost = tmp_path / result.manifest[f"path_{role}"].iloc[2]
    lost.unlink() if harm == "gone" else lost.write_bytes(lost.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="missing or damaged"):
        result.open(few.index[2], role)
    before = earth_engine.stats()["by_method"]["projects.image.computePixels"]
    again = run(few, both, tmp_path, crs="native", **formats)
    assert earth_engine.stats()["by_method"]["projects.image.computePixels"] == before + 2
    assert (again.manifest["status"] == "ok").all()
    check_pixels(again, rasters, few.index[2])


@pytest.mark.parametrize("path", ["../secret.npy", "/etc/passwd"])
def test_no_role_leads_out_of_the_folder(few, tmp_path, both, path):
    run(few, both, tmp_path, crs="native", format="npy", bands={"image": ["R"]})
    dataset = Dataset(Folder(str(tmp_path)))
    rows = dataset.rows(0)
    files = [rows[0].files[0], {**rows[0].files[1], "path": path}]
    dataset.write_rows(0, [dataclasses.replace(rows[0], files=files), *rows[1:]])
    for look in (
        lambda: eedask.open_result(tmp_path).manifest,
        lambda: eedask.open_result(tmp_path).open(few.index[0], "label"),
        lambda: run(few, both, tmp_path, crs="native", format="npy", bands={"image": ["R"]}),
    ):
        with pytest.raises(DatasetError, match="is none that a run writes"):
            look()


@pytest.mark.parametrize("left", [1, 2, 5])
@pytest.mark.cross(3)
def test_a_script_that_is_ended_between_two_files_leaves_nothing_half_done(
    few, rasters, tmp_path, monkeypatch, left, both
):
    """Whatever write is the last: a file of an item, its row, or the plan."""
    write = Folder.write
    asked = {"crs": "native", "format": "npy", "bands": {"image": ["R", "G", "B"]}}

    def dies(folder, name, *arguments, **options):
        nonlocal left
        if name.startswith("chips/") or name.startswith("manifest/"):
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
        return write(folder, name, *arguments, **options)

    monkeypatch.setattr(Folder, "write", dies)
    with pytest.raises((KeyboardInterrupt, eedask.errors.RunStopped)):
        run(few, both, tmp_path, **asked)
    monkeypatch.undo()
    before = eedask.open_result(tmp_path).manifest
    for _, row in before[before["status"] == "ok"].iterrows():
        assert all((tmp_path / row[f"path_{role}"]).exists() for role in both)
    result = run(few, both, tmp_path, **asked)
    assert (result.manifest["status"] == "ok").all()
    for item_id in few.index:
        check_pixels(result, rasters, item_id)


def test_a_dataset_grows_and_what_has_changed_leaves_no_file(earth_engine, few, both, tmp_path):
    asked = {"crs": "native", "format": "npy", "folder_by": "half"}
    run(few.iloc[:2], both, tmp_path, **asked)
    changed = few.assign(half=["new", *few["half"].iloc[1:]])
    plan = eedask.chips(changed, both, out=tmp_path, shape=SHAPE, **asked)
    with pytest.raises(DatasetError, match="1 same, 1 new, 1 changed"):
        plan.run(progress=False)
    before = earth_engine.stats()["by_method"]["projects.image.computePixels"]
    result = plan.run(progress=False, extend=True)
    assert earth_engine.stats()["by_method"]["projects.image.computePixels"] == before + 2 * 2
    assert (result.manifest["status"] == "ok").all()
    there = {str(p.relative_to(tmp_path)) for p in tmp_path.glob("chips/**/*.npy")}
    assert there == {*result.manifest["path_image"], *result.manifest["path_label"]}


def test_roles_are_part_of_the_question(few, tmp_path, both):
    asked = {"crs": "native", "format": "npy"}
    run(few, both, tmp_path, **asked)
    for images, words in (
        ({"label": both["label"], "image": scene}, r"roles: there \["),
        (scene, r"roles: there \["),
        ({**both, "image": ee.Image(SCENE)}, "image: not the same as there"),
    ):
        with pytest.raises(DatasetError, match=words):
            run(few, images, tmp_path, **asked)
    with pytest.raises(DatasetError, match="format: there"):
        run(few, both, tmp_path, **{**asked, "format": {"image": "npy", "label": "tif"}})
