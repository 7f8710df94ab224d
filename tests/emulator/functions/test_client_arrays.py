"""The guides' scripts with arrays, run by the real client over loopback HTTP, against NumPy."""

import io

import ee
import numpy as np
import pytest
import requests
from example_raster import TRANSFORM, raster_values

pytestmark = pytest.mark.usefixtures("client")

ROW, COL, HEIGHT, WIDTH = 20, 30, 6, 8


@pytest.fixture
def region():
    left, top = TRANSFORM @ (COL, ROW)
    right, bottom = TRANSFORM @ (COL + WIDTH, ROW + HEIGHT)
    return ee.Geometry.Rectangle([left, bottom, right, top], "EPSG:32613", geodesic=False)


def window():
    cube = raster_values()[:, ROW : ROW + HEIGHT, COL : COL + WIDTH]
    return cube.reshape(3, -1).astype(float)


def pixels(image, region):
    """An image's bands over a region, flat, as a download of the client's gives them."""
    parameters = {"region": region, "scale": 10, "crs": "EPSG:32613", "format": "NPY"}
    answer = requests.get(image.getDownloadURL(parameters), timeout=60)
    assert answer.status_code == 200, answer.text
    array = np.load(io.BytesIO(answer.content))
    return {name: array[name].ravel().astype(float) for name in array.dtype.names}


def test_principal_components(raster, region):
    """https://developers.google.com/earth-engine/guides/arrays_eigen_analysis"""
    names = raster.bandNames()
    means = raster.reduceRegion(ee.Reducer.mean(), region, 10)
    centered = raster.subtract(ee.Image.constant(means.values(names)))
    arrays = centered.toArray()
    covariance = arrays.reduceRegion(ee.Reducer.centeredCovariance(), region, 10)
    eigens = ee.Array(covariance.get("array")).eigen()
    values, vectors = eigens.slice(1, 0, 1), eigens.slice(1, 1)
    components = ee.Image(vectors).matrixMultiply(arrays.toArray(1))
    flat = components.arrayProject([0]).arrayFlatten([["pc1", "pc2", "pc3"]])
    data = window()
    by_name = dict(zip(("red", "green", "blue"), data, strict=True))
    ordered = np.stack([by_name[name] for name in names.getInfo()])
    wanted = np.sort(np.linalg.eigvalsh(np.cov(ordered, bias=True)))[::-1]
    assert np.ravel(values.getInfo()) == pytest.approx(wanted, abs=1e-6)
    found = pixels(flat, region)
    for name, variance in zip(("pc1", "pc2", "pc3"), wanted, strict=True):
        assert np.var(found[name]) == pytest.approx(variance, abs=1e-4)


def test_regression_of_a_time_series(raster, region):
    """https://developers.google.com/earth-engine/guides/reducers_regression"""

    def layer(number):
        number = ee.Number(number)
        time = ee.Image.constant(number).toFloat().rename("t")
        value = raster.select("red").multiply(number.pow(2)).toFloat().rename("y")
        return ee.Image.constant(1).addBands(time).addBands(value)

    series = ee.ImageCollection(ee.List.sequence(1, 5).map(layer))
    fit = series.reduce(ee.Reducer.linearRegression(2, 1))
    names = [["offset", "slope"], ["y"]]
    flat = fit.select("coefficients").arrayFlatten(names)
    assert flat.bandNames().getInfo() == ["offset_y", "slope_y"]
    found = pixels(flat, region)
    slope, offset = np.polyfit(np.arange(1, 6), np.arange(1, 6) ** 2, 1)
    red = window()[0]
    assert found["slope_y"] == pytest.approx(slope * red, rel=1e-5)
    assert found["offset_y"] == pytest.approx(offset * red, rel=1e-5)
    # The same with arrays all along.
    arrays = series.toArray()
    x, y = arrays.arraySlice(1, 0, 2), arrays.arraySlice(1, 2)
    solved = x.matrixSolve(y).arrayProject([0]).arrayFlatten([["offset", "slope"]])
    again = pixels(solved, region)
    assert again["slope"] == pytest.approx(found["slope_y"], rel=1e-5)


def test_sorting_a_series_and_taking_its_best(raster, region):
    """https://developers.google.com/earth-engine/guides/arrays_sorting"""

    def layer(number):
        number = ee.Number(number)
        quality = ee.Image.constant(number.subtract(2).abs().multiply(-1))
        return raster.select("green").add(number).addBands(quality.toInt()).rename(["v", "q"])

    series = ee.ImageCollection(ee.List.sequence(0, 4).map(layer))
    array = series.toArray()
    ordered = array.arraySort(array.arraySlice(1, 1, 2))
    best = ordered.arraySlice(0, -1).arrayProject([1]).arrayFlatten([["v", "q"]])
    found = pixels(best, region)
    np.testing.assert_array_equal(found["v"], window()[1] + 2)
    mean = ordered.arraySlice(0, ordered.arrayLength(0).subtract(3))
    mean = mean.arrayReduce(ee.Reducer.mean(), [0]).arrayProject([1]).arrayFlatten([["v", "q"]])
    assert pixels(mean, region)["v"] == pytest.approx(window()[1] + 2)


def test_arrays_as_properties(raster, region):
    point = ee.Geometry.Point(TRANSFORM @ (COL + 0.5, ROW + 0.5), "EPSG:32613")
    sampled = raster.toArray().sample(point, 10).first()
    values = window()[:, 0]
    order = ["red", "green", "blue"]
    positions = [order.index(name) for name in raster.bandNames().getInfo()]
    assert sampled.get("array").getInfo() == values[positions].tolist()
    total = ee.Array(sampled.get("array")).reduce(ee.Reducer.sum(), [0]).get([0])
    assert total.getInfo() == values.sum()
    described = raster.toArray().toArray(1).getInfo()["bands"][0]["data_type"]
    assert described["dimensions"] == 2
    with pytest.raises(ee.EEException, match="pixels of arrays"):
        ee.data.computePixels({"expression": raster.toArray(), "fileFormat": "GEO_TIFF"})


def test_neighbourhoods_as_arrays(raster, region):
    around = raster.select("red").neighborhoodToArray(ee.Kernel.square(1))
    total = around.arrayReduce(ee.Reducer.sum(), [0, 1]).arrayGet([0, 0])
    assert total.bandNames().getInfo() == ["red"]
    # The red band grows by one a row, so that a square's mean is its middle.
    np.testing.assert_array_equal(pixels(total, region)["red"], 9 * window()[0])
