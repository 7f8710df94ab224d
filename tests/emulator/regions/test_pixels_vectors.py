"""Pixels to features, windows as arrays, shadows, and GeoTIFFs by their gs:// names."""

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from graphs import call, value_of
from pixel_images import TRANSFORM, UTM, cell, image, native, planar, run, values
from rasterio import features as rasterio_features
from scipy import ndimage

from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid, Projection

EIGHT = np.ones((3, 3), int)


def vectors(img, red=None, region=None, **options):
    names = {
        "scale": None, "kind": "polygon", "eight": True, "label": "label", "crs": None,
        "transform": None, "best_effort": False, "max_pixels": 1e7, "tile_scale": 1.0,
        "native": True,
    }  # fmt: skip
    given = {**names, **options}
    collection = run("Image.reduceToVectors", img, red, region, *given.values())
    return list(collection.elements())


@pytest.fixture
def classes():
    rng = np.random.default_rng(3)
    array = ndimage.zoom(rng.integers(0, 3, (6, 7)), 3, order=0).astype(np.uint8)
    array = np.where(rng.random(array.shape) < 0.1, 7, array).astype(np.uint8)
    mask = (rng.random(array.shape) > 0.05).astype(np.float32)
    return array, mask


def test_polygons_of_four_neighbours_equal_those_of_rasterio(classes):
    array, mask = classes
    found = vectors(image(array, mask=mask), eight=False)
    wanted = rasterio_features.shapes(array, mask=mask > 0, connectivity=4, transform=TRANSFORM)
    wanted = [(shapely.geometry.shape(shape), value) for shape, value in wanted]
    assert len(found) == len(wanted)
    for feature in found:
        shape, label = feature.geometry.shape, feature.properties["label"]
        assert any(label == value and shape.equals(other) for other, value in wanted)
        assert feature.properties["count"] == round(shape.area / 100)
    assert len({f.id for f in found}) == len(found)


def test_eight_neighbours_and_statistics(classes):
    array, mask = classes
    rng = np.random.default_rng(5)
    value = rng.random((2, *array.shape))
    data = run(
        "Image.addBands", image(array, names=["c"], mask=mask), image(value, names=["a", "b"])
    )
    found = vectors(data, run("Reducer.mean"), label="zone")
    counts, means = [], {}
    for cls in np.unique(array):
        labels, n = ndimage.label((array == cls) & (mask > 0), EIGHT)
        counts.append(n)
        for i in range(1, n + 1):
            row, col = np.argwhere(labels == i)[0]
            means[f"{col:+d}{row:+d}"] = (cls, value[:, labels == i].mean(axis=1))
    assert len(found) == sum(counts)
    for feature in found:
        cls, (a, b) = means[feature.id]
        assert feature.properties["zone"] == cls
        assert feature.properties["a"] == pytest.approx(a)
        assert feature.properties["b"] == pytest.approx(b)
        assert feature.geometry.shape.is_valid
    area = sum(f.geometry.shape.area for f in found)
    assert area == pytest.approx(100 * (mask > 0).sum())


def test_boxes_centroids_regions_and_scales(classes):
    array, _ = classes
    img = image(array)
    whole = vectors(img)
    boxes = vectors(img, kind="bb", label=None)
    assert [b.geometry.shape.bounds for b in boxes] == [f.geometry.shape.bounds for f in whole]
    assert all("label" not in b.properties for b in boxes)
    points = vectors(img, kind="centroid")
    for point, feature in zip(points, whole, strict=True):
        wanted = feature.geometry.shape.centroid
        assert point.geometry.shape.distance(wanted) < 1e-6
    part = vectors(img, None, planar(cell(3, 4, 6, 5)))
    assert shapely.union_all([f.geometry.shape for f in part]).equals(cell(3, 4, 6, 5))
    lonlat = vectors(img, native=False)
    assert {f.geometry.crs for f in lonlat} == {"EPSG:4326"}
    coarse = vectors(img, scale=20.0, eight=False)
    assert sum(f.properties["count"] for f in coarse) == pytest.approx(array.size / 4, rel=0.1)
    with pytest.raises(EarthEngineError, match="Too many pixels"):
        vectors(img, max_pixels=10)
    with pytest.raises(EarthEngineError, match="integer"):
        vectors(image(array.astype(np.float32)))
    with pytest.raises(EarthEngineError, match="geometry type"):
        vectors(img, kind="line")


def test_vectors_of_other_projections(classes):
    array, _ = classes
    found = vectors(image(array), crs=Projection("EPSG:3857"), scale=5.0, native=False)
    area = shapely.union_all([f.geometry.shape for f in found]).area
    footprint = image(array).footprint.lonlat.area
    assert area == pytest.approx(footprint, rel=0.04)


def test_neighborhood_to_array():
    rng = np.random.default_rng(1)
    array = rng.integers(0, 100, (8, 9)).astype(np.uint8)
    mask = (rng.random(array.shape) > 0.2).astype(np.float32)
    kernel = run("Kernel.rectangle", 2.0, 1.0, "pixels", True, 1.0)
    got = run("Image.neighborhoodToArray", image(array, mask=mask), kernel, 300.5)
    band = got.bands[0]
    assert band.type.dimensions == 2
    pixels = band.read(native(image(array)))
    padded = np.pad(np.where(mask > 0, array, 255), ((1, 1), (2, 2)), constant_values=255)
    wanted = np.lib.stride_tricks.sliding_window_view(padded, (3, 5))
    assert (pixels.values == wanted).all()
    assert pixels.values.dtype == np.uint8
    assert (pixels.mask == mask).all()
    with pytest.raises(EarthEngineError, match="Only fixed, square and rectangle"):
        run("Image.neighborhoodToArray", image(array), run("Kernel.plus", 1.0), 0.0)


def test_shadows_of_a_wall():
    array = np.zeros((20, 40), np.float32)
    array[:, 30] = 50  # seen from the west, the sun is behind it in the east
    got = run("Terrain.hillShadow", image(array, names=["elevation"]), 90.0, 45.0, 20, False)
    assert got.band_names == ["shadow"]
    wanted = np.ones(40)
    wanted[26:30] = 0  # 10, 20, 30 and 40 m away from a wall of 50 m: the ray is lower than it
    assert (values(got) == wanted).all()
    none = run("HillShadow", image(array), 90.0, 45.0, 0, False)
    assert (values(none) == 1).all()
    south = run("HillShadow", image(array.T.copy()), 180.0, 45.0, 20, False)
    assert (values(south) == wanted[:, None]).all()
    with pytest.raises(EarthEngineError, match="hysteresis"):
        run("HillShadow", image(array), 90.0, 45.0, 0, True)


def test_geotiffs_in_cloud_storage(tmp_path):
    path = tmp_path / "name.tif"
    data = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "uint8"}
    transform = Affine(10, 0, 500000, 0, -10, 4400000)
    with rasterio.open(path, "w", **profile, crs=UTM, transform=transform) as dataset:
        dataset.write(data)
    catalog = Catalog({"gs://bucket/folder/name.tif": path})

    def load(uri):
        return value_of(call("Image.loadGeoTIFF", uri=uri), catalog)

    img = load("gs://bucket/folder/name.tif")
    assert (img.bands[0].read(Grid(UTM, transform, 4, 3)).values == data[0]).all()
    with pytest.raises(EarthEngineError, match="not found") as caught:
        load("gs://bucket/other.tif")
    assert caught.value.code == 400
    with pytest.raises(EarthEngineError, match="gs://"):
        load("https://example.com/name.tif")
