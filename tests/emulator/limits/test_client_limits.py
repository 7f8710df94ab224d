"""How large a request may be, at the exact edge of each limit, through the real client.

The numbers are those of https://developers.google.com/earth-engine/guides/usage and of the
reference's pages about computePixels, getDownloadURL and getThumbURL; the words are Earth
Engine's own where they are public.
"""

import io
import re

import ee
import numpy as np
import pytest
import requests
from example_raster import RASTER_ID
from googleapiclient.http import HttpRequest

pytestmark = pytest.mark.usefixtures("client")

MOST_BYTES = 50331648
MOST_DOWNLOADED = 32 * 2**20
PAYLOAD = 10485760
ADVICE = (
    "Ensure that you are not aggregating at a higher resolution than you intended; that is a "
    "frequent cause of this error. If not, then you may set the 'maxPixels' argument to a limit "
    "suitable for your computation; set 'bestEffort' to true to aggregate at whatever scale "
    "results in 'maxPixels' total pixels; or both."
)


def grid(width, height):
    return {
        "dimensions": {"width": width, "height": height},
        "affineTransform": {"scaleX": 1, "translateX": 500_000, "scaleY": -1, "translateY": 0},
        "crsCode": "EPSG:32613",
    }


def place(width, height):
    return {
        "crs": "EPSG:32613",
        "crs_transform": [1, 0, 500_000, 0, -1, 0],
        "dimensions": f"{width}x{height}",
    }


def computed(image, width, height):
    wanted = {"expression": image, "fileFormat": "NPY", "grid": grid(width, height)}
    # 1,024 names make a long header.
    return np.load(io.BytesIO(ee.data.computePixels(wanted)), max_header_size=100_000)


def got(width, height):
    wanted = {"assetId": RASTER_ID, "fileFormat": "NPY", "grid": grid(width, height)}
    return np.load(io.BytesIO(ee.data.getPixels({**wanted, "bandIds": ["red"]})))


def refused(words):
    return pytest.raises(ee.EEException, match=f"^{re.escape(words)}$")


def too_many_bytes(size, most):
    return refused(f"Total request size ({size} bytes) must be less than or equal to {most} bytes.")


@pytest.mark.parametrize(
    ("values", "cast", "rows"),
    [(1, "toByte", 6144), ([1, 2, 3], "toByte", 2048), (1, "toUint16", 4096)],
)
def test_a_request_is_48_mebibytes_with_a_mask_byte_for_each_band(values, cast, rows):
    """At the edge to the byte: these sizes are exactly 50,331,648 bytes."""
    image = getattr(ee.Image.constant(values), cast)()
    with too_many_bytes(MOST_BYTES // rows * (rows + 1), MOST_BYTES):
        computed(image, 4096, rows + 1)
    array = computed(image, 4096, rows)
    assert array.shape == (rows, 4096)
    assert array.nbytes + array.size * len(array.dtype) == MOST_BYTES
    assert array[array.dtype.names[0]].min() == 1


def test_wider_types_count_with_their_bytes():
    image = ee.Image.constant([1, 2]).toDouble().addBands(ee.Image.constant(3).toFloat())
    each = 2 * (8 + 1) + (4 + 1)
    width = 3000
    rows = MOST_BYTES // (each * width)
    with too_many_bytes(each * width * (rows + 1), MOST_BYTES):
        computed(image, width, rows + 1)


def test_pixels_of_assets_have_the_same_limits():
    with too_many_bytes(3 * 4096 * 4097, MOST_BYTES):
        got(4096, 4097)
    with refused("Pixel grid dimensions (1x32769) must be less than or equal to 32768."):
        got(1, 32769)
    assert got(1, 32768).shape == (32768, 1)


def test_sides_of_a_request():
    image = ee.Image.constant(1).toByte()
    for width, height in ((32769, 1), (1, 32769)):
        words = f"Pixel grid dimensions ({width}x{height}) must be less than or equal to 32768."
        with refused(words):
            computed(image, width, height)
    assert computed(image, 32768, 1).shape == (1, 32768)
    assert computed(image, 1, 32768).shape == (32768, 1)


def test_sides_of_downloads_and_thumbnails():
    image = ee.Image.constant(1).toByte()
    words = "Pixel grid dimensions (10001x2) must be less than or equal to 10000."
    for form, ask in (("NPY", image.getDownloadURL), ("png", image.getThumbURL)):
        with refused(words):
            ask({"format": form, **place(10001, 2)})
        response = requests.get(ask({"format": form, **place(10000, 2)}), timeout=60)
        assert response.status_code == 200
    with refused("Pixel grid dimensions (2x10001) must be less than or equal to 10000."):
        image.getDownloadURL({"format": "GEO_TIFF", **place(2, 10001)})


def test_downloads_are_at_most_32_mebibytes_of_values():
    """Four bytes a pixel at 4096 by 2048: 32 MiB to the byte, without the mask's bytes."""
    image = ee.Image.constant(1).toFloat()
    with too_many_bytes(4 * 4096 * 2049, MOST_DOWNLOADED):
        image.getDownloadURL({"format": "NPY", **place(4096, 2049)})
    url = image.getDownloadURL({"format": "NPY", **place(4096, 2048)})
    array = np.load(io.BytesIO(requests.get(url, timeout=60).content))
    assert array.nbytes == MOST_DOWNLOADED
    assert array["constant"].min() == array["constant"].max() == 1


def test_downloads_count_masks_for_the_limit_of_all_requests():
    """At two bytes a pixel both limits are reached at 4096 by 4096, to the byte."""
    image = ee.Image.constant(1).toUint16()
    with too_many_bytes(3 * 4096 * 4097, MOST_BYTES):
        image.getDownloadURL({"format": "NPY", **place(4097, 4096)})
    assert image.getDownloadURL({"format": "NPY", **place(4096, 4096)})


def test_bands():
    assert len(computed(ee.Image.constant([1] * 1024), 1, 1).dtype) == 1024
    with refused("Number of bands (1025) must be less than or equal to 1024."):
        computed(ee.Image.constant([1] * 1025), 1, 1)


def test_payload_to_the_byte(monkeypatch):
    """The client's request is measured as it leaves it, then grown to the limit."""
    sizes = []
    execute = HttpRequest.execute

    def measured(request, *args, **kwargs):
        sizes.append(len(request.body))
        return execute(request, *args, **kwargs)

    monkeypatch.setattr(HttpRequest, "execute", measured)
    assert ee.String("x").length().getInfo() == 1
    fits = "x" * (PAYLOAD - sizes[-1] + 1)
    assert ee.String(fits).length().getInfo() == len(fits)
    assert sizes[-1] == PAYLOAD
    with refused(f"Request payload size exceeds the limit: {PAYLOAD} bytes."):
        ee.String(fits + "x").length().getInfo()


def test_elements_of_a_collection():
    def table(size):
        numbers = ee.List.sequence(1, size)
        return ee.FeatureCollection(numbers.map(lambda n: ee.Feature(None, {"n": n})))

    assert len(table(5000).getInfo()["features"]) == 5000
    words = "Collection query aborted after accumulating over 5000 elements."
    with refused(words):
        table(5001).getInfo()
    assert table(5001).size().getInfo() == 5001
    assert len(table(5001).limit(5000).getInfo()["features"]) == 5000
    images = ee.ImageCollection(ee.List.sequence(1, 5001).map(lambda n: ee.Image.constant(n)))
    with refused(words):
        images.getInfo()


def test_pixels_of_a_region():
    """A square of 10 by 10 pixels; the number found is its area over that of a pixel."""
    region = ee.Geometry.Rectangle([500_000, 4_399_900, 500_100, 4_400_000], "EPSG:32613", False)
    options = {"reducer": ee.Reducer.count(), "geometry": region, "scale": 10}
    image = ee.Image.constant(1).setDefaultProjection("EPSG:32613", None, 10)
    counted = image.reduceRegion(maxPixels=100, **options).getInfo()
    assert counted == {"constant": 100}
    words = "Too many pixels in the region. Found 100, but maxPixels allows only 99."
    with refused(f"Image.reduceRegion: {words}\n{ADVICE}"):
        image.reduceRegion(maxPixels=99, **options).getInfo()
    options["reducer"] = ee.Reducer.countEvery()
    with refused(f"Image.reduceToVectors: {words}\n{ADVICE}"):
        image.reduceToVectors(maxPixels=99, **options).getInfo()
    # reduceRegions has no bestEffort to advise.
    with refused(f"Image.reduceRegions: {words}"):
        image.reduceRegions(
            ee.FeatureCollection(region), ee.Reducer.count(), 10, maxPixelsPerRegion=99
        ).getInfo()
    del options["reducer"]
    best = image.reduceRegion("count", maxPixels=99, bestEffort=True, **options).getInfo()
    assert best["constant"] <= 99


def test_an_unbounded_image_needs_a_region():
    words = "Provide 'geometry' parameter when aggregating over an unbounded image."
    with refused(f"Image.reduceRegion: {words}"):
        ee.Image.constant(1).reduceRegion("mean", scale=1000).getInfo()
    # Sampling asks for the same.
    with refused(f"Image.sample: {words}"):
        ee.Image.constant(1).sample(scale=1000).getInfo()


def test_pixels_of_a_sampled_rectangle():
    """512 by 512 pixels, and one column more."""
    image = ee.Image.constant(1).toByte().setDefaultProjection("EPSG:32613", None, 10)

    def rectangle(width):
        box = [500_000, 4_400_000, 500_000 + 10 * width, 4_400_000 + 5120]
        return ee.Geometry.Rectangle(box, "EPSG:32613", False)

    found = image.sampleRectangle(rectangle(512)).get("constant").getInfo()
    assert np.array(found).shape == (512, 512)
    words = "Image.sampleRectangle: Too many pixels in sample; must be <= 262144. Got 262656."
    with refused(words):
        image.sampleRectangle(rectangle(513)).getInfo()


def test_a_features_page_holds_1000_unless_asked_and_all_of_them_if_asked():
    numbers = ee.List.sequence(1, 6000)
    table = ee.FeatureCollection(numbers.map(lambda n: ee.Feature(None, {"n": n})))
    page = ee.data.computeFeatures({"expression": table})
    assert len(page["features"]) == 1000
    assert "nextPageToken" in page
    whole = ee.data.computeFeatures({"expression": table, "pageSize": 6000})
    assert len(whole["features"]) == 6000
    assert "nextPageToken" not in whole
