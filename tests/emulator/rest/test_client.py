"""The real client, unmodified, over loopback HTTP."""

import csv
import io
import json
import zipfile

import ee
import numpy as np
import pytest
import requests
from example_raster import PROJECT, RASTER_ID, SHAPE, TRANSFORM, raster_values
from PIL import Image as Pillow
from rasterio.io import MemoryFile

pytestmark = pytest.mark.usefixtures("client")

# A window of the raster that is clear of its nodata corner.
ROW, COL, HEIGHT, WIDTH = 20, 30, 12, 16


def window_grid():
    corner = TRANSFORM @ (COL, ROW)
    return {
        "dimensions": {"width": WIDTH, "height": HEIGHT},
        "affineTransform": {
            "scaleX": 10,
            "shearX": 0,
            "translateX": corner[0],
            "shearY": 0,
            "scaleY": -10,
            "translateY": corner[1],
        },
        "crsCode": "EPSG:32613",
    }


def window_values():
    return raster_values()[:, ROW : ROW + HEIGHT, COL : COL + WIDTH]


def window_region():
    left, top = TRANSFORM @ (COL, ROW)
    right, bottom = TRANSFORM @ (COL + WIDTH, ROW + HEIGHT)
    return ee.Geometry.Rectangle([left, bottom, right, top], "EPSG:32613", geodesic=False)


def fetch(url):
    response = requests.get(url, timeout=60)
    assert response.status_code == 200, response.text
    return response


def pixels_of(picture):
    return np.asarray(Pillow.open(io.BytesIO(picture)))


# getInfo.


def test_numbers_strings_and_booleans():
    assert ee.Number(3).add(4).multiply(2).getInfo() == 14
    assert ee.Number(1).divide(8).getInfo() == 0.125
    assert ee.Number(2**53 + 1).getInfo() == 2**53 + 1
    assert ee.String("sam").cat("ple").getInfo() == "sample"
    assert ee.Number(3).gt(2).getInfo() == 1


def test_lists_and_dictionaries():
    assert ee.List([1, [2, "x"], None]).getInfo() == [1, [2, "x"], None]
    assert ee.List.sequence(1, 4).map(lambda n: ee.Number(n).pow(2)).getInfo() == [1, 4, 9, 16]
    assert ee.Dictionary({"a": 1, "b": {"c": [2]}}).getInfo() == {"a": 1, "b": {"c": [2]}}
    assert ee.Dictionary({"a": 1}).set("b", ee.Number(1).add(1)).getInfo() == {"a": 1, "b": 2}


def test_features_and_geometries():
    feature = ee.Feature(ee.Geometry.Point([10, 20]), {"name": "x", "size": 3})
    assert feature.getInfo() == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [10, 20]},
        "properties": {"name": "x", "size": 3},
    }
    assert feature.geometry().coordinates().getInfo() == [10, 20]


def test_image_metadata(raster):
    info = raster.getInfo()
    assert info["type"] == "Image"
    assert info["id"] == RASTER_ID
    band = info["bands"][0]
    assert [b["id"] for b in info["bands"]] == ["red", "green", "blue"]
    assert band["crs"] == "EPSG:32613"
    assert band["crs_transform"] == [10, 0, 500000, 0, -10, 4400000]
    assert band["dimensions"] == [SHAPE[1], SHAPE[0]]
    assert band["data_type"] == {"type": "PixelType", "precision": "int", "min": 0, "max": 65535}
    assert raster.bandNames().getInfo() == ["red", "green", "blue"]


def test_mapped_collections_with_nested_functions():
    def outer(feature):
        size = ee.Number(ee.Feature(feature).get("size"))
        squares = ee.List.sequence(1, 3).map(
            lambda n: ee.List([1, 10]).map(lambda m: ee.Number(n).multiply(m).add(size))
        )
        return ee.Feature(feature).set("all", squares)

    points = [ee.Feature(ee.Geometry.Point([i, i]), {"size": i}) for i in range(3)]
    mapped = ee.FeatureCollection(points).map(outer)
    assert mapped.aggregate_array("all").getInfo() == [
        [[n * m + size for m in (1, 10)] for n in (1, 2, 3)] for size in range(3)
    ]


def test_filtered_collections():
    points = [ee.Feature(ee.Geometry.Point([i, 0]), {"i": i}) for i in range(6)]
    kept = ee.FeatureCollection(points).filter(ee.Filter.gt("i", 2)).limit(2)
    assert [f["properties"]["i"] for f in kept.getInfo()["features"]] == [3, 4]
    near = ee.FeatureCollection(points).filterBounds(ee.Geometry.Rectangle([1.5, -1, 3.5, 1]))
    assert near.size().getInfo() == 2


# computePixels.


def test_compute_pixels_as_numpy_is_the_raster(raster):
    array = ee.data.computePixels(
        {"expression": raster, "fileFormat": "NUMPY_NDARRAY", "grid": window_grid()}
    )
    assert array.dtype.names == ("red", "green", "blue")
    assert array.dtype["red"] == np.uint16
    np.testing.assert_array_equal(np.stack([array[n] for n in array.dtype.names]), window_values())


def test_compute_pixels_of_some_bands_as_geotiff(raster):
    data = ee.data.computePixels(
        {
            "expression": raster,
            "fileFormat": "GEO_TIFF",
            "grid": window_grid(),
            "bandIds": ["blue", "red"],
        }
    )
    with MemoryFile(data) as memory, memory.open() as dataset:
        assert dataset.descriptions == ("blue", "red")
        assert dataset.transform @ (0, 0) == TRANSFORM @ (COL, ROW)
        assert dataset.crs.to_epsg() == 32613
        np.testing.assert_array_equal(dataset.read(), window_values()[[2, 0]])


def test_compute_pixels_as_pictures(raster):
    request = {"expression": raster, "grid": window_grid()}
    expected = np.clip(window_values(), 0, 255).transpose(1, 2, 0)
    png = ee.data.computePixels({**request, "fileFormat": "PNG"})
    assert png.startswith(b"\x89PNG")
    np.testing.assert_array_equal(pixels_of(png), expected)
    jpeg = ee.data.computePixels({**request, "fileFormat": "JPEG"})
    assert jpeg.startswith(b"\xff\xd8")
    assert abs(pixels_of(jpeg).astype(int) - expected).mean() < 10


def test_compute_pixels_with_visualization_options(raster):
    png = ee.data.computePixels(
        {
            "expression": raster,
            "fileFormat": "PNG",
            "grid": window_grid(),
            "bandIds": ["red"],
            "visualizationOptions": {
                "ranges": [{"min": 0, "max": 51}],
                "paletteColors": ["000000", "FF0000"],
            },
        }
    )
    pixels = pixels_of(png)
    np.testing.assert_array_equal(pixels[..., 0], np.clip(window_values()[0] * 5, 0, 255))
    assert not pixels[..., 1:].any()


def test_compute_pixels_without_a_grid_is_the_whole_image(raster):
    array = ee.data.computePixels({"expression": raster, "fileFormat": "NUMPY_NDARRAY"})
    np.testing.assert_array_equal(array["red"], raster_values()[0])


def test_masked_pixels_are_transparent(raster):
    whole = {
        **window_grid(),
        "dimensions": {"width": 10, "height": 10},
        "affineTransform": {
            "scaleX": 10,
            "translateX": 500000,
            "scaleY": -10,
            "translateY": 4400000,
        },
    }
    png = ee.data.computePixels({"expression": raster, "fileFormat": "PNG", "grid": whole})
    alpha = pixels_of(png)[..., 3]
    assert not alpha[:5, :5].any()
    assert (alpha == 255).sum() == 75


def test_get_pixels_of_an_asset():
    array = ee.data.getPixels(
        {"assetId": RASTER_ID, "fileFormat": "NUMPY_NDARRAY", "grid": window_grid()}
    )
    np.testing.assert_array_equal(array["green"], window_values()[1])


# Thumbnails and downloads.


def test_thumbnails(raster):
    url = raster.getThumbURL(
        {
            "region": window_region(),
            "dimensions": f"{WIDTH}x{HEIGHT}",
            "format": "png",
            "crs": "EPSG:32613",
            "min": 0,
            "max": 255,
        }
    )
    response = fetch(url)
    assert response.headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(
        pixels_of(response.content)[..., :3],
        np.clip(window_values(), 0, 255).transpose(1, 2, 0),
    )
    jpeg = fetch(raster.getThumbURL({"dimensions": 40, "format": "jpg", "min": 0, "max": 255}))
    assert jpeg.headers["Content-Type"] == "image/jpeg"
    assert pixels_of(jpeg.content).shape[1] == 40


def test_thumbnails_are_512_pixels_on_the_longer_side(raster):
    pixels = pixels_of(fetch(raster.getThumbURL({"min": 0, "max": 200})).content)
    assert max(pixels.shape[:2]) == 512


@pytest.mark.parametrize("file_format", ["NPY", "GEO_TIFF"])
def test_downloads(raster, file_format):
    url = raster.getDownloadURL(
        {"format": file_format, "region": window_region(), "crs": "EPSG:32613", "scale": 10}
    )
    content = fetch(url).content
    if file_format == "NPY":
        array = np.load(io.BytesIO(content))
        bands = np.stack([array[name] for name in ("red", "green", "blue")])
    else:
        with MemoryFile(content) as memory, memory.open() as dataset:
            assert dataset.transform @ (0, 0) == TRANSFORM @ (COL, ROW)
            bands = dataset.read()
    np.testing.assert_array_equal(bands, window_values())


def test_zipped_downloads(raster):
    parameters = {"region": window_region(), "crs": "EPSG:32613", "scale": 10, "name": "mine"}
    with zipfile.ZipFile(
        io.BytesIO(fetch(raster.getDownloadURL({**parameters})).content)
    ) as zipped:
        assert sorted(zipped.namelist()) == ["mine.blue.tif", "mine.green.tif", "mine.red.tif"]
        with MemoryFile(zipped.read("mine.green.tif")) as memory, memory.open() as dataset:
            np.testing.assert_array_equal(dataset.read(1), window_values()[1])
    whole = raster.getDownloadURL({**parameters, "filePerBand": False})
    with zipfile.ZipFile(io.BytesIO(fetch(whole).content)) as zipped:
        assert zipped.namelist() == ["mine.tif"]


def test_map_tiles(raster):
    tiles = ee.data.getMapId({"image": raster.visualize(min=0, max=255)})["tile_fetcher"]
    # The tile of zoom 14 under the raster's middle.
    lon, lat = raster.geometry().centroid(1).coordinates().getInfo()
    x = int((lon + 180) / 360 * 2**14)
    y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**14)
    pixels = pixels_of(tiles.fetch_tile(x, y, 14))
    assert pixels.shape[:2] == (256, 256)
    assert pixels.any()


# Tables.


def table(count):
    points = ee.List.sequence(0, count - 1)
    return ee.FeatureCollection(
        points.map(lambda i: ee.Feature(ee.Geometry.Point([i, 0]), {"i": i}))
    )


def test_compute_features_pages():
    request, seen, pages = {"expression": table(25), "pageSize": 10}, [], 0
    while True:
        page = ee.data.computeFeatures(request)
        assert page["type"] == "FeatureCollection"
        seen += [f["properties"]["i"] for f in page["features"]]
        pages += 1
        if "nextPageToken" not in page:
            break
        request = {**request, "pageToken": page["nextPageToken"]}
    assert seen == list(range(25))
    assert pages == 3


def test_compute_features_as_a_geodataframe():
    frame = ee.data.computeFeatures(
        {"expression": table(12), "pageSize": 5, "fileFormat": "GEOPANDAS_GEODATAFRAME"}
    )
    assert frame["i"].tolist() == list(range(12))
    assert frame.geometry.x.tolist() == list(range(12))


def test_table_downloads():
    text = fetch(table(3).getDownloadURL("csv", ["i", ".geo"], "points")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["i"]) for row in rows] == [0, 1, 2]
    assert json.loads(rows[1][".geo"])["coordinates"] == [1, 0]
    geojson = fetch(table(3).getDownloadURL("geojson")).json()
    assert [f["properties"]["i"] for f in geojson["features"]] == [0, 1, 2]


# Assets.


def test_get_asset():
    asset = ee.data.getAsset(RASTER_ID)
    assert asset["type"] == "IMAGE"
    assert asset["name"] == RASTER_ID
    assert [band["id"] for band in asset["bands"]] == ["red", "green", "blue"]
    grid = asset["bands"][0]["grid"]
    assert grid["dimensions"] == {"width": SHAPE[1], "height": SHAPE[0]}
    assert grid["crsCode"] == "EPSG:32613"


def test_missing_assets():
    with pytest.raises(ee.EEException, match="does not exist or doesn't allow this operation"):
        ee.data.getAsset(f"projects/{PROJECT}/assets/nothing")
    with pytest.raises(ee.EEException, match=r"Image\.load: Image asset 'NO/SUCH' not found"):
        ee.Image("NO/SUCH").getInfo()


def test_list_assets():
    assert [a["name"] for a in ee.data.listAssets(f"projects/{PROJECT}/assets")["assets"]] == [
        RASTER_ID
    ]
    images = ee.data.listImages({"parent": "USDA/NAIP/DOQQ", "pageSize": 3, "view": "BASIC"})
    assert len(images["images"]) == 3
    assert "nextPageToken" in images


def test_project_config_and_operations():
    assert ee.data.getProjectConfig()["name"] == f"projects/{PROJECT}/config"
    assert ee.data.listOperations() == []


# Errors, as the client tells them.


def test_unsupported_algorithms_are_named():
    # A model on Google's servers can never run here.
    with pytest.raises(ee.EEException, match=r"Model\.fromVertexAi"):
        ee.Model.fromVertexAi("projects/p/locations/l/endpoints/e").getInfo()


def test_wrong_requests(raster):
    with pytest.raises(ee.EEException, match='Unknown name "scale": Cannot find field'):
        ee.data.computePixels({"expression": raster, "scale": 30})
    with pytest.raises(ee.EEException, match="did not match any bands"):
        ee.data.computePixels({"expression": raster, "bandIds": ["infrared"]})
    large = {**window_grid(), "dimensions": {"width": 4096, "height": 4096}}
    with pytest.raises(ee.EEException, match=r"\(150994944 bytes\) must be less than or equal to"):
        ee.data.computePixels({"expression": raster, "grid": large, "fileFormat": "NPY"})
    with pytest.raises(ee.EEException, match="Total request size"):
        raster.getDownloadURL(
            {"scale": 0.02, "crs": "EPSG:32613", "region": window_region(), "format": "NPY"}
        )


def test_workload_tags(raster):
    with ee.data.workloadTagContext("eedask-test"):
        assert ee.Number(1).getInfo() == 1
        assert fetch(raster.getThumbURL({"dimensions": 4})).content


def test_constants_among_images_become_images():
    assert ee.Image.cat(1, 2.5).bandNames().getInfo() == ["constant", "constant_1"]
    both = ee.ApiFunction.call_("Image.cat", [3, ee.Image(2).rename("b"), [4, 5]])
    assert both.bandNames().getInfo() == ["constant", "b", "constant_0", "constant_1"]
    with pytest.raises(ee.EEException, match="Expected an image, found String"):
        ee.ApiFunction.call_("Image.cat", ["x"]).getInfo()
