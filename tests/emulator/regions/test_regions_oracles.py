"""Statistics of random regions on rasters in files, against exactextract, rasterstats, shapely."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import zonal_oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import run
from zonal_oracle import Raster, great_circle

from eedask.emulator.catalog.mounts.mounts import MountedImage
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.values.value_types import Feature, collection_of

# rasterstats multiplies transforms as newer releases of affine deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
HEIGHT, WIDTH = 70, 90
GRIDS = {
    "utm": ("EPSG:32723", rasterio.Affine(30, 0, 400005, 0, -30, 8200010)),
    "degrees": ("EPSG:4326", rasterio.Affine(0.01, 0, -41.3, 0, -0.01, -5.2)),
    "sinusoidal": (SINUSOIDAL, rasterio.Affine(926.625433, 0, -4310661.5, 0, -926.625433, -532810)),
}
NAMES = ("mean", "sum", "count", "min", "max", "u_mean", "u_sum")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """One raster in each system: noise with a tenth of the pixels nodata."""
    folder = tmp_path_factory.mktemp("zones")
    random = np.random.default_rng(8)
    made = {}
    for name, (crs, transform) in GRIDS.items():
        values = random.normal(300, 40, (HEIGHT, WIDTH)).astype(np.float32)
        values[random.random(values.shape) < 0.1] = -9999
        made[name] = folder / f"{name}.tif"
        profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 1}
        with rasterio.open(
            made[name], "w", **profile, dtype="float32", crs=crs, transform=transform, nodata=-9999
        ) as file:
            file.write(values, 1)
    return made


def reducer():
    """mean, sum (weighted), count, min, max (not), and the first two without weights."""

    def of(name):
        return run(f"Reducer.{name}")

    made = of("mean")
    for other in ("sum", "count", "min", "max"):
        made = run("Reducer.combine", made, of(other), "", True)
    plain = run("Reducer.combine", of("mean"), of("sum"), "", True)
    return run("Reducer.combine", made, run("Reducer.unweighted", plain), "u_", True)


def statistics(path, geometries):
    image = MountedImage("raster", Path(path)).image
    features = collection_of("FeatureCollection", [Feature(g, {}) for g in geometries])
    found = run("Image.reduceRegions", image, features, reducer(), None, None, None, 1.0, None)
    return [f.properties for f in found.elements()]


def star(random, col, row, radius, points=11):
    angle = (np.arange(points) + random.uniform(0, 0.9, points)) * 2 * np.pi / points
    reach = radius * random.uniform(0.25, 1, points)
    return shapely.Polygon(
        np.column_stack([col + reach * np.cos(angle), row + reach * np.sin(angle)])
    )


def random_shape(random):
    """A polygon in pixels: whole, holed, of several parts, a sliver, or less than a pixel."""
    col, row = random.uniform(5, WIDTH - 5), random.uniform(5, HEIGHT - 5)
    shape = star(random, col, row, random.uniform(1, 30))
    kind = random.integers(6)
    if kind == 1:
        shape = shape.difference(star(random, col, row, random.uniform(0.3, 6)))
    elif kind == 2:
        shape = shape.union(star(random, col + 25, row - 9, random.uniform(0.5, 12)))
    elif kind == 3:
        holes = [star(random, col + d, row, 2) for d in (-6, 0, 6)]
        shape = shape.difference(shapely.union_all(holes)).union(star(random, 10, 10, 5))
    elif kind == 4:
        end = random.uniform(0, (WIDTH, HEIGHT))
        shape = shapely.LineString([(col, row), end]).buffer(random.uniform(0.01, 0.6))
    elif kind == 5:
        shape = star(random, col, row, random.uniform(0.1, 0.7))
    shape = shape.buffer(0)
    # A hole may have taken all: exactextract has no empty shapes.
    return random_shape(random) if shape.is_empty else shape


def laid(shape, transform):
    """A shape in pixels, on the map."""
    t = transform
    return shapely.transform(
        shape, lambda p: np.column_stack([t.a * p[:, 0] + t.c, t.e * p[:, 1] + t.f])
    )


def check(path, geometries, shapes):
    """Check statistics of geometries against the oracles' of the shapes in the raster's crs."""
    raster = Raster.of(path)
    found = statistics(path, geometries)
    exact = zonal_oracle.weighted(raster, shapes)
    centres = zonal_oracle.unweighted(raster, shapes)
    for got, weighted, plain in zip(found, exact, centres, strict=True):
        assert got["count"] == plain["count"]
        for name in ("min", "max"):
            assert got.get(name) == plain[name]
        for name in ("mean", "sum"):
            if plain["count"]:
                assert got[f"u_{name}"] == pytest.approx(plain[name], rel=1e-9)
        if got.get("mean") is None:
            # Nothing, or no pixel that is covered enough to count.
            assert weighted is None or np.isinf(weighted.mean_bound)
        else:
            assert abs(got["mean"] - weighted.mean) <= weighted.mean_bound * 1.001 + 1e-4
            assert abs(got["sum"] - weighted.sum) <= weighted.sum_bound * 1.001 + 1e-4


@pytest.mark.parametrize("grid", GRIDS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_random_regions(paths, grid, seed):
    random = np.random.default_rng(seed)
    crs, transform = GRIDS[grid]
    shapes = [laid(random_shape(random), transform) for _ in range(6)]
    name = "SR-ORG:6974" if grid == "sinusoidal" else crs
    check(paths[grid], [Geometry(shape, name, geodesic=False) for shape in shapes], shapes)


@pytest.mark.parametrize("grid", ["utm", "sinusoidal"])
def test_planar_regions_in_degrees_keep_their_course(paths, grid):
    """The oracles get edges cut so finely that they follow the parallels and meridians."""
    random = np.random.default_rng(4)
    crs, transform = GRIDS[grid]
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    to_raster = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    degrees = [
        shapely.transform(
            laid(random_shape(random), transform), to_degrees.transform, interleaved=False
        ).buffer(0)
        for _ in range(16)
    ]
    fine = [shapely.segmentize(shape, shape.length / 5000) for shape in degrees]
    shapes = [shapely.transform(s, to_raster.transform, interleaved=False) for s in fine]
    check(paths[grid], [Geometry(shape, geodesic=False) for shape in degrees], shapes)


def test_geodesic_and_planar_edges_differ_as_great_circles_and_parallels(tmp_path):
    """A box of 60 degrees at 50 north: its great circle bulges 5 degrees to the pole."""
    path = tmp_path / "world.tif"
    transform = rasterio.Affine(0.25, 0, -180, 0, -0.25, 90)
    random = np.random.default_rng(1)
    values = random.integers(1, 1000, (720, 1440), dtype=np.uint16)
    profile = {"driver": "GTiff", "width": 1440, "height": 720, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=transform) as file:
        file.write(values, 1)
    corners = [(-30.1, 40.05), (30.2, 40.05), (30.2, 50.05), (-30.1, 50.05), (-30.1, 40.05)]
    box = shapely.Polygon(corners)
    rings = [great_circle(a, b) for a, b in pairwise(corners)]
    curved = shapely.Polygon(np.vstack(rings))
    check(path, [Geometry(box, geodesic=False), Geometry(box, geodesic=True)], [box, curved])
    planar, geodesic = statistics(path, [Geometry(box, geodesic=g) for g in (False, True)])
    assert planar["count"] != geodesic["count"]
