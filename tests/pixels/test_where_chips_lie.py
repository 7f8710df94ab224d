"""The manifest says where the pixels of every chip lie, whatever its format."""

from pathlib import Path

import ee
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from limits import limited
from mounted import SCENE

import eedask

pytestmark = pytest.mark.usefixtures("threads")

NAMES = ["crs", "transform", "height", "width"]
ALBERS = "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=37.5 +lon_0=-96 +datum=WGS84 +units=m"


def run(items, out, fmt, **asked):
    plan = eedask.chips(
        items, ee.Image(SCENE).select(["R", "G", "B"]), out=out, format=fmt, **asked
    )
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    return result


def check_against_rasterio(result):
    """See that a manifest has what rasterio reads from the GeoTIFFs."""
    for item_id, row in result.manifest.iterrows():
        with result.open(item_id) as chip:
            assert rasterio.crs.CRS.from_user_input(row["crs"]) == chip.crs
            assert rasterio.Affine(*row["transform"]).almost_equals(chip.transform, 1e-9)
            assert (row["height"], row["width"]) == chip.shape


@pytest.mark.parametrize(
    "asked",
    [
        {"crs": "utm", "scale": 5, "shape": (8, 12)},
        {"crs": "native", "shape": (8, 12)},
        {"crs": "native", "scale": 20, "shape": (7, 5)},
        {"crs": "EPSG:26914", "scale": 20 / 3, "shape": (8, 12)},
        {"crs": "EPSG:4326", "scale": 5, "shape": (8, 12)},
        {"crs": ALBERS, "scale": 4, "shape": (8, 12)},
        {"crs": "EPSG:5070", "scale": 5},
    ],
    ids=lambda asked: "-".join(map(str, asked.values()))[:24],
)
@pytest.mark.cross(3)
def test_the_manifest_has_the_grid_of_the_geotiff_for_every_format(
    earth_engine, points, tmp_path, asked
):
    few = points.iloc[:5]
    if "shape" not in asked:
        metres = few.to_crs("EPSG:26914")
        few = few.set_geometry(metres.buffer(np.arange(5) * 10 + 20).to_crs("EPSG:4326"))
    tif = run(few, tmp_path / "tif", "tif", **asked)
    check_against_rasterio(tif)
    if "shape" not in asked:
        assert tif.manifest["height"].is_monotonic_increasing
        assert tif.manifest["height"].nunique() == 5
    # Where a chip lies is found before its format matters.
    for fmt in ("npy", "png", "jpg") if asked["crs"] == "utm" else ("npy",):
        other = run(few, tmp_path / fmt, fmt, **asked)
        pd.testing.assert_frame_equal(other.manifest[NAMES], tif.manifest[NAMES])
        for item_id, row in other.manifest.iterrows():
            opened = other.open(item_id)
            shape = opened.shape if fmt == "npy" else opened.size[::-1]
            assert shape == (row["height"], row["width"])
    parts = pq.read_table(tmp_path / "tif" / "manifest")
    written = zip(parts["id"].to_pylist(), map(tuple, parts["transform"].to_pylist()), strict=True)
    assert tif.manifest["transform"].to_dict() == dict(written)


def test_a_chip_of_many_requests_lies_where_it_would_in_one(earth_engine, points, tmp_path):
    asked = {"crs": "utm", "scale": 5, "shape": (60, 50)}
    image, few = ee.Image(SCENE), points.iloc[:2]
    plan = eedask.chips(few, image, out=tmp_path, format="tif", **asked)
    result = limited(plan, bytes=5000).run(progress=False)
    assert (result.manifest["attempts"] > 1).all()
    check_against_rasterio(result)


@pytest.mark.parametrize("way", [{"shape": (16, 24)}, {"scale": 7.5}])
@pytest.mark.parametrize("crs", [None, "EPSG:32614", "utm"])
@pytest.mark.cross(4)
def test_where_earth_engine_works_it_out_a_geotiff_tells_and_others_have_their_size(
    earth_engine, points, tmp_path, way, crs
):
    asked = {"region": 60.0, "crs": crs, **way}
    few = points.iloc[:4]
    tif = run(few, tmp_path / "tif", "tif", **asked)
    check_against_rasterio(tif)
    url = run(few, tmp_path / "url", "tif", method="download_url", **asked)
    pd.testing.assert_frame_equal(url.manifest[NAMES], tif.manifest[NAMES])
    sizes = tif.manifest[["height", "width"]]
    for fmt, method in [("npy", "download_url"), ("png", "thumb_url"), ("png", "compute_pixels")]:
        other = run(few, tmp_path / f"{fmt}-{method}", fmt, method=method, **asked).manifest
        pd.testing.assert_frame_equal(other[["height", "width"]], sizes)
        assert other[["crs", "transform"]].isna().all(axis=None)


def test_an_item_without_a_chip_has_no_place_and_sizes_stay_whole(earth_engine, points, tmp_path):
    few = points.iloc[:3].assign(image=[SCENE, "projects/eedask-tests/assets/nothing", SCENE])
    asked = {"shape": (4, 6), "scale": 5, "format": "npy"}
    plan = eedask.chips(few, lambda item: ee.Image(item["image"]), out=tmp_path, **asked)
    manifest = plan.run(progress=False).manifest
    assert list(manifest["status"]) == ["ok", "failed", "ok"]
    assert list(manifest[NAMES].isna().all(axis=1)) == [False, True, False]
    assert manifest["height"].dtype == "Int32"
    assert list(manifest["width"].dropna()) == [6, 6]


def test_columns_of_the_items_keep_their_names(earth_engine, points, tmp_path):
    few = points.iloc[:4].drop(columns="half")
    plain = run(few, tmp_path / "plain", "png", shape=(4, 6), scale=5).manifest
    own = {"height": [3.5, 11.0, 7.25, 3.5], "crs": list("abcd"), "transform": [1, 2, 3, 4]}
    named = few.assign(**own, chip_height=list("wxyz"))
    out = tmp_path / "named"
    result = run(named, out, "png", shape=(4, 6), scale=5, folder_by="height")
    for manifest in (result.manifest, eedask.open_result(out).manifest):
        for name, values in own.items():
            assert list(manifest[name]) == values
        assert list(manifest["chip_height"]) == list("wxyz")
        kept = ["chip_crs", "chip_transform", "chip_chip_height", "width"]
        for name, other in zip(NAMES, kept, strict=True):
            assert list(manifest[other]) == list(plain[name])
    assert "By height" in Path(result.report()).read_text()


def test_tables_have_no_chips_to_place(earth_engine, points, tmp_path):
    few = points.iloc[:3].assign(height=[1.5, 2.5, 3.5])
    plan = eedask.sample_points(few, ee.Image(SCENE), out=tmp_path)
    manifest = plan.run(progress=False).manifest
    assert list(manifest["height"]) == [1.5, 2.5, 3.5]
    assert not {"crs", "transform", "width", "chip_height"} & set(manifest.columns)


def strip(path):
    """Write a part of the manifest as it was before chips had a place."""
    pq.write_table(pq.read_table(path).drop_columns(NAMES), path)


def test_a_dataset_from_before_is_opened_and_resumed(earth_engine, points, tmp_path):
    few, asked = points.iloc[:6], {"shape": (4, 6), "scale": 5, "partition_size": 2}
    whole = run(few, tmp_path, "npy", **asked).manifest
    parts = sorted((tmp_path / "manifest").iterdir())
    kinds = pq.read_schema(parts[0])
    assert [kinds.field(name).type for name in NAMES] == [
        pa.string(),
        pa.list_(pa.float64()),
        pa.int32(),
        pa.int32(),
    ]
    for part in parts:
        strip(part)
    assert eedask.open_result(tmp_path).manifest[NAMES].isna().all(axis=None)
    # One partition was not begun, one was left with half of its items.
    parts[0].unlink()
    pq.write_table(pq.read_table(parts[1])[:1], parts[1])
    resumed = run(few, tmp_path, "npy", **asked).manifest
    known = resumed["crs"].notna()
    assert known.sum() == 3
    pd.testing.assert_frame_equal(resumed.loc[known, NAMES], whole.loc[known, NAMES])
    assert resumed.loc[~known, NAMES].isna().all(axis=None)
