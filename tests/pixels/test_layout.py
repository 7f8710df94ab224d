"""Chips lie where their items are, on the lattice that was asked for."""

import math

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st

from eedask.errors import ItemsError, PermanentError
from eedask.grid import Lattice, NativeProjection, apply
from eedask.items.item import WorkItem, work_items
from eedask.pixels.layout import Layout


def point(longitude, latitude):
    return WorkItem("p", shapely.Point(longitude, latitude))


@given(st.floats(-179, 179), st.floats(-79, 83))
def test_utm_chips_are_centred_in_the_points_own_zone(longitude, latitude):
    grid = Layout(Lattice("utm", 1.0), (256, 256)).grid(point(longitude, latitude))
    assert grid.shape == (256, 256)
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    middle = to_degrees.transform(*apply(grid.transform, 128, 128))
    metres = pyproj.Geod(ellps="WGS84").inv(longitude, latitude, *middle)[2]
    assert metres < math.sqrt(0.5) * 1.01


def test_a_native_grid_is_kept_and_may_be_rescaled():
    native = NativeProjection("EPSG:26914", (5.0, 0.0, 500003.0, 0.0, -5.0, 4700001.0))
    grid = Layout(Lattice("native", None), (4, 4)).grid(point(-99.0, 42.4), native)
    assert grid.crs == "EPSG:26914"
    assert (grid.transform[2] - 500003.0) % 5 == 0
    coarse = Layout(Lattice("native", 20.0), (4, 4)).grid(point(-99.0, 42.4), native)
    assert coarse.transform[0] == 20.0
    assert (coarse.transform[2] - 500003.0) % 20 == 0


def test_polygons_are_covered():
    shape = shapely.box(-105.02, 39.99, -105.0, 40.01)
    grid = Layout(Lattice("EPSG:32613", 10.0)).grid(WorkItem(1, shape))
    to_crs = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32613", always_xy=True)
    dense = shapely.segmentize(shape, 1e-4)
    inside = shapely.transform(dense, to_crs.transform, interleaved=False)
    assert shapely.box(*grid.bounds).buffer(0.01).covers(inside)
    assert grid.shape[0] * 10 - (inside.bounds[3] - inside.bounds[1]) < 20


def test_a_composite_has_no_native_grid():
    info = {"type": "Projection", "crs": "EPSG:4326", "transform": [1, 0, 0, 0, 1, 0]}
    with pytest.raises(PermanentError, match="setDefaultProjection"):
        NativeProjection.from_info(info)
    with pytest.raises(PermanentError, match="no single native grid"):
        NativeProjection.from_info({"type": "Projection"})


def test_an_image_of_one_degree_has_a_native_grid():
    info = {"crs": "EPSG:4326", "transform": [1, 0, -180, 0, -1, 90]}
    assert NativeProjection.from_info(info).transform == (1, 0, -180, 0, -1, 90)


def test_native_scale_is_in_metres():
    info = {"crs": "EPSG:4326", "transform": [0.25, 0, -180, 0, -0.25, 90]}
    assert NativeProjection.from_info(info).scale == pytest.approx(0.25 * 111319.49079327358)


def test_items_that_cannot_be_placed_are_refused():
    with pytest.raises(ItemsError, match="outside EPSG:32613"):
        Layout(Lattice("EPSG:32613", 1.0), (2, 2)).grid(point(75.0, 95.0))
    with pytest.raises(ItemsError, match="no geometry"):
        Layout(Lattice("EPSG:32613", 1.0), (2, 2)).grid(WorkItem(1))


@pytest.mark.parametrize("crs", ["EPSG:32632", "utm"])
def test_boxes_on_pixel_edges_of_the_chips_own_crs_have_just_those_pixels(crs):
    x, y = np.meshgrid(np.arange(8) * 2560.0 + 600000, np.arange(8) * 2560.0 + 5200000)
    boxes = shapely.box(x, y, x + 2560, y + 2560).ravel()
    items = gpd.GeoDataFrame(geometry=boxes, crs="EPSG:32632")
    for item, box in zip(work_items(items), boxes, strict=True):
        grid = Layout(Lattice(crs, 10.0)).grid(item)
        assert grid.shape == (256, 256)
        assert grid.bounds == pytest.approx(shapely.bounds(box), abs=1e-6)


@pytest.mark.parametrize(
    ("crs", "unit"),
    [("EPSG:32613", 1.0), ("EPSG:4326", 111319.49079327358), ("EPSG:2272", 0.3048006)],
)
def test_a_buffer_is_in_metres_as_a_scale_is(crs, unit):
    item = point(-77.5, 40.5) if crs == "EPSG:2272" else point(-105, 40)
    grid = Layout(Lattice(crs, 2.0), buffer=100).grid(item)
    assert all(side in (100, 101) for side in grid.shape)
    left, bottom, right, top = grid.bounds
    assert 200 <= (right - left) * unit <= 204
    assert 200 <= (top - bottom) * unit <= 204


def test_a_stated_transform_is_that_of_every_zone():
    lattice = Lattice("utm", transform=rasterio.Affine(30, 0, 15, 0, -30, 15))
    assert lattice.transform == (30.0, 0.0, 15.0, 0.0, -30.0, 15.0)
    for longitude, zone in ((-105, "EPSG:32613"), (12, "EPSG:32633")):
        grid = Layout(lattice, (4, 5)).grid(point(longitude, 40))
        assert grid.crs == zone
        assert (grid.transform[2] % 30, grid.transform[5] % 30) == (15, 15)


def test_boxes_of_another_crs_are_covered_in_the_chips():
    items = gpd.GeoDataFrame(geometry=[shapely.box(600000, 0, 600100, 100)], crs="EPSG:32632")
    (item,) = work_items(items)
    assert Layout(Lattice("EPSG:32632", 10.0)).grid(item).shape == (10, 10)
    other = Layout(Lattice("EPSG:32633", 10.0)).grid(item)
    to_crs = pyproj.Transformer.from_crs("EPSG:32632", "EPSG:32633", always_xy=True)
    corners = shapely.transform(items.geometry[0], to_crs.transform, interleaved=False)
    assert shapely.box(*other.bounds).buffer(0.01).covers(corners)
