"""Chips of mounted rasters hold exactly the pixels that rasterio reads."""

import _thread
import io
import json
import threading
import time
from pathlib import Path

import ee
import numpy as np
import pytest
import rasterio
import rasterio.warp
import requests
from mounted import FIELD, SCENE, SERIES
from oracle import native_window, nearest
from PIL import Image
from watching import requests_since

import eedask
from eedask.emulator import Emulator
from eedask.errors import InputError, ItemsError, RunStopped

pytestmark = pytest.mark.usefixtures("threads")


def arrays(result, item_id):
    """Return a chip's bands, shape (bands, rows, columns), and its transform if it has one.

    Masked pixels are 0.
    """
    opened = result.open(item_id)
    if isinstance(opened, np.ndarray):
        return np.stack([opened[name].filled(0) for name in opened.dtype.names]), None
    with opened:
        return opened.read(masked=True).filled(0), opened.transform


@pytest.mark.parametrize(("fmt", "shape"), [("npy", (7, 5)), ("tif", (16, 24))])
@pytest.mark.parametrize(("asset", "file"), [(SCENE, "scene"), (FIELD, "field")])
@pytest.mark.cross(3)
def test_native_chips_equal_rasterios_own_read(
    earth_engine, rasters, points, tmp_path, fmt, asset, file, shape
):
    path, points = getattr(rasters, file), points.iloc[::2]
    plan = eedask.chips(
        points, ee.Image(asset), out=tmp_path / "out", shape=shape, crs="native", format=fmt
    )
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    for item_id, point in points.geometry.items():
        expected, transform = native_window(path, point.x, point.y, shape)
        found, placed = arrays(result, item_id)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        if placed is not None:
            assert placed.almost_equals(transform, 1e-9)


def test_the_native_grid_of_one_image_is_asked_for_once(earth_engine, points, tmp_path):
    before, points = earth_engine.stats(), points.iloc[:15]
    plan = eedask.chips(
        points, ee.Image(SCENE), out=tmp_path / "out", shape=(8, 8), crs="native", format="npy"
    )
    result = plan.run(progress=False)
    assert requests_since(earth_engine, before) == len(points) + 1
    assert result.manifest["attempts"].sum() == len(points)


@pytest.mark.parametrize("crs", ["native", "EPSG:26914"])
def test_a_wrong_band_ends_a_run_before_any_chip_is_asked_for(earth_engine, points, tmp_path, crs):
    """It costs one request, which is the one about the native grid where there is such a one."""
    before = earth_engine.stats()
    plan = {"shape": (8, 8), "crs": crs, "scale": 5, "format": "npy", "bands": ["R", "nope"]}
    with pytest.raises(InputError, match=r"no bands \['nope'\]; it has \['R', 'G', 'B', 'N'\]"):
        eedask.chips(points, ee.Image(SCENE), out=tmp_path, **plan).run(progress=False)
    assert requests_since(earth_engine, before) == 1


def test_an_image_that_selects_a_wrong_band_ends_a_run_as_early(earth_engine, points, tmp_path):
    before = earth_engine.stats()
    image = ee.Image(SCENE).select(["nope"])
    with pytest.raises(RunStopped, match=r"'nope' did not match any bands.*\[R, G, B, N\]"):
        eedask.chips(points, image, out=tmp_path, shape=(8, 8), scale=5).run(progress=False)
    assert requests_since(earth_engine, before) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image, r"1 or 3 bands, and the image has \['R', 'G', 'B', 'N'\]"),
        (lambda image: image.select("R").toFloat(), "the band 'R' is float"),
        (lambda image: image.select("R").toUint16(), "'R' is int from 0 to 65535.*vis_params"),
    ],
)
def test_pictures_of_what_is_no_picture_are_refused(earth_engine, points, tmp_path, change, words):
    plan = {"out": tmp_path, "shape": (8, 8), "scale": 5, "format": "png"}
    image = change(ee.Image(SCENE))
    with pytest.raises(InputError, match=words):
        eedask.chips(points, image, **plan).run(progress=False)
    seen = {"vis_params": {"bands": ["R"], "min": 0, "max": 255}}
    result = eedask.chips(points.iloc[:1], image, **plan, **seen).run(
        progress=False, overwrite=True
    )
    assert (result.manifest["status"] == "ok").all()


def test_where_nobody_asks_whether_pictures_hold_the_values_it_is_said(
    earth_engine, points, tmp_path
):
    def notes(change, **asked):
        asked = {"shape": (8, 8), "scale": 5, "format": "png", "bands": ["R"], **asked}
        image = ee.Image(SCENE)
        of_item = eedask.chips(
            points, lambda item: change(image.clip(item.geometry)), out=tmp_path, **asked
        )
        assert eedask.chips(points, change(image), out=tmp_path, **asked).notes == ()
        return of_item.notes

    before = earth_engine.stats()
    (note,) = notes(lambda image: image)
    assert note.startswith("png files hold whole numbers from 0 to 255")
    assert "state vis_params=" in note
    (note,) = notes(ee.Image.toUint16, format="jpg", crs="native", scale=None)
    assert note.startswith("jpg files hold")
    assert notes(ee.Image.toByte) == ()
    assert notes(lambda image: image, bands=None, vis_params={"bands": "R", "max": 255}) == ()
    assert notes(lambda image: image, format="npy") == ()
    assert requests_since(earth_engine, before) == 0


@pytest.mark.slow
def test_a_native_grid_is_had_through_an_outage(points, rasters, tmp_path):
    """Nobody may wait for it with a slot that who asks for it needs to ask again."""
    with Emulator(mounts={SCENE: rasters.scene}) as running, running.initialized():
        plan = eedask.chips(
            points,
            ee.Image(SCENE),
            out=tmp_path,
            shape=(8, 8),
            crs="native",
            format="npy",
            concurrency=2,
            retry=eedask.RetryPolicy(delay=0.2, jitter=(0, 0)),
        )
        running.set_faults("500=1.0")

        def end_it():
            while not running.stats()["requests"]:
                time.sleep(0.01)
            running.set_faults(None)

        end = threading.Thread(target=end_it, daemon=True)
        # A run that hangs is ended from outside, to fail rather than last for ever.
        rescue = threading.Timer(30, _thread.interrupt_main)
        end.start()
        rescue.start()
        try:
            result = plan.run(progress=False)
        finally:
            end.join()
            rescue.cancel()
    assert (result.manifest["status"] == "ok").all()


def test_an_image_without_a_native_grid_is_refused_with_the_way_out(earth_engine, points, tmp_path):
    plan = eedask.chips(points, ee.Image(1), out=tmp_path, shape=(8, 8), crs="native", format="npy")
    with pytest.raises(InputError, match=r"no native grid.*State crs= and scale="):
        plan.run(progress=False)


def test_the_native_grid_of_images_that_differ_is_asked_for_each(earth_engine, points, tmp_path):
    points = points.iloc[:16]
    ids = np.where(np.arange(len(points)) % 2, SCENE, FIELD)
    plan = eedask.chips(
        points.assign(image=ids),
        lambda item: ee.Image(item["image"]),
        out=tmp_path / "out",
        shape=(8, 8),
        crs="native",
        format="tif",
    )
    result = plan.run(progress=False)
    for item_id, asset in zip(points.index, ids, strict=True):
        with result.open(item_id) as chip:
            assert chip.res == ((5, 5) if asset == SCENE else (30, 30))
    assert (result.manifest["attempts"] == 1).all(), "the question for the grid is no try"


@pytest.mark.parametrize(
    ("crs", "scale"),
    [("EPSG:26914", 5), ("EPSG:26914", 20 / 3), ("utm", 2.5), ("EPSG:4326", 5), ("EPSG:5070", 4)],
)
@pytest.mark.cross(3)
def test_chips_in_any_crs_hold_the_pixels_under_their_centres(
    earth_engine, rasters, points, tmp_path, crs, scale
):
    few = points.iloc[:10]
    result = eedask.chips(
        few, ee.Image(SCENE), out=tmp_path / "o", shape=(40, 30), crs=crs, scale=scale, format="tif"
    ).run(progress=False)
    for item_id in few.index:
        with result.open(item_id) as chip:
            expected = nearest(rasters.scene, chip.crs, chip.transform, chip.shape)
            np.testing.assert_array_equal(chip.read(), expected)


def test_native_pixels_read_on_their_own_lattice_are_a_window(
    earth_engine, rasters, points, tmp_path
):
    """A stated crs and scale align to the crs's origin, which is off the raster's by 3 m."""
    result = eedask.chips(
        points.iloc[:5],
        ee.Image(SCENE),
        out=tmp_path / "o",
        shape=(8, 8),
        crs="EPSG:26914",
        scale=5,
        format="tif",
    ).run(progress=False)
    for item_id in points.index[:5]:
        with result.open(item_id) as chip:
            assert chip.transform.c % 5 == 0
            assert chip.transform.f % 5 == 0


@pytest.mark.parametrize(
    ("fmt", "method"),
    [("png", "thumb_url"), ("jpg", "thumb_url"), ("npy", "download_url"), ("tif", "download_url")],
)
@pytest.mark.cross(3)
def test_the_url_ways_give_the_same_files(earth_engine, points, tmp_path, fmt, method):
    def files(out, **more):
        plan = eedask.chips(
            points.iloc[:6],
            ee.Image(SCENE).select(["R", "G", "B"]),
            out=tmp_path / out,
            shape=(32, 32),
            crs="utm",
            scale=5,
            format=fmt,
            **more,
        )
        result = plan.run(progress=False)
        return {i: (tmp_path / out / p).read_bytes() for i, p in result.manifest["path"].items()}

    assert files("pixels") == files("url", method=method)


def test_pictures_are_the_data_they_show(earth_engine, rasters, points, tmp_path):
    inside = points.iloc[:8]
    result = eedask.chips(
        inside,
        ee.Image(SCENE),
        out=tmp_path / "o",
        shape=(16, 16),
        crs="native",
        format="png",
        bands=["N", "R", "G"],
    ).run(progress=False)
    for item_id, point in inside.geometry.items():
        expected, _ = native_window(rasters.scene, point.x, point.y, (16, 16))
        picture = np.moveaxis(np.asarray(result.open(item_id)), -1, 0)
        np.testing.assert_array_equal(picture[:3], expected[[3, 0, 1]])
        if len(picture) == 4:
            np.testing.assert_array_equal(picture[3] == 255, expected[0] != 0)


def test_visualization_stretches_and_colours(earth_engine, rasters, points, tmp_path):
    few = points.iloc[:4]
    result = eedask.chips(
        few,
        ee.Image(SCENE),
        out=tmp_path / "o",
        shape=(16, 16),
        crs="native",
        vis_params={"bands": ["R"], "min": 0, "max": 255, "palette": ["black", "red"]},
    ).run(progress=False)
    for item_id, point in few.geometry.items():
        expected, _ = native_window(rasters.scene, point.x, point.y, (16, 16))
        picture = np.asarray(result.open(item_id).convert("RGBA")).astype(int)
        shown = picture[..., 3] == 255
        assert (np.abs(picture[..., 0] - expected[0])[shown] <= 1).all()
        assert (picture[..., 1:3][shown] == 0).all()


def test_polygons_are_covered_by_their_chips(earth_engine, rasters, points, tmp_path):
    areas = points.to_crs("EPSG:26914").buffer(60).to_crs("EPSG:4326")
    cells = points.set_geometry(areas).iloc[:6]
    result = eedask.chips(
        cells, ee.Image(SCENE), out=tmp_path / "o", crs="EPSG:26914", scale=5, format="tif"
    ).run(progress=False)
    for item_id, shape in cells.geometry.to_crs("EPSG:26914").items():
        with result.open(item_id) as chip:
            left, bottom, right, top = shape.bounds
            assert chip.bounds.left <= left + 0.01 <= chip.bounds.left + 5.02
            assert chip.bounds.top >= top - 0.01 >= chip.bounds.top - 5.02
            assert chip.bounds.right >= right - 0.01
            assert chip.bounds.bottom <= bottom + 0.01
            expected = nearest(rasters.scene, chip.crs, chip.transform, chip.shape)
            np.testing.assert_array_equal(chip.read(), expected)


@pytest.mark.parametrize("region", [127.0, lambda item: item.geometry.buffer(127).bounds()])
@pytest.mark.parametrize("crs", [None, "EPSG:26914"])
@pytest.mark.cross(2)
def test_a_region_gives_what_the_client_itself_would_download(
    earth_engine, points, tmp_path, region, crs
):
    few = points.iloc[:5]
    image = ee.Image(SCENE).select(["R", "G", "B"])
    result = eedask.chips(
        few, image, out=tmp_path / "o", region=region, shape=(64, 48), crs=crs, format="png"
    ).run(progress=False)
    for item_id, point in few.geometry.items():
        place = ee.Geometry.Point([point.x, point.y]).buffer(127).bounds()
        params = {"region": place, "dimensions": "48x64", "format": "png"}
        url = image.getThumbURL(params if crs is None else {**params, "crs": crs})
        answer = requests.get(url, timeout=30)
        assert answer.status_code == 200, answer.text
        assert (Path(result.path) / result.manifest.loc[item_id, "path"]).read_bytes() == (
            answer.content
        )


def test_each_item_has_its_own_image(earth_engine, rasters, points, tmp_path):
    days = [f"NDVI_2016_{day:03d}" for day in (1, 17, 33)]
    items = points.iloc[:15].assign(image=[f"{SERIES}/{days[k % 3]}" for k in range(15)])
    result = eedask.chips(
        items,
        lambda item: ee.Image(item["image"]),
        out=tmp_path / "o",
        shape=(4, 4),
        crs="native",
        format="npy",
    ).run(progress=False)
    for item_id, row in items.iterrows():
        file = rasters.series / f"{row['image'].rpartition('/')[2]}.tif"
        expected, _ = native_window(file, row.geometry.x, row.geometry.y, (4, 4))
        np.testing.assert_array_equal(arrays(result, item_id)[0], expected)


def test_the_manifest_tells_what_lies_where(earth_engine, points, tmp_path):
    out = tmp_path / "out"
    plan = eedask.chips(
        points, ee.Image(SCENE).select([0, 1, 2]), out=out, shape=(8, 8), scale=5, folder_by="half"
    )
    manifest = plan.run(progress=False).manifest
    assert list(manifest.index) == list(points.index)
    assert manifest.crs == points.crs
    assert (manifest["attempts"] == 1).all()
    for row in manifest.itertuples():
        file = out / row.path
        assert file.stat().st_size == row.nbytes
        assert file.parent.parent == out / "chips"
        with Image.open(io.BytesIO(file.read_bytes())) as image:
            assert image.size == (8, 8)
    assert {p.name for p in (out / "chips").iterdir()} == {"odd", "even%2F%E2%80%A6"}
    assert not list(out.rglob("*.part"))
    assert json.loads((out / "plan.json").read_text())["asked"]["verb"] == "chips"


def test_folders_nest_in_the_order_of_their_columns(earth_engine, points, tmp_path, sent):
    items = points.iloc[:4].assign(
        split=["train", "train", "val", None], label=["Wood", "wood", "a/b", "wood"]
    )
    asked = {"shape": (8, 8), "scale": 5, "format": "npy", "folder_by": ["split", "label"]}
    image = ee.Image(SCENE)
    with pytest.raises(ItemsError, match=rf"'split' .* 1 of the items: '{items.index[3]}'; fill"):
        eedask.chips(items, image, out=tmp_path, **asked)
    assert not sent
    plan = eedask.chips(items, image, out=tmp_path, folder_missing="neither", **asked)
    result = plan.run(progress=False)
    folders = [path.split("/")[1:-1] for path in result.manifest["path"]]
    # "Wood" and "wood" would be one folder on some systems, so that all names end in a hash.
    assert [[name.split("~")[0] for name in names] for names in folders] == [
        ["train", "Wood"],
        ["train", "wood"],
        ["val", "a%2Fb"],
        ["neither", "wood"],
    ]
    assert len({names[1] for names in folders}) == 3
    assert all((tmp_path / path).is_file() for path in result.manifest["path"])
    assert "By split, label" in Path(result.report()).read_text()


def test_geotiffs_know_where_they_are(earth_engine, points, tmp_path):
    result = eedask.chips(
        points.iloc[:3],
        ee.Image(FIELD),
        out=tmp_path / "o",
        shape=(8, 8),
        crs="utm",
        scale=10,
        format="geotiff",
    ).run(progress=False)
    for item_id, point in points.geometry.iloc[:3].items():
        with result.open(item_id) as chip:
            assert chip.crs == rasterio.crs.CRS.from_epsg(32614)
            middle = rasterio.warp.transform(chip.crs, "EPSG:4326", *np.array([chip.xy(4, 4)]).T)
            assert np.allclose(np.ravel(middle), [point.x, point.y], atol=2e-4)
            assert chip.descriptions == ("b1", "b2")
