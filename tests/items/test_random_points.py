"""Random points that are apart, around poles and over the antimeridian: held against pyproj."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely

from eedask.errors import InputError, ItemsError
from eedask.items import random_points

GEOD = pyproj.Geod(ellps="WGS84")


def nearest_pair(points):
    """Return the least distance over the ground between two of the points."""
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    a, b = np.triu_indices(len(points), 1)
    return GEOD.inv(x[a], y[a], x[b], y[b])[2].min()


def frame(*shapes, crs="EPSG:4326"):
    return gpd.GeoDataFrame({"k": range(len(shapes))}, geometry=list(shapes), crs=crs)


REGIONS = {
    "neighbours": frame(shapely.box(0, 50, 1, 51), shapely.box(1, 50, 2, 51)),
    "antimeridian": frame(shapely.box(179.5, 0, 180, 1) | shapely.box(-180, 0, -179.5, 1)),
    "beyond 180": frame(shapely.box(179.5, 0, 180.5, 1)),
    "pole": frame(shapely.Point(0, 0).buffer(60_000), crs="EPSG:3413"),
}


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
def test_no_two_points_are_nearer_than_the_spacing(regions):
    points = random_points(regions, 60, seed=4, spacing=5000)
    assert len(points) == 60 * len(regions)
    assert nearest_pair(points) >= 5000
    # Without it, some are.
    assert nearest_pair(random_points(regions, 60, seed=4)) < 5000
    assert points.geometry.x.between(-180, 180).all()
    again = random_points(regions, 60, seed=4, spacing=5000)
    assert points.geom_equals(again).all()


def test_a_region_too_small_for_the_points_says_how_many_fit():
    regions = frame(shapely.box(0, 0, 1, 1)).set_axis(["small"], axis=0)
    with pytest.raises(
        ItemsError, match=r"'small' has room for some \d+ of its 500 points"
    ) as seen:
        random_points(regions, 500, seed=1, spacing=8000)
    fit = int(str(seen.value).split("some ")[1].split()[0])
    # Points laid down one by one fill 0.547 of the plane with discs of half the distance.
    area = abs(GEOD.geometry_area_perimeter(regions.geometry.iloc[0])[0])
    assert fit == pytest.approx(0.547 * area / (np.pi * 4000**2), rel=0.15)
    assert len(random_points(regions, fit * 3 // 4, seed=2, spacing=8000)) == fit * 3 // 4


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3995"])
def test_points_around_a_pole_are_uniform_on_the_sphere(crs):
    cap = frame(shapely.Point(0, 0).buffer(3e6, quad_segs=200), crs=crs)
    points = random_points(cap, 20_000, seed=5)
    lowest = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(3e6, 0)[1]
    # Of a cap, the area grows with the sine of latitude, and all longitudes are alike.
    heights = np.sin(np.radians(points.geometry.y))
    low = np.sin(np.radians(lowest))
    shares = np.histogram(heights, bins=5, range=(low, 1))[0] / len(points)
    assert np.abs(shares - 0.2).max() < 0.015
    shares = np.histogram(points.geometry.x, bins=8, range=(-180, 180))[0] / len(points)
    assert np.abs(shares - 0.125).max() < 0.012


def test_borders_are_straight_in_the_regions_own_crs():
    europe = frame(shapely.box(3_000_000, 1_500_000, 6_000_000, 5_000_000), crs="EPSG:3035")
    points = random_points(europe, 3000, seed=6).to_crs("EPSG:3035")
    box = europe.geometry.iloc[0]
    assert points.within(box).all()
    # Up to the very border, which is no straight line in degrees.
    assert points.total_bounds == pytest.approx(box.bounds, abs=20_000)


def test_holes_and_parts_are_heeded():
    holed = shapely.box(0, 0, 4, 4) - shapely.box(1, 1, 3, 3)
    shape = holed | shapely.box(10, 10, 12, 12)
    points = random_points(frame(shape), 4000, seed=7)
    assert points.within(shape).all()
    assert (points.geometry.x > 9).mean() == pytest.approx(4 / 16, abs=0.03)


@pytest.mark.parametrize("spacing", [0, -1, "5", np.nan, True])
def test_spacings_that_are_none_are_refused(spacing):
    with pytest.raises(InputError, match="spacing is a positive number of metres"):
        random_points(frame(shapely.box(0, 0, 1, 1)), 5, spacing=spacing)


@pytest.mark.parametrize("n", [0, 2.5, "5", True])
def test_numbers_of_points_that_are_none_are_refused(n):
    with pytest.raises(InputError, match="n is a whole number of points a region, 1 or more; got"):
        random_points(frame(shapely.box(0, 0, 1, 1)), n)
