"""Chips on every kind of grid equal what rasterio reads of the mounted raster there."""

import ee
import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.warp
import shapely
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mounted import FIELD, SCENE
from oracle import native_window, nearest, place
from rasterio.windows import Window, from_bounds

import eedask
from eedask.errors import InputError

pytestmark = pytest.mark.usefixtures("threads")

# The fixtures are the same for all examples: an emulator, files, and the client. An example is a
# run, too slow for many to be tried in order to find the smallest that fails.
few = settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
places = st.tuples(st.floats(-0.02, 1.02), st.floats(-0.02, 1.02))
sides = st.tuples(st.integers(1, 40), st.integers(1, 40))
ALBERS = pyproj.CRS("+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=37.5 +lon_0=-96 +datum=WGS84")
LANDSAT = "LANDSAT/LC08/C02/T1_L2"


def on(path, found):
    """Return points at places of a raster, from 0 to 1 of its width and height, in its crs."""
    with rasterio.open(path) as source:
        left, bottom, right, top = source.bounds
        x, y = np.array(found).T
        shapes = shapely.points(left + x * (right - left), bottom + y * (top - bottom))
        return gpd.GeoDataFrame(geometry=shapes, crs=source.crs)


def run(items, image, out, **asked):
    plan = eedask.chips(items, image, out=out, format="tif", **asked)
    result = plan.run(progress=False, overwrite=True)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    return result


def opened(result):
    for item_id in result.manifest.index:
        with result.open(item_id) as chip:
            yield item_id, chip, chip.read(masked=True).filled(0)


@few
@given(
    asset=st.sampled_from([SCENE, FIELD]),
    way=st.sampled_from(["native", "crs_transform"]),
    found=st.lists(places, min_size=6, max_size=6),
    shape=sides,
)
def test_pixels_of_the_rasters_own_grid_are_rasterios_window(
    earth_engine, rasters, tmp_path, asset, way, found, shape
):
    path = {SCENE: rasters.scene, FIELD: rasters.field}[asset]
    items = on(path, found)
    with rasterio.open(path) as source:
        crs, transform = source.crs, source.transform
    own = {"crs": "native"} if way == "native" else {"crs": crs, "crs_transform": transform}
    result = run(items, ee.Image(asset), tmp_path, shape=shape, **own)
    degrees = items.to_crs("EPSG:4326").geometry
    for item_id, chip, values in opened(result):
        point = degrees[item_id]
        expected, placed = native_window(path, point.x, point.y, shape)
        np.testing.assert_array_equal(values, expected)
        assert chip.transform.almost_equals(placed, 1e-6)
        # Where the point lies in it, counted by rasterio: the rule that the docstring states.
        xy = items.geometry[item_id]
        column, row = place(~chip.transform, xy.x, xy.y)
        for at, side in ((row, shape[0]), (column, shape[1])):
            if side % 2:
                assert np.floor(at + 1e-6) == side // 2 or np.floor(at - 1e-6) == side // 2
            else:
                assert abs(at - side / 2) <= 0.5 + 1e-6


@few
@given(
    grid=st.sampled_from(
        [
            *(("utm", 5), ("EPSG:26914", 20 / 3), ("native", 2.5)),
            *(("EPSG:5070", 4), ("EPSG:4326", 5), (ALBERS, 4.2)),
        ]
    ),
    found=st.lists(places, min_size=6, max_size=6),
    shape=sides,
)
def test_pixels_of_another_grid_are_the_nearest_of_the_raster(
    earth_engine, rasters, tmp_path, grid, found, shape
):
    crs, scale = grid
    items = on(rasters.scene, found)
    result = run(items, ee.Image(SCENE), tmp_path, shape=shape, crs=crs, scale=scale)
    for _, chip, values in opened(result):
        assert chip.shape == shape
        wrong = values != nearest(rasters.scene, chip.crs, chip.transform, shape)
        if wrong.any():
            # A centre on the edge of a pixel, to a thousandth of it, may fall to either side.
            a, b, c, d, e, f = tuple(chip.transform)[:6]
            off = [(x, y) for x in (-1e-3, 1e-3) for y in (-1e-3, 1e-3)]
            shifted = [(a, b, c + x * a, d, e, f + y * e) for x, y in off]
            each = [values == nearest(rasters.scene, chip.crs, one, shape) for one in shifted]
            assert np.any(each, axis=0)[wrong].all()
        # Corners lie on multiples of the pixel's size, from the crs's origin or the raster's.
        origin = np.array([500003.0, 4700001.0]) if crs == "native" else np.zeros(2)
        steps = (np.array([chip.transform.c, chip.transform.f]) - origin) / chip.transform.a
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)


@few
@given(
    corner=places,
    size=st.tuples(st.floats(1, 150), st.floats(1, 150)),
    buffer=st.none() | st.floats(1, 60),
)
def test_boxes_with_a_buffer_are_rasterios_window_of_their_bounds(
    earth_engine, rasters, tmp_path, corner, size, buffer
):
    (point,) = on(rasters.scene, [corner]).geometry
    box = shapely.box(point.x, point.y, point.x + size[0], point.y + size[1])
    with rasterio.open(rasters.scene) as source:
        items = gpd.GeoDataFrame(geometry=[box], crs=source.crs)
        own = {"crs": source.crs, "crs_transform": source.transform}
        exact = from_bounds(*box.buffer(buffer or 0).bounds, source.transform)
        left, top = np.floor([exact.col_off + 1e-6, exact.row_off + 1e-6])
        right = np.ceil(exact.col_off + exact.width - 1e-6)
        bottom = np.ceil(exact.row_off + exact.height - 1e-6)
        window = Window(left, top, right - left, bottom - top)
        expected = source.read(window=window, boundless=True, fill_value=0)
        placed = source.window_transform(window)
    result = run(items, ee.Image(SCENE), tmp_path, buffer=buffer, **own)
    ((_, chip, values),) = opened(result)
    np.testing.assert_array_equal(values, expected)
    assert chip.transform.almost_equals(placed, 1e-6)


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "asked",
    [
        {"shape": (20, 21), "crs": "EPSG:32614", "scale": 30},
        {"shape": (20, 21), "crs": "EPSG:5070", "scale": 30},
        {"region": 300.0, "crs": "EPSG:5070", "scale": 30},
    ],
    ids=["own-crs", "other-crs", "region"],
)
@pytest.mark.cross(3)
def test_interpolated_pixels_are_rasterios(earth_engine, rasters, tmp_path, how, asked):
    items = on(rasters.field, [(0.2, 0.3), (0.8, 0.8)])
    image = ee.Image(FIELD).select(0)
    of_item = asked["crs"] == "EPSG:5070"
    given_ = (lambda item: image.updateMask(item.geometry.area(1).gte(0))) if of_item else image
    result = run(items, given_, tmp_path, resampling=how, **asked)
    kind = {"bilinear": "bilinear", "bicubic": "cubic"}[how]
    for _, chip, values in opened(result):
        expected = np.full(chip.shape, np.nan, np.float32)
        with rasterio.open(rasters.field) as source:
            rasterio.warp.reproject(
                rasterio.band(source, 1),
                expected,
                dst_transform=chip.transform,
                dst_crs=chip.crs,
                resampling=rasterio.enums.Resampling[kind],
                tolerance=0,
            )
        np.testing.assert_allclose(values[0], expected, atol=0.05)
        assert not np.allclose(
            values[0], nearest(rasters.field, chip.crs, chip.transform, chip.shape)[0]
        )


def test_a_composite_is_not_interpolated_and_the_error_says_what_to_do(earth_engine, tmp_path):
    items = gpd.GeoDataFrame(geometry=[shapely.Point(-105, 40)], crs="EPSG:4326")
    asked = {"out": tmp_path, "shape": (4, 4), "scale": 30, "resampling": "bilinear"}
    scenes = ee.ImageCollection(LANDSAT).filterDate("2019", "2020")
    composites = [
        scenes.median().select("SR_B4").toUint16(),
        lambda item: scenes.filterBounds(item.geometry).mosaic().multiply(2),
        scenes.reduce(ee.Reducer.mean()).normalizedDifference(["SR_B4_mean", "SR_B3_mean"]),
    ]
    for image in composites:
        with pytest.raises(InputError, match=r"a composite \(.*collection.map"):
            eedask.chips(items, image, **asked)
    with_pixels = scenes.median().setDefaultProjection("EPSG:32613", None, 30)
    for image in (with_pixels, scenes.first(), ee.Image(FIELD).multiply(2)):
        eedask.chips(items, image, **asked)


def test_landsat_on_multiples_of_30_m_is_told_to_be_moved_and_how_not_to(earth_engine, tmp_path):
    scenes = ee.ImageCollection(LANDSAT).filterDate("2018-06", "2018-09")
    image = ee.Image(scenes.first()).select("SR_B4")
    (x, y), zone = ee.List(
        [image.geometry().centroid(1).coordinates(), image.projection().crs()]
    ).getInfo()
    items = gpd.GeoDataFrame(geometry=[shapely.Point(x, y)], crs="EPSG:4326")
    items = items.to_crs(zone).buffer(1).centroid.to_frame("geometry")
    moved = eedask.chips(items, image, out=tmp_path / "a", shape=(8, 9), crs="utm", scale=30)
    assert any("crs='native'" in note and LANDSAT in note for note in moved.notes)
    assert "note: crs='utm' puts" in repr(moved)
    own = {"crs": zone, "crs_transform": (30, 0, 15, 0, -30, 15)}
    found = []
    for name, asked in (("native", {"crs": "native"}), ("own", own)):
        plan = eedask.chips(items, image, out=tmp_path / name, shape=(8, 9), format="tif", **asked)
        assert plan.notes == ()
        ((_, chip, values),) = opened(plan.run(progress=False))
        found.append((chip.transform, values))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for asked in ({"crs": "utm", "scale": 10}, {"crs": "EPSG:5070", "scale": 30}):
        assert eedask.chips(items, image, out=tmp_path, shape=(8, 9), **asked).notes == ()
    field = eedask.chips(items, ee.Image(FIELD), out=tmp_path, shape=(8, 9), crs="utm", scale=30)
    assert field.notes == ()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"crs_transform": (1, 0, 0, 0, -1)}, "six numbers"),
        ({"crs_transform": "abcdef"}, "six numbers"),
        ({"crs_transform": (0, 0, 0, 0, 0, 0)}, "no finite size"),
        ({"crs_transform": (30, 0, 15, 0, -30, 15), "scale": 30}, "without scale="),
        ({"crs_transform": (30, 0, 15, 0, -30, 15), "crs": None}, "state crs="),
        ({"crs_transform": (30, 0, 15, 0, -30, 15), "crs": "native"}, "transform of its own"),
        ({"crs_transform": (30, 0, 15, 0, -30, 15), "region": 5}, "cannot be given with region="),
        ({"scale": 30, "buffer": -1, "shape": None}, "positive number of metres; got -1"),
        ({"scale": 30, "buffer": 10}, "give only one"),
        ({"scale": 30, "buffer": 10, "region": 5, "shape": None}, "cannot be given with region="),
        ({"scale": 30, "resampling": "cubic"}, "'cubic' is not known"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(earth_engine, points, tmp_path, asked, words):
    asked = {"crs": "utm", "shape": (4, 4), **asked}
    with pytest.raises(InputError, match=words):
        eedask.chips(points, ee.Image(SCENE), out=tmp_path, **asked)


def test_points_with_a_buffer_have_an_extent(earth_engine, points, tmp_path):
    result = run(points.iloc[:2], ee.Image(SCENE), tmp_path, crs="utm", scale=5, buffer=20)
    assert result.manifest[["height", "width"]].isin([8, 9]).all(axis=None)
