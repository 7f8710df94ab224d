"""Geometries on the sphere and in planes, against pyproj, shapely and printed figures of EE's."""

import math

import numpy as np
import pyproj
import pytest
import shapely
from graphs import call, info_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.geometries.geometries import combined
from eedask.emulator.geometry import geodesy, sphere
from eedask.emulator.geometry.geometry import (
    UNBOUNDED,
    Geometry,
    from_geojson,
    rectangle,
    to_geojson,
)

SPHERE = pyproj.Geod(a=sphere.RADIUS, f=0)
GUIDE = [[[-5, 40], [65, 40], [65, 60], [-5, 60], [-5, 60]]]

longitudes = st.floats(-180, 180)
latitudes = st.floats(-85, 85)


def polygon(rings, **arguments):
    return call("GeometryConstructors.Polygon", coordinates=rings, **arguments)


def point(lon, lat):
    return call("GeometryConstructors.Point", coordinates=[lon, lat])


def bounds_of(geometry):
    ring = np.array(info_of(call("Geometry.bounds", geometry=geometry))["coordinates"][0])
    return (*ring.min(axis=0), *ring.max(axis=0))


def test_area_and_perimeter_are_those_that_earth_engine_printed():
    # Printed by the service for the polygon of the Geometries guide, in km² and km.
    area = info_of(call("Geometry.area", geometry=polygon(GUIDE))) / 1e6
    assert area == pytest.approx(9918985.748240016, rel=1e-12)
    perimeter = info_of(call("Geometry.perimeter", geometry=polygon(GUIDE))) / 1e3
    assert perimeter == pytest.approx(13979.88727044261, rel=1e-6)


@pytest.mark.parametrize(
    ("lon", "lat"), [(-105.5, 39.2), (0, 0), (179.9995, -65), (24.7, 59.9), (-72.3, -41.2)]
)
def test_the_bounds_of_a_buffered_point_are_right_to_micrometres(lon, lat):
    west, south, east, north = bounds_of(
        call("Geometry.buffer", geometry=point(lon, lat), distance=127)
    )
    angle = 127 / sphere.RADIUS
    half = math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(lat))))
    metres = math.radians(1) * sphere.RADIUS
    assert north == pytest.approx(lat + math.degrees(angle), abs=1e-6 / metres)
    assert south == pytest.approx(lat - math.degrees(angle), abs=1e-6 / metres)
    assert east == pytest.approx(lon + half, abs=1e-6 / metres)
    assert west == pytest.approx(lon - half, abs=1e-6 / metres)


@settings(max_examples=60, deadline=None)
@given(longitudes, latitudes, st.floats(1, 3e5))
def test_vertices_of_a_buffered_point_lie_at_the_distance(lon, lat, radius):
    ring = sphere.circle(lon, lat, radius)
    many = np.full(len(ring), 1.0)
    _, _, distance = SPHERE.inv(lon * many, lat * many, *ring.T)
    assert distance == pytest.approx(radius * many, rel=1e-6)
    assert shapely.LinearRing(ring).is_ccw or abs(lat) > 80


def test_a_buffer_over_a_pole_reaches_all_longitudes():
    made = value_of(call("Geometry.buffer", geometry=point(10, 89.5), distance=100_000))
    west, south, east, north = made.bounds
    assert (west, east, north) == (-180, 180, 90)
    assert south == pytest.approx(89.5 - math.degrees(100_000 / sphere.RADIUS), abs=1e-3)
    cap = 2 * math.pi * sphere.RADIUS**2 * (1 - math.cos(100_000 / sphere.RADIUS))
    assert geodesy.area(made) == pytest.approx(cap, rel=2e-3)
    assert made.lonlat.is_valid
    assert made.lonlat.contains(shapely.Point(-170, 89.9))


@pytest.mark.parametrize("metres", [100.0, 9_000.0])
def test_buffers_of_lines_and_polygons_keep_the_distance(metres):
    line = Geometry(shapely.LineString([(10, 59), (14, 61), (15, 60)]))
    around = geodesy.buffer(line, metres)
    path = shapely.get_coordinates(line.lonlat)
    edge = shapely.get_coordinates(around.lonlat)[::7]
    nearest = [min(SPHERE.inv([x] * len(path), [y] * len(path), *path.T)[2]) for x, y in edge]
    assert min(nearest) > metres * 0.998
    square = rectangle((10, 59, 10.5, 59.3))
    bigger, smaller = geodesy.buffer(square, metres), geodesy.buffer(square, -metres)
    assert bigger.lonlat.covers(square.lonlat)
    south = smaller.bounds[1] - 59, 59 - bigger.bounds[1]
    degrees = math.degrees(metres / sphere.RADIUS)
    # The parallel is no great circle, so its neighbours are not quite parallels.
    assert south == pytest.approx((degrees, degrees), rel=2e-3)
    perimeter = geodesy.perimeter(square)
    grown = geodesy.area(bigger) - geodesy.area(square)
    assert grown == pytest.approx(perimeter * metres + math.pi * metres**2, rel=5e-3)


def test_buffer_with_a_projection_is_planar_in_its_units():
    utm = {"type": "Projection", "crs": "EPSG:32633", "transform": [1, 0, 0, 0, 1, 0]}
    projection = value_of(call("Geometry.buffer", geometry=point(15, 0), distance=10, proj=utm))
    assert projection.crs == "EPSG:32633"
    assert projection.shape.bounds == pytest.approx((499_990, -10, 500_010, 10), abs=1e-3)


def test_great_circles_rise_over_their_ends():
    west, south, east, north = bounds_of(polygon(GUIDE))
    assert (west, south, east) == (-5, 40, 65)
    summit = math.degrees(math.atan(math.tan(math.radians(60)) / math.cos(math.radians(35))))
    assert north == pytest.approx(summit, abs=1e-9)
    assert bounds_of(polygon(GUIDE, geodesic=False)) == (-5, 40, 65, 60)
    dense = value_of(polygon(GUIDE)).lonlat
    assert dense.bounds[3] == pytest.approx(summit, abs=1e-5)


@settings(max_examples=80, deadline=None)
@given(longitudes, latitudes, longitudes, latitudes)
def test_densified_edges_stay_on_their_great_circle(lon1, lat1, lon2, lat2):
    ends = sphere.unwrapped(np.array([[lon1, lat1], [lon2, lat2]]))
    span = abs(ends[1, 0] - ends[0, 0])
    if span > 150 or np.hypot(span, lat2 - lat1) < 1e-3:
        return
    path = sphere.densified(ends)
    middles = (path[1:] + path[:-1]) / 2
    normal = np.cross(*sphere.to_vectors(ends))
    off = np.abs(sphere.to_vectors(middles) @ (normal / np.linalg.norm(normal))) * sphere.RADIUS
    assert off.max() <= sphere.TOLERANCE


@settings(max_examples=60, deadline=None)
@given(longitudes, latitudes, st.floats(0.001, 20), st.floats(0.001, 5))
def test_planar_areas_are_exact(lon, lat, width, height):
    south, north = math.radians(lat), math.radians(min(lat + height, 90))
    box = rectangle((lon, lat, lon + width, math.degrees(north)))
    size = sphere.RADIUS**2 * math.radians(width) * (math.sin(north) - math.sin(south))
    assert geodesy.area(box) == pytest.approx(size, rel=1e-9)


def test_areas_leave_out_holes_and_add_parts():
    square = [[0, 0], [2, 0], [2, 2], [0, 2]]
    hole = [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]]
    outer, inner = (geodesy.area(value_of(polygon([r]))) for r in (square, hole))
    assert geodesy.area(value_of(polygon([square, hole]))) == pytest.approx(outer - inner)
    two = call("GeometryConstructors.MultiPolygon", coordinates=[[square], [hole]])
    assert geodesy.area(value_of(two)) == pytest.approx(outer + inner)
    line = call("GeometryConstructors.LineString", coordinates=square)
    assert info_of(call("Geometry.area", geometry=line)) == 0


def test_the_antimeridian_is_no_edge():
    across = value_of(polygon([[[179, -1], [-179, -1], [-179, 1], [179, 1]]]))
    assert across.bounds == pytest.approx((179, -1, 181, 1), abs=1e-2)
    assert across.lonlat.geom_type == "MultiPolygon"
    assert across.lonlat.bounds[::2] == (-180, 180)
    assert geodesy.area(across) == pytest.approx(geodesy.area(rectangle((0, -1, 2, 1))), rel=1e-3)
    box = call("GeometryConstructors.BBox", west=170, south=-10, east=-170, north=10)
    for lon, inside in ((175, True), (-175, True), (0, False)):
        contained = call("Geometry.contains", left=box, right=point(lon, 0))
        assert info_of(contained) is inside
    near = call("Geometry.distance", left=point(179.999, 0), right=point(-179.999, 0))
    expected = pyproj.Geod(ellps="WGS84").inv(179.999, 0, -179.999, 0)[2]
    assert info_of(near) == pytest.approx(expected)


def test_lengths_and_distances_are_on_the_ellipsoid():
    geod = pyproj.Geod(ellps="WGS84")
    path = [[-70, -40], [-60.5, -41], [-60, -35]]
    line = call("GeometryConstructors.LineString", coordinates=path)
    length = info_of(call("Geometry.length", geometry=line))
    assert length == pytest.approx(geod.line_length(*np.transpose(path)), rel=1e-6)
    left, right = point(10, 50), point(11, 51)
    ellipsoidal = info_of(call("Geometry.distance", left=left, right=right))
    assert ellipsoidal == pytest.approx(geod.inv(10, 50, 11, 51)[2])
    spherical = info_of(call("Geometry.distance", left=left, right=right, spherical=True))
    assert spherical == pytest.approx(SPHERE.inv(10, 50, 11, 51)[2])


def test_distance_to_an_edge_is_to_its_nearest_point():
    line = call("GeometryConstructors.LineString", coordinates=[[0, -10], [0, 10]])
    off = info_of(call("Geometry.distance", left=line, right=point(1, 5)))
    assert off == pytest.approx(pyproj.Geod(ellps="WGS84").inv(0, 5, 1, 5)[2], rel=1e-4)
    within = {"left": line, "right": point(1, 5)}
    assert info_of(call("Geometry.withinDistance", **within, distance=off + 1)) is True
    assert info_of(call("Geometry.withinDistance", **within, distance=off - 1)) is False
    pair = info_of(call("Geometry.closestPoints", left=line, right=point(1, 5)))
    assert pair["left"]["coordinates"] == pytest.approx([0, 5.0], abs=0.01)


def test_set_operations_agree_with_shapely():
    one, other = [[[0, 0], [2, 0], [2, 2], [0, 2]]], [[[1, 1], [3, 1], [3, 3], [1, 3]]]
    planar = {"geodesic": False}
    left, right = polygon(one, **planar), polygon(other, **planar)
    for name, method in [
        ("intersection", "intersection"),
        ("union", "union"),
        ("difference", "difference"),
        ("symmetricDifference", "symmetric_difference"),
    ]:
        got = value_of(call(f"Geometry.{name}", left=left, right=right)).shape
        expected = getattr(shapely.Polygon(one[0]), method)(shapely.Polygon(other[0]))
        assert got.equals(expected), name
    assert info_of(call("Geometry.intersects", left=left, right=right)) is True
    assert info_of(call("Geometry.disjoint", left=left, right=right)) is False
    assert info_of(call("Geometry.contains", left=left, right=point(1, 1))) is True
    assert info_of(call("Geometry.containedIn", left=point(5, 1), right=left)) is False


def test_projected_geometries_are_seen_in_degrees():
    utm = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32613", always_xy=True)
    x, y = utm.transform(-105.2, 40.1)
    proj = call("Projection", crs="EPSG:32613")
    square = call(
        "GeometryConstructors.Rectangle",
        coordinates=[x, y, x + 1000, y + 1000],
        crs={"type": "Projection", "crs": "EPSG:32613", "transform": [1, 0, 0, 0, 1, 0]},
        geodesic=False,
    )
    made = value_of(square)
    assert proj.name == "Projection"
    assert shapely.get_coordinates(made.lonlat)[0] == pytest.approx((-105.2, 40.1), abs=1e-9)
    assert info_of(square)["crs"] == {"type": "name", "properties": {"name": "EPSG:32613"}}
    assert geodesy.area(made) == pytest.approx(1e6, rel=5e-3)
    assert value_of(call("Geometry.area", geometry=square, proj="EPSG:32613")) == pytest.approx(1e6)


def test_geojson_of_getinfo_says_what_is_not_the_default():
    closed = [[[-5, 40], [65, 40], [65, 60], [-5, 60], [-5, 60], [-5, 40]]]
    assert info_of(polygon(GUIDE)) == {"type": "Polygon", "coordinates": closed}
    planar = {"geodesic": False, "type": "Polygon", "coordinates": closed}
    assert info_of(polygon(GUIDE, geodesic=False)) == planar
    assert info_of(point(1, 2.5)) == {"type": "Point", "coordinates": [1, 2.5]}
    assert to_geojson(UNBOUNDED)["coordinates"][0][0] == ["-Infinity", "-Infinity"]


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Point(1, 2),
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.LinearRing([(0, 0), (1, 1), (1, 0)]),
        shapely.box(0, 0, 1, 1).difference(shapely.box(0.2, 0.2, 0.4, 0.4)),
        shapely.MultiPoint([(0, 0), (1, 1)]),
        shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3)]]),
        shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)]),
        shapely.GeometryCollection([shapely.Point(1, 2), shapely.box(0, 0, 1, 1)]),
    ],
)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32613"])
@pytest.mark.parametrize("geodesic", [True, False])
def test_geojson_there_and_back(shape, crs, geodesic):
    geometry = Geometry(shape, crs, geodesic)
    back = from_geojson(to_geojson(geometry))
    assert back.shape == shape
    assert back.crs == crs
    if shape.geom_type not in ("Point", "MultiPoint") and crs == "EPSG:4326":
        assert back.geodesic == geodesic


def test_centroids():
    triangle = polygon([[[0, 0], [90, 0], [0, 90]]])
    middle = info_of(call("Geometry.centroid", geometry=triangle))["coordinates"]
    assert middle == pytest.approx([45, math.degrees(math.asin(1 / math.sqrt(3)))], abs=1e-3)
    box = call("GeometryConstructors.BBox", west=10, south=50, east=12, north=51)
    assert info_of(call("Geometry.centroid", geometry=box))["coordinates"] == [11, 50.5]
    mixed = call("GeometryConstructors.MultiGeometry", geometries=[box, point(100, 0)])
    assert info_of(call("Geometry.centroid", geometry=mixed))["coordinates"] == [11, 50.5]


def test_simplify_stays_within_the_margin():
    circle = value_of(call("Geometry.buffer", geometry=point(10, 60), distance=10_000, maxError=1))
    simple = geodesy.simplify(circle, 200)
    assert len(simple.shape.exterior.coords) < len(circle.shape.exterior.coords) / 2
    path = shapely.get_coordinates(simple.lonlat)
    _, _, metres = SPHERE.inv([10] * len(path), [60] * len(path), *path.T)
    assert min(metres) > 10_000 - 205
    assert max(metres) < 10_000 + 1


def test_covering_grid_cells_cover_and_touch():
    region = call("GeometryConstructors.BBox", west=0.1, south=0.1, east=2.5, north=1.5)
    grid = {"type": "Projection", "crs": "EPSG:4326", "transform": [1, 0, 0, 0, 1, 0]}
    cells = info_of(call("Geometry.coveringGrid", geometry=region, proj=grid))["features"]
    assert [f["id"] for f in cells] == ["0,0", "1,0", "2,0", "0,1", "1,1", "2,1"]


@pytest.mark.parametrize(
    ("name", "coordinates"),
    [
        ("Point", [1]),
        ("LineString", [[1, 2]]),
        ("Polygon", [[[1, 2], [3, 4]]]),
        ("Polygon", [[[1, 2], [3, "x"], [4, 5]]]),
        ("Polygon", [1, 2, 3]),
        ("Rectangle", []),
        ("MultiPolygon", [[[[1]]]]),
    ],
)
def test_impossible_coordinates_are_refused(name, coordinates):
    with pytest.raises(EarthEngineError, match="GeometryConstructors") as caught:
        value_of(call(f"GeometryConstructors.{name}", coordinates=coordinates))
    assert caught.value.code == 400
    assert "Internal error" not in caught.value.message


def test_insides_are_by_the_even_odd_rule():
    # The ring winds twice around the middle square, which is therefore outside.
    twice = [[0, 0], [3, 0], [3, 3], [1, 3], [1, 1], [2, 1], [2, 2], [0, 2]]
    made = value_of(polygon([twice], geodesic=False)).lonlat
    assert made.is_valid
    assert made.contains(shapely.Point(0.5, 0.5))
    assert not made.contains(shapely.Point(1.5, 1.5))
    bow = value_of(polygon([[[0, 0], [1, 1], [1, 0], [0, 1]]], geodesic=False)).lonlat
    assert bow.area == pytest.approx(0.5)
    lapping = [[[[0, 0], [2, 0], [2, 2], [0, 2]]], [[[1, 0], [3, 0], [3, 2], [1, 2]]]]
    both = call("GeometryConstructors.MultiPolygon", coordinates=lapping, geodesic=False)
    assert value_of(both).lonlat.area == pytest.approx(6)


def test_polygons_that_are_all_but_a_ring_are_refused():
    ring = [[-35, -10], [-35, 10], [35, 10], [35, -10]]
    with pytest.raises(EarthEngineError, match="does not support polygons") as caught:
        value_of(polygon([ring], evenOdd=False))
    assert caught.value.code == 400
    assert value_of(polygon([ring[::-1]], evenOdd=False)).bounds[0] == -35


def test_set_operations_of_shapes_that_cross_themselves_in_a_plane():
    """Rings that are good on the sphere may cross themselves in a zone far from their place."""
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    beside = shapely.Polygon([(0, 0), (2, 2), (3, 0), (0, 2.5)])
    with pytest.raises(shapely.GEOSException):
        bow.symmetric_difference(beside)
    area = shapely.make_valid(bow).symmetric_difference(shapely.make_valid(beside)).area
    assert combined("symmetric_difference", bow, beside).area == pytest.approx(area)
