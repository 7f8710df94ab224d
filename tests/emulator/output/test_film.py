"""Filmstrips, animations and pages of images, through the real client and against numpy."""

import io
import json
from urllib.request import urlopen

import ee
import numpy as np
import pytest
from example_raster import CRS, NODATA_CORNER, PROJECT, RASTER_ID, SHAPE, TRANSFORM, raster_values
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from eedask.emulator.output.gif import encode_gif

pytestmark = pytest.mark.usefixtures("client")


def raster():
    return ee.Image(RASTER_ID)


def three():
    """The raster, twice and three times it."""
    return ee.ImageCollection([raster().multiply(k).toUint8() for k in (1, 2, 3)])


def grid():
    t = TRANSFORM
    affine = {"scaleX": t.a, "scaleY": t.e, "translateX": t.c, "translateY": t.f}
    return {
        "crsCode": CRS,
        "affineTransform": affine,
        "dimensions": {"width": SHAPE[1], "height": SHAPE[0]},
    }


def expected(factor):
    """Red, green, blue and alpha of a frame."""
    colours = np.minimum(np.moveaxis(raster_values().astype(int) * factor, 0, -1), 255)
    alpha = np.full((*SHAPE, 1), 255)
    alpha[:NODATA_CORNER, :NODATA_CORNER] = 0
    return np.concatenate([colours, alpha], axis=-1)


@pytest.fixture
def ask(core):
    def send(kind, expression, **fields):
        body = {"expression": ee.serializer.encode(expression), **fields}
        path = f"/v1/projects/{PROJECT}/{kind}"
        created = core.answer("POST", path, body=json.dumps(body).encode())
        if created.status != 200 or ":" in kind:
            return created
        return core.answer("GET", f"/v1/{json.loads(created.body)['name']}:getPixels")

    return send


def fault(answer):
    assert answer.status == 400
    return json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize(("orientation", "axis"), [("VERTICAL", 0), ("HORIZONTAL", 1)])
def test_frames_of_a_filmstrip_are_below_or_beside_each_other(ask, orientation, axis):
    answer = ask(
        "filmstripThumbnails", three(), grid=grid(), fileFormat="PNG", orientation=orientation
    )
    assert answer.headers["Content-Type"] == "image/png"
    strip = np.asarray(Pillow.open(io.BytesIO(answer.body)))
    np.testing.assert_array_equal(
        strip, np.concatenate([expected(k) for k in (1, 2, 3)], axis=axis)
    )


def test_frames_of_different_sizes_are_padded_with_nothing(ask):
    left, top = TRANSFORM.c + 200, TRANSFORM.f - 200
    region = ee.Geometry.Rectangle([left, top - 60, left + 80, top], ee.Projection(CRS), False)
    part = raster().toUint8().clipToBoundsAndScale(geometry=region, scale=10)
    strip = ask("filmstripThumbnails", ee.ImageCollection([part, part]), fileFormat="PNG")
    assert Pillow.open(io.BytesIO(strip.body)).size == (8, 12)
    wide = part.clipToBoundsAndScale(geometry=region, width=16, height=6)
    strip = ask("filmstripThumbnails", ee.ImageCollection([part, wide]), fileFormat="PNG")
    alpha = np.asarray(Pillow.open(io.BytesIO(strip.body)))[..., 3]
    assert alpha.shape == (12, 16)
    assert (alpha[:6, 8:] == 0).all()
    assert (alpha[6:] == 255).all()
    assert (alpha[:6, :8] == 255).all()


def test_the_clients_filmstrip_is_jpeg_or_png():
    url = three().getFilmstripThumbURL({"dimensions": 40, "format": "png"})
    with urlopen(url, timeout=30) as response:
        picture = Pillow.open(io.BytesIO(response.read()))
    assert picture.size == (40, 90)


def test_the_clients_video_is_an_animated_gif():
    parameters = {"dimensions": "80x60", "framesPerSecond": 4, "crs": CRS}
    with urlopen(three().getVideoThumbURL(parameters), timeout=30) as response:
        assert response.headers["Content-Type"] == "image/gif"
        video = Pillow.open(io.BytesIO(response.read()))
    assert (video.n_frames, video.size) == (3, (80, 60))
    assert (video.info["duration"], video.info["loop"]) == (250, 0)


def test_a_videos_frames_are_the_images(ask):
    images = three().map(lambda image: image.divide(64).floor().multiply(64).toUint8())
    video = Pillow.open(io.BytesIO(ask("videoThumbnails", images, grid=grid()).body))
    for index, factor in enumerate((1, 2, 3)):
        video.seek(index)
        want = expected(factor)
        want[..., :3] = want[..., :3] // 64 * 64
        got = np.asarray(video.convert("RGBA"))
        np.testing.assert_array_equal(got[..., 3], want[..., 3])
        opaque = want[..., 3] > 0
        np.testing.assert_array_equal(got[opaque], want[opaque])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 9), st.booleans())
@example(186, 2, 9, True)
def test_gifs_of_few_colours_keep_them(seed, count, side, clear):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 4, (count, side, side, 4)).astype(np.uint8) * 85
    frames[..., 3] = 255 * rng.integers(0, 2, (count, side, side)) if clear else 255
    video = Pillow.open(io.BytesIO(encode_gif(list(frames), 10)))
    shown = []
    for index in range(getattr(video, "n_frames", 1)):
        video.seek(index)
        shown += [np.asarray(video.convert("RGBA"))] * (video.info["duration"] // 100)
    assert len(shown) == count
    for got, want in zip(shown, frames, strict=True):
        np.testing.assert_array_equal(got[..., 3], want[..., 3])
        np.testing.assert_array_equal(got[want[..., 3] > 0], want[want[..., 3] > 0])


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("videoThumbnails", {"fileFormat": "MP4"}, "does not support the video format MP4"),
        ("videoThumbnails", {"fileFormat": "VP9"}, "does not support the video format VP9"),
        ("videoThumbnails", {"fileFormat": "PNG"}, "Invalid value at 'file_format'"),
        ("videoThumbnails", {"videoOptions": {"framesPerSecond": 121}}, "framesPerSecond must be"),
        ("videoThumbnails", {"videoOptions": {"maxFrames": 2}}, "more than 2 images"),
        ("videoThumbnails", {"videoOptions": {"maxPixelsPerFrame": "9"}}, "allows only 9"),
        ("filmstripThumbnails", {"fileFormat": "GEO_TIFF"}, "cannot be a GEO_TIFF"),
        ("filmstripThumbnails", {"orientation": "DOWN"}, "Invalid value at 'orientation'"),
        ("filmstripThumbnails", {"bandIds": ["red"]}, 'Unknown name "bandIds"'),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_asked_for(ask, kind, fields, words):
    assert words in fault(ask(kind, three(), **fields))


def test_frames_together_have_a_limit(ask):
    big = grid() | {"dimensions": {"width": 2000, "height": 2000}}
    seven = ee.ImageCollection([raster().toUint8()] * 7)
    for kind in ("filmstripThumbnails", "videoThumbnails"):
        assert "equal to 26214400" in fault(ask(kind, seven, grid=big))
        assert "no images" in fault(ask(kind, ee.ImageCollection([]), grid=grid()))
        assert "collection of images" in fault(ask(kind, raster()))
        features = ee.FeatureCollection([ee.Feature(None, {})])
        assert "collection of images" in fault(ask(kind, features))


def test_images_of_a_collection_come_as_assets_in_pages():
    collection = ee.ImageCollection([raster(), raster().select("red").set("n", 2), raster()])
    first = ee.data.computeImages({"expression": collection, "pageSize": 2})
    asset = ee.data.getAsset(RASTER_ID)
    assert first["images"][0] == asset
    assert [band["id"] for band in first["images"][1]["bands"]] == ["red"]
    assert first["images"][1]["properties"]["n"] == 2
    token = first["nextPageToken"]
    rest = ee.data.computeImages({"expression": collection, "pageSize": 2, "pageToken": token})
    assert rest == {"images": [asset]}


def test_computed_images_have_no_name(ask):
    answer = ask("imageCollection:computeImages", ee.ImageCollection([ee.Image(1)]))
    (image,) = json.loads(answer.body)["images"]
    assert image["type"] == "IMAGE"
    assert "name" not in image
    assert [band["id"] for band in image["bands"]] == ["constant"]
    answer = ask("imageCollection:computeImages", ee.Number(1))
    assert "collection of images" in fault(answer)
