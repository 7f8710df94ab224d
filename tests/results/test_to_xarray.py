"""Chips as an xarray.Dataset, against rasterio's reads of the mounted files and rioxarray."""

import sys

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray
from mounted import FIELD, SCENE, SERIES
from oracle import native_window

import eedask
from eedask.errors import DatasetError, InputError, RunStopped
from eedask.results.blocks import mosaic
from eedask.results.common_grid import common_grid

pytestmark = pytest.mark.usefixtures("threads")

NOWHERE = "projects/eedask-tests/assets/nothing"
CELL = (48, 64)


@pytest.fixture(scope="module")
def client(initialize):
    initialize()


def fetched(items, image, out, **asked):
    return eedask.chips(items, image, out=out, **asked).run(progress=False)


@pytest.fixture(scope="module")
def cells(client):
    """Cells of the field's own pixels; those at its edges reach beyond it."""
    area = gpd.GeoSeries.from_wkt(["POLYGON ((0 0, 4500 0, 4500 -3600, 0 -3600, 0 0))"])
    area = area.translate(499005, 4701015).set_crs("EPSG:32614")
    found = eedask.items.covering_grid(area, CELL, align=ee.Image(FIELD))
    return found.iloc[np.random.default_rng(1).permutation(len(found))]


@pytest.fixture(scope="module")
def tifs(cells, tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "tif"
    return fetched(cells, ee.Image(FIELD), out, crs="native", format="tif")


def whole(path, shape):
    """Return the bands of a file from its first pixel on; NaN where masked and beyond it."""
    with rasterio.open(path) as source:
        window = rasterio.windows.Window(0, 0, shape[1], shape[0])
        return source.read(window=window, boundless=True, masked=True).filled(np.nan)


@pytest.mark.parametrize("fmt", ["tif", "npy", "png"])
def test_chips_one_behind_the_other(client, rasters, points, tmp_path, fmt):
    import rioxarray  # noqa: F401

    names = ["R", "G", "B"]
    asked = {"shape": (6, 9), "crs": "native", "format": fmt, "bands": names}
    result = fetched(
        points.iloc[:5].assign(label=[1, None, 3, 4, 5]), ee.Image(SCENE), tmp_path, **asked
    )
    assert result.bands == dict.fromkeys(names, np.dtype("u1"))
    found = result.to_xarray()
    assert list(found.data_vars) == names
    assert dict(found.sizes) == {"item": 5, "y": 6, "x": 9, "coefficient": 6}
    assert all(v.dims == ("item", "y", "x") and v.dtype == "f4" for v in found.values())
    assert found["R"].chunks == ((1,) * 5, (6,), (9,))
    manifest = result.manifest
    assert list(found["item"].values) == list(manifest.index)
    assert list(found["half"].values) == list(manifest["half"])
    np.testing.assert_array_equal(found["label"], [1, np.nan, 3, 4, 5])
    assert list(found["status"].values) == ["ok"] * 5
    assert list(found["crs"].values) == list(manifest["crs"])
    assert [tuple(row) for row in found["transform"].values] == list(manifest["transform"])
    assert found.rio.crs == rasterio.crs.CRS.from_epsg(26914)
    computed = found.compute()
    for item_id, point in points.geometry.iloc[:5].items():
        expected, transform = native_window(rasters.scene, point.x, point.y, (6, 9))
        got = computed.sel(item=item_id)
        assert tuple(got["transform"].values) == tuple(transform)[:6]
        # The scene has no zeros; the oracle has them outside of it.
        np.testing.assert_array_equal(got.to_dataarray().fillna(0), expected[:3])
        if fmt == "png":
            np.testing.assert_array_equal(got["G"].isnull(), expected[1] == 0)


def test_no_file_is_read_before_it_is_computed(tifs, cells, tmp_path):
    found = tifs.to_xarray()
    merged = tifs.to_xarray(dims=("y", "x"))
    chosen, other = tifs.manifest["path"].iloc[:2]
    place = tifs._dataset.folder
    data = place.read(other)
    place.write(other, b"damaged")
    try:
        assert tifs.to_xarray().sizes == found.sizes
        assert np.isfinite(found["b1"].isel(item=0).compute()).any()
        with pytest.raises(DatasetError, match="missing or damaged"):
            found["b1"].isel(item=1).compute()
        with pytest.raises(DatasetError, match="missing or damaged"):
            merged.compute()
    finally:
        place.write(other, data)
    assert chosen != other


@pytest.mark.parametrize("fmt", ["tif", "npy"])
def test_cells_of_one_grid_are_merged(tifs, cells, rasters, tmp_path, fmt):
    import rioxarray

    result = tifs
    if fmt != "tif":
        image = ee.Image(FIELD).unmask(-1)
        result = fetched(cells, image, tmp_path, crs="native", format=fmt)
    found = result.to_xarray(dims=("y", "x"))
    rows, columns = 3 * CELL[0], 3 * CELL[1]
    assert dict(found.sizes) == {"y": rows, "x": columns}
    assert found["b1"].chunks == ((CELL[0],) * 3, (CELL[1],) * 3)
    expected = whole(rasters.field, (rows, columns))
    if fmt != "tif":
        with rasterio.open(rasters.field) as source:
            expected = np.where(np.isnan(expected), -1, expected)[
                :, : source.height, : source.width
            ]
        found = found.isel(y=slice(source.height), x=slice(source.width))
    np.testing.assert_array_equal(found.to_dataarray(), expected)
    with rioxarray.open_rasterio(rasters.field) as source:
        assert found.rio.crs == source.rio.crs
        assert found.rio.transform() == source.rio.transform()
        np.testing.assert_array_equal(found["x"][: source.rio.width], source["x"])
        np.testing.assert_array_equal(found["y"][: source.rio.height], source["y"])
        part = found.isel(y=slice(7, 20), x=slice(5, 50))
        assert part.rio.bounds() == source.isel(y=slice(7, 20), x=slice(5, 50)).rio.bounds()


def test_a_merged_raster_is_written_and_read_by_others(tifs, rasters, tmp_path):
    import rioxarray  # noqa: F401

    found = tifs.to_xarray(dims=("y", "x"))
    found.rio.to_raster(tmp_path / "whole.tif")
    with rasterio.open(tmp_path / "whole.tif") as written, rasterio.open(rasters.field) as source:
        assert written.crs == source.crs
        assert written.transform == source.transform
        window = rasterio.windows.Window(0, 0, source.width, source.height)
        np.testing.assert_array_equal(
            written.read(1, window=window), source.read(1, masked=True).filled(np.nan)
        )


def test_cells_that_are_missing_and_chips_that_overlap(tifs, cells, rasters, tmp_path, client):
    kept = [id_ for id_ in cells.index if id_ != "r1c1"]
    found = tifs.to_xarray(dims=("y", "x"), items=kept)
    expected = whole(rasters.field, tuple(found.sizes.values()))
    expected[:, 48:96, 64:128] = np.nan
    np.testing.assert_array_equal(found.to_dataarray(), expected)
    # Boxes of several sizes, whose chips overlap, on whole pixels of the field.
    boxes = [(10, 10, 50, 40), (30, 20, 90, 70), (70, 5, 75, 100)]
    shapes = [
        shapely.box(
            499005 + 30 * left, 4701015 - 30 * bottom, 499005 + 30 * right, 4701015 - 30 * top
        )
        for left, top, right, bottom in boxes
    ]
    items = gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32614")
    result = fetched(items, ee.Image(FIELD), tmp_path, crs="native", format="tif")
    found = result.to_xarray(dims=("y", "x"))
    expected = np.full((95, 80), np.nan)
    full = whole(rasters.field, (120, 150))[0]
    for left, top, right, bottom in boxes:
        expected[top - 5 : bottom - 5, left - 10 : right - 10] = full[top:bottom, left:right]
    np.testing.assert_array_equal(found["b1"], expected)
    with pytest.raises(InputError, match=r"3 shapes.*item 0 is \(30, 40\).*dims=\('y', 'x'\)"):
        result.to_xarray()


def test_images_one_behind_the_other_by_time(client, rasters, tmp_path):
    """In the way of Xee: time, y, x, in the order of time, with the images' own pixels."""
    import rioxarray

    images = eedask.items.image_ids(ee.ImageCollection(SERIES)).iloc[::-1].assign(cloud=[3, 2, 1])
    box = shapely.box(495000, 4705000 - 250 * 60, 495000 + 250 * 80, 4705000)
    region = gpd.GeoSeries([box], crs="EPSG:32614")
    result = eedask.images(images, SERIES, region=region, out=tmp_path).run(progress=False)
    found = result.to_xarray(dims=("time", "y", "x"), masked="fill")
    assert dict(found.sizes) == {"time": 3, "y": 60, "x": 80}
    days = pd.to_datetime(["2016-01-01", "2016-01-17", "2016-02-02"])
    assert pd.DatetimeIndex(found["time"].values).tolist() == days.tolist()
    assert list(found["cloud"].values) == [1, 2, 3]
    assert list(found["item"].values) == list(images.index[::-1])
    assert found["b1"].dtype == "i2"
    assert found["b1"].attrs["_FillValue"] == -32768
    for day, path in zip(days, sorted(rasters.series.iterdir()), strict=True):
        with rioxarray.open_rasterio(path) as source:
            np.testing.assert_array_equal(found["b1"].sel(time=day), source[0])
            np.testing.assert_array_equal(found["x"], source["x"])
            np.testing.assert_array_equal(found["y"], source["y"])
            assert found.rio.crs == source.rio.crs
    assert found["b1"].sel(time="2016-01").sizes["time"] == 2


def test_items_that_are_not_done_are_missing_or_left_out(client, points, tmp_path):
    asked = {"shape": (4, 6), "scale": 5, "crs": "EPSG:26914", "format": "npy", "bands": ["R"]}
    plan = eedask.chips(points.iloc[:5], ee.Image(SCENE), out=tmp_path, partition_size=1, **asked)
    with pytest.raises(RunStopped):
        plan.run(progress=False, max_items=2)
    result = eedask.open_result(tmp_path)
    there = result.manifest["status"].eq("ok")
    found = result.to_xarray()
    assert there.sum() == 2
    np.testing.assert_array_equal(found["R"].notnull().all(("y", "x")), there)
    np.testing.assert_array_equal(found["transform"].notnull().all("coefficient"), there)
    left = result.to_xarray(drop_failed=True)
    assert list(left["item"].values) == list(there.index[there])


def test_failed_items_are_missing_or_left_out(client, points, tmp_path):
    few = points.iloc[:3].assign(image=[SCENE, NOWHERE, SCENE], R=[7, 8, 9])
    asked = {"shape": (4, 6), "scale": 5, "format": "npy", "bands": ["R"]}
    result = fetched(few, lambda item: ee.Image(item["image"]), tmp_path, **asked)
    found = result.to_xarray()
    assert list(found["status"].values) == ["ok", "failed", "ok"]
    assert list(found["R"].isnull().all(("y", "x")).values) == [False, True, False]
    assert np.isnan(found["transform"][1]).all()
    assert list(found["R_item"].values) == [7, 8, 9]
    filled = result.to_xarray(masked="fill")
    # A byte may have any of its values.
    assert filled["R"].dtype == "i2"
    assert (filled["R"][1] == filled["R"].attrs["_FillValue"]).all()
    assert list(result.to_xarray(drop_failed=True)["item"].values) == [few.index[0], few.index[2]]
    assert list(result.to_xarray(items=[few.index[2]])["item"].values) == [few.index[2]]
    np.testing.assert_array_equal(result.to_xarray(files_per_chunk=2)["R"], found["R"])
    with pytest.raises(InputError, match="no chips of these items"):
        result.to_xarray(items=[few.index[1]])


def test_bands_and_columns_may_be_called_as_coordinates(client, points, tmp_path):
    names = ["spatial_ref", "coefficient", "item", "transform"]
    few = points.iloc[:2].assign(coefficient=[7, 8], time=pd.to_datetime(["2019", "2020"]))
    image = ee.Image(SCENE).rename(names)
    asked = {"shape": (4, 6), "scale": 5, "crs": "EPSG:32614", "format": "tif"}
    result = fetched(few, image, tmp_path, **asked)
    bands = ["spatial_ref_band", "coefficient_band", "item_band", "transform"]
    for dims in (("item", "y", "x"), ["time", "y", "x"], ("y", "x")):
        found = result.to_xarray(dims=dims)
        assert list(found.data_vars) == bands
        assert found["item_band"].count() == 2 * 24
        if dims[0] != "y":
            assert list(found["coefficient_item"].values) == [7, 8]
    assert result.to_xarray()["transform_item"].shape == (2, 6)


def test_a_dataset_is_stored_as_it_is_and_read_back(client, points, tmp_path):
    few = points.iloc[:3].assign(day=pd.to_datetime(["2019", None, "2020"], utc=True), n=[1, 2, 3])
    result = fetched(few, ee.Image(SCENE), tmp_path / "out", shape=(4, 6), scale=5, format="tif")
    for masked in ("nan", "fill"):
        found = result.to_xarray(masked=masked)
        found.to_netcdf(tmp_path / f"{masked}.nc", engine="scipy", format="NETCDF3_64BIT")
        with xarray.open_dataset(tmp_path / f"{masked}.nc", engine="scipy") as back:
            np.testing.assert_array_equal(back["R"], result.to_xarray()["R"])
            assert list(back["half"].values) == list(few["half"])


def test_what_cannot_be_put_together_is_refused_with_what_to_do(client, tifs, points, tmp_path):
    with pytest.raises(InputError, match=r"dims is one of"):
        tifs.to_xarray(dims=("x", "y"))
    for dims in (None, "yx"):
        with pytest.raises(InputError, match=f"dims is one of .*; got {dims!r}"):
            tifs.to_xarray(dims=dims)
    for items in ("r1c1", 5):
        with pytest.raises(InputError, match=f"items is a list of items' ids; got {items!r}"):
            tifs.to_xarray(items=items)
    with pytest.raises(InputError, match=r"masked is 'nan' or 'fill'"):
        tifs.to_xarray(masked="zero")
    with pytest.raises(InputError, match=r"files_per_chunk"):
        tifs.to_xarray(files_per_chunk=0)
    with pytest.raises(InputError, match=r"\['nobody'\] are not ids"):
        tifs.to_xarray(items=["nobody"])
    for alone in ("p01", 5):
        with pytest.raises(InputError, match=f"items is a list of items' ids; got {alone!r}"):
            tifs.to_xarray(items=alone)
    with pytest.raises(InputError, match=r"column 'time' of timestamps"):
        tifs.to_xarray(dims=("time", "y", "x"))
    utm = fetched(
        points.iloc[:3], ee.Image(SCENE), tmp_path / "a", region=30, scale=5, format="npy"
    )
    with pytest.raises(InputError, match=r"not known where the chips of items 'p00'.*fetch them"):
        utm.to_xarray(dims=("y", "x"))
    two = points.iloc[:3].assign(image=[SCENE, FIELD, SCENE])

    def own(item):
        return ee.Image(item["image"])

    asked = {"shape": (4, 6), "crs": "native", "format": "npy"}
    mixed = fetched(two, own, tmp_path / "b", **asked)
    with pytest.raises(InputError, match=r"differ in their bands: item 'p00'"):
        mixed.to_xarray()
    with pytest.raises(InputError, match=r"differ in their bands"):
        _ = mixed.bands
    mixed = fetched(
        two, lambda item: own(item).select([0], ["v"]).toFloat(), tmp_path / "c", **asked
    )
    assert mixed.to_xarray().sizes["item"] == 3
    assert "spatial_ref" not in mixed.to_xarray().coords
    with pytest.raises(InputError, match=r"in 2 crs, EPSG:26914, EPSG:32614.*one crs="):
        mixed.to_xarray(dims=("y", "x"))
    other = fetched(
        points.iloc[:2], ee.Image(SCENE), tmp_path / "d", region=33, shape=(7, 7), format="tif"
    )
    with pytest.raises(InputError, match=r"chips of item 'p01' (lie between|have pixels of)"):
        other.to_xarray(dims=("y", "x"))


@pytest.mark.parametrize(
    ("six", "words"),
    [
        ((30.0, 0.0, 512.0, 0.0, -30.0, 100.0), "lie between the pixels"),
        ((30.1, 0.0, 500.0, 0.0, -30.0, 100.0), "have pixels of another size"),
        ((30.0, 0.0, 500.0 + 30e8, 0.0, -30.0, 100.0), None),
    ],
)
def test_chips_lie_on_the_pixels_of_others_or_do_not(six, words):
    first = (30.0, 0.0, 500.0, 0.0, -30.0, 100.0)
    sides = {"height": [4, 4], "width": [5, 5]}
    frame = pd.DataFrame({"crs": ["EPSG:32614"] * 2, "transform": [first, six], **sides})
    if words:
        with pytest.raises(InputError, match=f"chips of item 1 {words}.*crs='native'"):
            common_grid(frame)
        return
    common = common_grid(frame)
    placed = frame.assign(path="a", nbytes=1, row=common.rows, column=common.columns)
    with pytest.raises(InputError, match="20,000,001 times as large as a chip"):
        mosaic(placed, common)


def test_chips_that_are_turned_have_no_x_and_y(tifs):
    six = (3.0, 4.0, 0.0, 4.0, -3.0, 0.0)
    chips = {"crs": ["EPSG:32614"], "transform": [six], "height": [4], "width": [5]}
    with pytest.raises(InputError, match="rotated against the crs's axes"):
        common_grid(pd.DataFrame(chips))


def test_without_xarray_it_says_what_to_install(tifs, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r'not installed: pip install "eedask\[xarray\]"'):
        tifs.to_xarray()
