"""The images of a collection over a region: the pixels that rasterio reads, one row an image."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import shapely
from all_readings import under_all
from mounted import write
from oracle import nearest
from PIL import Image
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from watching import requests_since

import eedask
from eedask.emulator import Emulator
from eedask.errors import DatasetError, InputError, ItemsError, RunStopped
from eedask.pixels.query import PIXEL_LIMITS

pytestmark = pytest.mark.usefixtures("tiles", "threads")

TILES = "projects/eedask-tests/assets/tiles"
# On both sides of the meridian that parts the zones 13 and 14.
REGION = shapely.box(-102.03, 40.0, -101.97, 40.04)
CRS = {"west": "EPSG:32613", "east": "EPSG:32614", "part": "EPSG:32614", "far": "EPSG:32613"}
IDS = [f"{name}_2020_{day:03d}" for day, name in enumerate(CRS, 1)]
WEST, EAST, PART, FAR = IDS
SCALE = 60.0
INDEX = "system:index"


def corner(crs, longitude, latitude):
    """Return the transform of pixels that begin near a place, off the multiples of their size."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(
        longitude, latitude
    )
    return rasterio.Affine(SCALE, 0, round(x) + 7.5, 0, -SCALE, round(y) + 2.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four rasters: two that cover the region, one that covers its east, and one far away."""
    made = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(8)
    west_edges = {"west": -102.1, "east": -102.1, "part": -102.0, "far": -106.0}
    for name, id_ in zip(CRS, IDS, strict=True):
        bands = rng.integers(1, 30_000, (2, 200, 220), dtype=np.uint16)
        transform = corner(CRS[name], west_edges[name], 40.07)
        write(made / f"{id_}.tif", bands, CRS[name], transform)
    return made


@pytest.fixture(scope="module")
def tiles(folder):
    with Emulator(mounts={TILES: folder}, processes=0) as running, running.initialized():
        yield running


@pytest.fixture
def asked(tiles):
    """How many requests the emulator has had since the test began."""
    before = tiles.stats()
    return lambda: requests_since(tiles, before)


def ids_of(*names):
    return pd.DataFrame(index=pd.Index(names, name=INDEX))


def images(tmp_path, ids=None, collection=None, **options):
    given = ids_of(*IDS[:3]) if ids is None else ids
    searched = ee.ImageCollection(TILES) if collection is None else collection
    asked = {"region": REGION, "out": tmp_path / "out", "format": "npy", **options}
    return eedask.images(given, searched, **asked)


def run(tmp_path, *args, **options):
    return images(tmp_path, *args, **options).run(progress=False)


def pixels(result, item_id):
    """Return an image's bands, shape (bands, rows, columns); masked ones are 0."""
    opened = result.open(item_id)
    if isinstance(opened, np.ndarray):
        return np.stack([np.ma.filled(opened[name], 0) for name in ("b1", "b2")])
    with opened:
        return opened.read(masked=True).filled(0)


def covering(path, crs, bounds):
    """Return (values, transform) of the window of a raster that covers bounds; 0 outside."""
    with rasterio.open(path) as source:
        left, bottom, right, top = transform_bounds(crs, source.crs, *bounds, densify_pts=101)
        first = np.floor(np.array(~source.transform @ (left, top)) + 1e-6).astype(int)
        last = np.ceil(np.array(~source.transform @ (right, bottom)) - 1e-6).astype(int)
        window = Window(*first, *(last - first))
        return source.read(window=window, boundless=True), source.window_transform(window)


def assert_is_the_window(result, folder, item_id, crs="EPSG:4326", bounds=REGION.bounds):
    expected, transform = covering(folder / f"{item_id}.tif", crs, bounds)
    found, row = pixels(result, item_id), result.manifest.loc[item_id]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert row["transform"] == pytest.approx(tuple(transform)[:6])
    assert (row["height"], row["width"]) == expected.shape[1:]


@pytest.mark.parametrize("fmt", ["tif", "npy"])
def test_images_of_several_zones_are_rasterios_windows_on_their_own_grids(
    folder, tmp_path, fmt, asked
):
    found = eedask.items.image_ids(TILES).loc[IDS[:3]]
    before = asked()
    result = run(tmp_path, found, format=fmt)
    assert asked() - before == len(found) + 1
    manifest = result.manifest
    assert manifest["status"].tolist() == ["ok"] * 3, result.failed["error"].tolist()
    assert manifest["path"].tolist() == [f"chips/{id_}.{fmt}" for id_ in found.index]
    assert manifest["crs"].tolist() == [CRS["west"], CRS["east"], CRS["east"]]
    # The manifest has the footprints, which image_ids gave; attempts are those for pixels.
    assert manifest.geometry.geom_equals(found.geometry).all()
    assert manifest["attempts"].tolist() == [1, 1, 1]
    for item_id in found.index:
        assert_is_the_window(result, folder, item_id)
    masked = pixels(result, PART)[0] == 0
    assert masked.any(axis=0).any()
    assert not masked.all()


def test_a_region_on_pixel_edges_has_exactly_those_pixels_in_a_folder_as_asked(folder, tmp_path):
    with rasterio.open(folder / f"{EAST}.tif") as source:
        box = source.window_bounds(Window(20, 30, 40, 25))
        expected = source.read(window=Window(20, 30, 40, 25))
    region = gpd.GeoSeries([shapely.box(*box)], crs=CRS["east"])
    ids = ids_of(EAST).assign(zone=["14"])
    result = run(tmp_path, ids, region=region, folder_by="zone")
    assert result.manifest.loc[EAST, "path"] == f"chips/14/{EAST}.npy"
    np.testing.assert_array_equal(pixels(result, EAST), expected)


def test_the_region_is_all_of_a_frames_polygons(folder, tmp_path):
    parts = [
        shapely.box(-102.02, 40.0, -102.01, 40.01),
        shapely.box(-101.99, 40.02, -101.98, 40.03),
    ]
    region = gpd.GeoDataFrame(geometry=parts, crs="EPSG:4326")
    result = run(tmp_path, ids_of(WEST), region=region)
    bounds = region.segmentize(0.0005).to_crs(CRS["west"]).total_bounds
    assert_is_the_window(result, folder, WEST, CRS["west"], bounds)


@pytest.mark.parametrize(("crs", "name"), [("utm", "EPSG:32614"), ("EPSG:32612", "EPSG:32612")])
def test_another_crs_is_one_grid_for_all(folder, tmp_path, crs, name):
    region = shapely.box(-102.01, 40.0, -101.97, 40.03)
    result = run(tmp_path, region=region, crs=crs, scale=100)
    grids = result.manifest[["crs", "transform", "height", "width"]]
    assert len(grids.drop_duplicates()) == 1
    row = grids.iloc[0]
    assert row["crs"] == name
    assert row["transform"][0] == 100
    assert row["transform"][2] % 100 == row["transform"][5] % 100 == 0
    for item_id in IDS[:3]:
        expected = nearest(
            folder / f"{item_id}.tif", name, row["transform"], (row["height"], row["width"])
        )
        found = pixels(result, item_id)
        # Centres that fall on the edge of two pixels may be either's.
        assert (found == expected).mean() > 0.999


def test_a_scale_keeps_the_origin_of_the_images_own_grid(folder, tmp_path):
    result = run(tmp_path, ids_of(WEST), scale=2 * SCALE, bands=["b2"])
    with rasterio.open(folder / f"{WEST}.tif") as source:
        column, row = ~source.transform @ result.manifest["transform"].iloc[0][2::3]
    assert result.manifest["transform"].iloc[0][0] == 2 * SCALE
    assert column % 2 == pytest.approx(0)
    assert row % 2 == pytest.approx(0)
    assert result.open(WEST).dtype.names[0] == "b2"


def test_images_that_are_outside_or_not_there_are_rows_that_say_so(tmp_path, asked, folder):
    result = run(tmp_path, ids_of(EAST, FAR, "nowhere", WEST))
    assert asked() == 3
    manifest = result.manifest
    assert manifest["status"].tolist() == ["ok", "failed", "failed", "ok"]
    assert manifest["error_kind"].tolist()[1:3] == ["outside", "no_image"]
    assert manifest["attempts"].tolist() == [1, 0, 0, 1]
    assert "footprint does not meet the region" in manifest.loc[FAR, "error"]
    assert "no image with system:index 'nowhere'" in manifest.loc["nowhere", "error"]
    assert f"1 x outside, such as {FAR}: the image's footprint" in result.summary()
    assert_is_the_window(result, folder, EAST)
    assert_is_the_window(result, folder, WEST)


def test_any_number_of_images_outside_does_not_end_a_run(tmp_path, asked):
    far = ee.ImageCollection(TILES).filter(ee.Filter.eq("system:index", FAR)).toList(1)
    many = ee.ImageCollection(ee.List.repeat(far.get(0), 60)).map(lambda image: image)
    numbered = ee.ImageCollection(
        many.toList(60).zip(ee.List.sequence(0, 59)).map(_numbered)
    ).merge(ee.ImageCollection([]))
    ids = eedask.items.image_ids(numbered, geometry=False)
    assert len(ids) == 60
    before = asked()
    result = run(tmp_path, ids, numbered)
    assert (result.manifest["error_kind"] == "outside").all()
    assert asked() - before == 2  # partitions of 50


def _numbered(pair):
    image, number = (ee.List(pair).get(which) for which in (0, 1))
    return ee.Image(image).set("system:index", ee.Number(number).format("n%02d"))


def test_an_image_outside_of_the_region_is_all_masked_if_asked_for(tmp_path):
    result = run(tmp_path, ids_of(EAST, FAR), outside="keep", format="tif")
    assert (result.manifest["status"] == "ok").all()
    assert not pixels(result, FAR).any()
    assert pixels(result, FAR).shape[1] > 10


def test_a_run_stops_where_the_first_images_are_all_not_there(tmp_path, asked):
    with pytest.raises(RunStopped, match=r"first 50 items .* alike.*no image with system"):
        run(tmp_path, ids_of(*(f"n{number}" for number in range(60))))
    assert asked() <= 2


def test_an_index_that_stands_for_several_images_is_a_row_that_says_so(tmp_path):
    twice = ee.ImageCollection(TILES).merge(ee.ImageCollection(TILES))
    same = ee.ImageCollection(twice.toList(9).map(lambda image: ee.Image(image).set(INDEX, "x")))
    result = run(tmp_path, ids_of("x"), same)
    assert "several images with system:index 'x'" in result.manifest.loc["x", "error"]


def test_mapped_collections_keep_their_images(tmp_path, folder):
    more = ee.ImageCollection(TILES).map(lambda image: image.add(1).toUint16())
    result = run(tmp_path, ids_of(EAST), more)
    expected, _ = covering(folder / f"{EAST}.tif", "EPSG:4326", REGION.bounds)
    np.testing.assert_array_equal(pixels(result, EAST), expected + 1)


def test_indices_of_merged_collections_are_those_of_that_very_merging(tmp_path, folder):
    one, other = (
        ee.ImageCollection(TILES).filter(ee.Filter.eq(INDEX, id_)) for id_ in (EAST, WEST)
    )
    ids = eedask.items.image_ids(one.merge(other), geometry=False)
    assert sorted(ids.index) == [f"1_{EAST}", f"2_{WEST}"]
    assert (run(tmp_path, ids, one.merge(other)).manifest["status"] == "ok").all()
    result = run(tmp_path / "other", ids, other.merge(one))
    assert (result.manifest["error_kind"] == "no_image").all()
    assert result.failed["error"].str.contains("indices are made up: take date ranges").all()


def composites():
    """Return a collection of the maximum of each two days, which has no indices of images."""

    def of_days(day):
        start = ee.Date("2020-01-01").advance(day, "day")
        found = ee.ImageCollection(TILES).filterDate(start, start.advance(2, "day"))
        return found.max().set("system:time_start", start.millis())

    return ee.ImageCollection(ee.List([0, 2]).map(of_days))


def test_composites_take_ranges_of_dates_as_items(tmp_path, folder, asked):
    ranges = eedask.items.date_ranges("2020-01-01", "2020-01-07", "2D")
    grid = {"region": shapely.box(-101.99, 40.01, -101.97, 40.03), "crs": "utm", "scale": SCALE}
    result = run(tmp_path, ranges, composites(), **grid)
    assert asked() == 3
    manifest = result.manifest
    assert manifest["status"].tolist() == ["ok", "ok", "failed"], result.failed["error"].tolist()
    assert manifest["error_kind"].iloc[2] == "no_image"
    assert "no image from 2020-01-05 00:00:00+00:00 until" in manifest["error"].iloc[2]
    row = manifest.iloc[0]
    shape = (row["height"], row["width"])
    parts = [nearest(folder / f"{i}.tif", row["crs"], row["transform"], shape) for i in IDS[:2]]
    found = pixels(result, ranges.index[0])
    assert (found == np.maximum(*parts)).mean() > 0.999


def test_a_range_with_several_images_is_a_row_that_says_what_to_do(tmp_path):
    ranges = eedask.items.date_ranges("2020-01-01", "2020-01-04", "2D")
    result = run(tmp_path, ranges)
    assert result.manifest["status"].tolist() == ["failed", "ok"]
    assert "several images from 2020-01-01" in result.manifest["error"].iloc[0]
    assert "mosaic()" in result.manifest["error"].iloc[0]


def test_a_composite_has_no_grid_of_its_own(tmp_path):
    ranges = eedask.items.date_ranges("2020-01-01", "2020-01-03", "2D")
    result = run(tmp_path, ranges, composites())
    assert "no native grid" in result.manifest["error"].iloc[0]
    assert "State crs= and scale=" in result.manifest["error"].iloc[0]


def test_one_bad_image_is_a_row(tmp_path, folder, asked):
    """It stands in the way of the others' question, which is halved until it is alone."""

    def bare(image):
        is_bad = ee.String(image.get(INDEX)).equals(WEST)
        return ee.Image(ee.Algorithms.If(is_bad, image.select([]), image))

    result = run(tmp_path, ids_of(WEST, EAST, PART), ee.ImageCollection(TILES).map(bare))
    assert result.manifest["status"].tolist() == ["failed", "ok", "ok"]
    row = result.manifest.loc[WEST]
    assert row["error_kind"] == "permanent"
    assert "Image.select" in row["error"]
    # Of three, of one and two, and the pixels of two.
    assert asked() == 5


def test_a_wrong_band_is_noticed_before_pixels_are_asked_for(tmp_path, asked):
    result = run(tmp_path, bands=["b1", "nope"])
    assert asked() == 1
    assert result.failed["error"].str.contains(r"no bands \['nope'\]; it has \['b1', 'b2'\]").all()


def test_pictures_of_what_is_no_picture_are_rows_that_say_so(tmp_path, asked):
    result = run(tmp_path, format="png", bands=["b1"])
    assert asked() == 1
    assert result.failed["error"].str.contains("'b1' is int from 0 to 65535.*vis_params").all()
    seen = {"bands": ["b1"], "min": 0, "max": 30_000}
    result = run(tmp_path / "seen", format="png", vis_params=seen)
    assert (result.manifest["status"] == "ok").all()
    # On the sheet, what is masked is neither white nor black, which may be values.
    grey = (np.asarray(result.contact_sheet(columns=3, side=160)) == 225).all(axis=-1)
    assert grey[:160, :320].mean() < 0.05
    assert grey[:160, 340:].mean() > 0.2


def test_a_large_image_comes_in_tiles_that_are_joined(folder, tmp_path, asked):
    plan = images(tmp_path, ids_of(EAST), format="tif")
    limits = replace(PIXEL_LIMITS, bytes=3_000, smallest_side=8)
    image = replace(plan.task.chips.first, limits=limits)
    small = replace(plan.task, chips=replace(plan.task.chips, images=(image,)))
    result = replace(plan, task=small).run(progress=False)
    assert asked() > 4
    assert_is_the_window(result, folder, EAST)


def test_a_run_goes_on_where_it_ended(tmp_path, folder, asked):
    result = run(tmp_path)
    before = asked()
    assert run(tmp_path).manifest["status"].tolist() == ["ok"] * 3
    assert asked() == before
    (tmp_path / "out" / result.manifest.loc[EAST, "path"]).unlink()
    again = run(tmp_path)
    assert asked() - before == 2
    assert_is_the_window(again, folder, EAST)


def test_a_dataset_grows_by_images_and_their_columns_do_not_matter(tmp_path, asked):
    run(tmp_path, ids_of(WEST, EAST))
    before = asked()
    more = ids_of(PART, EAST, WEST).assign(cloud=[1.0, 2.0, 3.0])
    result = images(tmp_path, more).run(progress=False, extend=True)
    assert asked() - before == 2
    assert (result.manifest["status"] == "ok").all()


def test_a_folder_of_another_plan_is_refused(tmp_path):
    images(tmp_path).bag()
    others = {
        'region: there "Polygon': {"region": REGION.buffer(0.01)},
        'outside: there "skip", asked "keep"': {"outside": "keep"},
        "scale: there null, asked 30": {"scale": 30},
        "collection: not the same": {"collection": ee.ImageCollection(TILES).limit(9)},
    }
    for words, change in others.items():
        with pytest.raises(DatasetError, match=words):
            run(tmp_path, **change)


def test_the_work_can_be_sent_to_workers(tmp_path):
    task = images(tmp_path).task
    assert not task.needs_client
    assert pickle.loads(pickle.dumps(task)) == task


@pytest.fixture
def readings(request, tiles):
    tiles.set_readings(request.param)
    yield
    tiles.set_readings(None)


@under_all(quick=("all-other",))
def test_images_are_the_same_however_earth_engine_is_read(readings, folder, tmp_path):
    patient = eedask.RetryPolicy(tries=30, delay=0.02, max_delay=0.1, jitter=(0, 0.02))
    result = run(tmp_path, ids_of(*IDS, "nowhere"), format="tif", retry=patient)
    assert result.manifest["error_kind"].tolist()[3:] == ["outside", "no_image"]
    for item_id in (WEST, EAST):
        assert_is_the_window(result, folder, item_id)


@pytest.mark.slow
def test_the_example_leaves_pictures_and_a_sheet(tmp_path):
    script = Path(__file__).parents[2] / "examples/images_over_a_city.py"
    command = [sys.executable, str(script), "--out", str(tmp_path / "city"), "--end", "2023-06-04"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 ok, 0 failed" in done.stdout
    assert len(list((tmp_path / "city/chips").glob("*.png"))) == 3
    with Image.open(tmp_path / "city/city.png") as sheet:
        # The pictures are 445 x 644 pixels: a row is as high as they are, and their labels.
        assert sheet.size == (3 * 246 + 6, round(240 * 445 / 644) + 18 + 2 * 6)


NEAR = pd.DataFrame({"place": [1], "rank": [0], "id": ["x"]}, index=["1_x"])
BACKWARDS = pd.DataFrame(
    {
        "start": pd.to_datetime(["2020", None], utc=True),
        "end": pd.to_datetime(["2021"] * 2),
    }
)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"ids": ["x"]}, ItemsError, "items is a GeoDataFrame"),
        ({"ids": ids_of()}, ItemsError, "there are no items"),
        ({"ids": ids_of("x", "x")}, ItemsError, "ids stand twice"),
        (
            {"ids": pd.DataFrame(index=[1, 2])},
            ItemsError,
            "index of ids holds system:index.*integer",
        ),
        ({"ids": pd.DataFrame({"path": [1]}, index=["x"])}, ItemsError, "the manifest's own"),
        ({"ids": NEAR}, ItemsError, r"image_ids\(…, near=\).*eedask\.chips\(items, lambda item"),
        ({"ids": BACKWARDS}, ItemsError, "an end after it; not so 1"),
        ({"ids": BACKWARDS.astype(str)}, ItemsError, "make datetimes of both"),
        ({"collection": 5}, InputError, "collection is an ee.ImageCollection; got int"),
        ({"collection": lambda item: item}, InputError, "ee.ImageCollection; got function"),
        ({"region": None}, ItemsError, "region is a GeoDataFrame.*got NoneType"),
        ({"region": shapely.Point(1, 1)}, ItemsError, "regions without area"),
        ({"region": shapely.box(1e5, 1e5, 2e5, 2e5)}, ItemsError, "do not fit their crs"),
        ({"region": gpd.GeoSeries([REGION])}, ItemsError, "no crs"),
        ({"outside": "drop"}, InputError, "outside is 'skip' or 'keep'; got 'drop'"),
        ({"scale": -1}, InputError, "positive number of metres"),
        ({"crs": "utm"}, InputError, "crs='utm' needs a scale"),
        ({"crs": "EPSG:99999999", "scale": 1}, InputError, "is not a crs"),
        ({"format": "bmp"}, InputError, "format='bmp' is not known"),
        ({"format": "png", "bands": ["a", "b"]}, InputError, "1 or 3 bands"),
        ({"vis_params": {"max": 1}}, InputError, "holds data"),
        ({"folder_by": "nope"}, ItemsError, "not a column of the items"),
        (
            {"ids": ids_of("a", "b").assign(zone=["n", None]), "folder_by": ["zone"]},
            ItemsError,
            "folder_by='zone' has no value for 1 of the items: 'b'; .*folder_missing='unknown'",
        ),
        ({"method": "pigeon"}, InputError, "is not known; choose one of"),
        ({"concurrency": 0}, InputError, "whole number of requests at once"),
        ({"rate": 0}, InputError, "positive number of requests a second"),
        ({"deadline": 0}, InputError, "positive number of seconds"),
        ({"endpoint": "low"}, InputError, "endpoint"),
        ({"partition_size": 0}, InputError, "whole number of items"),
        ({"out": None}, InputError, "^out"),
    ],
)
def test_arguments_that_cannot_be_used(tmp_path, asked, change, error, words):
    with pytest.raises(error, match=words):
        images(tmp_path, **change)
    assert asked() == 0
    assert not (tmp_path / "out").exists()
