"""Heights, land cover and surface water: the catalogue's facts, and one world behind them."""

import datetime as dt
import subprocess
import sys
import zlib

import numpy as np
import pytest
import shapely
from affine import Affine
from scipy import ndimage

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import elevation_models, land_cover
from eedask.emulator.catalog.datasets.photographs import Photograph
from eedask.emulator.catalog.world import coastline
from eedask.emulator.catalog.world.coast import coast_distance
from eedask.emulator.catalog.world.land_plane import degrees, metres
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.raster import Grid, Places, Projection

CATALOG = Catalog()
SRTM = CATALOG.load_image("USGS/SRTMGL1_003")
NASADEM = CATALOG.load_image("NASA/NASADEM_HGT/001")
WATER = CATALOG.load_image("JRC/GSW1_4/GlobalSurfaceWater")
COVER = CATALOG.load_image("ESA/WorldCover/v200/2021")
# Rivers and fields, a coast with towns, mountains with lakes, desert.
PLACES = [(12.4, 45.0), (-122.4, 37.8), (-106.0, 39.5), (-115.9, 33.3)]


def grid(lon, lat, scale=30.0, size=256):
    """Return a grid of degrees around a place."""
    step = scale / 111_195
    half = step * size / 2
    return Grid("EPSG:4326", Affine(step, 0, lon - half, 0, -step, lat + half), size, size)


def read(image, band, on):
    return next(b for b in image.bands if b.id == band).read(on)


@pytest.mark.parametrize(
    ("image", "bands", "transform", "size"),
    [
        (SRTM, {"elevation": "int16"},
         (1 / 3600, 0, -180 - 1 / 7200, 0, -1 / 3600, 60 + 1 / 7200), (1296001, 417601)),
        (NASADEM, {"elevation": "int16", "num": "uint8", "swb": "uint8"},
         (1 / 3600, 0, -180 - 1 / 7200, 0, -1 / 3600, 60 + 1 / 7200), (1296001, 417601)),
        (COVER, {"Map": "uint8"}, (1 / 12000, 0, -180, 0, -1 / 12000, 84), (4320000, 1728000)),
        (WATER, {"occurrence": "uint8", "change_abs": "int8", "change_norm": "int8",
                 "seasonality": "uint8", "recurrence": "uint8", "transition": "uint8",
                 "max_extent": "uint8"}, (0.00025, 0, -180, 0, -0.00025, 80), (1440000, 560000)),
    ],
)  # fmt: skip
def test_bands_and_grids_are_those_of_the_public_catalogue(image, bands, transform, size):
    assert {band.id: band.type.dtype.name for band in image.bands} == bands
    for band in image.bands:
        assert band.projection.crs == "EPSG:4326"
        assert band.projection.transform == pytest.approx((*transform, 0, 0, 1))
        assert band.dimensions == size
    assert image.properties["eedask:synthetic"] == 1


def test_assets_are_described_and_listed():
    assert CATALOG.asset("USGS/SRTMGL1_003")["type"] == "IMAGE"
    assert CATALOG.asset("ESA/WorldCover/v200")["type"] == "IMAGE_COLLECTION"
    listed = list(CATALOG.list_assets("ESA/WorldCover/v100"))
    assert [asset["id"] for asset in listed] == ["ESA/WorldCover/v100/2020"]
    assert listed[0]["startTime"] == "2020-01-01T00:00:00Z"
    properties = CATALOG.load_image("ESA/WorldCover/v200/2021").properties
    assert properties["Map_class_values"] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]
    assert len(properties["Map_class_names"]) == len(properties["Map_class_palette"]) == 11


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.cross(3)
def test_water_is_water_in_each(place):
    on = grid(*place)
    cover = read(COVER, "Map", on).values == land_cover.WATER
    often = read(WATER, "occurrence", on)
    body = read(NASADEM, "swb", on).values == 255
    occurrence = np.where(often.mask > 0, often.values, 0)
    # Away from shores, where pixels of different sizes cannot but differ.
    inside = ndimage.binary_erosion(cover, iterations=2)
    outside = ndimage.binary_erosion(~cover, iterations=3)
    assert inside.sum() == 0 or (occurrence[inside] >= 90).mean() > 0.995
    assert inside.sum() == 0 or body[inside].mean() > 0.995
    assert (occurrence[outside] >= 50).mean() < 0.005
    assert body[outside].mean() < 0.005
    extent = read(WATER, "max_extent", on)
    assert (extent.mask == 1).all()
    np.testing.assert_array_equal(extent.values == 1, often.mask > 0)


def test_there_is_water_to_agree_on():
    shares = [(read(COVER, "Map", grid(*p)).values == land_cover.WATER).mean() for p in PLACES]
    assert shares[0] > 0.01
    assert shares[1] > 0.3
    assert shares[3] < 0.05


def test_two_measurements_of_one_relief():
    for place in PLACES:
        on = grid(*place)
        one, other = read(SRTM, "elevation", on), read(NASADEM, "elevation", on)
        apart = np.abs(one.values.astype(float) - other.values)
        assert apart.max() <= 3
        assert (one.values[read(COVER, "Map", on).values == 80] >= 0).all()
    mountains = read(SRTM, "elevation", grid(-106.0, 39.5)).values
    plains = read(SRTM, "elevation", grid(-93.5, 42.1)).values
    assert mountains.mean() > 2500
    assert np.ptp(mountains) > 200 > np.ptp(plains)


def test_the_sea_is_level_and_the_open_sea_not_measured():
    on = grid(-122.75, 37.6)  # within a degree of land
    sea = read(COVER, "Map", on).values == land_cover.WATER
    heights = read(SRTM, "elevation", on)
    assert sea.mean() > 0.95
    assert heights.mask.all()
    assert (heights.values[ndimage.binary_erosion(sea, iterations=2)] == 0).all()
    assert not read(SRTM, "elevation", grid(-140.0, 30.0)).mask.any()
    assert not read(SRTM, "elevation", grid(20.0, 65.0)).mask.any()  # north of the mission


def test_the_coast_is_where_the_outlines_are():
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(9, 14, 800), rng.uniform(41, 46, 800)
    shapes = list(coastline.land())
    tree = shapely.STRtree(shapes)
    points = shapely.points(lon, lat)
    exact = np.zeros(len(lon), bool)
    exact[tree.query(points, "intersects")[0]] = True
    found = np.array([coast_distance(lon[i : i + 1], lat[i : i + 1])[0] for i in range(len(lon))])
    sure = np.abs(found) > 700
    assert sure.mean() > 0.8
    np.testing.assert_array_equal(found[sure] > 0, exact[sure])


def test_the_coast_does_not_depend_on_what_is_asked_for_around_it():
    lon, lat = np.meshgrid(np.linspace(11.9, 13.1, 300), np.linspace(45.6, 44.4, 300))
    whole = coast_distance(lon, lat)
    part = coast_distance(lon[100:150, 130:200], lat[100:150, 130:200])
    np.testing.assert_array_equal(part, whole[100:150, 130:200])
    assert (whole > 0).any()
    assert (whole < 0).any()


def test_photographs_show_the_same_sea_as_the_maps():
    """A photograph's near infrared is darkest where the map has water."""
    left, top = 552_000, 4_184_000  # the entrance of the bay of San Francisco, UTM zone 10
    source = Photograph(10, left, top, 6000, 6000, dt.date(2020, 7, 1))
    infrared = native_pixels(source, 3, 3, Window(0, 0, 512, 512)).values
    on = Grid("EPSG:32610", Affine(8, 0, left, 0, -8, top), 512, 512)
    water = read(COVER, "Map", on).values == land_cover.WATER
    assert 0.05 < water.mean() < 0.95
    inside = ndimage.binary_erosion(water, iterations=3)
    outside = ndimage.binary_erosion(~water, iterations=3)
    assert infrared[inside].mean() < 0.5 * infrared[outside].mean()


@pytest.mark.parametrize("image", [SRTM, NASADEM, WATER, COVER], ids=lambda i: i.id)
def test_a_pixel_is_the_same_on_every_grid(image):
    whole = grid(-122.42, 37.8, scale=111_195 / 3600, size=200)
    t = whole.transform
    rows, cols = slice(61, 151), slice(37, 107)
    part = Grid(whole.crs, t * Affine.translation(37, 61), 70, 90)
    for band in image.bands:
        everything, some = band.read(whole), band.read(part)
        np.testing.assert_array_equal(some.values, everything.values[rows, cols])
        np.testing.assert_array_equal(some.mask, everything.mask[rows, cols])


@pytest.mark.slow
def test_pixels_are_the_same_in_another_process():
    code = (
        "import zlib; from affine import Affine; from eedask.emulator.catalog import Catalog;"
        "from eedask.emulator.pixels.raster import Grid;"
        "on = Grid('EPSG:32633', Affine(30, 0, 250000, 0, -30, 5000000), 128, 128);"
        "ids = ['USGS/SRTMGL1_003', 'ESA/WorldCover/v200/2021'];"
        "print([zlib.crc32(Catalog().load_image(i).bands[0].read(on).values.tobytes())"
        " for i in ids])"
    )
    on = Grid("EPSG:32633", Affine(30, 0, 250000, 0, -30, 5000000), 128, 128)
    here = [zlib.crc32(image.bands[0].read(on).values.tobytes()) for image in (SRTM, COVER)]
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert there.stdout.strip() == str(here)


@pytest.mark.slow
def test_maps_of_the_world_are_recognisable():
    on = Grid("EPSG:4326", Affine(1.0, 0, -180, 0, -1.0, 60), 360, 116)
    heights, cover = read(SRTM, "elevation", on), read(COVER, "Map", on)

    def at(pixels, lon, lat):
        return pixels.values[60 - lat - 1, lon + 180]

    assert at(cover, 10, 24) == land_cover.BARE
    assert at(cover, -40, 30) == land_cover.WATER
    assert at(cover, -62, -6) == land_cover.TREES
    assert at(heights, 88, 33) > 3000
    assert heights.mask[:, 140].mean() < 0.4  # 40 W: mostly ocean


def test_the_plane_and_degrees_go_there_and_back():
    lon, lat = np.array([-120.0, 0.0, 33.0]), np.array([60.0, -1.0, -45.0])
    back = degrees(*metres(lon, lat))
    np.testing.assert_allclose(back, (lon, lat), atol=1e-9)
    assert Projection("EPSG:4326").transform.is_identity


# Inland, on coasts, among islands, at the date line, far north; all over the world.
@pytest.mark.parametrize(
    "box",
    [
        (-103.0, 39.0, 0.05),
        (-122.6, 37.5, 0.3),
        (-70.6, 42.0, 0.5),
        (10.0, 54.0, 1.0),
        (178.0, -18.0, 3.0),
        (-75.0, 59.2, 0.7),
        (-180.0, -55.0, 110.0),
    ],
)
@pytest.mark.parametrize("level", [0, 4])
def test_points_have_the_heights_of_the_tiles_around_them(box, level):
    """Cells by themselves against whole tiles of cells, to the bit; near coasts as well."""
    west, south, side = box
    random = np.random.default_rng(level)
    lon, lat = random.uniform((west, south), (west + side, south + side), (4, 2)).T
    lon, lat = (lon + 180) % 360 - 180, np.clip(lat, -55.9, 59.9)
    size = 2**level / 3600
    cols = np.floor((lon + 180 + 0.5 / 3600) / size).astype(np.int64)
    rows = np.floor((60 + 0.5 / 3600 - lat) / size).astype(np.int64)
    for measure, points in (
        (elevation_models._heights, elevation_models._srtm_points),
        (elevation_models._nasadem, elevation_models._nasadem_points),
    ):
        found = points("elevation", level, cols, rows)
        for k, (col, row) in enumerate(zip(cols.tolist(), rows.tolist(), strict=True)):
            whole = measure("elevation", level, Window(col - 2, row - 1, 5, 4))
            assert found.values[0, k] == whole.values[1, 2]
            assert found.mask[0, k] == whole.mask[1, 2]


@pytest.mark.parametrize("scale", [10.0, 45.0, 300.0, 30_000.0])
def test_tables_take_points_from_grids_as_pictures_do(scale):
    """``read.points`` against reading the grid: levels, edges of the raster and all."""
    random = np.random.default_rng(1)
    rows, cols = random.integers(0, 40, (2, 30))
    band = SRTM.bands[0]
    for lon, lat in [*PLACES[::2], (12.5, 60.0)]:
        degrees_grid = grid(lon, lat, scale, 40)
        utm = Grid("EPSG:32633", Affine(scale, 0, 4e5, 0, -scale, 5e6), 40, 40)
        for on in (degrees_grid, utm):
            whole = band.read(on)
            points = band.read.points([Places(on, rows, cols), Places(on, cols, rows)])
            if points is None:
                assert scale == 30_000
                continue
            masks = np.concatenate([whole.mask[rows, cols], whole.mask[cols, rows]])
            values = np.concatenate([whole.values[rows, cols], whole.values[cols, rows]])
            assert np.array_equal(points.mask[0], masks)
            assert np.array_equal(points.values[0][masks > 0], values[masks > 0])
