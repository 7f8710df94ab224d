"""The examples of dense points and of classes in cells run as they are, and leave a picture."""

import re
import subprocess
import sys
from pathlib import Path

import dask
import ee
import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

import eedask

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow


def run(name, out, *options):
    command = [sys.executable, str(EXAMPLES / name), "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dense_points_have_the_values_that_points_alone_get(earth_engine, tmp_path):
    out = tmp_path / "points"
    told = run("dense_points.py", out, "--count", "20000", "--end", "2023-06-10")
    assert int(re.search(r"; (\d+) requests of", told)[1]) < 60
    table = gpd.read_parquet(out / "points.parquet")
    assert table[["B4", "B8", "ndvi"]].notna().all(axis=None)
    some = table[["geometry"]].iloc[::400]
    with dask.config.set(scheduler="threads"):
        found = eedask.sample_points(some, scene(), out=tmp_path / "some")
        wanted = found.run(progress=False).table()
    np.testing.assert_array_equal(table.loc[some.index, ["B4", "B8"]], wanted[["B4", "B8"]])
    with Image.open(out / "points.png") as picture:
        assert picture.width == 900
        assert len(picture.getcolors(1 << 20)) > 100


def scene():
    """Return the image that the example chooses, found by Earth Engine alone."""
    place = ee.Geometry.Rectangle(-105.05, 39.71, -104.95, 39.79)
    june = ee.ImageCollection("COPERNICUS/S2_SR_HARMONIZED").filterDate("2023-06-01", "2023-06-10")
    whole = june.filter(ee.Filter.contains(".geo", place)).sort("CLOUDY_PIXEL_PERCENTAGE")
    return ee.Image(whole.first()).select(["B4", "B8"])


def test_class_shares_add_up_and_are_drawn(tmp_path):
    out = tmp_path / "shares"
    told = run("class_shares.py", out, "--cell", "10000", "--scale", "200")
    assert "0 failed" in told
    shares = gpd.read_parquet(out / "shares.parquet").filter(like="Map_")
    assert [*shares.columns][:2] == ["Map_10", "Map_20"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares > 0).sum(axis=1).max() > 3
    with Image.open(out / "shares.png") as picture:
        assert len(picture.getcolors(1 << 20)) > len(shares)
