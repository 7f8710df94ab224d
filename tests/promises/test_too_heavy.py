"""What is too heavy for one request is split, whichever way Earth Engine says so or is silent."""

import ee
import exactextract
import numpy as np
import pytest
import rasterio
from fields import fields
from mounted import FIELD

import eedask
from eedask.emulator import Emulator

pytestmark = pytest.mark.usefixtures("threads")

RETRY = eedask.RetryPolicy(tries=4, delay=0.02, max_delay=0.05, jitter=(0.0, 0.0))
HOW = [
    pytest.param("capacity=400"),
    pytest.param("capacity=503"),
    pytest.param("capacity=504", marks=pytest.mark.slow),
    pytest.param("capacity=silence", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def narrow(rasters):
    """An emulator whose requests may hold a few regions at most."""
    limits = {"timeout": 0.0025, "processes": 1}
    with Emulator({FIELD: rasters.field}, **limits) as running, running.initialized():
        yield running


@pytest.mark.parametrize("readings", HOW)
def test_a_batch_of_regions(narrow, rasters, tmp_path, readings):
    items = fields(rasters.field, 60)
    narrow.set_readings(readings)
    narrow.reset_stats()
    plan = {"out": tmp_path, "retry": RETRY, "deadline": 2, "concurrency": 2}
    result = eedask.reduce_regions(items, ee.Image(FIELD), "mean", **plan).run(progress=False)
    assert set(narrow.stats()["by_status"]) > {"200"}
    assert result.manifest.index.tolist() == items.index.tolist()
    assert result.failed.empty, result.failed["error"].iloc[0]
    with rasterio.open(rasters.field) as file:
        shapes = items.to_crs(file.crs)
    exact = exactextract.exact_extract(str(rasters.field), shapes, ["mean"], output="pandas")
    found = result.table()[["b1", "b2"]].to_numpy(dtype=float, na_value=np.nan)
    np.testing.assert_allclose(found, exact.to_numpy(dtype=float), atol=0.2)


@pytest.mark.parametrize("readings", HOW)
def test_a_chip(narrow, rasters, points, tmp_path, readings):
    narrow.set_readings(readings)
    narrow.reset_stats()
    grid = {"shape": (200, 200), "crs": "EPSG:32614", "scale": 30, "format": "npy"}
    plan = {"out": tmp_path, "retry": RETRY, "deadline": 2, "concurrency": 2, **grid}
    items = points.iloc[:2]
    result = eedask.chips(items, ee.Image(FIELD), **plan).run(progress=False)
    assert set(narrow.stats()["by_status"]) > {"200"}
    assert result.failed.empty, result.failed["error"].iloc[0]
