"""Grids lie on lattices, hold their points, and say so in Earth Engine's terms."""

import math
import pickle

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eedask.crs import METRES_PER_DEGREE, canonical_crs, metres_per_unit, utm_crs
from eedask.errors import InputError, SizeError
from eedask.grid import (
    Lattice,
    PixelGrid,
    aligned,
    apply,
    chip_grid,
    covering_grid,
    invert,
    rescaled,
)

coordinates = st.floats(-1e7, 1e7)
sides = st.integers(1, 600)
scales = st.sampled_from([0.6, 1.0, 5.0, 30.0, 463.3127165279165])


@given(coordinates, coordinates, sides, sides, scales)
def test_chips_lie_on_the_lattice_and_hold_their_point_in_the_middle(x, y, rows, columns, scale):
    grid = chip_grid("EPSG:32613", aligned("EPSG:32613", scale), x, y, (rows, columns))
    a, _, left, _, e, top = grid.transform
    assert (a, e) == (scale, -scale)
    assert abs(left / scale - round(left / scale)) < 1e-6
    assert abs(top / scale - round(top / scale)) < 1e-6
    column, row = invert(grid.transform, x, y)
    # The middle is a corner for even sides and a pixel's centre for odd ones.
    assert abs(column - columns / 2) <= 0.5 + 1e-6
    assert abs(row - rows / 2) <= 0.5 + 1e-6


def test_of_two_middles_as_near_a_chip_has_that_of_the_larger_row_and_column():
    transform = (10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
    in_a_pixels_centre = chip_grid("EPSG:32613", transform, 105.0, -205.0, (2, 4))
    assert in_a_pixels_centre.bounds == (90.0, -220.0, 130.0, -200.0)
    on_a_pixels_corner = chip_grid("EPSG:32613", transform, 100.0, -200.0, (1, 3))
    assert on_a_pixels_corner.bounds == (90.0, -210.0, 120.0, -200.0)


def test_neighbouring_chips_share_their_aligned():
    transform = (5.0, 0.0, 500003.0, 0.0, -5.0, 4700001.0)
    one = chip_grid("EPSG:26914", transform, 500100.0, 4699900.0, (8, 8))
    two = chip_grid("EPSG:26914", transform, 500157.0, 4699811.0, (8, 8))
    for k in (2, 5):
        step = (two.transform[k] - one.transform[k]) / 5.0
        assert step == round(step)
    assert (one.transform[2] - 500003.0) % 5.0 == 0


@given(coordinates, coordinates, st.floats(0, 5000), st.floats(0, 5000), scales)
def test_covering_grids_cover_and_are_the_smallest(x, y, width, height, scale):
    bounds = (x, y, x + width, y + height)
    grid = covering_grid("EPSG:32613", aligned("EPSG:32613", scale), bounds)
    left, bottom, right, top = grid.bounds
    slack = 2e-6 * scale + 1e-6
    assert left <= x + slack
    assert bottom <= y + slack
    assert right >= x + width - slack
    assert top >= y + height - slack
    assert (right - left) - width < 2 * scale + slack
    assert (top - bottom) - height < 2 * scale + slack


def test_bounds_on_pixel_edges_gain_no_row_by_rounding():
    grid = covering_grid("EPSG:32613", aligned("EPSG:32613", 0.1), (0.3, 0.6, 0.9, 1.2))
    assert grid.shape == (6, 6)


def test_metres_become_degrees_of_the_equator():
    a, _, _, _, e, _ = aligned("EPSG:4326", METRES_PER_DEGREE)
    assert (a, e) == (1.0, -1.0)
    semimajor = pyproj.CRS("EPSG:4326").ellipsoid.semi_major_metre
    assert math.isclose(METRES_PER_DEGREE, 2 * math.pi * semimajor / 360)


def test_feet_are_not_metres():
    # NAD83 / Pennsylvania South (ftUS)
    assert math.isclose(metres_per_unit("EPSG:2272"), 1200 / 3937)


@given(st.floats(-180, 179.999), st.floats(-79.9, 83.9))
def test_utm_zones_hold_their_points(longitude, latitude):
    crs = pyproj.CRS(str(utm_crs(longitude, latitude)))
    west, _, east, _ = crs.area_of_use.bounds
    assert west - 1e-9 <= longitude <= east + 1e-9
    assert crs.utm_zone.endswith("S" if latitude < 0 else "N")


@given(st.tuples(*[st.floats(-1e3, 1e3)] * 6), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_invert_undoes_apply(transform, column, row):
    a, b, _, d, e, _ = transform
    if abs(a * e - b * d) < 1e-2:
        return
    found = invert(transform, *apply(transform, column, row))
    assert found == pytest.approx((column, row), abs=1e-3)


def test_rescaling_keeps_the_origin():
    assert rescaled((5, 0, 10, 0, -5, 20), 2) == (10, 0, 10, 0, -10, 20)


def test_grids_speak_the_rest_api():
    grid = PixelGrid("EPSG:26914", (5.0, 0.0, 1.0, 0.0, -5.0, 2.0), (3, 4))
    assert grid.to_json() == {
        "dimensions": {"width": 4, "height": 3},
        "affineTransform": {
            "scaleX": 5.0,
            "shearX": 0.0,
            "translateX": 1.0,
            "shearY": 0.0,
            "scaleY": -5.0,
            "translateY": 2.0,
        },
        "crsCode": "EPSG:26914",
    }
    assert "crsWkt" in PixelGrid(pyproj.CRS("EPSG:3857").to_wkt(), grid.transform, (1, 1)).to_json()


def test_crs_are_named_as_earth_engine_names_them():
    assert canonical_crs(32613) == "EPSG:32613"
    assert canonical_crs("epsg:4326") == "EPSG:4326"
    assert canonical_crs(pyproj.CRS("EPSG:3857")) == "EPSG:3857"
    assert canonical_crs("SR-ORG:6974") == "SR-ORG:6974"
    assert canonical_crs("+proj=sinu +R=6371007.181 +units=m +no_defs").startswith("PROJCS[")


@pytest.mark.parametrize("crs", ["EPSG:0", "nowhere", 3.5, object()])
def test_what_is_no_crs_is_refused(crs):
    with pytest.raises(InputError, match="is not a crs"):
        canonical_crs(crs)


def test_grids_refuse_what_no_grid_has():
    with pytest.raises(SizeError, match=r"\(0, 4\)"):
        PixelGrid("EPSG:4326", (1, 0, 0, 0, -1, 0), (0, 4))
    with pytest.raises(InputError, match="not finite"):
        PixelGrid("EPSG:4326", (1, 0, math.inf, 0, -1, 0), (1, 4))
    with pytest.raises(InputError, match="cannot be inverted"):
        invert((0, 0, 1, 0, 0, 1), 1, 1)


@pytest.mark.parametrize(
    ("crs", "scale", "name"),
    [
        ("UTM", 10, "utm"),
        ("Native", 2.5, "native"),
        ("native", None, "native"),
        (32613, 1, "EPSG:32613"),
        (pyproj.CRS("EPSG:3857"), np.float32(30), "EPSG:3857"),
        ("SR-ORG:6974", 500, "SR-ORG:6974"),
    ],
)
def test_a_lattice_keeps_what_was_said_in_one_form(crs, scale, name):
    made = Lattice(crs, scale)
    assert (made.crs, made.scale) == (name, scale)
    assert scale is None or type(made.scale) is float
    assert made.is_native == (name == "native")
    assert made == Lattice(name, scale) == pickle.loads(pickle.dumps(made))


def test_a_lattice_that_cannot_be_is_refused():
    for crs in ("utm", "EPSG:32613"):
        with pytest.raises(InputError, match=f"crs='{crs}' needs a scale"):
            Lattice(crs)
    with pytest.raises(InputError, match="'nowhere' is not a crs"):
        Lattice("nowhere", 10)
    for scale in (0.0, -1.0, math.inf, math.nan, "10", True):
        with pytest.raises(InputError, match="positive number"):
            Lattice("utm", scale)
