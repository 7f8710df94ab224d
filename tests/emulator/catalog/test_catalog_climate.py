"""Vegetation, temperature and rain: the catalogue's facts, and one climate behind all of them."""

import datetime as dt
import itertools

import numpy as np
import pytest
from affine import Affine

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.datasets import land_cover
from eedask.emulator.catalog.dates import millis
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
IOWA, AMAZON, SAHARA = (-93.5, 42.1), (-62.0, -5.0), (10.0, 24.0)
SINUSOIDAL = 231.65635826395825
IMAGES = {
    "MODIS/061/MOD13Q1": "2019_07_12",
    "MODIS/061/MOD11A1": "2019_07_15",
    "MODIS/061/MOD11A2": "2019_07_12",
    "UCSB-CHG/CHIRPS/DAILY": "20190715",
    "ECMWF/ERA5_LAND/DAILY_AGGR": "20190715",
}


def grid(lon, lat, step=0.0025, size=100):
    half = step * size / 2
    return Grid("EPSG:4326", Affine(step, 0, lon - half, 0, -step, lat + half), size, size)


def image(asset_id, index=None):
    return CATALOG.load_image(f"{asset_id}/{index or IMAGES[asset_id]}")


def read(source, band, on):
    return next(b for b in source.bands if b.id == band).read(on)


def mean(source, band, on):
    pixels = read(source, band, on)
    return pixels.values[pixels.mask > 0].mean()


@pytest.mark.parametrize(
    ("asset_id", "crs", "transform", "size", "types"),
    [
        ("MODIS/061/MOD13Q1", "SR-ORG:6974",
         (SINUSOIDAL, 0, -20015109.354, 0, -SINUSOIDAL, 10007554.677003), (172800, 86400),
         "NDVI:int16 EVI:int16 DetailedQA:uint16 sur_refl_b01:int16 sur_refl_b02:int16 "
         "sur_refl_b03:int16 sur_refl_b07:int16 ViewZenith:int16 SolarZenith:int16 "
         "RelativeAzimuth:int16 DayOfYear:int16 SummaryQA:int8"),
        ("MODIS/061/MOD11A1", "SR-ORG:6974",
         (926.625433055833, 0, -20015109.354, 0, -926.625433055833, 10007554.677003),
         (43200, 21600),
         "LST_Day_1km:uint16 QC_Day:uint8 Day_view_time:uint8 Day_view_angle:uint8 "
         "LST_Night_1km:uint16 QC_Night:uint8 Night_view_time:uint8 Night_view_angle:uint8 "
         "Emis_31:uint8 Emis_32:uint8 Clear_day_cov:uint16 Clear_night_cov:uint16"),
        ("UCSB-CHG/CHIRPS/DAILY", "EPSG:4326", (0.05, 0, -180, 0, -0.05, 50), (7200, 2000),
         "precipitation:float32"),
        ("ECMWF/ERA5_LAND/DAILY_AGGR", "EPSG:4326", (0.1, 0, -180.05, 0, -0.1, 90.05),
         (3601, 1801), None),
    ],
)  # fmt: skip
def test_bands_and_grids_are_those_of_the_public_catalogue(asset_id, crs, transform, size, types):
    found = image(asset_id)
    if types is not None:
        assert " ".join(f"{b.id}:{b.type.dtype}" for b in found.bands) == types
    for band in found.bands:
        assert band.projection.crs == crs
        assert band.projection.transform == pytest.approx((*transform, 0, 0, 1))
        assert band.dimensions == size
    assert found.properties["eedask:synthetic"] == 1


@pytest.mark.parametrize(
    ("asset_id", "first", "second", "wrong"),
    [
        ("MODIS/061/MOD13Q1", "2000_02_18", "2000_03_05", "2019_07_13"),
        ("MODIS/061/MOD11A1", "2000_02_24", "2000_02_25", "2019_7_1"),
        ("MODIS/061/MOD11A2", "2000_02_18", "2000_02_26", "1999_01_01"),
        ("UCSB-CHG/CHIRPS/DAILY", "19810101", "19810102", "2019_01_01"),
        ("ECMWF/ERA5_LAND/DAILY_AGGR", "19500102", "19500103", "19500101"),
    ],
)
def test_images_by_date_and_by_id(asset_id, first, second, wrong):
    elements = CATALOG.load_collection(asset_id).elements()
    begun = [e.properties["system:index"] for e in itertools.islice(elements, 2)]
    assert begun == [first, second]
    year = Query(start=millis(dt.date(2019, 1, 1)), end=millis(dt.date(2020, 1, 1)))
    listed = list(CATALOG.list_assets(asset_id, year))
    assert len(listed) == {"MOD13Q1": 23, "MOD11A2": 46}.get(asset_id.rsplit("/", 1)[1], 365)
    for asset in listed[:3]:
        assert CATALOG.asset(asset["id"]) == asset
        named = Query(equals={"system:index": asset["id"].rsplit("/", 1)[1]})
        assert [a["id"] for a in CATALOG.list_assets(asset_id, named)] == [asset["id"]]
    assert listed[-1]["endTime"] == "2020-01-01T00:00:00Z"
    with pytest.raises(EarthEngineError, match="not found"):
        image(asset_id, wrong)


def test_vegetation_index_is_that_of_the_finer_sensors():
    on = grid(*IOWA, step=0.0025, size=60)
    ndvi = read(image("MODIS/061/MOD13Q1"), "NDVI", on).values / 10_000
    week = Query(
        bounds=(*IOWA, *IOWA),
        start=millis(dt.date(2019, 7, 1)),
        end=millis(dt.date(2019, 8, 10)),
    )
    scenes = CATALOG.load_collection("COPERNICUS/S2_SR_HARMONIZED").elements(week)
    scene = min(scenes, key=lambda s: s.properties["CLOUDY_PIXEL_PERCENTAGE"])
    red, infrared = (read(scene, band, on) for band in ("B4", "B8"))
    seen = (red.mask > 0) & (read(scene, "SCL", on).values < 7)
    r, n = (p.values[seen].astype(float) for p in (red, infrared))
    assert seen.mean() > 0.5
    assert ndvi[seen].mean() == pytest.approx(((n - r) / (n + r)).mean(), abs=0.12)


def test_vegetation_index_follows_cover_and_season():
    cover = land_cover.image("ESA/WorldCover/v200", "2021")
    for place, low, high in ((AMAZON, 0.6, 0.95), (SAHARA, -0.1, 0.3)):
        assert low < mean(image("MODIS/061/MOD13Q1"), "NDVI", grid(*place)) / 10_000 < high
    assert (read(cover, "Map", grid(*AMAZON)).values == land_cover.TREES).mean() > 0.5
    assert (read(cover, "Map", grid(*SAHARA)).values == land_cover.BARE).mean() > 0.5
    summer = mean(image("MODIS/061/MOD13Q1"), "NDVI", grid(*IOWA))
    winter = mean(image("MODIS/061/MOD13Q1", "2019_01_01"), "NDVI", grid(*IOWA))
    assert summer > winter + 1500
    south = (-62.0, -34.0)
    july = mean(image("MODIS/061/MOD13Q1"), "NDVI", grid(*south))
    assert mean(image("MODIS/061/MOD13Q1", "2019_01_01"), "NDVI", grid(*south)) > july + 1500


def test_quality_of_vegetation_indices():
    on = grid(*AMAZON, step=0.01, size=200)
    summary, detailed = (
        read(image("MODIS/061/MOD13Q1"), b, on) for b in ("SummaryQA", "DetailedQA")
    )
    assert set(np.unique(summary.values)) <= {0, 1, 2, 3}
    assert (summary.values == 0).any()
    assert (summary.values == 3).any()
    np.testing.assert_array_equal(detailed.values & 3 == 2, summary.values == 3)
    assert not read(image("MODIS/061/MOD13Q1"), "NDVI", grid(-30.0, 30.0)).mask.any()


def test_a_day_has_the_same_clouds_in_every_sensor():
    on = grid(*IOWA, step=0.01, size=60)
    wanted = Query(
        bounds=(*IOWA, *IOWA),
        start=millis(dt.date(2019, 6, 1)),
        end=millis(dt.date(2019, 8, 1)),
    )
    compared = 0
    for scene in CATALOG.load_collection("COPERNICUS/S2_SR_HARMONIZED").elements(wanted):
        if not 25 < scene.properties["CLOUDY_PIXEL_PERCENTAGE"] < 75:
            continue
        day = dt.datetime.fromtimestamp(scene.properties["system:time_start"] / 1000, dt.UTC)
        likely = read(scene, "MSK_CLDPRB", on)
        lst = read(image("MODIS/061/MOD11A1", f"{day:%Y_%m_%d}"), "LST_Day_1km", on)
        seen = likely.mask > 0
        assert ((likely.values[seen] > 30) == (lst.mask[seen] == 0)).mean() > 0.8
        compared += 1
    assert compared >= 2


def test_it_rains_where_there_are_clouds_and_both_models_tell_the_same_rain():
    on = grid(0.0, 10.0, step=0.1, size=120)
    chirps = read(image("UCSB-CHG/CHIRPS/DAILY"), "precipitation", on)
    era5 = read(image("ECMWF/ERA5_LAND/DAILY_AGGR"), "total_precipitation_sum", on)
    lst = read(image("MODIS/061/MOD11A1"), "LST_Day_1km", on)
    seen = (chirps.mask > 0) & (era5.mask > 0)
    rain, other = chirps.values[seen], 1000 * era5.values[seen]
    assert (rain > 0).mean() > 0.03
    assert np.corrcoef(rain, other)[0, 1] > 0.9
    assert rain.mean() == pytest.approx(other.mean(), rel=0.15)
    assert (lst.mask[seen][rain > 1] == 0).mean() > 0.9


def test_a_years_rain_is_of_the_right_size():
    def year(lon, lat):
        on = grid(lon, lat, step=0.5, size=6)
        query = Query(start=millis(dt.date(2019, 1, 1)), end=millis(dt.date(2020, 1, 1)))
        days = itertools.islice(
            CATALOG.load_collection("UCSB-CHG/CHIRPS/DAILY").elements(query), 0, None, 5
        )
        return 5 * sum(mean(day, "precipitation", on) for day in days)

    assert year(*SAHARA) < 120
    assert 350 < year(*IOWA) < 1400
    assert 1000 < year(*AMAZON) < 4500
    north = read(image("UCSB-CHG/CHIRPS/DAILY"), "precipitation", grid(20.0, 55.0))
    assert not north.mask.any()  # 50 degrees south to north


def test_temperatures_agree():
    on = grid(-104.0, 39.0, step=0.05, size=40)
    era5, lst = image("ECMWF/ERA5_LAND/DAILY_AGGR"), image("MODIS/061/MOD11A1")
    air = mean(era5, "temperature_2m", on)
    low, high = (mean(era5, f"temperature_2m_{end}", on) for end in ("min", "max"))
    day, night = (mean(lst, f"LST_{time}_1km", on) * 0.02 for time in ("Day", "Night"))
    assert low < air < high
    assert 283 < air < 310
    assert night - 5 < air < day
    assert mean(era5, "dewpoint_temperature_2m", on) < air
    assert image("ECMWF/ERA5_LAND/DAILY_AGGR").properties["month"] == 7


@pytest.mark.parametrize("asset_id", IMAGES)
def test_a_pixel_is_the_same_on_every_grid(asset_id):
    on = grid(-103.0, 39.0, step=0.02, size=80)
    part = Grid(on.crs, on.transform * Affine.translation(13, 21), 30, 40)
    for band in image(asset_id).bands:
        whole, some = band.read(on), band.read(part)
        np.testing.assert_array_equal(some.values, whole.values[21:61, 13:43], err_msg=band.id)
        np.testing.assert_array_equal(some.mask, whole.mask[21:61, 13:43])
