"""Regions that share reads: the same numbers as each by itself, for far fewer reads."""

import os

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_images import TRANSFORM, UTM, array_source, cell, image, planar, run

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.mounts import raster_file
from eedask.emulator.catalog.mounts.raster_file import RasterFile, read_header
from eedask.emulator.composites.mosaics import mosaic
from eedask.emulator.geometry.geometry import Geometry, touches, touching
from eedask.emulator.limits import metering
from eedask.emulator.limits.budget import Budget
from eedask.emulator.pixels.native_sources import Window
from eedask.emulator.pixels.native_tiles import native_pixels
from eedask.emulator.pixels.projection import transformer, window_grid
from eedask.emulator.pixels.raster import Image, PixelType, Places, Projection
from eedask.emulator.pixels.sampling import source_bands
from eedask.emulator.pixels.scattered import scatter
from eedask.emulator.regions import zone_batches
from eedask.emulator.regions.shared_reads import SharedReads
from eedask.emulator.values.value_types import Feature, Query, collection_of

REDUCERS = [
    ("mean",),
    ("sum",),
    ("count",),
    ("min",),
    ("minMax",),
    ("first",),
    ("stdDev",),
    ("median",),
    ("mode",),
    ("percentile", [10, 90]),
    ("toList",),
    ("frequencyHistogram",),
    ("product",),
    ("countDistinct",),
]


@pytest.fixture(scope="module")
def field():
    random = np.random.default_rng(0)
    values = random.integers(0, 200, (2, 300, 400)).astype(np.int16)
    mask = np.where(random.random((300, 400)) < 0.2, 0, random.random((300, 400))) * 1.0
    return image(values, names=["a", "b"], mask=mask.astype(np.float32))


def places(count=60, seed=1):
    """Points in degrees and in the raster's crs, small polygons, some outside, one nowhere."""
    random = np.random.default_rng(seed)
    made = []
    for k in range(count):
        x, y = random.uniform(499900, 504100), random.uniform(4396900, 4400100)
        if k % 3 == 0:
            made.append(Geometry(shapely.Point(transformer(UTM, "EPSG:4326").transform(x, y))))
        elif k % 3 == 1:
            made.append(planar(shapely.Point(x, y)))
        else:
            made.append(planar(shapely.Point(x, y).buffer(random.uniform(3, 60))))
    return [*made, None, planar(shapely.Polygon())]


def batch_of(geometries):
    features = [Feature(g, {"n": k}) for k, g in enumerate(geometries)]
    return collection_of("FeatureCollection", features)


def together(img, reducer, geometries, crs=None):
    arguments = (batch_of(geometries), reducer, None, crs, None, 1.0, None)
    return [dict(f.properties) for f in run("Image.reduceRegions", img, *arguments).elements()]


def alone(img, reducer, geometry, crs=None):
    """One region by reduceRegion, named as reduceRegions names, nulls left out."""
    arguments = (reducer, geometry, None, crs, None, False, 1e9, 1.0)
    found = run("Image.reduceRegion", img, *arguments)
    return {k: v for k, v in found.items() if v is not None}


@pytest.mark.parametrize("name", REDUCERS, ids=lambda name: name[0])
def test_together_as_alone(field, name):
    reducer = run(f"Reducer.{name[0]}", *name[1:])
    geometries = places()
    found = together(field, reducer, geometries)
    assert len(found) == len(geometries)
    for k, (properties, geometry) in enumerate(zip(found, geometries, strict=True)):
        assert properties.pop("n") == k
        if geometry is None:
            assert not properties
        else:
            assert properties == alone(field, reducer, geometry)


def test_other_projections(field):
    reducer = run("Reducer.combine", run("Reducer.mean"), run("Reducer.count"), "", True)
    geometries = places()[:-2]
    degrees = Projection("EPSG:4326", rasterio.Affine(3e-4, 0, -105, 0, -3e-4, 40))
    found = together(field, reducer, geometries, degrees)
    for properties, geometry in zip(found, geometries, strict=True):
        del properties["n"]
        assert properties == pytest.approx(alone(field, reducer, geometry, degrees))


def test_nested_reducers_take_one_region_at_a_time(field):
    reducer = run("Reducer.group", run("Reducer.mean"), 1, "class")
    geometries = places(12)[:-2]
    found = together(field, reducer, geometries)
    for properties, geometry in zip(found, geometries, strict=True):
        del properties["n"]
        assert properties == alone(field, reducer, geometry)


def source_image(shape=(600, 700)):
    values = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(1, *shape)
    source = array_source(values, Projection(UTM, TRANSFORM))
    return source, Image(source_bands(source, ["b"], [PixelType.of(np.int32)]))


def test_points_that_share_a_tile_share_a_read():
    source, img = source_image()
    random = np.random.default_rng(2)
    cols, rows = random.integers(0, 256, 100), random.integers(0, 256, 100)
    lonlat = transformer(UTM, "EPSG:4326").transform(500005 + 10 * cols, 4399995 - 10 * rows)
    geometries = [Geometry(point) for point in shapely.points(*lonlat)]
    found = together(img, run("Reducer.first"), geometries)
    assert [f["first"] for f in found] == (rows * 700 + cols).tolist()
    assert len(source.reads) == 1
    # Two points far from each other in a tile are read apart: the tile between costs more.
    source.reads.clear()
    together(img, run("Reducer.first"), [planar(cell(0, 0)), planar(cell(250, 250))])
    assert [tuple(read[2])[2:] for read in source.reads] == [(1, 1), (1, 1)]


def test_samples_share_reads_too():
    source, img = source_image()
    geometries = [planar(cell(c, c % 7, 3, 2)) for c in range(0, 90, 3)]
    arguments = (batch_of(geometries), None, None, None, 1.0, False)
    found = list(run("Image.sampleRegions", img, *arguments).elements())
    values = [f.properties["b"] for f in found]
    assert values == [
        (c % 7 + r) * 700 + c + k for c in range(0, 90, 3) for r in (0, 1) for k in (0, 1, 2)
    ]
    assert [f.properties["system:index"] for f in found[:7]] == [
        *(f"0_{i}" for i in range(6)),
        "1_0",
    ]
    assert len(source.reads) == 1


def test_many_tiles_are_not_all_kept(monkeypatch):
    monkeypatch.setattr("eedask.emulator.regions.shared_reads._KEPT_BYTES", 500)
    _, img = source_image()
    windows = [(256 * t + 5 * k, 10, 2, 2) for k in range(3) for t in range(2)]
    reads = SharedReads(img.bands[0].projection, windows)
    for window in windows:
        values = reads.read(img.bands[0], window).values
        assert values[0, 0] == window[1] * 700 + window[0]
    assert len(reads._kept) <= 5


def test_batches_keep_the_order_and_look_no_further(field):
    taken = []

    def features():
        for k in range(1000):
            taken.append(k)
            yield Feature(planar(cell(k % 300, k % 200)), {"n": k})

    projection = field.bands[0].projection
    arguments = (field, run("Reducer.mean"), features(), projection, None, "Image.reduceRegions")
    found = zone_batches.with_statistics(*arguments)
    assert [next(found).properties["n"] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 200


# Tiles of files


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiles") / "big.tif"
    random = np.random.default_rng(3)
    values = random.integers(0, 2**15, (2, 700, 900), dtype=np.int16)
    values[:, 300:420, 200:600] = -1
    profile = {"driver": "GTiff", "width": 900, "height": 700, "count": 2, "dtype": "int16"}
    with rasterio.open(
        path, "w", **profile, crs=UTM, transform=TRANSFORM, nodata=-1, blockysize=16
    ) as file:
        file.write(values)
    return path, values


@given(
    col=st.integers(0, 899), row=st.integers(0, 699), width=st.integers(1, 700), tall=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_windows_are_those_of_the_file(tiled, col, row, width, tall):
    path, values = tiled
    source = RasterFile(path, read_header(path))
    window = Window(col, row, min(width, 900 - col), min(width if tall else 3, 700 - row))
    for _ in range(2):  # from the file, then from the tiles kept
        pixels = native_pixels(source, 1, 0, window)
        wanted = values[1, row : row + window.height, col : col + window.width]
        assert pixels.values.dtype == np.int16
        assert np.array_equal(pixels.values, wanted)
        assert np.array_equal(pixels.mask, wanted != -1)


def test_tiles_are_read_once(tiled, monkeypatch):
    path, values = tiled
    source = RasterFile(path, read_header(path))
    read = []
    real = RasterFile._read_file
    monkeypatch.setattr(
        RasterFile, "_read_file", lambda self, *a: read.append(a[1]) or real(self, *a)
    )
    for k in range(200):
        native_pixels(source, 0, 0, Window(k, (7 * k) % 256, 1, 1))
    assert read == [(0, 0, 256, 256)]
    native_pixels(source, 0, 0, Window(100, 100, 400, 300))  # four tiles, three of them new
    native_pixels(source, 0, 0, Window(250, 250, 20, 20))
    assert read[1:] == [(0, 0, 512, 512)]
    # Another source of the same file finds the same tiles.
    other = RasterFile(path, read_header(path))
    found = native_pixels(other, 0, 0, Window(3, 4, 5, 6)).values
    assert np.array_equal(found, values[0, 4:10, 3:8])
    assert len(read) == 2


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_was_changed_has_pixels_of_its_own(tmp_path, in_place):
    path, made = tmp_path / "a.tif", tmp_path / "b.tif"
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    for value in (1, 2, 3):
        with rasterio.open(made, "w", **profile, crs=UTM, transform=TRANSFORM) as file:
            file.write(np.full((1, 4, 4), value, np.uint8))
        if in_place:
            path.write_bytes(made.read_bytes())
        else:
            made.replace(path)
        os.utime(path, ns=(value, value))  # clocks of file systems tick slowly
        source = RasterFile(path, read_header(path))
        assert (native_pixels(source, 0, 0, Window(0, 0, 4, 4)).values == value).all()
        assert (native_pixels(source, 0, 1, Window(0, 0, 2, 2)).values == value).all()


def test_a_thread_keeps_few_files_open(tmp_path):
    handles = raster_file._Handles()
    paths = [tmp_path / f"{k}.tif" for k in range(20)]
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    for path in paths:
        with rasterio.open(path, "w", **profile, crs=UTM, transform=TRANSFORM) as file:
            file.write(np.ones((1, 4, 4), np.uint8))
    first = handles.handle(paths[0], (0, 0))
    assert handles.handle(paths[0], (0, 0)) is first
    for path in paths[1:]:
        handles.handle(path, (0, 0))
    assert first.closed
    assert handles.handle(paths[0], (0, 0)) is not first
    assert not handles.handle(paths[-1], (0, 0)).closed


@pytest.mark.parametrize("asset", ["USGS/SRTMGL1_003", "USDA/NAIP/DOQQ"])
def test_points_have_the_pixels_that_a_picture_has(asset):
    """Points near and far: the bits of a table against those of a square around each."""
    catalog = Catalog()
    if asset == "USDA/NAIP/DOQQ":
        near = Query(bounds=(-100.02, 40.0, -99.98, 40.03), start=1.55e12, end=1.63e12)
        scenes = list(catalog.load_collection(asset).elements(near))
        img = mosaic(collection_of("ImageCollection", scenes))
    else:
        img = catalog.load_image(asset)
    lon, lat = np.random.default_rng(5).uniform((-100.01, 40.01), (-99.99, 40.02), (60, 2)).T
    step = 1e-5
    points = batch_of([Geometry(point) for point in shapely.points(lon, lat)])
    grid = (Projection("EPSG:4326", Affine.identity()), [step, 0, 0, 0, -step, 0])
    table = run("Image.reduceRegions", img, points, run("Reducer.first"), None, *grid, 1.0, None)
    cols, rows = np.floor(lon / step).astype(int), np.floor(-lat / step).astype(int)
    native = Projection("EPSG:4326", Affine(step, 0, 0, 0, -step, 0))
    for feature, col, row in zip(table.elements(), cols.tolist(), rows.tolist(), strict=True):
        for band in img.bands:
            square = band.read(window_grid(native, col - 3, row - 2, 8, 8))
            name = band.id if len(img.bands) > 1 else "first"
            assert feature.properties[name] == square.values[2, 3]
            assert square.mask[2, 3] == 1


def photographs():
    flown = Query(start=1.50e12, end=1.58e12)
    return Catalog().load_collection("USDA/NAIP/DOQQ").filtered(lambda _: True, flown)


def grids_near(lon, lat, scale):
    """Grids of a pixel and more around a place, with some of their pixels."""
    random = np.random.default_rng(6)
    step = scale / 111_320
    for k, side in enumerate((1, 1, 1, 1, 1, 9, 40, 120)):
        col, row = (np.array([lon, -lat]) / step + random.uniform(-1, 1, 2) * 300 * k).astype(int)
        native = Projection("EPSG:4326", Affine(step, 0, 0, 0, -step, 0))
        rows, cols = random.integers(0, side, (2, 7))
        yield Places(window_grid(native, int(col), int(row), side, side), rows, cols)


@pytest.mark.parametrize(
    ("lon", "lat", "scale"),
    [
        (-100.0, 40.0, 1.0),  # where four quarter quadrangles meet
        (-102.0, 38.5, 1.0),  # and two zones
        (-96.9, 32.9, 1.0),
        (-106.4, 39.1, 2.5),
        (-122.42, 37.62, 1.0),  # a coast
        (-66.95, 44.8, 1.0),  # beyond the last photographs
        (-100.03, 40.02, 8.0),
    ],
)
def test_a_mosaic_has_the_pixels_of_its_grids_at_points(lon, lat, scale):
    """Of photographs: at their edges and beyond, across zones, and on their pyramids."""
    collection = photographs()
    places = list(grids_near(lon, lat, scale))
    for band in mosaic(collection).bands[::3]:
        found = band.read.points(places)
        blocks = [(band.read(place.grid), (place.rows, place.cols)) for place in places]
        assert np.array_equal(found.values[0], np.concatenate([b.values[at] for b, at in blocks]))
        assert np.array_equal(found.mask[0], np.concatenate([b.mask[at] for b, at in blocks]))


def test_what_points_of_a_mosaic_cost_is_what_their_grids_do():
    """As Earth Engine computes tiles: the pixels of all grids, in all photographs looked at."""
    collection = photographs()
    band = mosaic(collection).bands[0]
    places = list(grids_near(-100.0, 40.0, 1.0))
    costs = []
    for read in (band.read.points, lambda places: [band.read(place.grid) for place in places]):
        with metering.metered(Budget()) as meter:
            read(places)
        costs.append(meter.operations)
    # But for the listing of photographs, which is shared.
    assert 0 <= costs[1] - costs[0] < 100 * 40 * len(places)


def test_all_bands_of_a_place_are_read_before_the_next():
    """Sources draw what their bands have in common once a place, however few they keep."""
    source = array_source(np.zeros((3, 300, 700), np.int16), Projection(UTM, TRANSFORM))
    img = Image(source_bands(source, ("a", "b", "c"), [PixelType("int", -32768, 32767)] * 3))
    lonlat = transformer(UTM, "EPSG:4326").transform(500005 + 2600 * np.arange(3), [4399995] * 3)
    geometries = [Geometry(point) for point in shapely.points(*lonlat)]
    together(img, run("Reducer.first"), geometries)
    assert [(read[0], read[2][0]) for read in source.reads] == [
        (band, 260 * k) for k in range(3) for band in range(3)
    ]


def _flat(found):
    return [found.x, found.y, *found.around, found.sizes]


def test_some_of_the_places_that_were_asked_for_are_where_they_were():
    grids = [window_grid(Projection(UTM, TRANSFORM), 700 * k, 300 * k, 4, 3) for k in range(7)]
    places = tuple(
        Places(grid, np.arange(k % 3 + 1), np.arange(k % 3 + 1)) for k, grid in enumerate(grids)
    )
    some = (places[5], places[2], places[3])
    alone = scatter(some, "EPSG:32614")
    scatter(places, "EPSG:32614")
    among = scatter(some, "EPSG:32614")
    for one, other in zip(_flat(alone), _flat(among), strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    st.lists(st.tuples(*[st.floats(-400, 400)] * 4), min_size=1, max_size=6), st.floats(-360, 360)
)
def test_boxes_are_compared_at_once_as_one_by_one(boxes, west):
    for footprint in (None, Geometry(shapely.box(west, -20, west + 30, 50), geodesic=False)):
        found = touching(footprint, np.array(boxes))
        assert found.tolist() == [touches(footprint, box) for box in boxes]
