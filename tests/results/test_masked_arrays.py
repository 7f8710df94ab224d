"""What is masked in files is missing in an xarray.Dataset, whatever says so in them."""

import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from mounted import write

import eedask
from eedask.emulator import Emulator

pytestmark = pytest.mark.usefixtures("threads")

FOLDER = "projects/eedask-tests/assets"
PLACE = rasterio.Affine(10, 0, 500000, 0, -10, 4700000)
SHAPE = (12, 20)
TYPES = {"uint8": 7, "int16": -9999, "float32": -9999}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rasters of two bands, with zeros and masked pixels in different places of each."""
    folder, rng = tmp_path_factory.mktemp("masked"), np.random.default_rng(4)
    for dtype, nodata in TYPES.items():
        values = rng.integers(8, 200, (2, *SHAPE)).astype(dtype)
        values[:, :3] = 0
        values[rng.random(values.shape) < 0.3] = nodata
        write(folder / f"{dtype}.tif", values, "EPSG:32614", PLACE, nodata)
    mounts = {f"{FOLDER}/{dtype}": folder / f"{dtype}.tif" for dtype in TYPES}
    with Emulator(mounts=mounts, processes=1) as running, running.initialized():
        running.set_readings("npy_masked=any")
        yield folder


@pytest.mark.parametrize("more", [{}, {"nodata": 255}, {"mask": "band"}], ids=str)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", ["npy", "tif"])
@pytest.mark.cross(4)
def test_masked_pixels_are_missing(world, tmp_path, fmt, dtype, more):
    # Two pixels beyond the raster.
    box = shapely.box(500000, 4700000 - 120, 500220, 4700000)
    items = gpd.GeoDataFrame(geometry=[box], index=["a"], crs="EPSG:32614")
    options = {"crs": "EPSG:32614", "scale": 10, "format": fmt, **more}
    plan = eedask.chips(items, ee.Image(f"{FOLDER}/{dtype}"), out=tmp_path, **options)
    result = plan.run(progress=False)
    with rasterio.open(world / f"{dtype}.tif") as source:
        window = rasterio.windows.Window(0, 0, 22, 12)
        expected = source.read(window=window, boundless=True, masked=True)
    masked = np.ma.getmaskarray(expected)
    if more.get("mask") or (fmt == "tif" and dtype == "uint8" and not more):
        # The band, and a GeoTIFF's own mask, are one for all bands.
        masked = np.broadcast_to(masked.any(axis=0), masked.shape)
    names = ["b1", "b2"]
    found = result.to_xarray().isel(item=0)
    assert list(found.data_vars) == names + ["mask"] * ("mask" in more)
    wanted = np.where(masked, np.nan, expected.data)
    np.testing.assert_array_equal(found[names].to_dataarray(), wanted)
    filled = result.to_xarray(masked="fill").isel(item=0)
    for number, name in enumerate(names):
        band = filled[name]
        missing = np.isnan(band) if band.dtype.kind == "f" else band == band.attrs["_FillValue"]
        np.testing.assert_array_equal(missing, masked[number])
        np.testing.assert_array_equal(band.values[~masked[number]], wanted[number][~masked[number]])
        if more.get("nodata") and dtype == "uint8":
            assert (band.dtype, band.attrs["_FillValue"]) == (np.uint8, 255)
