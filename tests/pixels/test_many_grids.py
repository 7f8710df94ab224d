"""Chips that are placed together lie where each would lie by itself."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from eedask.errors import ItemsError
from eedask.grid import Lattice
from eedask.items.item import WorkItem
from eedask.pixels.layout import Layout
from eedask.pixels.many_grids import grids, placed

places = st.tuples(st.floats(-179.9, 179.9), st.floats(-79.9, 79.9))
lattices = st.sampled_from(
    [
        Lattice("utm", 10),
        Lattice("EPSG:4326", 30),
        Lattice("EPSG:3857", 7.5),
        Lattice("EPSG:32613", transform=(15, 0, 7, 0, -15, 3)),
        Lattice("EPSG:5070", transform=(20, 5, 7, 5, -20, 3)),
    ]
)
sides = st.integers(1, 9)


def alone(layout, item):
    """Return the grid of an item, or its error."""
    try:
        return layout.grid(item)
    except Exception as error:
        return error


@given(st.lists(places, min_size=1, max_size=8), lattices, st.tuples(sides, sides))
def test_grids_of_many_are_those_of_each(xy, lattice, shape):
    shapes = [*shapely.points(xy), None, shapely.Polygon(), shapely.Point(-105.3, 91.5)]
    items = [WorkItem(k, one) for k, one in enumerate(shapes)]
    layout = Layout(lattice, shape)
    for item, found in zip(items, grids(layout, items), strict=True):
        assert repr(found) == repr(alone(layout, item))


def test_what_has_no_place_is_an_error_that_says_why():
    items = [WorkItem("a"), WorkItem("b", shapely.Point(-105, 40))]
    for shape in ((3, 3), None):
        error, grid = grids(Layout(Lattice("EPSG:32613", 10), shape), items)
        assert isinstance(error, ItemsError)
        assert "item 'a' has no geometry" in str(error)
        assert grid.crs == "EPSG:32613"


@given(st.lists(st.tuples(*[st.integers(-40, 40)] * 2), min_size=1, max_size=8), sides, sides)
def test_cells_are_the_blocks_that_chips_touch(corners, rows, columns):
    # The corner of a pixel that every chip begins with, in units of pixels of 10 m.
    middle = np.array(corners) * 10.0 + [columns * 5, -rows * 5]
    to_degrees = pyproj.Transformer.from_crs("EPSG:32613", "EPSG:4326", always_xy=True)
    x, y = to_degrees.transform(middle[:, 0] + 500_000, middle[:, 1] + 4_000_000)
    items = [WorkItem(k, point) for k, point in enumerate(shapely.points(x, y))]
    layout = Layout(Lattice("EPSG:32613", 10), (rows, columns))
    touched = set()
    for grid in grids(layout, items):
        left, _, _, top = grid.bounds
        for row in range(round(-top / 10), round(-top / 10) + rows):
            for column in range(round(left / 10), round(left / 10) + columns):
                touched.add((row // rows, column // columns))
    assert len(placed(layout, items).cells()) == len(touched)


@pytest.mark.parametrize("crs", ["utm", "EPSG:3857", "EPSG:4326"])
def test_boxes_are_estimated_well(crs):
    rng = np.random.default_rng(0)
    centres = shapely.points(rng.uniform([-109, 37], [-102, 41], (200, 2)))
    # Of few vertices and of many, which are taken for their boxes.
    for segments in (2, 30):
        discs = shapely.buffer(centres, rng.uniform(0.01, 0.05, 200), quad_segs=segments)
        items = [WorkItem(k, disc) for k, disc in enumerate([*discs, None])]
        layout = Layout(Lattice(crs, 30), buffer=100)
        found = placed(layout, items)
        assert found.about
        assert found.placed.tolist() == [True] * 200 + [False]
        exact = np.array([layout.grid(item).shape for item in items[:-1]])
        assert found.shapes[:-1].sum(axis=0) == pytest.approx(exact.sum(axis=0), rel=0.03)


def test_boxes_of_items_in_the_crs_are_exact():
    rng = np.random.default_rng(0)
    to_degrees = pyproj.Transformer.from_crs("EPSG:32613", "EPSG:4326", always_xy=True)
    items = []
    for k, (x, y) in enumerate(rng.uniform(0, 9000, (20, 2))):
        box = shapely.box(500_000 + x, 4_000_000 + y, 500_000 + 2 * x, 4_000_000 + 2 * y)
        degrees = shapely.transform(box, to_degrees.transform, interleaved=False)
        items.append(WorkItem(k, degrees, {}, "EPSG:32613", box.bounds))
    layout = Layout(Lattice("EPSG:32613", 30))
    found = placed(layout, items)
    exact = [layout.grid(item) for item in items]
    assert found.shapes.tolist() == [list(grid.shape) for grid in exact]
    assert (found.first[:, 1] * 30).tolist() == [grid.bounds[0] for grid in exact]
