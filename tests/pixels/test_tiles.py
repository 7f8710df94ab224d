"""Chips too large for one request are cut, fetched and joined as if they had come at once."""

import io
import itertools
import json
import math
import re
import sys
import threading
from dataclasses import replace

import ee
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from limits import limited
from loopback import reply, serving
from mounted import FIELD, SCENE
from oracle import native_window, nearest, place
from PIL import Image

import eedask
from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.refusals import from_response
from eedask.errors import InputError, PermanentError, SizeError, TooLargeError
from eedask.grid import PixelGrid, Window
from eedask.items.item import work_items
from eedask.pixels.cutting import Allowance, allowed, cut, quarters
from eedask.pixels.formats.jpg import Jpg
from eedask.pixels.formats.registry import image_format
from eedask.pixels.query import PIXEL_LIMITS, URL_LIMITS, Limits
from eedask.pixels.tiles import TileSizes

GRID = PixelGrid("EPSG:32614", (5.0, 0.0, 500003.0, 0.0, -5.0, 4700001.0), (300, 200))
MEMORY = "User memory limit exceeded."
pytestmark = pytest.mark.usefixtures("threads")
NPY = image_format("npy")


def refusal_of(words):
    """Return the error that Earth Engine's words are read into."""
    return from_response(400, {}, json.dumps({"error": {"message": words}}).encode())


def run(plan, folder):
    """Run a plan into a folder of its own; return the result, all of whose items are there."""
    result = replace(plan, out=eedask.dataset.folder.Folder(str(folder))).run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    return result


def both_ways(plan, tmp_path, **limits):
    """Return the results of a plan in one request an item, and in several."""
    whole, joined = run(plan, tmp_path / "one"), run(limited(plan, **limits), tmp_path / "many")
    assert (joined.manifest["attempts"] > 1).all()
    return whole, joined


def file_of(result, item_id):
    return result._dataset.folder.read(result.manifest.loc[item_id, "path"])


# Cutting ------------------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.integers(1, 2000),
    st.integers(1, 60),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_tiles_cover_the_window_exactly_once_within_the_budget(shape, pixels, side, corner):
    tiles = cut(Window(*corner, shape), Allowance(pixels, side))
    covered = np.zeros((shape[0] + 9, shape[1] + 9), int)
    for tile in tiles:
        covered[tile.slices] += 1
        assert Allowance(pixels, side).fits(tile.shape)
    inside = (slice(corner[0], corner[0] + shape[0]), slice(corner[1], corner[1] + shape[1]))
    assert (covered[inside] == 1).all()
    assert covered.sum() == shape[0] * shape[1]
    assert [(t.row, t.column) for t in tiles] == sorted((t.row, t.column) for t in tiles)
    for axis in (0, 1):
        sizes = {tile.shape[axis] for tile in tiles}
        assert max(sizes) - min(sizes) <= 1
    assert len(tiles) == fewest(shape, pixels, side)


def fewest(shape, pixels, side):
    ways = itertools.product(range(1, shape[0] + 1), range(1, shape[1] + 1))
    return min(
        down * across
        for down, across in ways
        if (height := math.ceil(shape[0] / down)) <= side
        and (width := math.ceil(shape[1] / across)) <= side
        and height * width <= pixels
    )


def test_tiles_are_rather_square_than_long():
    assert {t.shape for t in cut(Window(0, 0, (100, 400)), Allowance(10_000, 32768))} == {
        (100, 100)
    }
    assert len(cut(Window(0, 0, (30_000, 30_000)), Allowance(25_000_000, 32768))) == 36


@given(st.integers(1, 500), st.integers(1, 500))
def test_quarters_are_never_below_the_smallest_side(rows, columns):
    tiles = quarters(Window(7, 3, (rows, columns)), 32)
    assert len(tiles) == (1 + (rows >= 64)) * (1 + (columns >= 64))
    assert sum(tile.pixels for tile in tiles) == rows * columns
    assert min(t.shape[0] for t in tiles) >= min(rows, 32)
    assert min(t.shape[1] for t in tiles) >= min(columns, 32)


@given(st.integers(0, 299), st.integers(0, 199), st.floats(0.1, 1000), st.floats(-1000, -0.1))
def test_the_grid_of_a_window_is_a_part_of_the_whole(row, column, width, height):
    grid = replace(GRID, transform=(width, 0.5, 3.25, 0.25, height, 7e6))
    part = grid.part(Window(row, column, (1, 1)))
    x, y = rasterio.Affine(*grid.transform) * (column, row)
    assert part.transform == pytest.approx((width, 0.5, x, 0.25, height, y))
    assert part.crs == grid.crs
    assert part.shape == (1, 1)


# Joining: the same as one request, and as rasterio ------------------------------------------


@pytest.mark.parametrize("fmt", ["npy", "tif"])
@pytest.mark.parametrize(("asset", "file"), [(SCENE, "scene"), (FIELD, "field")])
@pytest.mark.parametrize("shape", [(61, 47), (1, 97)])
@pytest.mark.cross(3)
def test_joined_chips_equal_rasterios_read_and_one_request(
    earth_engine, rasters, points, tmp_path, fmt, asset, file, shape
):
    few = points.iloc[:4]
    plan = eedask.chips(few, ee.Image(asset), out="-", shape=shape, crs="native", format=fmt)
    whole, joined = both_ways(plan, tmp_path, bytes=1000, side=40)
    for item_id, point in few.geometry.items():
        expected, _ = native_window(getattr(rasters, file), point.x, point.y, shape)
        if fmt == "npy":
            # To the byte: header, padding, pixels.
            assert file_of(joined, item_id) == file_of(whole, item_id)
            array = joined.open(item_id)
            found = [array[n].filled(0) for n in array.dtype.names]
            np.testing.assert_array_equal(found, expected)
            continue
        with whole.open(item_id) as one, joined.open(item_id) as many:
            np.testing.assert_array_equal(many.read(masked=True).filled(0), expected)
            assert_same_geotiffs(one, many)


def assert_same_geotiffs(one, many):
    np.testing.assert_array_equal(one.read(), many.read())
    facts = "transform crs dtypes descriptions nodata colorinterp units scales offsets bounds"
    for name in (*facts.split(), "interleaving", "compression"):
        # As text, in which NaN equals NaN.
        assert str(getattr(one, name)) == str(getattr(many, name)), name
    assert one.tags() == many.tags()


def casts():
    """Return an image with a band of every pixel type, and masked pixels in all."""
    band = ee.Image(FIELD).select(0).subtract(200)
    types = ("Uint8", "Int8", "Uint16", "Int16", "Uint32", "Int32", "Long", "Float", "Double")
    return ee.Image.cat([getattr(band.rename(name), f"to{name}")() for name in types])


def test_all_types_of_pixels(earth_engine, points, tmp_path):
    plan = eedask.chips(
        points.iloc[:2], casts(), out="-", shape=(50, 70), crs="native", format="npy"
    )
    whole, joined = both_ways(plan, tmp_path, bytes=2000)
    for item_id in plan.items.index:
        array = joined.open(item_id)
        assert len({array.dtype[name] for name in array.dtype.names}) == 9
        assert file_of(joined, item_id) == file_of(whole, item_id)


@pytest.mark.parametrize("kind", ["toLong", "toDouble", "toInt8"])
@pytest.mark.cross(3)
def test_geotiffs_of_odd_types_and_no_data_values(earth_engine, points, tmp_path, kind):
    image = getattr(ee.Image(FIELD), kind)()
    plan = eedask.chips(
        points.iloc[:2], image, out="-", shape=(700, 33), scale=30, crs="EPSG:4326", format="tif"
    )
    whole, joined = both_ways(plan, tmp_path, bytes=30_000)
    for item_id in plan.items.index:
        with whole.open(item_id) as one, joined.open(item_id) as many:
            assert_same_geotiffs(one, many)
            assert many.block_shapes == one.block_shapes


@pytest.mark.parametrize("bands", [["R", "G", "B"], ["N"]])
@pytest.mark.parametrize("mask", ["none", "a corner", "all"])
@pytest.mark.cross(4)
def test_pictures_with_and_without_masked_pixels(earth_engine, points, tmp_path, bands, mask):
    image = ee.Image(SCENE).unmask(9, False)
    if mask != "none":
        # What lies north of the middle of the chip; or everything.
        image = image.updateMask(0) if mask == "all" else ee.Image(SCENE)
    middle = points.iloc[[int(np.argmax(points.geometry.y))]]
    plan = eedask.chips(middle, image, out="-", shape=(101, 57), crs="utm", scale=5, bands=bands)
    whole, joined = both_ways(plan, tmp_path, bytes=1500)
    one, many = (r.open(middle.index[0]) for r in (whole, joined))
    assert many.mode == ("L" if bands == ["N"] else "RGB") + ("" if mask == "none" else "A")
    assert many.mode == one.mode
    np.testing.assert_array_equal(np.asarray(many), np.asarray(one))
    if mask == "a corner":
        assert {0, 255} == set(np.unique(np.asarray(many)[..., -1]))


def test_jpegs_are_written_again_with_little_loss(earth_engine, points, tmp_path):
    plan = eedask.chips(
        points.iloc[:2],
        ee.Image(SCENE).select([0, 1, 2]),
        out="-",
        shape=(64, 64),
        crs="utm",
        scale=0.5,
        format="jpg",
    )
    whole, joined = both_ways(plan, tmp_path, bytes=5000)
    for item_id in plan.items.index:
        one, many = (np.asarray(r.open(item_id)).astype(int) for r in (whole, joined))
        assert one.shape == many.shape
        assert np.abs(one - many).mean() < 6


@pytest.mark.parametrize(("method", "fmt"), [("thumb_url", "png"), ("download_url", "npy")])
def test_tiles_come_by_url_too(earth_engine, points, tmp_path, method, fmt):
    image = ee.Image(SCENE).select([0, 1, 2])
    options = {"shape": (33, 65), "crs": "native", "format": fmt, "method": method}
    plan = eedask.chips(points.iloc[:3], image, out="-", **options)
    whole, joined = both_ways(plan, tmp_path, bytes=3000)
    for item_id in plan.items.index:
        np.testing.assert_array_equal(
            np.asarray(whole.open(item_id)), np.asarray(joined.open(item_id))
        )


@pytest.mark.slow
def test_the_real_limit_is_crossed_and_learned(earth_engine, rasters, points, tmp_path):
    """52.9 MB: one refusal for the run, two tiles a chip, and the pixels of the raster."""
    before = earth_engine.stats()["requests"]
    plan = eedask.chips(
        points.iloc[:2],
        ee.Image(FIELD),
        out=tmp_path / "o",
        shape=(2300, 2300),
        crs="EPSG:32614",
        scale=5,
        format="npy",
        concurrency=1,
    )
    result = run(plan, tmp_path / "o")
    # One more asks which bands the image has.
    assert earth_engine.stats()["requests"] - before == 1 + result.manifest["attempts"].sum()
    assert set(result.manifest["attempts"]) <= {2, 3}
    for item_id in plan.items.index:
        array = result.open(item_id)
        grid = plan.task.layout.grid(work_items(plan.items.loc[[item_id]])[0])
        transform = rasterio.Affine(*grid.transform)
        expected = nearest(rasters.field, "EPSG:32614", transform, (2300, 2300))
        found = [array[name].filled(0) for name in ("b1", "b2")]
        np.testing.assert_array_equal(found, expected)


# Together -----------------------------------------------------------------------------------


@pytest.fixture
def slow_to_answer(earth_engine):
    # Long enough for all slots to be taken before the first is free again, on a busy machine too.
    earth_engine.set_quotas(latency=0.5)
    earth_engine.reset_stats()
    yield earth_engine
    earth_engine.set_quotas(latency=None)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.cross(2)
def test_the_tiles_of_few_large_chips_fill_the_slots(slow_to_answer, points, tmp_path, count):
    options = {"crs": "EPSG:32614", "scale": 5, "format": "npy", "concurrency": 12}
    shape = (200, 180)
    plan = eedask.chips(points.iloc[:count], ee.Image(FIELD), out=tmp_path, shape=shape, **options)
    whole = run(plan, tmp_path / "one")
    slow_to_answer.reset_stats()
    joined = run(limited(plan, bytes=2000), tmp_path / "many")
    stats = slow_to_answer.stats()
    pixels = stats["by_method"]["projects.image.computePixels"]
    assert pixels == joined.manifest["attempts"].sum() > 30 * count
    assert stats["peak_in_flight"] >= 10
    for item_id in plan.items.index:
        assert file_of(joined, item_id) == file_of(whole, item_id)


def test_a_tile_that_cannot_be_had_fails_its_chip(scene_plan, refusing):
    """Others of its tiles may be under way; none begins any more, and nobody waits for ever."""
    words = "Computed value is too large."
    sender = refusing(lambda _: words if len(sender.asked) > 10 else None, hands=4)
    with pytest.raises(TooLargeError, match=words):
        sender.fetch(limited(scene_plan, bytes=2000))
    assert 11 <= len(sender.asked) <= 15
    for hand in sender.hands:
        hand.join(10)
        assert not hand.is_alive()


def test_tiles_that_are_too_heavy_are_cut_by_whoever_asked(scene_plan, refusing):
    sender = refusing(lambda shape: MEMORY if shape[0] * shape[1] > 2000 else None, hands=4)
    data, asked = sender.fetch(limited(scene_plan, smallest_side=16))
    assert data == refusing(lambda _: None).fetch(scene_plan)[0]
    assert sum(rows * columns for rows, columns in asked if rows * columns <= 2000) == 200 * 120


# Learning -----------------------------------------------------------------------------------


class Refusing:
    """Sends to the emulator, but refuses what a test says, and remembers all that was asked."""

    def __init__(self, plan, refusal, hands=0):
        self.hands = [threading.Thread() for _ in range(hands)]
        self.sizes = plan.task.sizes()
        self.asked = []
        self._connection = Connection(plan.task.endpoint)
        self._refusal = refusal

    def send(self, request, check=None):
        if "grid" in request.body:
            size = request.body["grid"]["dimensions"]
            shape = (size["height"], size["width"])
            self.asked.append(shape)
            if words := self._refusal(shape):
                raise refusal_of(words)
        body = self._connection.send(request)
        if check:
            check(body)
        return body

    def recruit(self, work, hands):
        self.hands = [threading.Thread(target=work) for _ in self.hands[:hands]]
        for hand in self.hands:
            hand.start()

    def fetch(self, plan, number=0):
        """Return an item's file and the shapes of the requests that it took."""
        start = len(self.asked)
        (job,) = plan.task.jobs(work_items(plan.items)[number : number + 1])
        (chip,) = plan.task.do(job, self)
        (file,) = chip.files
        return file.data, self.asked[start:]

    def close(self):
        self._connection.close()


@pytest.fixture
def scene_plan(earth_engine, points):
    return eedask.chips(
        points, ee.Image(SCENE), out="-", shape=(200, 120), crs="utm", scale=5, format="npy"
    )


@pytest.fixture
def refusing(scene_plan):
    senders = []

    def make(refusal, hands=0):
        senders.append(Refusing(scene_plan, refusal, hands))
        return senders[-1]

    yield make
    for sender in senders:
        sender.close()


def test_the_arithmetic_of_a_refusal_gives_the_size_at_once(scene_plan, refusing):
    def refusal(shape):
        if (size := shape[0] * shape[1] * 8) > 60_000:
            return f"Total request size ({size} bytes) must be less than or equal to 60000 bytes."
        return None

    sender = refusing(refusal)
    data, asked = sender.fetch(scene_plan)
    assert asked == [(200, 120), *[(100, 60)] * 4]
    assert data == refusing(lambda _: None).fetch(scene_plan)[0]
    # The next item asks for the right size from the start.
    assert sender.fetch(scene_plan, 1)[1] == [(100, 60)] * 4


def test_a_chip_that_was_cut_too_coarsely_is_cut_anew_as_a_whole(scene_plan, refusing):
    def refusal(shape):
        if (size := shape[0] * shape[1] * 16) > 60_000:
            return f"Total request size ({size} bytes) must be less than or equal to 60000 bytes."
        return None

    # Two tiles by what is known at first; 24000 pixels of 16 bytes are 7 tiles of 60000 bytes.
    _, asked = refusing(refusal).fetch(limited(scene_plan, bytes=60_000))
    assert asked[0] in {(100, 120), (200, 60)}
    assert len(asked) == 1 + 7
    assert sum(rows * columns for rows, columns in asked[1:]) == 200 * 120
    assert refusing(lambda _: None).fetch(limited(scene_plan, bytes=60_000))[1] == asked[:1] * 2


def test_a_refused_side_gives_the_size_at_once(scene_plan, refusing):
    def refusal(shape):
        if max(shape) > 90:
            words = f"Pixel grid dimensions ({shape[1]}x{shape[0]}) must be less than or equal"
            return f"{words} to 90."
        return None

    sender = refusing(refusal)
    assert len(sender.fetch(scene_plan)[1]) == 1 + 6
    assert len(sender.fetch(scene_plan, 1)[1]) == 6


OUTPUT = "Output of image computation is too large (9 bands for 24000 pixels = 95 MiB > 80 MiB)."


@pytest.mark.parametrize("words", [MEMORY, "Computation timed out.", OUTPUT])
def test_what_cannot_be_computed_is_quartered(scene_plan, refusing, words):
    sender = refusing(lambda shape: words if shape[0] * shape[1] > 3000 else None)
    data, asked = sender.fetch(scene_plan)
    # Depth first; the halves of 60 columns would be under the smallest side.
    assert asked == [(200, 120), *[(100, 60), (50, 60), (50, 60)] * 4]
    assert data == refusing(lambda _: None).fetch(scene_plan)[0]
    # The next item starts with the size that worked.
    assert sender.fetch(scene_plan, 1)[1] == [(50, 60)] * 8


def test_only_the_tiles_that_fail_are_cut(scene_plan, refusing):
    sender = refusing(None)
    sender._refusal = lambda shape: MEMORY if len(sender.asked) in (1, 2) else None
    _, asked = sender.fetch(scene_plan)
    assert asked == [(200, 120), (100, 60), (50, 60), (50, 60), *[(100, 60)] * 3]


def test_larger_tiles_are_tried_again_after_a_while():
    sizes = TileSizes()
    sizes.computed(1000, failures=True)
    sizes.computed(4000, failures=True)
    assert sizes.allowance.pixels == 1000
    for _ in range(16):
        assert sizes.allowance.pixels == 1000
        sizes.computed(1000, failures=False)
    assert sizes.allowance.pixels == 4000


def test_an_item_that_fails_at_the_smallest_tile_fails_in_earth_engines_words(scene_plan, refusing):
    sender = refusing(lambda shape: MEMORY)
    with pytest.raises(TooLargeError, match="HTTP 400: User memory limit exceeded"):
        sender.fetch(scene_plan)
    assert sender.asked == [(200, 120), (100, 60), (50, 60)]
    # It teaches nothing: what is wrong with it need not be wrong with others.
    sender._refusal = lambda _: None
    assert sender.fetch(scene_plan, 1)[1] == [(200, 120)]


@pytest.mark.parametrize(
    "words",
    [
        "Request payload size exceeds the limit: 10485760 bytes.",
        "Collection query aborted after accumulating over 5000 elements.",
        "Computed value is too large.",
        "Image.reduceRegion: Too many pixels in the region. Found 9, but maxPixels allows only 1.",
        "Total request size (5 bytes) must be less than or equal to 50331648 bytes.",
        "Pixel grid dimensions (200x120) must be less than or equal to 32768.",
    ],
)
def test_what_smaller_tiles_cannot_mend_costs_one_request(scene_plan, refusing, words):
    sender = refusing(lambda _: words)
    with pytest.raises(TooLargeError, match=re.escape(words)):
        sender.fetch(scene_plan)
    assert sender.asked == [(200, 120)]


def test_the_smaller_of_two_limits_holds():
    error = refusal_of("Total request size (1000 bytes) must be less than or equal to 800 bytes")
    assert allowed(error, (10, 10), Limits()).pixels == 80
    assert allowed(error, (10, 10), Limits(bytes=500)).pixels == 50


def test_memory_errors_over_the_wire_shrink_tiles(earth_engine, points, tmp_path):
    areas = []

    def answer(handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        handler.headers.replace_header("Content-Length", "0")
        if "grid" not in body:
            kind = {"type": "PixelType", "precision": "double"}
            told = {"names": ["x", "y"], "types": {"x": kind, "y": kind}}
            return reply(handler, 200, json.dumps({"result": told}).encode())
        grid = body["grid"]
        rows, columns = grid["dimensions"]["height"], grid["dimensions"]["width"]
        areas.append(rows * columns)
        if rows * columns > 5000:
            error = {"error": {"code": 400, "message": MEMORY, "status": "INVALID_ARGUMENT"}}
            return reply(handler, 400, json.dumps(error).encode())
        at = grid["affineTransform"]
        x = at["translateX"] + at["scaleX"] * np.arange(columns)
        y = at["translateY"] + at["scaleY"] * np.arange(rows)
        masks = [("mask_of_x", "u1"), ("mask_of_y", "u1")]
        tile = np.ones((rows, columns), [("x", "<f8"), ("y", "<f8"), *masks])
        tile["x"], tile["y"] = x, y[:, None]
        stream = io.BytesIO()
        np.save(stream, tile)
        return reply(handler, 200, stream.getvalue())

    few = points.iloc[:6]
    options = {"shape": (150, 131), "crs": "EPSG:32614", "scale": 10, "format": "npy"}
    plan = eedask.chips(few, ee.Image(SCENE), out="-", **options, concurrency=1)
    with serving(answer) as url:
        endpoint = Endpoint(url, "p", auth="anonymous")
        result = run(replace(plan, task=replace(plan.task, endpoint=endpoint)), tmp_path / "o")
    for item_id, item in zip(few.index, work_items(plan.items), strict=True):
        transform = plan.task.layout.grid(item).transform
        x, y = place(transform, np.arange(131), np.arange(150)[:, None])
        array = result.open(item_id)
        np.testing.assert_array_equal(array["x"], np.broadcast_to(x, (150, 131)))
        np.testing.assert_array_equal(array["y"], np.broadcast_to(y, (150, 131)))
    assert result.manifest["attempts"].sum() == len(areas)


# What is refused ----------------------------------------------------------------------------


def test_regions_are_not_cut_and_fail_in_earth_engines_words(earth_engine, points, tmp_path):
    plan = eedask.chips(
        points.iloc[:1], ee.Image(SCENE), out=tmp_path / "o", region=20_000, scale=1, format="npy"
    )
    row = plan.run(progress=False).manifest.iloc[0]
    assert row["status"] == "failed"
    assert row["error_kind"] == "too_large"
    assert row["attempts"] == 1
    assert "must be less than or equal to" in row["error"]
    with pytest.raises(SizeError, match="6000 rows x 6000 columns x 1 bands"):
        eedask.chips(points, ee.Image(SCENE), out="-", region=100.0, shape=(6000, 6000))


@pytest.mark.parametrize("method", ["compute_pixels", "thumb_url"])
def test_what_would_not_fit_into_memory_is_refused_when_planned(earth_engine, points, method):
    image = ee.Image(SCENE).select([0, 1, 2])
    options = {"out": "-", "scale": 1, "bands": ["R", "G", "B"], "method": method}
    assert eedask.chips(points, image, shape=(6000, 6000), **options)
    words = r"30000 rows x 30000 columns x 3 bytes = 2700000000 bytes.*may take 2147483648"
    with pytest.raises(SizeError, match=words):
        eedask.chips(points, image, shape=(30_000, 30_000), **options)


def test_the_memory_of_the_bands_that_come_back_counts(scene_plan, refusing):
    plan = limited(scene_plan, bytes=10_000, chip_bytes=60_000)
    sender = refusing(lambda _: None)
    with pytest.raises(SizeError, match="200 rows x 120 columns x 8 bytes = 192000 bytes"):
        sender.fetch(plan)
    assert len(sender.asked) == 1


def test_what_a_jpeg_cannot_hold_is_refused_when_planned(earth_engine, points):
    options = {"out": "-", "scale": 1, "format": "jpg"}
    with pytest.raises(SizeError, match=f"a JPEG holds {Jpg.max_side}"):
        eedask.chips(points, ee.Image(SCENE), shape=(10, 70_000), **options)


def test_without_rasterio_geotiffs_say_what_to_install(scene_plan, refusing, points, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    image, options = ee.Image(SCENE), {"out": "-", "scale": 1, "format": "tif"}
    with pytest.raises(InputError, match="pip install rasterio"):
        eedask.chips(points, image, shape=(20, 20), **options)
    sender, tif = (
        refusing(lambda _: None),
        replace(scene_plan.task.first, format=image_format("tif")),
    )
    with pytest.raises(PermanentError, match="pip install rasterio where the workers run"):
        sender.fetch(replace(scene_plan, task=replace(scene_plan.task, images=(tif,))))
    assert not sender.asked


def test_tiles_that_differ_in_their_bands_are_not_joined():
    def tile(dtype):
        stream = io.BytesIO()
        np.save(stream, np.zeros((1, 200), dtype))
        return stream.getvalue()

    join = NPY.join(GRID, 10**9)
    join.add(Window(0, 0, (1, 200)), tile([("a", "u1")]))
    with pytest.raises(PermanentError, match="differ in their bands"):
        join.add(Window(1, 0, (1, 200)), tile([("a", "u2")]))


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA"])
def test_pictures_of_any_mode_are_joined(mode):
    stream = io.BytesIO()
    half = (200, 150)
    Image.new(mode, half, 1).save(stream, "PNG")
    plain = io.BytesIO()
    Image.new("L", half, 7).save(plain, "PNG")
    join = image_format("png").join(GRID, 10**9)
    join.add(Window(150, 0, (150, 200)), plain.getvalue())
    join.add(Window(0, 0, (150, 200)), stream.getvalue())
    image = Image.open(io.BytesIO(join.finish()))
    assert image.mode == {"1": "L", "P": "RGB"}.get(mode, mode)
    assert image.size == (200, 300)
    assert image.convert("L").getpixel((3, 299)) == 7


def test_a_method_has_its_own_limits():
    assert (URL_LIMITS.bytes, URL_LIMITS.side) == (32 * 2**20, 10_000)
    assert (PIXEL_LIMITS.bytes, PIXEL_LIMITS.side) == (48 * 2**20, 32_768)
