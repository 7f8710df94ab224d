"""Tables of real rasters: municipalities on land surface temperature, points on NAIP.

These tests exist only where the data does: see ``tests/real_data.py``.
"""

import dask
import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import real_data
import shapely
from zonal_oracle import Raster, unweighted, weighted

import eedask
from eedask.emulator import Emulator

# rasterstats multiplies transforms as newer releases of affine deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

DATA = real_data.folder()
if DATA is None:
    raise pytest.UsageError(real_data.report())

LST, TOWNS = "modis_lst/mod11a1_20191101_ne_brazil.tif", "modis_lst/municipios.parquet"
SLOPE, SLOPES = "slope/slope.tif", "slope/polygons.shp"
NAIP = "naip/m_4709963_se_14_1_20200831.tif"
NDVI, PLOTS = "modis_ndvi/MOD13A1_NDVI_2016_193.tif", "modis_ndvi/extract_polys.shp"
MOUNTS = {"lst": LST, "slope": SLOPE, "naip": NAIP, "ndvi": NDVI}


@pytest.fixture(scope="module")
def data():
    """An emulator with the data mounted, and the client on it."""
    mounts = {f"real/{name}": DATA / path for name, path in MOUNTS.items()}
    with (
        Emulator(mounts, processes=2) as running,
        running.initialized(),
        dask.config.set(scheduler="threads"),
    ):
        yield running


def check(got, band, raster, shapes):
    exact, plain = weighted(raster, shapes), unweighted(raster, shapes, ("count", "min", "max"))
    for (_, row), wanted, centre in zip(got.iterrows(), exact, plain, strict=True):
        assert row[f"{band}_count"] == centre["count"]
        for name in ("min", "max") if centre["count"] else ():
            assert row[f"{band}_{name}"] == centre[name]
        if wanted is not None and np.isfinite(wanted.mean_bound):
            off = abs(row[f"{band}_mean"] - wanted.mean)
            assert off <= wanted.mean_bound + 1e-5 * abs(wanted.mean)


@pytest.mark.parametrize(
    ("image", "path", "regions", "band"),
    [
        ("lst", LST, TOWNS, "LST_Day_1km"),
        ("slope", SLOPE, SLOPES, None),
        ("ndvi", NDVI, PLOTS, None),
    ],
)
def test_regions_equal_exactextract_and_rasterstats(data, tmp_path, image, path, regions, band):
    file = DATA / regions
    items = gpd.read_parquet(file) if file.suffix == ".parquet" else gpd.read_file(file)
    items = items[["geometry"]].to_crs("EPSG:4326")
    asked = ee.Image(f"real/{image}")
    band = band or asked.bandNames().getInfo()[0]
    before = data.stats()["requests"]
    plan = eedask.reduce_regions(
        items, asked.select(band), ["mean", "count", "min", "max"], out=tmp_path / "out"
    )
    result = plan.run(progress=False)
    assert result.failed.empty
    assert data.stats()["requests"] - before <= 1 + max(8, len(items) / 20)
    with rasterio.open(DATA / path) as source:
        crs = source.crs
    # Straight in degrees is not straight in every crs.
    shapes = shapely.segmentize(items.geometry.values, 0.001)
    shapes = list(gpd.GeoSeries(shapes, crs="EPSG:4326").to_crs(crs))
    check(result.table(), band, Raster.of(DATA / path), shapes)


def test_points_equal_rasterio(data, tmp_path):
    with rasterio.open(DATA / NAIP) as source:
        left, bottom, right, top = source.bounds
        rng = np.random.default_rng(6)
        x, y = rng.uniform(left, right, 2000), rng.uniform(bottom, top, 2000)
        items = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs=source.crs)
        wanted = np.array(list(source.sample(np.column_stack([x, y]))))
    before = data.stats()["requests"]
    plan = eedask.sample_points(items, ee.Image("real/naip"), out=tmp_path / "out")
    got = plan.run(progress=False).table().drop(columns="geometry")
    assert 2000 / (data.stats()["requests"] - before - 1) >= 200
    found = got.to_numpy(dtype=float, na_value=np.nan)
    seen = ~np.isnan(found)
    assert seen.mean() > 0.5
    np.testing.assert_array_equal(found[seen], wanted[seen])
