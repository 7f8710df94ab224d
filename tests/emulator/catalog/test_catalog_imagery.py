"""The synthetic images: their index, and pixels that depend on the place alone."""

import datetime as dt
import subprocess
import sys
import zlib

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import naip, photographs
from eedask.emulator.catalog.datasets.modis import Period
from eedask.emulator.catalog.datasets.photographs import Photograph
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world import outlines
from eedask.emulator.catalog.world.land_plane import metres
from eedask.emulator.catalog.world.landscape import land, land_at
from eedask.emulator.catalog.world.surface import Cells, Scattered
from eedask.emulator.catalog.world.terrain import is_land
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
NAIP = "USDA/NAIP/DOQQ"
DAY = dt.date(2019, 7, 20)
YEAR_2019 = {"start": millis(dt.date(2019, 1, 1)), "end": millis(dt.date(2020, 1, 1))}


def scenes(lon, lat, **query):
    bounds = (lon, lat, lon, lat)
    return list(CATALOG.load_collection(NAIP).elements(Query(bounds=bounds, **query)))


def photograph(zone=13, left=480_000, top=4_400_000, date=DAY):
    return Photograph(zone, left, top, 6000, 7000, date)


def test_every_point_of_colorado_was_flown_in_2019():
    rng = np.random.default_rng(5)
    for lon, lat in rng.uniform((-109.0, 37.05), (-102.1, 40.95), (40, 2)):
        point = shapely.Point(lon, lat)
        found = [s for s in scenes(lon, lat, **YEAR_2019) if s.footprint.shape.contains(point)]
        assert 1 <= len(found) <= 4
        assert all(s.properties["eedask:synthetic"] == 1 for s in found)


def test_names_follow_the_real_scheme():
    found = {s.properties["system:index"] for s in scenes(-105.97, 39.03)}
    flown = sorted(int(name[-8:-4]) for name in found)
    assert all(name.startswith("m_3910557_sw_13_1_") for name in found if "3910557" in name)
    # The south-west corner of the block is its 57th quadrangle.
    assert any("3910557" in name for name in found)
    assert flown[0] >= 2003
    assert flown[-1] <= 2023


@settings(max_examples=50, deadline=None)
@given(st.integers(-1990, -1070), st.integers(400, 780), st.dates(dt.date(2003, 1, 1)))
def test_names_are_read_back(x, y, date):
    quad = naip.Quad(x, y)
    index = f"m_{quad.name}_{quad.zone:02d}_1_{date:%Y%m%d}"
    assert naip.parse(index) == (quad, date)


def test_scenes_load_by_id_and_unknown_ones_do_not():
    image = scenes(-105.3, 39.7)[0]
    same = CATALOG.load_image(f"projects/earthengine-public/assets/{image.id}")
    assert same.properties == image.properties
    assert same.band_names == ["R", "G", "B", "N"]
    for wrong in ("m_3910501_nw_13_1_20190230", "m_3910501_nw_12_1_20190701", "x"):
        with pytest.raises(EarthEngineError, match="not found"):
            CATALOG.load_image(f"{NAIP}/{wrong}")
    query = Query(equals={"system:index": image.properties["system:index"]})
    assert [i.id for i in CATALOG.load_collection(NAIP).elements(query)] == [image.id]


def test_the_collection_is_lazy_and_in_order_of_names():
    elements = CATALOG.load_collection(NAIP).elements()
    first = [next(elements).properties["system:index"] for _ in range(50)]
    assert first == sorted(first, key=lambda name: (name[:15], name[-8:]))


def test_scenes_overlap_and_cover_their_quarter_quadrangle():
    for image in scenes(-105.0, 39.0, **YEAR_2019):
        quad, _ = naip.parse(image.properties["system:index"])
        assert image.footprint.shape.buffer(1e-6).contains(shapely.box(*quad.bounds))
        assert image.footprint.shape.contains(shapely.Point(-105.0, 39.0))


def test_a_pixel_is_the_same_in_every_window():
    source = photograph()
    rng = np.random.default_rng(1)
    for level in (0, 0, 0, 1, 3):
        size = 2**level
        col, row = rng.integers(0, 6000 // size - 400, 2).tolist()
        whole = native_pixels(source, 1, level, Window(col, row, 390, 150)).values
        for _ in range(4):
            c, r = rng.integers(0, 300), rng.integers(0, 100)
            part = native_pixels(
                source, 1, level, Window(col + int(c), row + int(r), 77, 41)
            ).values
            np.testing.assert_array_equal(part, whole[r : r + 41, c : c + 77])


def test_a_pixel_is_the_same_in_neighbouring_scenes():
    one = native_pixels(photograph(), 0, 0, Window(5000, 100, 256, 256)).values
    other = native_pixels(photograph(left=485_000 - 37), 0, 0, Window(37, 100, 256, 256)).values
    np.testing.assert_array_equal(one, other)
    assert one.std() > 3  # it is a picture of something


@pytest.mark.parametrize("level", range(6))
@pytest.mark.parametrize(
    ("lon", "lat"),
    [(-103, 39.5), (-95, 42), (-105, 39.7), (-96.9, 32.9), (-80.3, 36), (-106, 39), (-110, 37.5)],
)
@pytest.mark.cross(4)
def test_land_at_pixels_is_that_of_boxes_with_them(lon, lat, level):
    """Plains, farms, hedges, towns, forests, mountains: by themselves and in boxes, to the bit."""
    x, south = metres(np.array([lon]), np.array([lat]))
    col, row = int(x[0]) >> level, int(south[0]) >> level
    random = np.random.default_rng(level)
    cols, rows = random.integers(0, 400, 150), random.integers(0, 300, 150)
    found = land_at(Scattered(level, col + cols, row + rows), 2017)
    box = land(Cells(level, col, row, 400, 300), 2017)
    assert np.array_equal(found.kind[0], box.kind[rows, cols])
    assert np.array_equal(found.light[0], box.light[rows, cols])
    for k in range(0, 150, 50):
        one = land(Cells(level, col + int(cols[k]), row + int(rows[k]), 1, 1), 2017)
        assert (one.kind[0, 0], one.light[0, 0]) == (found.kind[0, k], found.light[0, k])


def test_no_land_is_drawn_at_pixels_near_coasts_or_on_large_ones():
    x, south = metres(np.array([-122.4]), np.array([37.6]))
    cols, rows = x.astype(np.int64), south.astype(np.int64)
    assert land_at(Scattered(0, cols, rows), 2017) is None
    assert land_at(Scattered(6, cols >> 6, rows >> 6), 2017) is None


def test_photographs_of_a_year_are_drawn_together_as_they_are_alone(monkeypatch):
    rng = np.random.default_rng(5)
    here, beside = photograph(), photograph(14, 120_000, 4_400_000, DAY + dt.timedelta(3))
    before = photograph(date=DAY.replace(year=2013))
    parts = [
        (source, level, rng.integers(0, 6000 >> level, 9), rng.integers(0, 7000 >> level, 9))
        for source in (here, beside, before)
        for level in (0, 2)
    ]
    calls = []
    draw = photographs.land_at
    monkeypatch.setattr(photographs, "land_at", lambda *args: calls.append(1) or draw(*args))
    photographs._scene_at.cache_clear()
    Photograph.read_ahead(parts)
    together = [source.read_points(1, *where).values for source, *where in parts]
    assert len(calls) == 4  # levels and years
    photographs._scene_at.cache_clear()
    photographs._AHEAD.clear()
    alone = [source.read_points(1, *where).values for source, *where in parts]
    assert len(calls) == 4 + len(parts)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("level", [0, 2, 4])
@pytest.mark.parametrize("zone", [11, 13, 17])
def test_points_of_a_photograph_are_those_of_its_windows(zone, level):
    source = photograph(zone, 480_003, 4_400_001)
    random = np.random.default_rng(zone)
    cols = random.integers(0, 6000 >> level, 40)
    rows = random.integers(0, 7000 >> level, 40)
    cols[:20], rows[:20] = 90 + cols[:20] % 60, 70 + rows[:20] % 60
    for band in (0, 3):
        found = source.read_points(band, level, cols, rows)
        near = native_pixels(source, band, level, Window(90, 70, 60, 60)).values
        assert np.array_equal(found.values[0, :20], near[rows[:20] - 70, cols[:20] - 90])
        for k in range(20, 40, 4):
            one = native_pixels(source, band, level, Window(int(cols[k]), int(rows[k]), 1, 1))
            assert found.values[0, k] == one.values[0, 0]
        assert (found.mask == 1).all()


def test_scenes_of_two_zones_show_the_same_land():
    window = Window(0, 0, 400, 400)
    images = []
    for zone in (12, 13):
        to_utm = Transformer.from_crs("EPSG:4326", f"EPSG:269{zone}", always_xy=True)
        east, north = to_utm.transform(-108.0, 39.2)
        source = photograph(zone, int(east) - 200, int(north) + 200)
        images.append((source, native_pixels(source, 3, 0, window).values.astype(float), to_utm))
    lon, lat = np.meshgrid(np.linspace(-108.0015, -107.9985, 80), np.linspace(39.199, 39.201, 80))
    samples = []
    for source, values, to_utm in images:
        t = source.projection.transform
        x, y = to_utm.transform(lon, lat)
        samples.append(values[(t.f - y).astype(int), (x - t.c).astype(int)])
    assert np.corrcoef(samples[0].ravel(), samples[1].ravel())[0, 1] > 0.7


def test_flights_differ_but_the_land_stays():
    window = Window(1000, 1000, 256, 256)
    one = native_pixels(photograph(left=440_000), 1, 0, window).values.astype(float)
    other = native_pixels(photograph(left=440_000, date=dt.date(2019, 9, 20)), 1, 0, window).values
    assert not np.array_equal(one, other)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.6


@pytest.mark.slow
def test_pixels_are_the_same_in_another_process():
    code = (
        "import datetime, zlib;"
        "from eedask.emulator.catalog.datasets.photographs import Photograph;"
        "from eedask.emulator.pixels.native_sources import Window;"
        "from eedask.emulator.pixels.native_tiles import native_pixels;"
        "p = Photograph(13, 480000, 4400000, 6000, 7000, datetime.date(2019, 7, 20));"
        "print(zlib.crc32(native_pixels(p, 0, 0, Window(9, 9, 300, 200)).values.tobytes()))"
    )
    here = zlib.crc32(native_pixels(photograph(), 0, 0, Window(9, 9, 300, 200)).values.tobytes())
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(there.stdout) == here


def test_vegetation_is_bright_in_the_near_infrared():
    window = Window(0, 0, 300, 300)
    source = photograph(zone=17, left=400_000, top=4_000_000)  # forests of North Carolina
    red, infrared = (native_pixels(source, band, 0, window).values.astype(float) for band in (0, 3))
    assert np.median((infrared - red) / (infrared + red)) > 0.25


def sinusoidal_window(lon, lat, level=0, size=60):
    x = 6371007.181 * np.radians(lon) * np.cos(np.radians(lat))
    y = 6371007.181 * np.radians(lat)
    step = 926.625433055833 * 2**level
    col, row = int((x + 20015109.354) / step), int((10007554.677003 - y) / step)
    return Window(col - size // 2, row - size // 2, size, size)


def kelvins(date, lon, lat, band=0):
    pixels = native_pixels(Period(date), band, 0, sinusoidal_window(lon, lat, size=300))
    return pixels.values[pixels.mask > 0] * 0.02


def test_modis_images_every_eight_days():
    collection = CATALOG.load_collection("MODIS/061/MOD11A2")
    year = list(collection.elements(Query(**YEAR_2019)))
    names = [image.properties["system:index"] for image in year]
    assert len(names) == 46
    assert names[:2] == ["2019_01_01", "2019_01_09"]
    first = next(collection.elements())
    assert first.properties["system:index"] == "2000_02_18"
    image = CATALOG.load_image("MODIS/061/MOD11A2/2019_01_01")
    assert image.bands[0].projection.crs == "SR-ORG:6974"
    assert image.bands[0].projection.transform.a == 926.625433055833
    assert image.bands[0].type.dtype == np.uint16
    assert image.bands[1].type.dtype == np.uint8
    assert CATALOG.load_image("MODIS/006/MOD11A2/2019_01_01").band_names == image.band_names


@pytest.mark.slow
def test_temperature_follows_season_latitude_and_height():
    january, july = dt.date(2019, 1, 1), dt.date(2019, 7, 4)
    plains = (-98.0, 39.0)
    assert kelvins(july, *plains).mean() > kelvins(january, *plains).mean() + 10
    assert kelvins(january, 23.0, -25.0).mean() > kelvins(july, 23.0, -25.0).mean() + 5
    assert kelvins(july, 10.0, 24.0).mean() > kelvins(july, 100.0, 66.0).mean() + 10
    assert kelvins(july, 87.0, 32.5).mean() < kelvins(july, 113.0, 32.5).mean() - 10  # Tibet
    assert 230 < kelvins(january, 120.0, 64.0).mean() < 265
    assert kelvins(july, *plains, band=4).mean() < kelvins(july, *plains).mean() - 5  # by night


def test_the_sea_is_masked_and_clouds_in_temperature_only():
    date = dt.date(2019, 7, 4)
    assert not native_pixels(Period(date), 0, 0, sinusoidal_window(-30.0, 30.0)).mask.any()
    window = sinusoidal_window(-60.0, -5.0, size=400)  # the Amazon
    lst, quality = (native_pixels(Period(date), band, 0, window) for band in (0, 1))
    assert 0.03 < 1 - lst.mask.mean() < 0.7
    assert quality.mask.mean() > lst.mask.mean()
    cloudy = (quality.mask > 0) & (lst.mask == 0)
    assert (quality.values[cloudy] & 3 == 2).all()
    assert (quality.values[lst.mask > 0] & 3 < 2).all()
    # Clouds are patches: most neighbours of a cloud are cloud.
    beside = cloudy[:, 1:][cloudy[:, :-1]]
    assert beside.mean() > 0.9


def test_modis_pixels_do_not_depend_on_the_window():
    whole = native_pixels(Period(DAY), 0, 0, Window(14000, 5000, 200, 120))
    part = native_pixels(Period(DAY), 0, 0, Window(14050, 5030, 60, 70))
    np.testing.assert_array_equal(part.values, whole.values[30:100, 50:110])
    np.testing.assert_array_equal(part.mask, whole.mask[30:100, 50:110])


def test_nothing_is_beyond_the_edge_of_the_world():
    # 73 N at the grid's western side.
    pixels = native_pixels(Period(DAY), 0, 0, Window(0, 2000, 300, 3))
    assert not pixels.mask.any()


@pytest.mark.slow
def test_land_is_where_the_countries_are():
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(-180, 180, 2000), rng.uniform(-85, 83, 2000)
    shapes = [country.shape for country in outlines.countries()]
    tree = shapely.STRtree(shapes)
    points = shapely.points(lon, lat)
    exact = np.zeros(2000, bool)
    exact[tree.query(points, "intersects")[0]] = True
    assert (is_land(lon, lat) == exact).mean() > 0.995  # but for coasts, to a kilometre
