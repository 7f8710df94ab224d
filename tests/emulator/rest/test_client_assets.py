"""The built-in assets through the real client, as scripts use them."""

import ee
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("client")

S2, L8 = "COPERNICUS/S2_SR_HARMONIZED", "LANDSAT/LC08/C02/T1_L2"
PLACE = [-93.5, 42.1]


def pixels(image, size=64, scale=10):
    x, y = 458_000, 4_661_000
    grid = {
        "dimensions": {"width": size, "height": size},
        "affineTransform": {"scaleX": scale, "scaleY": -scale, "translateX": x, "translateY": y},
        "crsCode": "EPSG:32615",
    }
    return ee.data.computePixels({"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid})


def summer(asset_id):
    return (
        ee.ImageCollection(asset_id)
        .filterBounds(ee.Geometry.Point(PLACE))
        .filterDate("2019-06-01", "2019-08-01")
    )


def test_a_scene_by_its_public_id():
    image = ee.Image(f"{L8}/LC08_044034_20190115")
    info = image.getInfo()
    assert info["id"] == f"{L8}/LC08_044034_20190115"
    assert info["properties"]["WRS_PATH"] == 44
    assert image.select("SR_B4").projection().nominalScale().getInfo() == pytest.approx(
        30, rel=1e-3
    )
    assert image.date().format("YYYY-MM-dd").getInfo() == "2019-01-15"
    asset = ee.data.getAsset(f"{S2}/20190105T184751_20190105T184747_T10SEH")
    assert asset["startTime"].startswith("2019-01-05T")
    assert {band["id"] for band in asset["bands"]} >= {"B2", "SCL", "QA60"}


def test_images_of_a_filtered_collection_are_listed():
    listed = ee.data.listImages(
        {
            "parent": f"projects/earthengine-public/assets/{S2}",
            "region": '{"type":"Point","coordinates":[-93.5,42.1]}',
            "startTime": "2019-06-01T00:00:00Z",
            "endTime": "2019-06-11T00:00:00Z",
        }
    )
    ids = {image["id"] for image in listed["images"]}
    wanted = summer(S2).filterDate("2019-06-01", "2019-06-11").aggregate_array("system:index")
    assert {i.rsplit("/", 1)[1] for i in ids} == set(wanted.getInfo())
    assert ids


@pytest.mark.slow
def test_a_cloud_free_composite():
    """Masking clouds by SCL leaves a composite without bright pixels."""

    def clear(image):
        scl = image.select("SCL")
        good = scl.lt(7).And(scl.neq(3))
        return image.updateMask(good)

    cloudy = pixels(summer(S2).select(["B4", "B3", "B2"]).max())
    masked = pixels(summer(S2).map(clear).select(["B4", "B3", "B2"]).median())
    assert np.median(cloudy["B2"]) > 4000
    assert masked["B2"].max() < 3000
    assert (masked["B4"] > 0).mean() > 0.99


def test_filtering_by_cloudiness():
    few = summer(S2).filter(ee.Filter.lt("CLOUDY_PIXEL_PERCENTAGE", 20))
    sizes = few.size().getInfo(), summer(S2).size().getInfo()
    assert 0 < sizes[0] < sizes[1]
    best = ee.Image(summer(L8).sort("CLOUD_COVER").first())
    least = summer(L8).aggregate_min("CLOUD_COVER").getInfo()
    assert best.get("CLOUD_COVER").getInfo() == least


def test_land_cover_of_a_region_and_heights_at_points():
    region = ee.Geometry.Point(PLACE).buffer(2000)
    cover = ee.ImageCollection("ESA/WorldCover/v200").first()
    counts = cover.reduceRegion("frequencyHistogram", region, 10).getInfo()["Map"]
    assert set(counts) <= {"10", "20", "30", "40", "50", "60", "70", "80"}
    assert counts["40"] > 0.5 * sum(counts.values())  # in Iowa
    points = ee.FeatureCollection([ee.Feature(ee.Geometry.Point(PLACE), {"n": 1})])
    heights = ee.Image("USGS/SRTMGL1_003").sampleRegions(points, scale=30).getInfo()["features"]
    assert 50 < heights[0]["properties"]["elevation"] < 500


def test_a_year_of_rain():
    year = ee.ImageCollection("UCSB-CHG/CHIRPS/DAILY").filterDate("2019-01-01", "2019-02-01").sum()
    found = year.reduceRegion("mean", ee.Geometry.Point(PLACE), 5566).getInfo()
    assert found["precipitation"] >= 0
