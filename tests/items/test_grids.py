"""Cells cover their region edge to edge, points lie in its cells: held against shapely, pyproj."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.errors import InputError, ItemsError
from eedask.items import grid, points_on_grid
from eedask.items.check import check_items

UTM = "EPSG:32613"
places = st.tuples(st.integers(300_000, 700_000), st.integers(4_000_000, 4_400_000))
sizes = st.sampled_from([1000, 2560, 7777.7, 30_000])


@st.composite
def regions(draw):
    """Polygons in metres: several parts, some with holes."""
    shapes = []
    for x, y in draw(st.lists(places, min_size=1, max_size=3)):
        radius = draw(st.sampled_from([600, 9000, 40_000]))
        ring = shapely.Point(x, y).buffer(radius, quad_segs=draw(st.integers(1, 4)))
        shapes.append(ring - shapely.Point(x, y).buffer(radius * draw(st.sampled_from([0, 0.7]))))
    return gpd.GeoSeries(shapes, crs=UTM)


@settings(max_examples=12)
@given(regions(), sizes)
def test_cells_cover_their_region_without_overlap_on_one_lattice(region, size):
    cells = grid(region, size)
    assert cells.crs == UTM
    whole = cells.union_all()
    # All but slivers of a millionth of a cell.
    assert region.union_all().difference(whole).area < 1e-5 * size * region.length.sum()
    assert whole.area == pytest.approx(cells.area.sum(), rel=1e-9)
    assert cells.intersects(region.union_all()).all()
    sides = cells.bounds.to_numpy() / size
    rows, columns = cells["row"].to_numpy(), cells["column"].to_numpy()
    wanted = np.stack([columns, rows, columns + 1, rows + 1], axis=1)
    np.testing.assert_allclose(sides, wanted, rtol=0, atol=1e-7)
    assert cells.index.tolist() == [f"r{r}c{c}" for r, c in zip(rows, columns, strict=True)]
    assert cells.index.is_unique


@settings(max_examples=12)
@given(regions(), regions(), sizes)
def test_a_cell_is_the_same_whatever_the_region(one, other, size):
    first, second = grid(one, size), grid(other, size)
    both = first.index.intersection(second.index)
    assert first.loc[both].geom_equals(second.loc[both]).all()


@settings(max_examples=12)
@given(regions(), sizes)
def test_points_on_a_grid_are_the_middles_of_cells_in_the_region(region, spacing):
    cells, whole = grid(region, spacing), region.union_all()
    middles = cells.set_geometry(cells.centroid)
    wanted = middles[middles.intersects(whole)]
    if wanted.empty:
        with pytest.raises(ItemsError, match="no point of a grid of spacing="):
            points_on_grid(region, spacing)
        return
    points = points_on_grid(region, spacing)
    assert points.index.tolist() == wanted.index.tolist()
    assert points.distance(wanted).max() < 1e-6


def test_edges_that_coincide_but_for_rounding_gain_no_cells():
    cells = grid(shapely.box(0.1, 0.1, 0.3, 0.1 * 7), 0.1, crs="EPSG:4326")
    assert len(cells) == 2 * 6
    assert len(grid(gpd.GeoSeries([shapely.box(0, 0, 3, 2)], crs=UTM), 1)) == 6


def test_borders_bend_where_the_crs_bends_them():
    """A parallel is no straight line in a conic projection."""
    europe = "EPSG:3035"
    cells = grid(shapely.box(0, 40, 40, 41), 20_000, crs=europe)
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", europe, always_xy=True)
    x, y = to_metres.transform(np.linspace(0, 40, 5000), np.full(5000, 41))
    assert shapely.intersects_xy(cells.union_all().buffer(10), x, y).all()
    # Where a straight border would run there is nothing.
    chord = shapely.LineString([to_metres.transform(0, 41), to_metres.transform(40, 41)])
    assert not cells.intersects(chord.interpolate(0.5, normalized=True)).any()


@pytest.mark.parametrize(
    "pacific",
    [
        shapely.box(179, 10, 181, 11),
        shapely.box(-181, 10, -179, 11),
        shapely.box(179, 10, 180, 11) | shapely.box(-180, 10, -179, 11),
    ],
    ids=["beyond 180", "beyond -180", "cut"],
)
def test_the_antimeridian_is_no_border(pacific):
    cells = grid(pacific, 10_000)
    assert cells.crs in ("EPSG:32660", "EPSG:32601")
    metres = grid(gpd.GeoSeries([shapely.box(-81, 10, -79, 11)], crs="EPSG:4326"), 10_000)
    assert len(cells) == pytest.approx(len(metres), abs=30)
    assert cells.union_all().geom_type == "Polygon"
    degrees = grid(pacific, 0.7, crs="EPSG:4326")
    check_items(degrees, geometry=True)
    halves = [shapely.box(179, 10, 180, 11), shapely.box(-180, 10, -179, 11)]
    assert all(degrees.union_all().covers(half) for half in halves)
    assert degrees.union_all().area == pytest.approx(shapely.area(degrees.geometry).sum())


@pytest.mark.parametrize(("crs", "south"), [("EPSG:3995", False), ("EPSG:3031", True)])
def test_caps_around_the_poles_are_whole(crs, south):
    cap = shapely.box(-180, -90, 180, -70) if south else shapely.box(-180, 70, 180, 90)
    cells = grid(cap, 100_000, crs=crs)
    # On the polar projection the cap is a disc about the origin.
    edge = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    radius = abs(edge.transform(0, -70 if south else 70)[1])
    disc = shapely.Point(0, 0).buffer(radius * 0.999, quad_segs=64)
    assert cells.union_all().covers(disc)
    assert cells.intersects(disc.buffer(radius * 0.002)).all()


def test_a_disc_around_a_pole_is_no_strip_in_degrees():
    ring = shapely.Point(0, 0).buffer(2e6, quad_segs=64) - shapely.Point(0, 0).buffer(1e6)
    for shape, reaches_pole in ((shapely.Point(0, 0).buffer(2e6), True), (ring, False)):
        cells = grid(gpd.GeoSeries([shape], crs="EPSG:3413"), 2, crs="EPSG:4326")
        assert cells.total_bounds[[0, 2]].tolist() == [-180, 180]
        assert (cells.total_bounds[3] == 90) == reaches_pole
        back = pyproj.Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
        angles = np.linspace(0, 2 * np.pi, 720)
        x, y = back.transform(1.5e6 * np.sin(angles), 1.5e6 * np.cos(angles))
        assert shapely.intersects_xy(cells.union_all(), x, y).all()


def test_utm_is_the_zone_of_the_middle_and_not_stretched_over_continents():
    assert grid(shapely.box(-109, 37, -102, 41), 100_000).crs == UTM
    assert grid(shapely.box(5, -11, 6, -10), 50_000, crs="utm").crs == "EPSG:32731"
    with pytest.raises(InputError, match=r"too wide for the UTM zone .*EPSG:6933"):
        grid(shapely.box(-120, 30, -70, 50), 100_000)
    assert grid(gpd.GeoSeries([shapely.box(0, 0, 9, 9)], crs="EPSG:3857"), 5).crs == "EPSG:3857"


BOX = shapely.box(0, 0, 1, 1)
REFUSED = [
    (lambda: grid(BOX, 0), InputError, "cell_size is a positive number .* got 0"),
    (lambda: grid(BOX, "5"), InputError, "got '5'"),
    (lambda: grid(BOX, 0.001), InputError, "more than 5,000,000: make cells larger"),
    (lambda: grid(BOX, 1000, crs="EPSG:99999"), InputError, "is not a crs"),
    (lambda: grid(BOX, 1000, crs="native"), InputError, "covering_grid"),
    (lambda: grid(shapely.Point(0, 0), 1000), ItemsError, r"without area: 0.*buffer\(\)"),
    (lambda: grid((0, 0, 1, 1), 1000), ItemsError, "region is a GeoDataFrame .* got tuple"),
    (lambda: grid(gpd.GeoSeries([BOX]), 1000), ItemsError, "no crs"),
    (lambda: grid(gpd.GeoSeries([None, BOX], crs=UTM), 1000), ItemsError, "no geometry: 0"),
    (lambda: grid(shapely.box(0, 80, 1, 90), 1e5, "EPSG:3857"), InputError, "can hold"),
    (lambda: grid(BOX, 1000, crs="EPSG:4978"), InputError, "no plane"),
    (lambda: grid(gpd.GeoSeries([BOX], crs="EPSG:4978"), 1000), ItemsError, "no plane"),
    (lambda: grid(shapely.Polygon(), 10), ItemsError, "region: 1 items have no geometry"),
    (lambda: points_on_grid(BOX, -1), InputError, "spacing is a positive number"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_cannot_be_laid_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
