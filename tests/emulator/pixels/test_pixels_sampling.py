"""Projections, grids, the way between them, and reading sources through it."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import TRANSFORM, UTM, array_source, image, native, values
from rasterio.warp import Resampling, reproject

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels import projection as projections
from eedask.emulator.pixels.projection import (
    EDGE,
    at_scale,
    grid_covering,
    locate,
    nominal_scale,
    pixel_ratio,
    requested,
    transformer,
)
from eedask.emulator.pixels.raster import Grid, PixelType, Projection, compose
from eedask.emulator.pixels.sampling import source_bands

SINUSOIDAL = "SR-ORG:6974"


def exact(grid, projection):
    """Positions by pyproj alone."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    t = grid.transform
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    x, y = transformer(grid.crs, projection.crs).transform(x, y)
    i = ~projection.transform
    return i.a * x + i.b * y + i.c, i.d * x + i.e * y + i.f


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        ("EPSG:4326", Affine.identity(), 111319.49079327358),
        ("EPSG:4326", Affine(0.25, 0, -180, 0, -0.25, 90), 27829.872698318395),
        ("EPSG:32613", Affine(30, 0, 5, 0, -30, 5), 30.0),
        (SINUSOIDAL, Affine(926.625433056, 0, 0, 0, -926.625433055, 0), 926.6254330555),
        ("EPSG:2263", Affine(1, 0, 0, 0, -1, 0), 0.30480060960121924),  # US survey feet
    ],
)
def test_nominal_scale(crs, transform, expected):
    assert nominal_scale(Projection(crs, transform)) == pytest.approx(expected, rel=1e-12)


def test_at_scale_keeps_the_origin_and_whole_metres():
    scaled = at_scale(Projection(UTM, Affine(30, 0, 15, 0, -30, 45)), 10)
    assert scaled.transform == Affine(10, 0, 15, 0, -10, 45)
    degrees = at_scale(Projection("EPSG:4326"), 1000).transform.a
    assert degrees == pytest.approx(1000 / 111319.49079327358, rel=1e-15)


def test_sinusoidal_is_the_sphere_of_modis():
    x, y = transformer("EPSG:4326", SINUSOIDAL).transform(10.0, 60.0)
    assert y == pytest.approx(6371007.181 * math.radians(60), rel=1e-12)
    assert x == pytest.approx(6371007.181 * math.radians(10) * 0.5, rel=1e-9)


def test_arguments_choose_the_projection():
    base = Projection(UTM, TRANSFORM)
    assert requested(base, None, None, None) == base
    assert requested(base, None, None, 20.0).transform.a == 20
    assert requested(base, Projection("EPSG:4326"), None, 111319.49079327358).transform.a == 1
    assert requested(base, None, [5, 0, 1, 0, -5, 2], None) == Projection(
        UTM, Affine(5, 0, 1, 0, -5, 2)
    )
    with pytest.raises(EarthEngineError, match="Only one of"):
        requested(base, None, [5, 0, 1, 0, -5, 2], 3.0)
    with pytest.raises(EarthEngineError, match="6 elements"):
        requested(base, None, [1, 2], None)
    with pytest.raises(EarthEngineError, match="invertible"):
        requested(base, None, [0, 0, 0, 0, 0, 0], None)


def test_covering_grids_are_aligned_to_the_origin():
    grid, col, row = grid_covering(Projection(UTM, Affine(30, 0, 0, 0, -30, 0)), (31, 59, 95, 121))
    assert (col, row) == (1, -5)
    assert (grid.width, grid.height) == (3, 4)
    assert grid.bounds == (30, 30, 120, 150)
    # Bounds that lie on pixel edges take no pixel beyond them.
    grid, *_ = grid_covering(Projection(UTM, Affine(30, 0, 0, 0, -30, 0)), (30, 60, 90, 120))
    assert grid.bounds == (30, 60, 90, 120)


CASES = [
    (Grid("EPSG:4326", Affine(1e-5, 0, -104.99, 0, -1e-5, 39.74), 256, 256), UTM, 1.0),
    (Grid(UTM, Affine(1, 0, 512345.3, 0, -1, 4398765.4), 200, 130), "EPSG:4326", 9e-6),
    (Grid(UTM, Affine(30, 0, 300000, 0, -30, 4400000), 300, 300), "EPSG:32614", 30.0),
    (Grid("EPSG:4326", Affine(0.01, 0, -52, 0, -0.01, -2), 400, 400), SINUSOIDAL, 926.6),
    (Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 360, 180), SINUSOIDAL, 50000.0),
    (Grid("EPSG:3857", Affine(600, 90, -1e7, 80, -600, 4e6), 150, 90), "EPSG:4326", 0.01),
]


@pytest.mark.parametrize(("grid", "crs", "size"), CASES)
def test_interpolated_positions_pick_the_exact_pixel(grid, crs, size):
    projection = Projection(crs, Affine(size, 0, 17.3, 0, -size, -5.1))
    located = locate(grid, projection)
    cols, rows = exact(grid, projection)
    good = np.isfinite(cols) & np.isfinite(rows)
    for got, wanted in ((located.cols, cols), (located.rows, rows)):
        assert np.array_equal(np.isfinite(got), good)
        assert np.abs(got - wanted)[good].max() < 0.03
        assert np.array_equal(np.floor(got + EDGE)[good], np.floor(wanted + EDGE)[good])


def test_most_positions_are_not_computed_by_pyproj(monkeypatch):
    grid, crs, size = CASES[0]
    counted = []
    real = projections._transform_centres

    def counting(grid, target, cols, rows):
        counted.append(np.size(cols))
        return real(grid, target, cols, rows)

    monkeypatch.setattr(projections, "_transform_centres", counting)
    projections._crs_positions.cache_clear()
    projections._warped_positions.cache_clear()
    locate(grid, Projection(crs, Affine(size, 0, 17.3, 0, -size, -5.1)))
    assert 0 < sum(counted) < grid.width * grid.height / 20


def test_what_does_not_transform_is_masked():
    img = image(np.ones((20, 20), np.uint8), Affine(1e6, 0, -1e7, 0, -1e6, 1e7), "EPSG:3857")
    poles = Grid("ESRI:54030", Affine(2e6, 0, -3e7, 0, -2e6, 3e7), 30, 30)
    mask = img.bands[0].read(poles).mask
    assert mask[0, 0] == 0
    assert mask[15, 15] == 1


def test_a_native_read_is_the_window_and_nothing_else():
    rng = np.random.default_rng(0)
    array = rng.integers(0, 2**16, (3, 90, 120), dtype=np.uint16)
    source = array_source(array, Projection(UTM, TRANSFORM))
    band = source_bands(source, "abc", [PixelType.of(np.uint16)] * 3)[1]
    grid = Grid(UTM, compose(TRANSFORM, Affine.translation(7, 11)), 32, 16)
    pixels = band.read(grid)
    assert np.array_equal(pixels.values, array[1, 11:27, 7:39])
    assert pixels.values.dtype == np.uint16
    assert source.reads == [(1, 0, (7, 11, 32, 16))]


@given(
    col=st.integers(-40, 130),
    row=st.integers(-40, 100),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_windows_over_the_edge_are_masked_there(col, row, width, height):
    array = np.arange(90 * 120, dtype=np.int32).reshape(1, 90, 120)
    img = image(array)
    got = values(img, native(img, width, height, col, row))
    padded = np.full((90 + 200, 120 + 200), np.nan)
    padded[100:190, 100:220] = array[0]
    wanted = padded[100 + row : 100 + row + height, 100 + col : 100 + col + width]
    assert np.array_equal(got, wanted, equal_nan=True)


def rasterio_warp(array, grid, resampling="nearest"):
    wanted = np.zeros(grid.shape, array.dtype)
    reproject(
        array,
        wanted,
        src_transform=TRANSFORM,
        src_crs=UTM,
        src_nodata=0,
        dst_transform=grid.transform,
        dst_crs=grid.crs,
        dst_nodata=0,
        resampling=Resampling[resampling],
    )
    return wanted


def test_reprojected_reads_equal_pyproj_and_gdal():
    rng = np.random.default_rng(1)
    array = rng.integers(1, 2**15, (300, 300), dtype=np.uint16)
    img = image(array)
    west, north = transformer(UTM, "EPSG:4326").transform(499500, 4400300)
    grid = Grid("EPSG:4326", Affine(1e-4, 0, west, 0, -1e-4, north), 330, 280)
    got = np.nan_to_num(values(img, grid)).astype(np.uint16)
    wanted = rasterio_warp(array, grid)
    assert (got > 0).mean() > 0.5
    cols, rows = exact(grid, Projection(UTM, TRANSFORM))
    c, r = np.floor(cols).astype(int), np.floor(rows).astype(int)
    inside = (c >= 0) & (c < 300) & (r >= 0) & (r < 300)
    assert np.array_equal(got, np.where(inside, array[r % 300, c % 300], 0))
    # GDAL interpolates positions, to within 1/8 pixel at worst: at the edges it may differ.
    edge = np.minimum(np.abs(cols - np.rint(cols)), np.abs(rows - np.rint(rows)))
    assert edge[got != wanted].max(initial=0) < 0.125
    assert (got != wanted).mean() < 0.02


def test_bilinear_between_centres():
    array = np.arange(400, dtype=np.float32).reshape(1, 20, 20) ** 1.5
    img = image(array)
    half = Grid(UTM, compose(TRANSFORM, Affine.translation(4.25, 6.5)), 8, 6, "bilinear")
    got = img.bands[0].read(half).values
    a = array[0].astype(float)
    rows = 0.5 * a[6:12] + 0.5 * a[7:13]
    wanted = 0.75 * rows[:, 4:12] + 0.25 * rows[:, 5:13]
    assert np.allclose(got, wanted, rtol=1e-6)


def test_interpolation_leaves_masked_pixels_out():
    mask = np.ones((6, 6), np.float32)
    mask[2, 3] = 0
    array = np.full((1, 6, 6), 5.0, np.float32)
    array[0, 2, 3] = 1e9
    img = image(array, mask=mask)
    for mode in ("bilinear", "bicubic"):
        grid = Grid(UTM, compose(TRANSFORM, Affine.translation(0.3, 0.3)), 5, 5, mode)
        pixels = img.bands[0].read(grid)
        assert pixels.mask[2, 3] == 0
        assert pixels.mask.sum() == 24
        assert np.allclose(pixels.values[pixels.mask > 0], 5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolation_equals_gdal(mode):
    rng = np.random.default_rng(2)
    array = (1 + rng.random((60, 60)) * 100).astype(np.float32)
    img = image(array)
    grid = Grid(UTM, compose(TRANSFORM, Affine.translation(10.3, 12.7)), 30, 30, mode)
    wanted = rasterio_warp(array, grid, "cubic" if mode == "bicubic" else mode)
    assert np.allclose(img.bands[0].read(grid).values, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("pixel", "level"), [(5, 0), (10, 0), (19.9, 0), (20, 1), (39, 1), (40, 2), (1000, 5)]
)
def test_levels_are_never_coarser_than_asked(pixel, level):
    source = array_source(np.zeros((1, 32, 32), np.uint8), Projection(UTM, TRANSFORM))
    (band,) = source_bands(source, ["b"], [PixelType.of(np.uint8)])
    corner = (500160 - pixel / 2, 4399840 + pixel / 2)
    band.read(Grid(UTM, Affine(pixel, 0, corner[0], 0, -pixel, corner[1]), 1, 1))
    assert source.reads[0][1] == level


def test_pixel_ratio_across_systems():
    degree = 1 / 111319.49079327358
    grid = Grid("EPSG:4326", Affine(degree * 20, 0, -105, 0, -degree * 20, 0.1), 10, 10)
    assert pixel_ratio(grid, Projection(UTM, TRANSFORM)) == pytest.approx(2, rel=0.01)
