"""Statistics of real regions on real rasters, over HTTP, against exactextract and rasterstats.

These tests exist only where the data does: see ``tests/real_data.py``. Figures of the worst
differences are printed (``-s``).
"""

import ee
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import real_data
import shapely
import zonal_oracle
from zonal_oracle import Raster

from eedask.emulator import Emulator

# rasterstats multiplies transforms as newer releases of affine deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

DATA = real_data.folder()
if DATA is None:
    raise pytest.UsageError(real_data.report())

LST, TOWNS = "modis_lst/mod11a1_20191101_ne_brazil.tif", "modis_lst/municipios.parquet"
NDVI, FIELDS = "modis_ndvi", "modis_ndvi/extract_polys.shp"
SLOPE, SLOPES, SPOTS = "slope/slope.tif", "slope/polygons.shp", "slope/points.shp"
MOUNTS = {"lst": LST, "towns": TOWNS, "ndvi": NDVI, "slope": SLOPE}


@pytest.fixture(scope="module")
def data():
    """An emulator with the data mounted, and the client on it."""
    with Emulator({f"real/{k}": DATA / v for k, v in MOUNTS.items()}, processes=2) as running:
        ee.Initialize(running.credentials, url=running.url, project=running.project)
        session = ee.data._get_state().requests_session
        yield running
        # The client never closes its one session.
        session.close()
        ee.Reset()


def statistics():
    """mean, sum (weighted), count, min, max (not weighted)."""
    made = ee.Reducer.mean()
    for other in (ee.Reducer.sum(), ee.Reducer.count(), ee.Reducer.minMax()):
        made = made.combine(other, sharedInputs=True)
    return made


def rows(collection):
    """The properties of all features, in order."""
    plain = collection.map(lambda f: ee.Feature(None, f.toDictionary()))
    found, token = [], None
    while True:
        request = {"expression": plain, "pageSize": 1000}
        page = ee.data.computeFeatures(request | ({"pageToken": token} if token else {}))
        found += [f["properties"] for f in page["features"]]
        token = page.get("nextPageToken")
        if not token:
            return found


def on_the_map_of(frame, path):
    """Shapes in a raster's crs, the straight edges of theirs cut so that they keep their course."""
    with rasterio.open(path) as file:
        crs = file.crs
    # 100 m of a parallel are 0.2 mm off a straight line.
    cut = frame.set_geometry(shapely.segmentize(frame.geometry.values, 0.001))
    return list(cut.to_crs(crs).geometry)


def compare(title, found, raster, shapes):
    """Check against both oracles; print the worst differences."""
    exact = zonal_oracle.weighted(raster, shapes)
    plain = zonal_oracle.unweighted(raster, shapes, ("count", "min", "max"))
    assert len(found) == len(shapes)
    worst = {"mean": 0.0, "mean/bound": 0.0, "sum, relative": 0.0}
    for got, wanted, centre in zip(found, exact, plain, strict=True):
        assert got["count"] == centre["count"]
        assert (got.get("min"), got.get("max")) == (centre["min"], centre["max"])
        if got.get("mean") is None:
            # Nothing, or no pixel that is covered enough to count.
            assert wanted is None or np.isinf(wanted.mean_bound)
            continue
        off, bound = abs(got["mean"] - wanted.mean), wanted.mean_bound
        assert off <= bound + 1e-5 * abs(wanted.mean)
        assert abs(got["sum"] - wanted.sum) <= wanted.sum_bound + 1e-5 * abs(wanted.sum)
        worst["mean"] = max(worst["mean"], off)
        worst["mean/bound"] = max(worst["mean/bound"], off / bound if bound else 0.0)
        relative = abs(got["sum"] / wanted.sum - 1)
        worst["sum, relative"] = max(worst["sum, relative"], relative)
    counted = sum(row["count"] for row in found)
    print(f"\n{title}: {len(found)} regions, {counted} pixels, counts, min and max all equal")
    print("  worst: " + ", ".join(f"{k} {v:.3g}" for k, v in worst.items()))
    return worst


@pytest.mark.parametrize(
    "band", ["LST_Day_1km", pytest.param("LST_Night_1km", marks=pytest.mark.slow)]
)
def test_municipalities_on_land_surface_temperature(data, band):
    towns = gpd.read_parquet(DATA / TOWNS)
    image = ee.Image("real/lst").select(band)
    table = image.reduceRegions(ee.FeatureCollection("real/towns"), statistics())
    found = rows(table)
    assert [row["id"] for row in found] == towns["id"].tolist()
    number = {"LST_Day_1km": 1, "LST_Night_1km": 3}[band]
    raster = Raster.of(DATA / LST, number)
    worst = compare(f"{band}, municipalities", found, raster, on_the_map_of(towns, DATA / LST))
    assert worst["mean"] < 1  # 0.02 kelvin: the band's own step


def test_fields_on_vegetation_index_over_a_year(data):
    fields = gpd.read_file(DATA / FIELDS)
    features = ee.FeatureCollection(
        [
            ee.Feature(ee.Geometry(shape, geodesic=False), {"field": k})
            for k, shape in enumerate(map(shapely.geometry.mapping, fields.geometry))
        ]
    )
    series = ee.ImageCollection("real/ndvi")
    table = series.map(lambda image: image.reduceRegions(features, statistics())).flatten()
    found = rows(table)
    files = sorted((DATA / NDVI).glob("*.tif"))
    assert len(found) == 23 * len(fields) == len(files) * len(fields)
    shapes = on_the_map_of(fields, files[0])
    for k, path in enumerate(files):
        part = found[k * len(fields) : (k + 1) * len(fields)]
        compare(path.stem, part, Raster.of(path), shapes)


def test_polygons_and_points_on_slope(data):
    image = ee.Image("real/slope")
    crs = image.projection().wkt()
    shapes = list(gpd.read_file(DATA / SLOPES).geometry)
    points = list(gpd.read_file(DATA / SPOTS).geometry)

    def features(geometries):
        made = [
            ee.Feature(ee.Geometry(shapely.geometry.mapping(g) | {"crs": named(crs)}))
            for g in geometries
        ]
        return ee.FeatureCollection(made)

    raster = Raster.of(DATA / SLOPE)
    found = rows(image.reduceRegions(features(shapes), statistics()))
    compare("slope, polygons", found, raster, shapes)
    at = rows(image.reduceRegions(features(points), ee.Reducer.first()))
    with rasterio.open(DATA / SLOPE) as file:
        wanted = [v[0] for v in file.sample([(p.x, p.y) for p in points])]
    assert [row["first"] for row in at] == [float(v) for v in wanted]
    sampled = rows(image.sampleRegions(features(points)))
    assert [row["b1"] for row in sampled] == [float(v) for v in wanted]


def named(wkt):
    """GeoJSON's crs by name."""
    return {"type": "name", "properties": {"name": wkt.getInfo()}}
