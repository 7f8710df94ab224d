"""Kernels, neighbourhoods, objects and nested reducers by the real client, over HTTP."""

import io

import ee
import numpy as np
import pytest
from example_raster import TRANSFORM, raster_values
from scipy import ndimage

pytestmark = pytest.mark.usefixtures("client")

COL, ROW, WIDTH, HEIGHT = 30, 20, 16, 12
WINDOW = (slice(ROW, ROW + HEIGHT), slice(COL, COL + WIDTH))


def region():
    left, top = TRANSFORM @ (COL, ROW)
    right, bottom = TRANSFORM @ (COL + WIDTH, ROW + HEIGHT)
    return ee.Geometry.Rectangle([left, bottom, right, top], "EPSG:32613", geodesic=False)


def window(image):
    """The window's pixels, a structured array."""
    x, y = TRANSFORM @ (COL, ROW)
    affine = {"scaleX": 10, "shearX": 0, "translateX": x, "shearY": 0, "scaleY": -10}
    grid = {
        "dimensions": {"width": WIDTH, "height": HEIGHT},
        "affineTransform": {**affine, "translateY": y},
        "crsCode": "EPSG:32613",
    }
    answer = ee.data.computePixels({"expression": image, "fileFormat": "NPY", "grid": grid})
    return np.load(io.BytesIO(answer))


def test_convolution(raster):
    got = window(raster.convolve(ee.Kernel.gaussian(radius=2, sigma=1)))
    x = np.arange(-2, 3)
    weights = np.exp(-(x[:, None] ** 2 + x**2) / 2)
    weights /= weights.sum()
    wanted = ndimage.correlate(raster_values()[0].astype(float), weights)[WINDOW]
    assert np.allclose(got["red"], wanted, rtol=1e-6)


def test_neighbourhoods(raster):
    kernel = ee.Kernel.circle(20, "meters")
    footprint = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2
    array = raster_values()[1].astype(float)
    reducer = ee.Reducer.median().combine(ee.Reducer.stdDev(), None, True)
    got = window(raster.select("green").reduceNeighborhood(reducer, kernel))
    median = ndimage.median_filter(array, footprint=footprint)[WINDOW]
    assert np.allclose(got["green_median"], median)
    spread = ndimage.generic_filter(array, np.std, footprint=footprint)[WINDOW]
    assert np.allclose(got["green_stdDev"], spread, rtol=1e-6)
    least = window(raster.select("green").focalMin(kernel=kernel))["green"]
    assert (least == ndimage.minimum_filter(array, footprint=footprint)[WINDOW]).all()


def test_windows_as_arrays(raster):
    point = region().centroid(1)
    arrays = raster.select("red").neighborhoodToArray(ee.Kernel.square(1))
    got = arrays.reduceRegion(ee.Reducer.first(), point, crs="EPSG:32613", scale=10).get("red")
    row, col = ROW + HEIGHT // 2, COL + WIDTH // 2
    windows = [
        raster_values()[0, r - 1 : r + 2, c - 1 : c + 2].tolist()
        for r in (row - 1, row)
        for c in (col - 1, col)
    ]
    assert got.getInfo() in windows


def test_objects_and_vectors(raster):
    classes = raster.select("red").mod(3).rename("c")
    array = raster_values()[0][WINDOW] % 3
    found = classes.reduceToVectors(
        geometry=region(), scale=10, eightConnected=False, labelProperty="class"
    )
    count = sum(ndimage.label(array == value)[1] for value in range(3))
    assert found.size().getInfo() == count
    assert found.aggregate_sum("count").getInfo() == array.size
    assert found.aggregate_array("class").distinct().sort().getInfo() == np.unique(array).tolist()
    sizes = window(classes.clip(region()).connectedPixelCount(50, False))["c"]
    labels = np.zeros(array.shape, int)
    for value in range(3):
        some, _ = ndimage.label(array == value)
        labels += np.where(some > 0, some + labels.max(), 0)
    assert (sizes == np.minimum(np.bincount(labels.ravel())[labels], 50)).all()


def test_nested_reducers(raster):
    bands = raster.select(["red", "green"]).addBands(raster.select("blue").mod(2).rename("k"))
    reducer = ee.Reducer.mean().repeat(2).group(2, "k")
    got = bands.reduceRegion(reducer, region(), crs="EPSG:32613", scale=10).getInfo()
    red, green, blue = (band[WINDOW].astype(float) for band in raster_values())
    assert got == {
        "groups": [
            {
                "k": k,
                "mean": [pytest.approx(b[blue % 2 == k].mean()) for b in (red, green)],
            }
            for k in (0, 1)
        ]
    }


def test_kernels_are_shown():
    assert ee.Kernel.sobel().getInfo()["type"] == "Kernel.sobel"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("Classifier.libsvm", lambda: ee.Classifier.libsvm()),
        ("Classifier.smileGradientTreeBoost", lambda: ee.Classifier.smileGradientTreeBoost(10)),
        ("Clusterer.wekaCobweb", lambda: ee.Clusterer.wekaCobweb()),
        ("Image.register", lambda: ee.Image(1).register(ee.Image(1), 10)),
        ("HoughTransform", lambda: ee.Algorithms.HoughTransform(ee.Image(1))),
    ],
)
def test_what_is_not_there_is_named(name, make):
    with pytest.raises(ee.EEException, match=f"does not support the algorithm {name}"):
        make().getInfo()
