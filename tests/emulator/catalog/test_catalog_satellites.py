"""Scenes of Sentinel-2 and Landsat: where and when they are, and what their pixels agree on."""

import datetime as dt
import itertools
import subprocess
import sys
import zlib

import numpy as np
import pytest
import shapely
from affine import Affine
from graphs import call, info_of
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy import ndimage

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import land_cover, mgrs
from eedask.emulator.catalog.dates import millis
from eedask.emulator.catalog.world.solar_position import sun
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
S2, L8 = "COPERNICUS/S2_SR_HARMONIZED", "LANDSAT/LC08/C02/T1_L2"
SUMMER = {"start": millis(dt.date(2019, 6, 1)), "end": millis(dt.date(2019, 8, 1))}
CLOUDS = {S2: "CLOUDY_PIXEL_PERCENTAGE", L8: "CLOUD_COVER"}
COAST, FIELDS = (12.42, 45.02), (-93.5, 42.1)


def scenes(asset_id, lon, lat, **query):
    collection = CATALOG.load_collection(asset_id)
    return list(collection.elements(Query(bounds=(lon, lat, lon, lat), **query)))


def covering(asset_id, lon, lat, **query):
    """Scenes that have data at a place."""
    point = shapely.Point(lon, lat).buffer(0.03)
    return [s for s in scenes(asset_id, lon, lat, **query) if s.footprint.shape.contains(point)]


def utm(lon, lat, zone, pixel=30, size=128):
    x, y = Transformer.from_crs("EPSG:4326", f"EPSG:326{zone}", always_xy=True).transform(lon, lat)
    left, top = (round(v / 60) * 60 for v in (x, y))
    return Grid(f"EPSG:326{zone}", Affine(pixel, 0, left, 0, -pixel, top), size, size)


def read(image, band, on):
    return next(b for b in image.bands if b.id == band).read(on)


def partly_cloudy(asset_id, on, lon, lat):
    """A scene with both clear and cloudy pixels on a grid."""
    band, bits = ("MSK_CLDPRB", None) if asset_id == S2 else ("QA_PIXEL", 3)
    for scene in covering(asset_id, lon, lat, **SUMMER):
        pixels = read(scene, band, on)
        cloudy = pixels.values > 50 if bits is None else pixels.values >> bits & 1 == 1
        if 0.1 < cloudy.mean() < 0.8:
            return scene
    raise AssertionError("no such day")


def clearest(asset_id, lon, lat):
    """The scene of a summer with the fewest clouds."""
    found = covering(asset_id, lon, lat, **SUMMER)
    return min(found, key=lambda scene: scene.properties[CLOUDS[asset_id]])


@pytest.mark.parametrize(
    ("asset_id", "index", "center"),
    [
        (S2, "20190105T184751_20190105T184747_T10SEH", (-122.37, 38.35)),
        (L8, "LC08_044034_20190115", (-122.1, 37.5)),
    ],
)
def test_ids_of_the_public_catalogue_load(asset_id, index, center):
    image = CATALOG.load_image(f"{asset_id}/{index}")
    assert image.properties["system:index"] == index
    assert image.footprint.shape.contains(shapely.Point(center))
    assert CATALOG.asset(image.id)["id"] == f"{asset_id}/{index}"
    assert info_of(call("Image.load", id=image.id), CATALOG)["id"] == image.id


@pytest.mark.parametrize(
    "wrong",
    [
        f"{S2}/20190106T184751_20190106T184747_T10SEH",
        f"{S2}/20190105T184751_20190105T184747_T10SAA",
        f"{S2}/20191305T184751_20190105T184747_T10SEH",
        f"{L8}/LC08_044034_20190116",
        f"{L8}/LC09_044034_20190115",
        f"{L8}/LC08_999034_20190115",
    ],
)
def test_ids_of_no_scene_do_not_load(wrong):
    with pytest.raises(Exception, match="not found"):
        CATALOG.load_image(wrong)


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_every_scene_of_a_filter_loads_by_its_id(asset_id):
    found = scenes(asset_id, *FIELDS, **SUMMER)
    assert found
    for scene in found:
        again = CATALOG.load_image(scene.id)
        assert again.properties == scene.properties
        query = Query(equals={"system:index": scene.properties["system:index"]})
        listed = CATALOG.list_assets(asset_id, query)
        assert [asset["id"] for asset in listed] == [scene.id]


def test_sentinel2_comes_back_every_five_days():
    found = covering(S2, *FIELDS, start=SUMMER["start"], end=SUMMER["end"])
    by_tile_and_orbit = {}
    for scene in found:
        key = scene.properties["MGRS_TILE"], scene.properties["SENSING_ORBIT_NUMBER"]
        by_tile_and_orbit.setdefault(key, []).append(scene.properties["system:time_start"])
    for times in by_tile_and_orbit.values():
        gaps = {b - a for a, b in itertools.pairwise(sorted(times))}
        assert all(abs(gap - 5 * 86_400_000) <= 1000 for gap in gaps)
        assert len(times) in (12, 13)
    spring = {"start": millis(dt.date(2017, 4, 1)), "end": millis(dt.date(2017, 6, 1))}
    before = covering(S2, *FIELDS, **spring)
    assert {scene.properties["SPACECRAFT_NAME"] for scene in before} == {"Sentinel-2A"}
    assert {s.properties["SPACECRAFT_NAME"] for s in found} == {"Sentinel-2A", "Sentinel-2B"}


def test_landsat_comes_back_every_sixteen_days_and_its_neighbour_a_week_later():
    days = {}
    for scene in scenes(L8, -122.4, 37.9, start=SUMMER["start"], end=SUMMER["end"]):
        day = dt.date.fromisoformat(scene.properties["DATE_ACQUIRED"])
        days.setdefault((scene.properties["WRS_PATH"], scene.properties["WRS_ROW"]), []).append(day)
    assert (44, 34) in days
    for found in days.values():
        assert {(b - a).days for a, b in itertools.pairwise(found)} == {16}
    assert (days[45, 33][0] - days[44, 34][0]).days % 16 == 7


@pytest.mark.slow
def test_everywhere_on_land_is_seen():
    rng = np.random.default_rng(2)
    ten_days = {"start": millis(dt.date(2019, 7, 1)), "end": millis(dt.date(2019, 7, 11))}
    sixteen = {"start": millis(dt.date(2019, 7, 1)), "end": millis(dt.date(2019, 7, 17))}
    for lon, lat in rng.uniform((5, 44), (25, 53), (6, 2)):
        point = shapely.Point(lon, lat)
        for asset_id, query in ((S2, ten_days), (L8, sixteen)):
            found = scenes(asset_id, lon, lat, **query)
            assert any(scene.footprint.shape.contains(point) for scene in found)


def test_bands_are_those_of_the_public_catalogue():
    image = scenes(S2, *FIELDS, **SUMMER)[0]
    sizes = {
        10: "B2 B3 B4 B8 AOT WVP TCI_R TCI_G TCI_B QA10",
        20: "B5 B6 B7 B8A B11 B12 SCL MSK_CLDPRB MSK_SNWPRB QA20",
        60: "B1 B9 QA60 MSK_CLASSI_OPAQUE MSK_CLASSI_CIRRUS MSK_CLASSI_SNOW_ICE",
    }
    found = {band.id: band for band in image.bands}
    assert set(found) == set(" ".join(sizes.values()).split())
    names = "B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12"
    assert " ".join(image.band_names[:12]) == names
    for size, names in sizes.items():
        for name in names.split():
            assert abs(found[name].projection.transform.a) == size
            assert found[name].dimensions == (109_800 // size,) * 2
            assert found[name].projection.crs == "EPSG:32615"
    assert {found[n].type.dtype.name for n in ("B2", "B12", "AOT", "QA60")} == {"uint16"}
    assert {found[n].type.dtype.name for n in ("SCL", "TCI_R", "MSK_CLDPRB")} == {"uint8"}
    assert found["QA20"].type.dtype == np.uint32
    image = CATALOG.load_image(f"{L8}/LC08_044034_20190115")
    found = {band.id: band for band in image.bands}
    assert image.band_names == [
        "SR_B1",
        "SR_B2",
        "SR_B3",
        "SR_B4",
        "SR_B5",
        "SR_B6",
        "SR_B7",
        "SR_QA_AEROSOL",
        "ST_B10",
        "ST_ATRAN",
        "ST_CDIST",
        "ST_DRAD",
        "ST_EMIS",
        "ST_EMSD",
        "ST_QA",
        "ST_TRAD",
        "ST_URAD",
        "QA_PIXEL",
        "QA_RADSAT",
    ]
    assert {band.projection.crs for band in image.bands} == {"EPSG:32610"}
    assert all(band.projection.transform.a == 30 for band in image.bands)
    assert found["SR_B4"].projection.transform.c % 30 == 15  # as the archive's grid lies
    assert {found[n].type.dtype.name for n in ("SR_B1", "ST_B10", "QA_PIXEL")} == {"uint16"}
    assert found["ST_EMIS"].type.dtype == np.int16
    assert found["SR_QA_AEROSOL"].type.dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(st.floats(-179, 179), st.floats(-55, 75))
def test_tiles_have_names_that_lead_back_to_them(lon, lat):
    for tile in mgrs.tiles((lon, lat, lon, lat)):
        assert mgrs.parse(tile.name) == tile
        assert int(tile.name[:2]) == tile.zone


def test_tiles_lie_where_their_names_say():
    for name, lon, lat in (("10SEG", -122.3, 37.5), ("33TUL", 12.9, 46.0), ("56HLH", 151.2, -33.8),
                           ("35MRV", 29.9, -0.6)):  # fmt: skip
        tile = mgrs.parse(name)
        x, y = Transformer.from_crs("EPSG:4326", tile.crs, always_xy=True).transform(lon, lat)
        assert tile.left < x < tile.left + mgrs.SIZE
        assert tile.top - mgrs.SIZE < y < tile.top
    # As in products' metadata.
    assert (mgrs.parse("10SEH").left, mgrs.parse("10SEH").top) == (499_980, 4_300_020)
    assert (mgrs.parse("11SMS").left, mgrs.parse("11SMS").top) == (399_960, 3_700_020)
    assert (mgrs.parse("43QCA").left, mgrs.parse("43QCA").top) == (300_000, 2_100_000)
    at_sea = mgrs.MgrsTile(53, 5, -41)
    assert (at_sea.name, at_sea.left, at_sea.top) == ("53HNV", 499_980, 6_000_040)
    assert (mgrs.MgrsTile(53, 5, -40).name, mgrs.MgrsTile(53, 5, -40).top) == ("53HNA", 6_100_000)
    assert mgrs.parse("10SIO") is None
    assert mgrs.parse("61SEH") is None


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_there_is_data_where_the_footprint_is(asset_id):
    scene = next(
        scene
        for scene in scenes(asset_id, -122.4, 38.4, **SUMMER)
        if asset_id == L8 or scene.properties["NODATA_PIXEL_PERCENTAGE"] > 20
    )
    band = scene.bands[0]
    step = 1200 if asset_id == L8 else 600
    size = band.dimensions[0] * int(band.projection.transform.a) // step
    t = band.projection.transform
    on = Grid(band.projection.crs, Affine(step, 0, t.c, 0, -step, t.f), size, size)
    mask = band.read(on).mask > 0
    assert 0.05 < mask.mean() < 0.98
    to_degrees = Transformer.from_crs(on.crs, "EPSG:4326", always_xy=True)
    x, y = np.meshgrid(t.c + step * (np.arange(size) + 0.5), t.f - step * (np.arange(size) + 0.5))
    inside = shapely.contains_xy(scene.footprint.shape, *to_degrees.transform(x, y))
    assert (mask == inside).mean() > 0.98


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_clouds_of_pixels_and_of_properties_are_the_same(asset_id):
    """The share of cloudy pixels over a whole scene is what its properties say."""
    wrong = []
    for scene in scenes(asset_id, *FIELDS, **SUMMER)[:3]:
        name = "SCL" if asset_id == S2 else "QA_PIXEL"
        band = next(b for b in scene.bands if b.id == name)
        t, step = band.projection.transform, 1500
        size = band.dimensions[0] * int(t.a) // step
        on = Grid(band.projection.crs, Affine(step, 0, t.c, 0, -step, t.f), size, size)
        pixels = band.read(on)
        bits = 1 << 3 | 1 << 2
        cloudy = pixels.values >= 7 if asset_id == S2 else (pixels.values & bits) > 0
        wrong.append(100 * cloudy[pixels.mask > 0].mean() - scene.properties[CLOUDS[asset_id]])
    assert np.abs(wrong).max() < 12


@pytest.mark.parametrize(("lon", "lat", "zone"), [(*COAST, 33), (*FIELDS, 15)])
def test_sensors_agree_on_water_where_it_is_clear(lon, lat, zone):
    on = utm(lon, lat, zone)
    cover = read(CATALOG.load_image("ESA/WorldCover/v200/2021"), "Map", on).values
    water = cover == land_cover.WATER
    inside = ndimage.binary_erosion(water, iterations=3)
    outside = ndimage.binary_erosion(~water, iterations=3)
    assert water.any()
    for asset_id in (S2, L8):
        scene = clearest(asset_id, lon, lat)
        if asset_id == S2:
            scl = read(scene, "SCL", on)
            clear = (scl.mask > 0) & (scl.values < 7) & (scl.values != 3)
            found = scl.values == 6
        else:
            quality = read(scene, "QA_PIXEL", on)
            clear = (quality.mask > 0) & (quality.values >> 6 & 1 == 1)
            clear &= quality.values >> 4 & 1 == 0
            found = quality.values >> 7 & 1 == 1
        assert clear.mean() > 0.3
        assert found[clear & inside].all()
        assert found[clear & outside].mean() < 0.01


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_quality_bands_tell_of_the_clouds_in_the_picture(asset_id):
    on = utm(*FIELDS, 15, size=400)
    scene = partly_cloudy(asset_id, on, *FIELDS)
    blue = read(scene, "B2" if asset_id == S2 else "SR_B2", on).values.astype(float)
    if asset_id == S2:
        scl, bits = read(scene, "SCL", on).values, read(scene, "QA60", on).values
        likely = read(scene, "MSK_CLDPRB", on).values
        cloudy, clear = scl == 9, (scl >= 4) & (scl <= 6)
        assert (likely[cloudy] > 70).mean() > 0.97
        assert (likely[clear] < 40).all()
        assert (bits[ndimage.binary_erosion(cloudy, iterations=3)] == 1 << 10).all()
        assert (bits[ndimage.binary_erosion(clear, iterations=3)] == 0).all()
        assert (scl == 3).any()  # shadows
    else:
        bits = read(scene, "QA_PIXEL", on).values
        cloudy, clear = bits >> 3 & 1 == 1, bits >> 6 & 1 == 1
        assert not (cloudy & clear).any()
        assert (bits[cloudy] >> 8 & 3 == 3).all()
        blue = blue * 2.75e-5 - 0.2
        kelvins = read(scene, "ST_B10", on).values * 0.00341802 + 149
        assert kelvins[cloudy].mean() < kelvins[clear].mean() - 10
        assert 270 < np.median(kelvins[clear]) < 330
    assert blue[cloudy].mean() > 3 * blue[clear].mean()


def test_greenness_agrees_with_cover_and_between_the_sensors():
    woods = (-80.5, 35.6)
    on = utm(*woods, 17)
    cover = read(CATALOG.load_image("ESA/WorldCover/v100/2020"), "Map", on).values
    indices = {}
    for asset_id, red, infrared in ((S2, "B4", "B8"), (L8, "SR_B4", "SR_B5")):
        scene = clearest(asset_id, *woods)
        r, n = (read(scene, band, on).values.astype(float) for band in (red, infrared))
        if asset_id == L8:
            r, n = r * 2.75e-5 - 0.2, n * 2.75e-5 - 0.2
        indices[asset_id] = (n - r) / (n + r)
    assert np.corrcoef(indices[S2].ravel(), indices[L8].ravel())[0, 1] > 0.8
    trees = ndimage.binary_erosion(cover == land_cover.TREES, iterations=2)
    assert trees.mean() > 0.2
    for index in indices.values():
        assert np.median(index[trees]) > 0.6


def test_bands_that_were_not_produced_are_masked():
    early = covering(S2, *FIELDS, **SUMMER)[0]
    gap, late = (
        covering(S2, *FIELDS, start=millis(dt.date(year, 6, 1)), end=millis(dt.date(year, 6, 11)))[
            0
        ]
        for year in (2023, 2024)
    )
    on = utm(*FIELDS, 15, size=20)
    masks = [
        [bool(read(scene, band, on).mask.any()) for band in ("QA60", "MSK_CLASSI_OPAQUE")]
        for scene in (early, gap, late)
    ]
    assert masks == [[True, False], [False, False], [True, True]]


def test_collections_are_lazy_and_in_the_order_of_time():
    for asset_id in (S2, L8):
        first = list(itertools.islice(CATALOG.load_collection(asset_id).elements(), 30))
        times = [scene.properties["system:time_start"] for scene in first]
        days = [time // 86_400_000 for time in times]
        assert days == sorted(days)
    started = dt.datetime.fromtimestamp(times[0] / 1000, dt.UTC)
    assert started.date() == dt.date(2013, 3, 18)


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_wide_regions_are_lazy_too(asset_id):
    hemisphere = (-179.0, -10.0, 179.0, 80.0)
    query = Query(bounds=hemisphere, start=millis(dt.date(2020, 5, 1)))
    found = list(itertools.islice(CATALOG.load_collection(asset_id).elements(query), 5))
    assert len(found) == 5
    for scene in found:
        _, south, _, north = scene.footprint.shape.bounds
        assert north >= -10
        assert south <= 80
        assert scene.properties["system:time_start"] >= millis(dt.date(2020, 5, 1))


def test_collections_have_titles():
    for asset_id in (S2, L8, "MODIS/061/MOD13Q1"):
        assert CATALOG.asset(asset_id)["properties"]["title"].startswith("Synthetic ")


def test_a_tile_or_a_path_narrows_what_is_looked_at():
    query = Query(equals={"MGRS_TILE": "10SEH"}, bounds=(-123, 37, -121, 39), **SUMMER)
    found = list(CATALOG.load_collection(S2).elements(query))
    assert {scene.properties["MGRS_TILE"] for scene in found} == {"10SEH"}
    query = Query(equals={"WRS_PATH": 44, "WRS_ROW": 34}, **SUMMER)
    found = list(CATALOG.load_collection(L8).elements(query))
    assert {s.properties["system:index"][5:11] for s in found} == {"044034"}
    assert len(found) in (3, 4)


@pytest.mark.parametrize("asset_id", [S2, L8])
def test_a_pixel_is_the_same_on_every_grid(asset_id):
    on = utm(*COAST, 33, pixel=10 if asset_id == S2 else 30, size=150)
    scene = next(s for s in covering(asset_id, *COAST, **SUMMER)
                 if s.bands[0].projection.crs == on.crs)  # fmt: skip
    rows, cols = slice(33, 120), slice(50, 141)
    part = Grid(on.crs, on.transform * Affine.translation(50, 33), 91, 87)
    for band in scene.bands:
        whole, some = band.read(on), band.read(part)
        np.testing.assert_array_equal(some.values, whole.values[rows, cols], err_msg=band.id)
        np.testing.assert_array_equal(some.mask, whole.mask[rows, cols])


@pytest.mark.slow
def test_pixels_are_the_same_in_another_process():
    index = f"{S2}/20190105T184751_20190105T184747_T10SEH"
    code = (
        "import zlib; from affine import Affine; from eedask.emulator.catalog import Catalog;"
        "from eedask.emulator.pixels.raster import Grid;"
        "on = Grid('EPSG:32610', Affine(20, 0, 520000, 0, -20, 4250000), 128, 128);"
        f"image = Catalog().load_image({index!r});"
        "print([zlib.crc32(b.read(on).values.tobytes()) for b in image.bands])"
    )
    on = Grid("EPSG:32610", Affine(20, 0, 520000, 0, -20, 4250000), 128, 128)
    here = [zlib.crc32(b.read(on).values.tobytes()) for b in CATALOG.load_image(index).bands]
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert there.stdout.strip() == str(here)


def test_the_sun_stands_where_almanacs_say():
    noon = dt.datetime(2019, 6, 21, 12, 1, 50, tzinfo=dt.UTC)
    elevation, azimuth = sun(0.0, 51.4779, noon)  # Greenwich, solstice, apparent noon
    assert elevation == pytest.approx(90 - 51.4779 + 23.436, abs=0.05)
    assert azimuth == pytest.approx(180, abs=0.3)
    midnight = dt.datetime(2019, 12, 21, 0, 0, tzinfo=dt.UTC)
    assert sun(0.0, 51.4779, midnight)[0] < -60
    assert sun(151.2, -33.87, dt.datetime(2019, 12, 22, 2, 0, tzinfo=dt.UTC))[0] > 75
