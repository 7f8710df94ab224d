"""Distances from pixels to features, against great circles to densely placed points."""

import numpy as np
import pytest
import shapely
from affine import Affine
from pixel_images import UTM, cell, planar, run

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.geometry.sphere import RADIUS
from eedask.emulator.pixels.projection import locate
from eedask.emulator.pixels.raster import Grid, Projection
from eedask.emulator.values.value_types import Feature, collection_of


def features(*geometries):
    return collection_of("FeatureCollection", [Feature(g) for g in geometries])


def great_circle(lon1, lat1, lon2, lat2):
    """Metres, by the haversine formula."""
    lon1, lat1, lon2, lat2 = map(np.radians, (lon1, lat1, lon2, lat2))
    h = np.sin((lat2 - lat1) / 2) ** 2
    h += np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(h))


def oracle(grid, *geometries):
    at = locate(grid, Projection("EPSG:4326"))
    lon, lat = (np.broadcast_to(v, grid.shape)[..., None] for v in (at.cols, at.rows))
    points = []
    for geometry in geometries:
        shape = geometry.lonlat
        line = shape.boundary if shape.geom_type == "Polygon" else shape
        if line.length:
            line = shapely.segmentize(line, line.length / 4000)
        points.append(shapely.get_coordinates(line))
    x, y = np.concatenate(points).T
    return great_circle(lon, lat, x, y).min(axis=2)


@pytest.mark.parametrize("side", [30, 150])
def test_distances_in_metres(side):
    grid = Grid(UTM, Affine(40, 0, 499000, 0, -40, 4401000), side, 20)
    shapes = [
        planar(cell(3, 3, 30, 20)),
        planar(shapely.Point(503000, 4400500)),
        planar(shapely.LineString([(500000, 4399000), (501000, 4402000)])),
    ]
    band = run("Collection.distance", features(*shapes), 1e5, 100.0).bands[0]
    assert band.id == "distance"
    pixels = band.read(grid)
    assert (pixels.mask == 1).all()
    assert np.allclose(pixels.values, oracle(grid, *shapes), atol=1, rtol=1e-4)
    near = run("Collection.distance", features(*shapes), 300.0, 100.0).bands[0].read(grid)
    assert ((near.mask > 0) == (pixels.values <= 300)).all()
    assert (near.mask == 0).any()


def test_degrees_far_and_wide():
    grid = Grid("EPSG:4326", Affine(0.5, 0, -10, 0, -0.5, 60), 30, 24)
    coast = Geometry(shapely.LineString([(-12, 62), (1, 52), (7, 47)]), geodesic=False)
    pixels = run("Collection.distance", features(coast), 1e6, 100.0).bands[0].read(grid)
    assert np.allclose(pixels.values, oracle(grid, coast), rtol=5e-3, atol=300)


def test_across_the_antimeridian():
    grid = Grid("EPSG:4326", Affine(0.1, 0, 179, 0, -0.1, 1), 8, 8)
    point = Geometry(shapely.Point(-179.8, 0.5), geodesic=False)
    pixels = run("Collection.distance", features(point), 2e5, 100.0).bands[0].read(grid)
    assert np.allclose(pixels.values, oracle(grid, point), rtol=1e-6)


def test_nothing_near():
    grid = Grid(UTM, Affine(40, 0, 499000, 0, -40, 4401000), 4, 4)
    far = planar(shapely.Point(900000, 4400500))
    assert not run("Collection.distance", features(far), 1e3, 1.0).bands[0].read(grid).mask.any()
    assert not run("Collection.distance", features(), 1e3, 1.0).bands[0].read(grid).mask.any()
    with pytest.raises(EarthEngineError, match="positive"):
        run("Collection.distance", features(far), 0.0, 1.0)
