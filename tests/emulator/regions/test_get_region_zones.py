"""getRegion and reduceRegion where images of two UTM zones overlap, held against rasterio."""

import ee
import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine

from eedask.emulator import Emulator

LON, LAT = 6.0, 47.0  # where zones 31 and 32 meet
ZONES = {"z31": "EPSG:32631", "z32": "EPSG:32632"}
ASSET = "projects/p/assets/zones"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two rasters of 10 m around the same place; no two pixels have the same value."""
    folder = tmp_path_factory.mktemp("zones")
    for number, (name, crs) in enumerate(ZONES.items()):
        x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(LON, LAT)
        left, top = round(x, -1) - 1000, round(y, -1) + 1000
        values = np.arange(40_000, dtype=np.int32).reshape(200, 200) + 40_000 * number
        profile = {"driver": "GTiff", "width": 200, "height": 200, "count": 1, "dtype": "int32"}
        transform = Affine(10, 0, left, 0, -10, top)
        with rasterio.open(
            folder / f"{name}.tif", "w", crs=crs, transform=transform, **profile
        ) as file:
            file.write(values, 1)
    return folder


@pytest.fixture(scope="module")
def images(folder):
    with Emulator({ASSET: folder}, processes=0) as emulator, emulator.initialized():
        yield [ee.Image(f"{ASSET}/{name}") for name in ZONES]


def pixels(folder, lon, lat):
    """Return the values of the pixels of both files that a place lies in."""
    found = []
    for name, crs in ZONES.items():
        place = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
        with rasterio.open(folder / f"{name}.tif") as file:
            found.append(int(next(file.sample([place]))[0]))
    return found


@pytest.mark.slow
def test_both_say_the_same_of_one_grid_and_each_is_what_its_grid_says(images, folder):
    differing = 0
    for east, north in np.random.default_rng(0).uniform(-0.005, 0.005, (4, 2)):
        lon, lat = LON + east, LAT + north
        point = ee.Geometry.Point([lon, lat])

        def first(*grid, point=point):
            return ee.List([i.reduceRegion("first", point, *grid).get("b1") for i in images])

        both = ee.ImageCollection(ASSET)
        grids = {"": (10,), **{crs: (10, crs) for crs in (*ZONES.values(), "EPSG:4326")}}
        asked = {f"region {crs}": both.getRegion(point, *grid) for crs, grid in grids.items()}
        asked |= {f"first {crs}": first(*grid) for crs, grid in grids.items() if crs}
        found = ee.Dictionary({**asked, "own": first()}).getInfo()

        # In an image's own projection: the pixel that the point lies in.
        assert found["own"] == pixels(folder, lon, lat)
        for crs in grids:
            rows = found[f"region {crs}"][1:]
            # In any other: the middle of the grid's pixel that the point lies in, as the row says.
            assert [row[0] for row in rows] == list(ZONES)
            assert [row[4] for row in rows] == pixels(folder, *rows[0][1:3])
            assert [row[4] for row in rows] == found[f"first {crs or 'EPSG:4326'}"]
        differing += [row[4] for row in found["region "][1:]] != found["own"]
    assert differing, "the test's points do not tell the grids apart"
