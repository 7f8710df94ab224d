"""Results whose items have a file for each role: opened, as xarray, and to look at."""

from dataclasses import replace
from pathlib import Path

import ee
import numpy as np
import pytest
from mounted import FIELD, SCENE
from pages import Page

import eedask
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.errors import DatasetError, InputError

pytestmark = pytest.mark.usefixtures("threads")

SHAPE = (6, 9)


@pytest.fixture(scope="module")
def made(emulator, initialize):
    """Images with a band that labels have as well; the label of one item is not there."""
    initialize()

    def label(item):
        field = ee.Image(FIELD).select("b1").gt(280).rename("R")
        return field.select(ee.String(item["band"]))

    return {"image": ee.Image(SCENE).select(["R", "G"]), "label": label}


@pytest.fixture
def result(made, points, tmp_path):
    items = points.iloc[:4].assign(band=["R", "R", "none", "R"])
    asked = {"shape": SHAPE, "crs": "native", "format": {"image": "npy", "label": "tif"}}
    plan = eedask.chips(items, made, out=tmp_path, nodata={"label": 255}, **asked)
    return plan.run(progress=False)


def of_file(result, item_id, role):
    """Return a file's first band and its mask, of result.open."""
    opened = result.open(item_id, role)
    if role == "image":
        return opened["R"]
    with opened:
        return opened.read(1, masked=True)


def test_bands_are_told_by_role(result):
    u1 = np.dtype("u1")
    assert result.bands == {"image": {"R": u1, "G": u1}, "label": {"R": u1}}


def test_variables_of_all_roles_are_in_one_dataset(result):
    found = result.to_xarray()
    assert list(found.data_vars) == ["R_image", "G", "R_label"]
    assert list(found.filter_by_attrs(role="label").data_vars) == ["R_label"]
    assert dict(found.sizes) == {"item": 4, "y": 6, "x": 9, "coefficient": 6}
    assert not {"path_image", "nbytes_label"} & {*found.coords}
    computed = found.compute()
    for item_id in result.manifest.index[result.manifest["status"] == "ok"]:
        for role in ("image", "label"):
            expected = of_file(result, item_id, role).astype(float).filled(np.nan)
            np.testing.assert_array_equal(computed[f"R_{role}"].sel(item=item_id), expected)
    assert computed.isel(item=2).to_dataarray().isnull().all()
    assert (computed["R_label"] == 0).any()
    filled = result.to_xarray(masked="fill")
    assert filled["R_label"].attrs == {"_FillValue": 255, "role": "label"}
    assert filled["R_label"].dtype == "u1"
    assert filled["G"].dtype == "i2"


def test_roles_are_merged_on_the_grid_that_all_share(result):
    chosen = list(result.manifest.index[:2])
    found = result.to_xarray(dims=("y", "x"), items=chosen).compute()
    for item_id in chosen:
        a, _, left, _, e, top = result.manifest["transform"][item_id]
        x, y = left + a * (np.arange(9) + 0.5), top + e * (np.arange(6) + 0.5)
        expected = of_file(result, item_id, "label").astype(float).filled(np.nan)
        np.testing.assert_array_equal(found["R_label"].sel(x=x, y=y), expected)


def test_names_that_cannot_be_told_apart_are_refused(made, points, tmp_path):
    image = ee.Image(SCENE).select(["R", "G"])
    images = {"a": image, "b": image.select(["R", "G"], ["R", "R_a"])}
    result = eedask.chips(
        points.iloc[:1], images, out=tmp_path, shape=SHAPE, scale=5, format="npy"
    ).run(progress=False)
    with pytest.raises(InputError, match=r"\['R_a'\] would stand for two variables: rename"):
        result.to_xarray()


def test_the_first_role_is_opened_and_unknown_ones_are_refused(result, made, points, tmp_path):
    first = result.manifest.index[0]
    np.testing.assert_array_equal(result.open(first), result.open(first, role="image"))
    with pytest.raises(InputError, match=r"no role='mask': .* roles are \['image', 'label'\]"):
        result.open(first, "mask")
    with pytest.raises(InputError, match="has no file: HTTP 400: role 'label': "):
        result.open(result.manifest.index[2], "image")
    alone = eedask.chips(
        points.iloc[:1], made["image"], out=tmp_path / "alone", shape=SHAPE, scale=5, format="npy"
    ).run(progress=False)
    with pytest.raises(InputError, match=r"no role='image': .* one image, and no roles"):
        alone.open(first, role="image")


def test_pictures_of_an_item_stand_beside_each_other(result):
    sheet = result.contact_sheet(columns=3, side=90)
    # Three items in three rows, each a picture of either role, as high as SHAPE says.
    high = round(90 * SHAPE[0] / SHAPE[1])
    assert sheet.width == 2 * (90 + 6) + 6
    assert sheet.height == 3 * (high + 18 + 6) + 6
    assert result.contact_sheet(n=2, side=90).height == high + 18 + 2 * 6
    page = Page(Path(result.report()).read_text(encoding="utf-8"))
    assert [picture.size for picture in page.pictures()] == [SHAPE[::-1]] * 6
    shown = [item_id for item_id in result.manifest.index if f"{item_id} label" in page.text]
    assert shown == list(result.manifest.index[[0, 1, 3]])
    assert "role 'label': " in page.text
    assert "'label': 'tif'" in page.text
    assert "<svg" in result.plot("nbytes_label").svg


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: [{**files[0], "path": "../secret.npy"}, files[1]], "none that a run writes"),
        (lambda files: files[::-1], r"other files than those of \['image', 'label'\]"),
        (lambda files: files[:1], "other files than those of"),
        (lambda files: [{**files[0], "nbytes": -1}, files[1]], "negative"),
        (lambda files: [{**files[0], "role": None}, files[1]], "no role"),
    ],
)
def test_a_manifest_with_other_files_is_damaged(result, change, words):
    dataset = Dataset(Folder(result.path))
    rows = dataset.rows(0)
    row = next(row for row in rows if row.files)
    changed = replace(row, files=change(row.files))
    dataset.write_rows(0, [changed, *(other for other in rows if other is not row)])
    with pytest.raises(DatasetError, match=words):
        _ = eedask.open_result(result.path).manifest
