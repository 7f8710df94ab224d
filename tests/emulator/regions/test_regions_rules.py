"""The rules of regions: the antimeridian, the poles, limits, scales, names, samples."""

import math
from itertools import pairwise

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from pixel_images import cell, image, native, planar, run
from zonal_oracle import great_circle

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Projection
from eedask.emulator.regions import zones
from eedask.emulator.values.value_types import Feature, collection_of

RADIUS = 6371007.180918474
WORLD = Affine(0.5, 0, -180, 0, -0.5, 90)


def reduced(img, name, geometry, scale=None, crs=None, transform=None, **options):
    red = run(f"Reducer.{name}")
    best, most = options.get("best_effort", False), options.get("max_pixels", 1e7)
    tile_scale = options.get("tile_scale", 1.0)
    arguments = (geometry, scale, crs, transform, best, most, tile_scale)
    return run("Image.reduceRegion", img, red, *arguments)


@pytest.fixture(scope="module")
def world():
    values = np.random.default_rng(3).integers(1, 250, (360, 720), dtype=np.uint8)
    return image(values, WORLD, "EPSG:4326")


def lon_lat():
    """Longitudes and latitudes of the world's pixel centres."""
    return np.meshgrid(np.arange(720) * 0.5 - 179.75, 89.75 - np.arange(360) * 0.5)


def array(img):
    return img.bands[0].read(native(img)).values


# The antimeridian and the poles


def test_regions_over_the_antimeridian(world):
    lon, lat = lon_lat()
    on = lon % 360
    inside = (on > 170) & (on < 190) & (np.abs(lat) < 10)
    past = shapely.box(170, -10, 190, 10)
    before = shapely.box(-190, -10, -170, 10)
    halves = shapely.union_all([shapely.box(170, -10, 180, 10), shapely.box(-180, -10, -170, 10)])
    for shape in (past, before, halves):
        got = reduced(world, "sum", Geometry(shape, geodesic=False))["b0"]
        assert got == array(world)[inside].sum(dtype=float)
    # A geodesic ring takes the shorter way; a planar one from 170 to -170 goes round the world.
    corners = [(170, -10), (-170, -10), (-170, 10), (170, 10)]
    count = reduced(world, "count", Geometry(shapely.Polygon(corners), geodesic=True))["b0"]
    assert count == pytest.approx(inside.sum(), rel=0.02)
    count = reduced(world, "count", Geometry(shapely.Polygon(corners), geodesic=False))["b0"]
    assert count == ((lon > -170) & (lon < 170) & (np.abs(lat) < 10)).sum()


def test_regions_over_the_antimeridian_in_utm():
    """A raster that lies across 180 degrees, and a box across it too."""
    values = np.random.default_rng(4).integers(1, 250, (60, 80), dtype=np.uint8)
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32701", always_xy=True)
    x, y = to_utm.transform(180.0, -17.0)
    transform = Affine(100, 0, round(x) - 4000.0, 0, -100, round(y) + 3000.0)
    img = image(values, transform, "EPSG:32701")
    box = shapely.box(179.98, -17.02, 180.03, -16.99)
    got = reduced(img, "count", Geometry(box, geodesic=False))["b0"]
    cols, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    lon, lat = to_utm.transform(
        transform.a * cols + transform.c, transform.e * rows + transform.f, direction="INVERSE"
    )
    inside = (lon % 360 > 179.98) & (lon % 360 < 180.03) & (lat > -17.02) & (lat < -16.99)
    assert inside.sum() > 500
    assert got == inside.sum()


@pytest.mark.parametrize("south", [False, True])
def test_rings_around_a_pole(world, south):
    corners = [(-180, 60), (-90, 60), (0, 60), (90, 60), (180, 60)]
    arcs = np.vstack([great_circle(a, b) for a, b in pairwise(corners)])
    lon, lat = lon_lat()
    edge = np.interp(lon, np.unwrap(np.radians(arcs[:, 0])) * 180 / math.pi, arcs[:, 1])
    ring = np.array(corners[:-1], float)
    if south:
        ring, lat = ring * (1, -1), -lat
    pole = Geometry(shapely.Polygon(ring), geodesic=True)
    assert reduced(world, "count", pole)["b0"] == (lat > edge).sum()


def test_points_on_the_antimeridian_and_poles(world):
    pixels = array(world)
    for lon, col in ((-180, 0), (179.9, 719), (180.1, 0), (-180.1, 719)):
        got = reduced(world, "first", Geometry(shapely.Point(lon, 0.25)))["b0"]
        assert got == pixels[179, col]
    for lat, row in ((90, 0), (-89.9, 359)):
        got = reduced(world, "first", Geometry(shapely.Point(10.1, lat)))["b0"]
        assert got == pixels[row, 380]


# Areas


def test_the_sum_of_pixel_areas_is_the_area():
    """On the authalic sphere, by pyproj's geodesics; edges take part by what they cover."""
    ring = [(-60.03, -10.01), (-59.4, -10.2), (-59.1, -9.3), (-59.8, -9.05)]
    sphere = pyproj.Geod(a=RADIUS, f=0)
    wanted = abs(sphere.polygon_area_perimeter(*zip(*ring, strict=True))[0])
    region = Geometry(shapely.Polygon(ring), geodesic=True)
    area = run("Image.pixelArea")
    for crs in ("EPSG:4326", "EPSG:32720", "SR-ORG:6974", "EPSG:3857"):
        got = reduced(area, "sum", region, 500.0, Projection(crs))["area"]
        assert got == pytest.approx(wanted, rel=1e-4), crs


# Scales and limits


def test_scale_crs_and_transform_together(world):
    region = Geometry(shapely.box(-30, -20, 20, 25), geodesic=False)
    mercator = Projection("EPSG:3857")
    box = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    (left, right), (bottom, top) = box.transform([-30, 20], [-20, 25])

    def centres(size, origin=0.0):
        across = math.floor((right - origin) / size + 0.5) - math.floor(
            (left - origin) / size + 0.5
        )
        along = math.floor((top - origin) / size + 0.5) - math.floor((bottom - origin) / size + 0.5)
        return across * along

    # A crs with a scale: pixels of that size about its origin.
    assert reduced(world, "count", region, 1e5, mercator)["b0"] == centres(1e5)
    # The scale replaces that of the crs given.
    coarse = Projection("EPSG:3857", Affine(5e4, 0, 7, 0, -5e4, 7))
    assert reduced(world, "count", region, None, coarse)["b0"] == centres(5e4, 7)
    assert reduced(world, "count", region, 1e5, coarse)["b0"] == centres(1e5, 7)
    # A crsTransform replaces the transform of the crs given.
    transform = [2e5, 0, 11, 0, -2e5, 11]
    assert reduced(world, "count", region, None, coarse, transform)["b0"] == centres(2e5, 11)
    # Without a crs it is the first band's that is rescaled or replaced.
    assert reduced(world, "count", region, None, None, [1, 0, 0, 0, -1, 0])["b0"] == 50 * 45
    assert reduced(world, "count", region, 2 * 111319.49079327358)["b0"] == 25 * 23


@pytest.mark.parametrize("given", [None, Projection("EPSG:4326")])
def test_the_default_projection_is_an_error(world, given):
    region = Geometry(shapely.box(0, 0, 10, 10), geodesic=False)
    constant = run("Image.constant", 1)
    features = collection_of("FeatureCollection", [Feature(region, {})])
    rest = (None, given, None)
    calls = {
        "reduceRegion": (run("Reducer.mean"), region, *rest, False, 1e7, 1.0),
        "reduceRegions": (features, run("Reducer.mean"), *rest, 1.0, None),
        "sample": (region, None, given, None, None, 0, True, 1.0, False),
        "sampleRegions": (features, None, None, given, 1.0, False),
        "stratifiedSample": (5, None, region, *rest[:2], 0, None, None, True, 1.0, False),
    }
    for name, arguments in calls.items():
        with pytest.raises(EarthEngineError, match=rf"Image\.{name}: The default WGS84 projection"):
            run(f"Image.{name}", constant, *arguments)
    assert reduced(constant, "count", region, None, given, [1, 0, 0, 0, 1, 0])["constant"] == 100


def test_max_pixels_counts_area_over_pixel_area(world):
    region = Geometry(shapely.box(0.1, 0.1, 10.35, 5.2), geodesic=False)
    found = (10.35 - 0.1) * (5.2 - 0.1) * 4
    with pytest.raises(
        EarthEngineError, match=f"Found {int(found)}, but maxPixels allows only 209"
    ):
        reduced(world, "count", region, max_pixels=209)
    assert reduced(world, "count", region, max_pixels=found)["b0"] == 210
    with pytest.raises(EarthEngineError, match="maxPixels must be positive"):
        reduced(world, "count", region, max_pixels=0, best_effort=True)
    # reduceRegions has no limit unless it is given one, for each region.
    features = collection_of("FeatureCollection", [Feature(region, {})])
    arguments = (features, run("Reducer.count"), None, None, None, 1.0)
    assert list(run("Image.reduceRegions", world, *arguments, None).elements())
    with pytest.raises(EarthEngineError, match=r"Image\.reduceRegions: Too many pixels"):
        list(run("Image.reduceRegions", world, *arguments, 100).elements())


@pytest.mark.parametrize("most", [50, 100, 1000])
def test_best_effort_makes_pixels_larger(world, most):
    region = Geometry(shapely.box(-60, -40, 70, 50), geodesic=False)
    count = reduced(world, "count", region, max_pixels=most, best_effort=True)["b0"]
    assert most / 5 < count <= most * 1.5  # pixels on the edge count too
    mean = reduced(world, "mean", region, max_pixels=most, best_effort=True)["b0"]
    assert mean == pytest.approx(array(world).mean(), abs=40)


def test_tile_scale_changes_nothing_but_must_be_in_range(world):
    region = Geometry(shapely.box(-60, -40, 70, 50), geodesic=False)
    wanted = reduced(world, "mean", region)
    assert reduced(world, "mean", region, tile_scale=16.0) == wanted
    assert reduced(world, "mean", region, tile_scale=0.1) == wanted
    for wrong in (0.0, 17.0):
        with pytest.raises(EarthEngineError, match=r"between 0\.1 and 16"):
            reduced(world, "mean", region, tile_scale=wrong)


def test_far_parts_make_no_work(world, monkeypatch):
    """Of two specks at the ends of the world only the tiles that they lie in are read."""
    made = []
    real = zones.Tile.__init__
    monkeypatch.setattr(zones, "READ_TILE", 256)
    monkeypatch.setattr(
        zones.Tile, "__init__", lambda self, *a: made.append(a[2]) or real(self, *a)
    )
    specks = shapely.union_all([shapely.box(-179, 80, -178, 81), shapely.box(178, -81, 179, -80)])
    fine = Projection("EPSG:4326", Affine(0.01, 0, -180, 0, -0.01, 90))
    got = reduced(world, "count", Geometry(specks, geodesic=False), None, fine)["b0"]
    assert got == 20000
    assert len(made) <= 8


# Samples


def test_samples_are_pixels_with_their_centre_in_the_region():
    values = np.arange(60, dtype=np.int16).reshape(6, 10)
    img = image(values)
    region = planar(shapely.box(500004, 4399956, 500056, 4399996))  # cuts pixels on all sides
    found = run("Image.sample", img, region, None, None, None, None, 0, True, 1.0, True)
    got = [f.properties["b0"] for f in found.elements()]
    assert got == values[0:4, 0:6][:, :6].ravel().tolist()
    features = collection_of("FeatureCollection", [Feature(region, {"n": 1})])
    found = run("Image.sampleRegions", img, features, None, None, None, 1.0, False)
    assert [f.properties["b0"] for f in found.elements()] == got


def test_sample_arguments_are_checked():
    img = image(np.ones((4, 4)) * 1.5)
    region = planar(cell(0, 0, 4, 4))
    for factor in (0.0, 1.5):
        with pytest.raises(EarthEngineError, match="factor must be within"):
            run("Image.sample", img, region, None, None, factor, None, 0, True, 1.0, False)
    arguments = (3, None, region, None, None, 0, None, None, True, 1.0, False)
    with pytest.raises(EarthEngineError, match="integer values"):
        run("Image.stratifiedSample", img, *arguments)


def test_lines_take_the_pixels_that_they_pass_through():
    values = np.arange(60, dtype=np.int16).reshape(6, 10)
    img = image(values)
    line = shapely.LineString([(500003, 4399996), (500037, 4399971)])
    frames = [[cell(c, r) for c in range(10)] for r in range(6)]
    passed = np.array([[line.intersects(f) for f in row] for row in frames])
    assert reduced(img, "count", planar(line))["b0"] == passed.sum()
    assert reduced(img, "sum", planar(line))["b0"] == values[passed].sum()
