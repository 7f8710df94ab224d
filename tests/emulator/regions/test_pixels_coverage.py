"""Covered fractions and pixel centres, against shapely, exactextract and rasterio."""

import numpy as np
import pytest
import shapely
from affine import Affine
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import geometry_mask

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.projection import transformer
from eedask.emulator.pixels.raster import Grid, Projection, apply
from eedask.emulator.regions.coverage import Cover, centres, coverage
from eedask.emulator.regions.shapes import shape_in

CORNERS = [(0, 0), (1, 0), (1, 1), (0, 1)]
TRANSFORMS = [
    Affine(1, 0, 0, 0, -1, 20),
    Affine(0.7, 0, -3, 0, 0.5, -2),
    Affine(1, 0.3, 0, 0.2, -1, 15),
]


def star(random, points, x, y, radius):
    angle = (np.arange(points) + random.uniform(0, 0.9, points)) * 2 * np.pi / points
    reach = radius * random.uniform(0.3, 1, points)
    return shapely.Polygon(np.column_stack([x + reach * np.cos(angle), y + reach * np.sin(angle)]))


def cells(grid):
    t = grid.transform
    return np.array(
        [
            [
                shapely.Polygon([apply(t, c + i, r + j) for i, j in CORNERS])
                for c in range(grid.width)
            ]
            for r in range(grid.height)
        ]
    )


@pytest.mark.parametrize("transform", TRANSFORMS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_fractions_are_exact(transform, seed):
    random = np.random.default_rng(seed)
    shape = star(random, 12, 8, 9, random.uniform(0.2, 15))
    if seed % 2:
        shape = shape.difference(star(random, 6, 8, 9, 3))
    if seed % 3 == 0:
        shape = shape.union(star(random, 5, 14, 3, 4))
    grid = Grid("EPSG:32613", transform, 25, 20)
    squares = cells(grid)
    wanted = shapely.area(shapely.intersection(squares, shape)) / shapely.area(squares)
    assert np.abs(coverage(shape, grid) - wanted).max() < 1e-6
    t = transform
    col, row = np.meshgrid(np.arange(25) + 0.5, np.arange(20) + 0.5)
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    assert np.array_equal(centres(shape, grid), shapely.contains_xy(shape, x, y))


def test_fractions_equal_those_of_exactextract():
    random = np.random.default_rng(5)
    shape = star(random, 40, 60, 50, 45)
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 100), 120, 100)
    ids = np.arange(grid.width * grid.height, dtype=np.int32).reshape(grid.shape)
    raster = NumPyRasterSource(ids, 0, 0, 120, 100)
    feature = {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {}}
    (answer,) = exact_extract(raster, [feature], ["values", "coverage"])
    wanted = np.zeros(grid.width * grid.height)
    wanted[answer["properties"]["values"]] = answer["properties"]["coverage"]
    assert np.abs(coverage(shape, grid).ravel() - wanted).max() < 1e-5


def test_centres_equal_those_of_gdal():
    random = np.random.default_rng(6)
    shape = star(random, 30, 60, 50, 48)
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 100), 120, 100)
    wanted = geometry_mask([shape], grid.shape, grid.transform, invert=True)
    assert np.array_equal(centres(shape, grid), wanted)


def test_windows_fit_together():
    random = np.random.default_rng(7)
    shape = star(random, 25, 60, 50, 48)
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 100), 120, 100)
    cover = Cover(shape, Projection(grid.crs, grid.transform))
    parts = [[cover.fractions(c, r, 30, 25) for c in range(0, 120, 30)] for r in range(0, 100, 25)]
    assert np.allclose(np.block(parts), coverage(shape, grid), atol=1e-7)
    parts = [[cover.centres(c, r, 30, 25) for c in range(0, 120, 30)] for r in range(0, 100, 25)]
    assert np.array_equal(np.block(parts), centres(shape, grid))


def test_neighbours_share_no_pixel_and_leave_none():
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 10), 10, 10)
    # The shared edge goes through pixel centres.
    left, right = shapely.box(0, 0, 4.5, 10), shapely.box(4.5, 0, 10, 10)
    upper, lower = shapely.box(0, 5.5, 10, 10), shapely.box(0, 0, 10, 5.5)
    for a, b in ((left, right), (upper, lower)):
        both = centres(a, grid).astype(int) + centres(b, grid)
        assert (both == 1).all()


def test_points_and_lines():
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 5), 5, 5)
    point = coverage(shapely.Point(3.5, 2.2), grid)
    assert point.sum() == 1
    assert point[2, 3] == 1
    assert centres(shapely.MultiPoint([(0.5, 0.5), (4.9, 4.9)]), grid).sum() == 2
    line = coverage(shapely.LineString([(-3, 4.5), (2.5, 4.5), (2.5, -9)]), grid)
    assert np.argwhere(line).tolist() == [[0, 0], [0, 1], [0, 2], [1, 2], [2, 2], [3, 2], [4, 2]]
    mixed = shapely.GeometryCollection([shapely.box(0, 0, 1.5, 1), shapely.Point(4.5, 4.5)])
    assert coverage(mixed, grid).sum() == pytest.approx(2.5)


def test_overlaps_count_once():
    grid = Grid("EPSG:32613", Affine(1, 0, 0, 0, -1, 5), 5, 5)
    overlapping = shapely.MultiPolygon([shapely.box(0, 0, 3, 3), shapely.box(2, 2, 4, 4)])
    assert coverage(overlapping, grid).sum() == pytest.approx(12)
    bowtie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert coverage(bowtie, grid).sum() == pytest.approx(2)


def test_edges_keep_their_course_in_another_crs():
    box = Geometry(shapely.box(-106, 39, -104, 41), geodesic=False)
    shape = shape_in(box, "EPSG:32613", 30.0)
    # A point in the middle of the parallel that is the box's upper edge.
    x, y = transformer("EPSG:4326", "EPSG:32613").transform(-105.5, 41.0)
    assert shape.boundary.distance(shapely.Point(x, y)) < 0.5
    corners = shapely.transform(
        box.shape, transformer("EPSG:4326", "EPSG:32613").transform, interleaved=False
    )
    assert corners.boundary.distance(shapely.Point(x, y)) > 100


def test_great_circles_bulge_to_the_pole():
    straight = Geometry(shapely.box(-106, 39, -96, 41), geodesic=False)
    great = Geometry(shapely.box(-106, 39, -96, 41), geodesic=True)
    rise = (
        shape_in(great, "EPSG:4326", 1e-4).bounds[3]
        - shape_in(straight, "EPSG:4326", 1e-4).bounds[3]
    )
    assert rise == pytest.approx(
        np.degrees(np.arctan(np.tan(np.radians(41)) / np.cos(np.radians(5)))) - 41, rel=1e-3
    )
