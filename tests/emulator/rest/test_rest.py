"""The core without HTTP: what the client cannot send, or does not show."""

import io
import json
import logging
import zipfile

import numpy as np
import pytest
from example_raster import PROJECT, RASTER_ID, SHAPE, raster_values

from eedask.emulator.protocol.api import MAX_PAYLOAD
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store

ROOT = f"/v1/projects/{PROJECT}"


def invoke(name, **arguments):
    return {"functionInvocationValue": {"functionName": name, "arguments": arguments}}


def constant(value):
    return {"constantValue": value}


def expression(node):
    return {"result": "0", "values": {"0": node}}


RASTER = invoke("Image.load", id=constant(RASTER_ID))
THREE = expression(invoke("Number.add", left=constant(1), right=constant(2)))


@pytest.fixture
def post(core):
    def send(path, body, **query):
        return core.answer("POST", ROOT + path, query, json.dumps(body).encode())

    return send


def fault(answer, code=400):
    assert answer.status == code, answer.body
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    return error["message"]


def npy(answer):
    assert answer.status == 200, answer.body
    return np.load(io.BytesIO(answer.body))


def grid(width, height, **more):
    transform = {"scaleX": 10, "translateX": 500000, "scaleY": -10, "translateY": 4400000}
    return {"dimensions": {"width": width, "height": height}, "affineTransform": transform, **more}


def compute(post, **fields):
    return post("/image:computePixels", {"expression": expression(RASTER), **fields})


@pytest.mark.parametrize(
    "path",
    [
        "/image:export",
        "/table:export",
        "/video:export",
        "/videoMap:export",
        "/map:export",
        "/image:import",
        "/table:import",
    ],
)
def test_there_is_no_batch_system(post, path):
    assert "has no batch system" in fault(post(path, {"expression": THREE, "requestId": "1"}))


def test_values(post):
    answer = post("/value:compute", {"expression": THREE})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(answer.body) == {"result": 3}
    nothing = post("/value:compute", {"expression": expression(constant(None))})
    assert json.loads(nothing.body) == {"result": None}


def test_requests_that_do_not_fit_the_api(post, core):
    assert "Cannot find field" in fault(post("/value:compute", {"expression": THREE, "x": 1}))
    assert "Cannot bind query parameter" in fault(
        post("/value:compute", {"expression": THREE}, pageSize="1")
    )
    assert "alt=proto" in fault(post("/value:compute", {"expression": THREE}, alt="proto"))
    assert "Method not found" in fault(core.answer("GET", "/v1/nothing"), 404)
    assert "Method not found" in fault(core.answer("HEAD", f"{ROOT}/config"), 404)


def test_payloads_over_the_limit(core):
    body = b" " * (MAX_PAYLOAD + 1)
    assert fault(core.answer("POST", f"{ROOT}/value:compute", {}, body)) == (
        "Request payload size exceeds the limit: 10485760 bytes."
    )
    fits = json.dumps({"expression": THREE}).encode().ljust(MAX_PAYLOAD)
    assert core.answer("POST", f"{ROOT}/value:compute", {}, fits).status == 200


def test_only_the_project_that_there_is(core):
    message = fault(core.answer("GET", "/v1/projects/another/config"), 403)
    assert "permission to use project another" in message


def test_an_exception_of_ours_is_400_and_logged(mounts, tmp_path, caplog, monkeypatch):
    class Broken:
        def asset(self, name):
            raise ZeroDivisionError("oh")

    core = Core(Broken(), Store(tmp_path))
    with caplog.at_level(logging.ERROR, "eedask.emulator.rest.rest"):
        answer = core.answer("GET", f"/v1/{RASTER_ID}")
    assert "ZeroDivisionError" in fault(answer)
    assert "Traceback" in caplog.text


def test_running_out_of_memory_is_earth_engines_error(tmp_path):
    class Huge:
        def asset(self, name):
            raise MemoryError

    answer = Core(Huge(), Store(tmp_path)).answer("GET", f"/v1/{RASTER_ID}")
    assert fault(answer) == "User memory limit exceeded."


# Grids.


def test_omitted_members_of_the_transform_are_zero_and_the_crs_is_the_images(post):
    array = npy(compute(post, fileFormat="NPY", grid=grid(7, 6)))
    np.testing.assert_array_equal(array["green"], raster_values()[1, :6, :7])


def test_a_crs_as_wkt(post):
    import pyproj

    wkt = pyproj.CRS("EPSG:32613").to_wkt()
    array = npy(compute(post, fileFormat="NPY", grid=grid(7, 6, crsWkt=wkt)))
    np.testing.assert_array_equal(array["green"], raster_values()[1, :6, :7])


def test_dimensions_alone_divide_the_image(post):
    half = {"dimensions": {"width": SHAPE[1] // 2, "height": SHAPE[0] // 2}}
    array = npy(compute(post, fileFormat="NPY", grid=half))
    # Twice the size is the second level of the pyramid, or every other pixel; either way each
    # value lies among those of its four pixels.
    blocks = raster_values()[0].reshape(SHAPE[0] // 2, 2, SHAPE[1] // 2, 2)
    clear = np.s_[4:, 4:]
    assert (array["red"] >= blocks.min((1, 3)))[clear].all()
    assert (array["red"] <= blocks.max((1, 3)))[clear].all()


def test_a_transform_alone_covers_the_image(post):
    transform = {"affineTransform": grid(1, 1)["affineTransform"]}
    array = npy(compute(post, fileFormat="NPY", grid=transform))
    np.testing.assert_array_equal(array["blue"], raster_values()[2])


def test_a_crs_alone_keeps_the_size_of_pixels(post):
    array = npy(compute(post, fileFormat="NPY", grid={"crsCode": "EPSG:32613"}))
    np.testing.assert_array_equal(array["blue"], raster_values()[2])
    other = npy(compute(post, fileFormat="NPY", grid={"crsCode": "EPSG:3857"}))
    # Mercator stretches by the secant of the latitude, 39.7 degrees.
    assert other.shape[0] == pytest.approx(60 / np.cos(np.radians(39.73)), abs=3)


def test_pixels_of_an_assets_region(core):
    region = {"type": "Polygon", "crs": "EPSG:32613", "geodesic": False}
    left, top = 500000 + 200, 4400000 - 100
    ring = [[left, top], [left + 60, top], [left + 60, top - 40], [left, top - 40], [left, top]]
    region["coordinates"] = [ring]
    body = {"region": region, "fileFormat": "NPY"}
    path = f"/v1/{RASTER_ID}:getPixels"
    array = npy(core.answer("POST", path, {}, json.dumps(body).encode()))
    np.testing.assert_array_equal(array["red"], raster_values()[0, 10:14, 20:26])
    body["grid"] = {"dimensions": {"width": 12, "height": 8}}
    array = npy(core.answer("POST", path, {}, json.dumps(body).encode()))
    np.testing.assert_array_equal(array["red"][::2, ::2], raster_values()[0, 10:14, 20:26])
    missing = core.answer("POST", f"{ROOT}/assets/nothing:getPixels", {}, b"{}")
    assert "does not exist" in fault(missing, 404)


@pytest.mark.parametrize(
    "broken",
    [
        {"dimensions": {"width": 5}},
        {"dimensions": {"width": -5, "height": 5}},
        grid(5, 5, affineTransform={"scaleX": 1}),
        grid(5, 5, affineTransform={"scaleX": "NaN", "scaleY": 1}),
        grid(5, 5, crsCode="EPSG:0"),
        grid(5, 5, crsCode="nonsense"),
    ],
)
def test_grids_that_are_none(post, broken):
    fault(compute(post, fileFormat="NPY", grid=broken))


def test_an_unbounded_image_needs_a_grid(post):
    answer = post(
        "/image:computePixels",
        {"expression": expression(invoke("Image.constant", value=constant(1)))},
    )
    assert "unbounded" in fault(answer)


# Sizes.


def test_size_counts_values_and_a_mask_byte_a_band(post):
    # 3 bands of 2 + 1 bytes: 9 a pixel.
    most = 50331648 // 9
    answer = compute(post, fileFormat="NPY", bandIds=["red"], grid=grid(4096, 4097))
    assert fault(answer) == (
        f"Total request size ({3 * 4096 * 4097} bytes) must be less than or equal to "
        "50331648 bytes."
    )
    over = compute(post, fileFormat="NPY", grid=grid(2048, most // 2048 + 1))
    assert "Total request size" in fault(over)
    # Masked far away, but as many as there may be.
    assert compute(post, fileFormat="NPY", grid=grid(2048, most // 2048)).status == 200


def test_sides(post):
    assert fault(compute(post, fileFormat="NPY", grid=grid(32769, 1))) == (
        "Pixel grid dimensions (32769x1) must be less than or equal to 32768."
    )
    assert compute(post, fileFormat="NPY", grid=grid(32768, 1)).status == 200
    thumbnail = {"expression": expression(RASTER), "fileFormat": "NPY", "grid": grid(10001, 1)}
    assert fault(post("/thumbnails", thumbnail)) == (
        "Pixel grid dimensions (10001x1) must be less than or equal to 10000."
    )


def test_downloads_are_at_most_32_megabytes(post):
    # Two bytes of a band: 33.6 MB, though with its mask byte no more than the general limit.
    one = {"expression": expression(RASTER), "bandIds": ["red"], "fileFormat": "NPY"}
    assert post("/thumbnails", {**one, "grid": grid(4096, 4096)}).status == 200
    answer = post("/thumbnails", {**one, "grid": grid(4096, 4097)})
    assert "Total request size" in fault(answer)


def test_too_many_bands(post):
    many = invoke("Image.constant", value=constant([1] * 1025))
    body = {"expression": expression(many), "fileFormat": "NPY", "grid": grid(1, 1)}
    assert fault(post("/image:computePixels", body)) == (
        "Number of bands (1025) must be less than or equal to 1024."
    )


# Formats.


def test_formats_that_are_for_something_else(post):
    assert "thumbnails only" in fault(compute(post, fileFormat="ZIPPED_GEO_TIFF"))
    assert "exports only" in fault(compute(post, fileFormat="TF_RECORD_IMAGE"))


def test_pictures_need_one_or_three_bands(post):
    assert "1 or 3 bands" in fault(compute(post, fileFormat="PNG", bandIds=["red", "blue"]))
    gray = compute(post, fileFormat="PNG", bandIds=["red"])
    assert gray.body.startswith(b"\x89PNG")


def test_no_format_is_jpeg_if_all_is_opaque_else_png(post):
    clear = {**grid(8, 8), "crsCode": "EPSG:32613"}
    clear["affineTransform"] = {**clear["affineTransform"], "translateX": 500100}
    assert compute(post, grid=clear).headers["Content-Type"] == "image/jpeg"
    assert compute(post).headers["Content-Type"] == "image/png"


def test_bands_in_the_order_asked_for_and_none_that_is_not_there(post):
    array = npy(compute(post, fileFormat="NPY", bandIds=["blue", "red"], grid=grid(8, 8)))
    assert array.dtype.names == ("blue", "red")
    assert fault(compute(post, fileFormat="NPY", bandIds=["nir"])) == (
        "Image.select: Band pattern 'nir' did not match any bands. "
        "Available bands: [red, green, blue]"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"opacity": 1.5},
        {"paletteColors": ["ff0000"]},
        {"ranges": [{"max": 1}, {"max": 2}]},
    ],
)
def test_visualization_options_that_cannot_be(post, options):
    fault(compute(post, fileFormat="PNG", visualizationOptions=options))


def test_what_is_no_image_has_no_pixels(post):
    answer = post("/image:computePixels", {"expression": THREE, "grid": grid(1, 1)})
    assert "image" in fault(answer)


# Thumbnails and tables.


def created(answer):
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["name"]


def test_thumbnail_names(post, core):
    body = {"expression": expression(RASTER), "fileFormat": "NPY"}
    short = post("/thumbnails", body, fields="name", workloadTag="tag")
    assert set(json.loads(short.body)) == {"name"}
    whole = json.loads(post("/thumbnails", body, workloadTag="tag").body)
    assert whole == {"name": created(short), **body}
    assert created(short).startswith(f"projects/{PROJECT}/thumbnails/")
    pixels = npy(core.answer("GET", f"/v1/{created(short)}:getPixels"))
    np.testing.assert_array_equal(pixels["red"], raster_values()[0])
    gone = core.answer("GET", f"{ROOT}/thumbnails/{'0' * 32}-{'0' * 32}:getPixels")
    fault(gone, 404)


def test_thumbnail_of_many_bands_shows_the_first_three(post, core):
    four = invoke("Image.addBands", dstImg=RASTER, srcImg=RASTER)
    body = {"expression": expression(four), "fileFormat": "PNG"}
    answer = core.answer("GET", f"/v1/{created(post('/thumbnails', body))}:getPixels")
    assert answer.status == 200


def test_zipped_bands(post, core):
    body = {"expression": expression(RASTER), "fileFormat": "ZIPPED_GEO_TIFF_PER_BAND"}
    answer = core.answer("GET", f"/v1/{created(post('/thumbnails', body))}:getPixels")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as zipped:
        names = zipped.namelist()
    assert names == ["raster.red.tif", "raster.green.tif", "raster.blue.tif"]


def features(count):
    return [
        invoke(
            "Feature",
            geometry=constant({"type": "Point", "coordinates": [i, 0]}),
            metadata=constant({"i": i}),
        )
        for i in range(count)
    ]


def collection(count):
    return expression(invoke("Collection", features={"arrayValue": {"values": features(count)}}))


def test_feature_pages(post):
    body = {"expression": collection(5), "pageSize": 2}
    first = json.loads(post("/table:computeFeatures", body).body)
    assert [f["properties"]["i"] for f in first["features"]] == [0, 1]
    token = first["nextPageToken"]
    rest = {**body, "pageSize": 3, "pageToken": token}
    last = json.loads(post("/table:computeFeatures", rest).body)
    assert [f["properties"]["i"] for f in last["features"]] == [2, 3, 4]
    assert "nextPageToken" not in last
    other = {**rest, "expression": collection(4)}
    assert "page token" in fault(post("/table:computeFeatures", other))
    assert "page size" in fault(post("/table:computeFeatures", {**body, "pageSize": -1}))


def test_a_page_is_1000_unless_asked(post):
    numbers = invoke("List.sequence", start=constant(1), end=constant(1001))
    graph = {
        "result": "0",
        "values": {
            "0": invoke(
                "Collection",
                features=invoke("List.map", list=numbers, baseAlgorithm={"valueReference": "1"}),
            ),
            "1": {"functionDefinitionValue": {"argumentNames": ["n"], "body": "2"}},
            "2": invoke(
                "Feature",
                geometry=constant(None),
                metadata={"dictionaryValue": {"values": {"n": {"argumentReference": "n"}}}},
            ),
        },
    }
    page = json.loads(post("/table:computeFeatures", {"expression": graph}).body)
    assert len(page["features"]) == 1000
    rest = {"expression": graph, "pageToken": page["nextPageToken"]}
    assert len(json.loads(post("/table:computeFeatures", rest).body)["features"]) == 1


def test_what_is_no_collection_has_no_features(post):
    assert "collection" in fault(post("/table:computeFeatures", {"expression": THREE}))


# Assets.


def test_lists_of_assets(core):
    answer = core.answer("GET", f"{ROOT}:listAssets", {"view": "BASIC"})
    (asset,) = json.loads(answer.body)["assets"]
    assert set(asset) == {"type", "name", "id"}
    assert (asset["type"], asset["name"]) == ("IMAGE", RASTER_ID)
    parent = "/v1/projects/earthengine-public/assets/USDA/NAIP/DOQQ"
    dates = 'startTime >= "2019-06-01T00:00:00Z" AND startTime < "2019-09-01T00:00:00Z"'
    query = {"pageSize": "4", "filter": dates}
    page = json.loads(core.answer("GET", f"{parent}:listAssets", query).body)
    assert len(page["assets"]) == 4
    assert all("2019-06-01" <= a["startTime"] < "2019-09-01" for a in page["assets"])
    query["pageToken"] = page["nextPageToken"]
    following = json.loads(core.answer("GET", f"{parent}:listAssets", query).body)
    names = [a["name"] for a in page["assets"] + following["assets"]]
    assert len(set(names)) == 8
    fault(core.answer("GET", f"{ROOT}/assets/nothing:listAssets"), 404)


def test_lists_of_features(core):
    states = "/v1/projects/earthengine-public/assets/FAO/GAUL/2015/level1:listFeatures"
    region = '{"type":"Point","coordinates":[-105.5,39]}'
    for query in ({"region": region}, {"filter": 'properties.ADM1_NAME = "Colorado"'}):
        found = list(listed(core, states, query))
        assert [f["properties"]["ADM1_NAME"] for f in found] == ["Colorado"]


def listed(core, path, query):
    """Yield the features of all pages: on a busy machine the first may hold none of them."""
    page = {"nextPageToken": None}
    while "nextPageToken" in page:
        if page["nextPageToken"] is not None:
            query = {**query, "pageToken": page["nextPageToken"]}
        page = json.loads(core.answer("GET", path, query).body)
        yield from page["features"]


def test_config_and_operations(core):
    config = json.loads(core.answer("GET", f"{ROOT}/config").body)
    assert config["name"] == f"projects/{PROJECT}/config"
    assert json.loads(core.answer("GET", f"{ROOT}/operations").body) == {}
    fault(core.answer("GET", f"{ROOT}/operations/one"), 404)


def test_discovery_and_algorithms(core):
    document = json.loads(core.answer("GET", "/$discovery/rest", {"version": "v1"}).body)
    assert document["id"] == "earthengine:v1"
    encoded = core.answer("GET", "/%24discovery/rest")
    assert json.loads(encoded.body) == document
    algorithms = json.loads(core.answer("GET", f"{ROOT}/algorithms").body)
    assert len(algorithms["algorithms"]) > 900
