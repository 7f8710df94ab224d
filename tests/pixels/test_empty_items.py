"""An item whose collection is empty fails, or has a file in which all is masked."""

import ee
import numpy as np
import pytest
import rasterio
from mounted import FIELD, SCENE, SERIES
from watching import chips_since, requests_since

import eedask
from eedask.errors import DatasetError, InputError, RunStopped

pytestmark = pytest.mark.usefixtures("threads")

SHAPE = (5, 6)
COLOURS = {"bands": ["R", "G", "B"]}
PALETTE = {"bands": ["R"], "min": 0, "max": 255, "palette": ["red", "blue"]}


@pytest.fixture
def places(earth_engine, points):
    """Six points on the scene, of which the second and the fifth have no images."""
    return points.iloc[:6].assign(none=[0, 1, 0, 0, 1, 0])


def matching(item, asset):
    images = ee.ImageCollection([ee.Image(asset).set({"none": 0, "sensor": "TM"})])
    return images.filter(ee.Filter.eq("none", ee.Number(item["none"])))


def first_of(asset):
    return lambda item: ee.Image(matching(item, asset).first())


def mosaic_of(asset):
    return lambda item: matching(item, asset).mosaic()


def chips(items, image, out, **asked):
    asked = {"shape": SHAPE, "scale": 5, "crs": "EPSG:26914", "format": "npy", **asked}
    return eedask.chips(items, image, out=out, **asked)


def run(items, image, out, **asked):
    return chips(items, image, out, **asked).run(progress=False)


def band_masks(opened):
    """Return where an opened chip is masked, shape (bands, rows, columns), and its types."""
    if isinstance(opened, np.ndarray):
        masks = [np.ma.getmaskarray(opened[name]) for name in opened.dtype.names]
        return np.stack(masks), opened.dtype
    if hasattr(opened, "read"):
        with opened:
            return np.ma.getmaskarray(opened.read(masked=True)), (opened.dtypes, opened.nodata)
    return np.asarray(opened.convert("RGBA"))[None, ..., 3] == 0, None


@pytest.mark.parametrize(
    ("image_of", "asset", "asked"),
    [
        (mosaic_of, SCENE, {"bands": ["B", "N"]}),
        (first_of, SCENE, {"mask": "band"}),
        (mosaic_of, FIELD, {"method": "download_url"}),
        (first_of, SERIES + "/NDVI_2016_001", {"nodata": -9999}),
        (first_of, SERIES + "/NDVI_2016_001", {"format": "tif"}),
        (mosaic_of, SCENE, {"format": "tif", "bands": ["G"]}),
        (first_of, SCENE, {"format": "png", **COLOURS}),
        (mosaic_of, SCENE, {"format": "png", "vis_params": PALETTE, "method": "thumb_url"}),
    ],
)
@pytest.mark.cross(4)
def test_a_file_of_nodata(places, earth_engine, tmp_path, image_of, asset, asked):
    before = earth_engine.stats()
    result = run(places, image_of(asset), tmp_path / "out", empty="nodata", **asked)
    sent = requests_since(earth_engine, before)
    manifest, empty = result.manifest, places.index[places["none"] == 1]
    assert result.failed.empty
    assert manifest.index[manifest["error_kind"] == "no_image"].tolist() == empty.tolist()
    assert manifest["error"].loc[empty].str.contains("the item has no image").all()
    assert manifest["error"].drop(empty).isna().all()
    assert "6 items: 6 ok (2 of them without an image), 0 failed" in result.summary()

    # What the files are like if all items have an image.
    plain = run(places.assign(none=0), image_of(asset), tmp_path / "plain", **asked)
    same = ["crs", "transform", "height", "width", "path"]
    assert manifest[same].equals(plain.manifest[same])
    for name, row in manifest.iterrows():
        mine, theirs = (tmp_path / run / row["path"] for run in ("out", "plain"))
        if name not in empty:
            assert mine.read_bytes() == theirs.read_bytes()
            continue
        (masked, types), (_, usual) = (band_masks(one.open(name)) for one in (result, plain))
        assert types == usual
        # A band of masks is not masked itself.
        assert masked[: -1 if asked.get("mask") else None].all()
        assert masked.shape[1:] == SHAPE
    # One of the first item, and one of each; by URL, a refusal takes one and not two.
    assert sent == (7 if "method" not in asked else 2 * (7 - len(empty)) + len(empty))

    found, usual = result.to_xarray(), plain.to_xarray()
    assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in usual.items()}
    for name in set(found) - {"mask"}:
        assert np.isnan(found[name].sel(item=empty).values).all()


def test_a_jpeg_is_black(places, tmp_path):
    image = mosaic_of(ee.Image(SCENE).select(COLOURS["bands"]))
    result = run(places, image, tmp_path, format="jpg", empty="nodata")
    assert result.failed.empty
    assert not np.asarray(result.open(places.index[1])).any()
    assert np.asarray(result.open(places.index[0])).any()


@pytest.mark.parametrize("asked", [{"properties": ["sensor"]}, {}])
@pytest.mark.cross(2)
def test_a_run_goes_on_and_fetches_anew_what_was_lost(places, earth_engine, tmp_path, asked):
    plan = chips(places, first_of(FIELD), tmp_path, empty="nodata", **asked)
    with pytest.raises(RunStopped, match="max_items=3"):
        plan.run(progress=False, max_items=3)
    result = plan.run(progress=False)
    manifest = result.manifest
    assert (manifest["status"] == "ok").all()
    assert (manifest["error_kind"] == "no_image").tolist() == (places["none"] == 1).tolist()
    if "properties" in asked:
        assert (manifest["sensor"].isna() == (places["none"] == 1)).all()
    lost = tmp_path / manifest["path"].iloc[4]
    content = lost.read_bytes()
    lost.unlink()
    before = earth_engine.stats()
    assert plan.run(progress=False).failed.empty
    assert lost.read_bytes() == content
    # One to learn what such files hold, and at most one for the item's own pixels.
    assert chips_since(earth_engine, before) == (1 if "properties" in asked else 2)
    with pytest.raises(DatasetError, match='empty: there "nodata", asked null'):
        run(places, first_of(FIELD), tmp_path, **asked)


def test_where_no_example_has_an_image_bands_are_stated(places, earth_engine, tmp_path):
    items = places.assign(none=1)
    plan = chips(items, mosaic_of(SCENE), tmp_path / "unknown", empty="nodata")
    with pytest.raises(InputError, match=r"none of the \d items that were .* state bands"):
        plan.run(progress=False)
    plan = chips(items, mosaic_of(SCENE), tmp_path / "known", empty="nodata", bands=["R", "N"])
    before = earth_engine.stats()
    result = plan.run(progress=False)
    learning = plan.task.before(6)
    assert learning.least < requests_since(earth_engine, before) - len(items) <= learning.most
    assert (result.manifest["error_kind"] == "no_image").all()
    masked, types = band_masks(result.open(items.index[0]))
    assert masked.all()
    assert types == np.dtype([("R", "f4"), ("N", "f4")])
    asked = {"format": "png", "empty": "nodata", **COLOURS}
    picture = run(items, mosaic_of(SCENE), tmp_path / "png", **asked).open(items.index[0])
    assert picture.mode == "RGBA"


@pytest.mark.parametrize("crs", [{"crs": "native", "scale": None}, {}])
@pytest.mark.cross(2)
def test_of_an_item_with_images_by_role_one_may_be_missing(places, tmp_path, crs):
    images = {"image": ee.Image(SCENE), "label": first_of(FIELD)}
    asked = {
        "format": {"image": "npy", "label": "tif"},
        "bands": {"image": COLOURS["bands"]},
        **crs,
    }
    result = run(places, images, tmp_path / "out", empty={"label": "nodata"}, **asked)
    assert result.failed.empty
    missing = result.manifest.iloc[1]
    assert missing["error_kind"] == "no_image"
    assert missing["error"].startswith("role 'label': the item has no image")
    with rasterio.open(tmp_path / "out" / missing["path_label"]) as file:
        assert np.isnan(file.read()).all()
        assert tuple(file.transform)[:6] == missing["transform"]
    assert not np.ma.getmaskarray(result.open(places.index[1], "image")["R"]).all()
    strict = run(places, images, tmp_path / "strict", **asked)
    assert strict.failed.index.tolist() == places.index[[1, 4]].tolist()


def test_an_image_with_other_bands_fails_all_the_same(places, tmp_path):
    def image(item):
        return ee.Image(SCENE).select(ee.List([["R"], ["G"]]).get(item["none"]))

    result = run(places, image, tmp_path, bands=["R"], empty="nodata")
    assert result.failed.index.tolist() == places.index[[1, 4]].tolist()


@pytest.mark.parametrize(
    "made",
    [
        lambda images: images.mosaic().select([2]),
        lambda images: images.mosaic().rename(["a", "b", "c", "d"]),
        lambda images: images.mosaic().reduce(ee.Reducer.mean()),
        lambda images: images.median().remap([1, 2], [3, 4]),
        lambda images: images.toArray().arrayGet([0, 0]),
    ],
)
def test_it_is_known_whatever_is_made_of_no_images(places, tmp_path, made):
    result = run(places, lambda item: made(matching(item, SCENE)), tmp_path)
    assert result.failed.index.tolist() == places.index[[1, 4]].tolist()
    assert set(result.failed["error_kind"]) == {"no_image"}
