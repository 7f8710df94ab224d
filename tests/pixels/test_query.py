"""Requests follow the REST reference, and what cannot succeed is refused before it is sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import compute_features, compute_value
from eedask.errors import InputError, SizeError, TransientError
from eedask.grid import PixelGrid
from eedask.pixels.formats.registry import image_format
from eedask.pixels.query import (
    MAX_PIXEL_BYTES,
    PixelQuery,
    check_size,
    compute_pixels,
    create_thumbnail,
    get_thumbnail,
    name_of_thumbnail,
)
from eedask.pixels.visualization import visualization

ENDPOINT = Endpoint("http://127.0.0.1:1", "p", auth="anonymous", workload_tag="chips-1")
EXPRESSION = {"result": "0", "values": {"0": {"constantValue": 1}}}
GRID = PixelGrid("EPSG:32613", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), (3, 4))


def test_pixels_are_asked_for_on_a_grid_and_never_by_region():
    _, look = visualization({"min": 0, "max": [1, 2, 3], "gamma": 1.4})
    query = PixelQuery(EXPRESSION, image_format("png"), GRID, ("R", "G", "B"), look)
    request = compute_pixels(ENDPOINT, query)
    assert (request.method, request.path) == ("POST", "projects/p/image:computePixels")
    assert request.body == {
        "expression": EXPRESSION,
        "fileFormat": "PNG",
        "grid": GRID.to_json(),
        "bandIds": ["R", "G", "B"],
        "visualizationOptions": {
            "ranges": [{"min": 0, "max": 1}, {"min": 0, "max": 2}, {"min": 0, "max": 3}],
            "gamma": 1.4,
        },
        "workloadTag": "chips-1",
    }


def test_thumbnails_carry_the_tag_in_the_query():
    query = PixelQuery(EXPRESSION, image_format("jpg"))
    request = create_thumbnail(ENDPOINT, query)
    assert request.path == "projects/p/thumbnails"
    assert request.query == {"fields": "name", "workloadTag": "chips-1"}
    assert request.body == {"expression": EXPRESSION, "fileFormat": "JPEG"}
    followed = get_thumbnail(name_of_thumbnail(b'{"name": "projects/p/thumbnails/abc"}'), query)
    assert (followed.method, followed.path) == ("GET", "projects/p/thumbnails/abc:getPixels")


def test_an_answer_may_be_as_long_as_its_pixels_can_be_and_no_longer():
    tif = image_format("tif")
    small = PixelQuery(EXPRESSION, tif, GRID, ("R",))
    assert 3 * 4 * 8 < compute_pixels(ENDPOINT, small).most_bytes < 20_000_000
    assert get_thumbnail("t", small).most_bytes == compute_pixels(ENDPOINT, small).most_bytes
    for unknown in (PixelQuery(EXPRESSION, tif, GRID), PixelQuery(EXPRESSION, tif, None, ("R",))):
        most = compute_pixels(ENDPOINT, unknown).most_bytes
        assert MAX_PIXEL_BYTES < most < 1.2 * MAX_PIXEL_BYTES
    assert create_thumbnail(ENDPOINT, small).most_bytes < 2_000_000


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"oops", b'{"name": null}', b'{"name": ["a"]}'])
def test_a_thumbnail_without_a_name_may_have_one_the_next_time(answer):
    with pytest.raises(TransientError, match="asked for the name of a thumbnail"):
        name_of_thumbnail(answer)


def test_values_and_features():
    assert compute_value(ENDPOINT, EXPRESSION).path == "projects/p/value:compute"
    first = compute_features(ENDPOINT, EXPRESSION)
    assert "pageToken" not in first.body
    assert compute_features(ENDPOINT, EXPRESSION, "next").body["pageToken"] == "next"


def test_sizes_count_a_mask_byte_for_every_band():
    # 50331648 bytes are 4096 x 4096 pixels of a single byte and its mask, times 1.5.
    check_size((4096, 4096), 1, 1)
    check_size((4096, 6144), 1, 1)
    with pytest.raises(SizeError) as caught:
        check_size((4096, 6145), 1, 1)
    message = str(caught.value)
    assert "4096 rows x 6145 columns x 1 bands x (1 + 1 mask) bytes = 50339840 bytes" in message
    assert str(MAX_PIXEL_BYTES) in message


@given(
    st.integers(1, 32768), st.integers(1, 32768), st.integers(1, 8), st.sampled_from([1, 2, 4, 8])
)
def test_what_is_refused_is_what_is_over(rows, columns, bands, itemsize):
    over = rows * columns * bands * (itemsize + 1) > MAX_PIXEL_BYTES
    if over:
        with pytest.raises(SizeError):
            check_size((rows, columns), bands, itemsize)
    else:
        check_size((rows, columns), bands, itemsize)


def test_urls_allow_less():
    check_size((4096, 4096), 1, 1, by_url=True)
    with pytest.raises(SizeError, match="33554432"):
        check_size((4097, 4096), 1, 1, by_url=True)
    with pytest.raises(SizeError, match="10000"):
        check_size((1, 10001), 1, 1, by_url=True)
    with pytest.raises(SizeError, match="32768"):
        check_size((1, 32769), 1, 1)


def test_visualization_takes_what_the_field_writes():
    bands, look = visualization({"bands": "R, G,B", "min": "0", "max": 3000})
    assert bands == ("R", "G", "B")
    assert look.to_json() == {"ranges": [{"min": 0.0, "max": 3000.0}]}
    bands, look = visualization({"bands": ["LST"], "palette": "blue,#ff0000", "opacity": 0.5})
    assert look.to_json() == {"paletteColors": ["blue", "ff0000"], "opacity": 0.5}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"minimum": 1}, "unknown keys"),
        ({"bands": ["a", "b"]}, "1 or 3 bands"),
        ({"bands": "a,b,c", "palette": "red"}, "single band"),
        ({"min": [1, 2], "max": [1, 2, 3]}, "one a band"),
        ({"bands": "a,b,c", "min": [1, 2], "max": 3}, "one a band"),
        ({"opacity": 2}, "from 0 to 1"),
        ({"opacity": "half"}, "from 0 to 1; got 'half'"),
    ],
)
def test_visualization_refuses_what_earth_engine_would(params, words):
    with pytest.raises(InputError, match=words):
        visualization(params)


def test_numbers_from_numpy_are_taken():
    _, look = visualization({"min": list(np.zeros(3)), "max": list(np.ones(3))})
    assert len(look.ranges) == 3
