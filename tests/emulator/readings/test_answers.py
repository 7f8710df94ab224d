"""Each reading changes what the real client, or a plain one, is answered."""

import io
import json
import re
import socket
from urllib.parse import urlsplit

import ee
import numpy as np
import pytest
import rasterio
import urllib3
from example_raster import CRS, PROJECT, RASTER_ID, TRANSFORM
from PIL import Image

GRID = {
    "dimensions": {"width": 6, "height": 4},
    "affineTransform": {
        "scaleX": TRANSFORM.a,
        "translateX": TRANSFORM.c + 20 * TRANSFORM.a,
        "scaleY": TRANSFORM.e,
        "translateY": TRANSFORM.f + 20 * TRANSFORM.e,
    },
    "crsCode": CRS,
}


def half(image=None):
    """Return an image whose left half is masked."""
    x = ee.Image.pixelCoordinates(ee.Projection(CRS, list(TRANSFORM)[:6])).select("x")
    return (image or ee.Image(RASTER_ID).add(1).toUint16()).updateMask(x.gte(23))


def pixels(image, fmt, **grid):
    request = {"expression": image, "fileFormat": fmt, "grid": {**GRID, **grid}}
    return ee.data.computePixels(request)


def post(emulator, method, expression, headers=None, **more):
    body = {"expression": ee.serializer.encode(expression, for_cloud_api=True), **more}
    with urllib3.PoolManager(retries=False) as manager:
        return manager.request(
            "POST",
            f"{emulator.url}/v1/projects/{PROJECT}/{method}",
            body=json.dumps(body).encode(),
            headers=headers or {},
            timeout=20,
            decode_content=False,
        )


def squares(count=20):
    shapes = [ee.Geometry.Point([-99 + k / 100, 40]).buffer(200) for k in range(count)]
    return ee.FeatureCollection([ee.Feature(s, {"k": k}) for k, s in enumerate(shapes)])


# Values.


def test_null_properties(under):
    bare = ee.Feature(None, {"a": 1})
    copied = bare.copyProperties(ee.Feature(None, {"b": 2}), ["b", "missing"])
    empty = ee.Image(RASTER_ID).updateMask(0)
    reduced = empty.reduceRegions(squares(1), ee.Reducer.mean(), 10)
    same = ee.Filter.equals(leftField="a", rightField="a")
    outer = ee.Join.saveFirst("match", outer=True).apply(
        ee.FeatureCollection([bare]), ee.FeatureCollection([]), same
    )
    plain = ee.List([copied, outer.first(), reduced.first()])
    names = [f["properties"] for f in plain.getInfo()]
    assert names == [{"a": 1, "b": 2}, {"a": 1}, {"k": 0}]
    under(null_properties="kept")
    kept = [f["properties"] for f in plain.getInfo()]
    assert kept[0] == {"a": 1, "b": 2, "missing": None}
    assert kept[1] == {"a": 1, "match": None}
    assert kept[2] == {"k": 0, "red": None, "green": None, "blue": None}
    # What is set to null is removed under both.
    assert copied.set("b", None).toDictionary().keys().getInfo() == ["a", "missing"]


def test_argument_names(emulator, under):
    named = ee.List([1, 2]).map(lambda n: ee.Number(n).add(1))
    odd = json.loads(
        json.dumps(ee.serializer.encode(named, for_cloud_api=True)).replace(
            "_MAPPING_VAR_0_0", "an odd name"
        )
    )
    body = json.dumps({"expression": odd}).encode()
    url = f"{emulator.url}/v1/projects/{PROJECT}/value:compute"
    with urllib3.PoolManager(retries=False) as manager:
        assert manager.request("POST", url, body=body).json() == {"result": [2, 3]}
        under(argument_names="identifiers")
        refused = manager.request("POST", url, body=body)
    assert refused.status == 400
    assert "'an odd name'" in refused.json()["error"]["message"]
    assert named.getInfo() == [2, 3]


def test_crs_code(under):
    image, wkt = ee.Image(RASTER_ID).select(0), ee.Projection("EPSG:3857").wkt().getInfo()
    for kept in ({"crsCode": "ESRI:54009"}, {"crsCode": "EPSG:3857"}):
        assert pixels(image, "NPY", **kept)
    under(crs_code="epsg")
    with pytest.raises(ee.EEException, match=r"could not be parsed: ESRI:54009"):
        pixels(image, "NPY", crsCode="ESRI:54009")
    with pytest.raises(ee.EEException, match=r"could not be parsed: ESRI:54009"):
        ee.Projection("ESRI:54009").getInfo()
    assert pixels(image, "NPY", crsCode="EPSG:3857")
    grid = {k: v for k, v in GRID.items() if k != "crsCode"}
    request = {"expression": image, "fileFormat": "NPY", "grid": {**grid, "crsWkt": wkt}}
    assert ee.data.computePixels(request)


def test_percentiles(under):
    # 60 rows of 1 to 60; those beyond 30 count for little.
    red = ee.Image(RASTER_ID).select("red")
    bounds = [TRANSFORM.c + 100, TRANSFORM.f - 600, TRANSFORM.c + 300, TRANSFORM.f]
    region = ee.Geometry.Rectangle(bounds, CRS, False)
    faint = red.updateMask(red.lte(30).add(0.01))
    asked = faint.reduceRegion(ee.Reducer.median(), region, 10, CRS)
    assert asked.getInfo()["red"] < 20
    under(percentiles="unweighted")
    assert asked.getInfo()["red"] == pytest.approx(30.5, abs=0.51)


def test_features_in_any_order(under):
    reduced = ee.Image(RASTER_ID).reduceRegions(squares(), ee.Reducer.count(), 10)

    def order():
        return [f["properties"]["k"] for f in reduced.getInfo()["features"]]

    def pages():
        found = ee.data.computeFeatures({"expression": squares()})
        return [f["properties"]["k"] for f in found["features"]]

    assert order() == pages() == list(range(20))
    under(feature_order="any")
    for mixed in (order(), pages()):
        assert mixed != list(range(20))
        assert sorted(mixed) == list(range(20))


def test_members_of_features(emulator, under):
    bare = ee.FeatureCollection([ee.Feature(None, {})])
    (found,) = post(emulator, "value:compute", bare).json()["result"]["features"]
    assert (found["geometry"], found["properties"]) == (None, {})
    under(feature_members="absent")
    (found,) = post(emulator, "value:compute", bare).json()["result"]["features"]
    assert set(found) == {"type", "id"}
    under(extra_properties="some")
    (found,) = post(emulator, "table:computeFeatures", bare).json()["features"]
    assert {"updateTime", "links"} < set(found)
    assert {"geo", "unasked", "system:index"} <= set(found["properties"])


def test_names_of_outputs_of_regions(under):
    both = ee.Reducer.mean().combine(ee.Reducer.max(), sharedInputs=True)
    one = ee.Image(RASTER_ID).select("red").reduceRegions(squares(1), both, 10).first()
    single = ee.Image(RASTER_ID).select("red").reduceRegions(squares(1), ee.Reducer.max(), 10)
    under(null_properties="kept")
    assert set(one.toDictionary().keys().getInfo()) == {"k", "mean", "max"}
    under(null_properties="kept", region_outputs="band_output")
    assert set(one.toDictionary().keys().getInfo()) == {"k", "red_mean", "red_max"}
    assert set(single.first().toDictionary().keys().getInfo()) == {"k", "max"}


def test_short_pages(emulator, under):
    def walk():
        sizes, more = [], {}
        while more is not None:
            page = post(emulator, "table:computeFeatures", squares(10), pageSize=9, **more).json()
            sizes.append(len(page["features"]))
            token = page.get("nextPageToken")
            more = token and {"pageToken": token}
        return sizes

    assert walk() == [9, 1]
    under(pages="short")
    assert walk() == [0, 3, 3, 3, 1]


@pytest.mark.parametrize(
    ("value", "text"), [("strings", '"NaN"'), ("bare", "NaN"), ("null", "null")]
)
def test_numbers_that_json_lacks(emulator, under, value, text):
    under(non_finite=value)
    nan = ee.Number(-1).sqrt()
    assert post(emulator, "value:compute", nan).data.decode() == f'{{"result":{text}}}'


def test_whole_numbers(emulator, under):
    asked = ee.Number(3.5).multiply(2)
    assert post(emulator, "value:compute", asked).data == b'{"result":7}'
    under(whole_numbers="doubles")
    assert post(emulator, "value:compute", asked).data == b'{"result":7.0}'


# Pixels.


def test_nodata_of_geotiffs(under):
    whole = ee.Image(RASTER_ID).unmask(7).toUint16()

    def stated():
        found = []
        for image in (whole, half()):
            with rasterio.open(io.BytesIO(pixels(image, "GEO_TIFF"))) as file:
                found.append((file.nodata, file.read(1)[0, 0]))
        return found

    (first, _), second = stated()
    assert (first, second) == (0, (0, 0))
    under(geotiff_nodata="where_masked")
    assert [nodata for nodata, _ in stated()] == [None, 0]
    under(geotiff_nodata="never")
    (first, _), second = stated()
    assert (first, second) == (None, (None, 0))


def test_bands_of_several_types_in_a_geotiff(under):
    several = ee.Image(RASTER_ID).toUint16().select(0).addBands(ee.Image(0.5).toFloat())
    with rasterio.open(io.BytesIO(pixels(several, "GEO_TIFF"))) as file:
        assert set(file.dtypes) == {"float32"}
    under(geotiff_types="refused")
    words = "compatible data types; found inconsistent types: Float32 and UInt16"
    with pytest.raises(ee.EEException, match=words):
        pixels(several, "GEO_TIFF")
    with pytest.raises(ee.EEException, match=words):
        pixels(several.addBands(several.toFloat()), "GEO_TIFF")
    assert pixels(several.toFloat(), "GEO_TIFF")
    assert np.load(io.BytesIO(pixels(several, "NPY"))).dtype["constant"] == "f4"


def test_masked_pixels_of_npy(under):
    def read():
        array = np.load(io.BytesIO(pixels(half(), "NPY")))
        return array["red"][:, :3], array["red"][:, 3:]

    masked, kept = read()
    assert not masked.any()
    under(npy_masked="any")
    noisy, same = read()
    assert (noisy != 0).any()
    np.testing.assert_array_equal(same, kept)


def test_pictures_of_what_is_not_eight_bit(under):
    image, clipped = ee.Image(RASTER_ID), ee.Image(RASTER_ID).visualize(min=0, max=5000)
    assert pixels(image, "PNG")
    under(picture_bands="refused")
    with pytest.raises(ee.EEException, match="8-bit"):
        pixels(image, "PNG")
    with pytest.raises(ee.EEException, match="8-bit"):
        image.toUint8().addBands(ee.Image(1).toUint8()).getThumbURL({"dimensions": 4})
    assert pixels(clipped, "PNG")


def test_alpha_of_pngs(under):
    grey, colours = (ee.Image(RASTER_ID).unmask(1).toUint8().select(b) for b in ([0], [0, 1, 2]))

    def modes():
        return [Image.open(io.BytesIO(pixels(i, "PNG"))).mode for i in (grey, colours)]

    assert modes() == ["L", "RGB"]
    under(png_alpha="always")
    assert modes() == ["RGBA", "RGBA"]


# Refusals, and the wire.


def heavy():
    region = ee.Geometry.Rectangle([-180, -80, 180, 80], None, False)
    return ee.Image(1).reduceRegion("sum", region, scale=1, maxPixels=1e16)


@pytest.mark.parametrize("value", ["503", "504"])
def test_what_is_too_heavy(emulator, under, value):
    assert post(emulator, "value:compute", heavy()).status == 400
    under(capacity=value)
    answer = post(emulator, "value:compute", heavy())
    assert answer.status == int(value)
    assert "xceeded." in answer.json()["error"]["message"]
    assert post(emulator, "value:compute", ee.Number(1)).status == 200


def test_silence_where_it_is_too_heavy(emulator, under):
    under(capacity="silence")
    body = json.dumps({"expression": ee.serializer.encode(heavy(), for_cloud_api=True)})
    with (
        urllib3.PoolManager(retries=False) as manager,
        pytest.raises(urllib3.exceptions.ReadTimeoutError),
    ):
        manager.request(
            "POST", f"{emulator.url}/v1/projects/{PROJECT}/value:compute", body=body, timeout=2
        )


def test_words_of_errors(emulator, under):
    missing = ee.Image("projects/eedask/assets/a-rather-long-name-of-an-image-that-is-not-there")
    plain = post(emulator, "value:compute", missing).json()["error"]["message"]
    under(error_texts="decorated")
    found = post(emulator, "value:compute", missing).json()["error"]
    first, *rest = found["message"].split("\n")
    assert first.startswith("Earth Engine Error: ")
    assert len(rest) >= 2
    assert rest[-1].startswith("(Request id: ")
    assert " ".join([first, *rest[:-1]]).removeprefix("Earth Engine Error: ") == plain


@pytest.mark.parametrize(("value", "pattern"), [("seconds", r"1"), ("date", r"\w+, .* GMT")])
def test_when_to_come_back(emulator, under, value, pattern):
    emulator.set_faults("429=1")
    try:
        assert "Retry-After" not in post(emulator, "value:compute", ee.Number(1)).headers
        under(retry_after=value)
        answer = post(emulator, "value:compute", ee.Number(1))
    finally:
        emulator.set_faults(None)
    assert answer.status == 429
    assert re.fullmatch(pattern, answer.headers["Retry-After"])


def test_connections_that_are_closed(emulator, under):
    under(keep_alive="closed")
    with urllib3.PoolManager(maxsize=1, retries=False) as manager:
        for _ in range(3):
            answer = manager.request("GET", f"{emulator.url}/v1/projects/{PROJECT}/config")
            assert answer.status == 200
            assert answer.headers["Connection"] == "close"
    address = urlsplit(emulator.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        while connection.recv(65536):
            pass  # until the other end closes it, which is what is tested


def test_compression(emulator, under):
    long = ee.String("x" * 5000)
    asks = {"Accept-Encoding": "gzip"}
    plain = post(emulator, "value:compute", long, asks)
    assert plain.headers["Content-Encoding"] == "gzip"
    assert int(plain.headers["Content-Length"]) == len(plain.data)
    under(gzip="chunked")
    short = post(emulator, "value:compute", ee.Number(1), asks)
    assert short.headers["Transfer-Encoding"] == "chunked"
    assert short.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in short.headers
    # The client itself takes it.
    assert ee.Number(1).getInfo() == 1
    under(gzip="user_agent")
    assert "Content-Encoding" not in post(emulator, "value:compute", long, asks).headers
    named = post(emulator, "value:compute", long, {**asks, "User-Agent": "test (gzip)"})
    assert named.headers["Content-Encoding"] == "gzip"


def test_the_client_works_where_everything_is_otherwise(under):
    under("all-other")
    assert ee.List([1, 2]).map(lambda n: ee.Number(n).add(1)).getInfo() == [2, 3]
    assert len(squares().getInfo()["features"]) == 20
    array = np.load(io.BytesIO(pixels(ee.Image(RASTER_ID), "NPY")))
    assert array.shape == (4, 6)
