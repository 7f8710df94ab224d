"""The pytest plugin, in pytest runs of its own, as another package's tests have it."""

import os
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[1]

# By name, so that it is there in a checkout that is not installed as well; warnings are errors.
OPTIONS = ("-p", "pytest_eedask", "-p", "no:cacheprovider", "-W", "error")

CONFTEST = """
import ee, pytest

@pytest.fixture(scope="session")
def earth_engine_options():
    mounts = {"projects/p/assets/dem": "dem.tif", "projects/p/assets/ramp": "ramp.tif"}
    return {"mounts": mounts, "project": "mine", "processes": 1}

def pytest_unconfigure():
    print("initialized at the end:", ee.data._get_state().initialized)
"""

TESTS = """
import os, ee

def test_mounted(earth_engine):
    image = ee.Image("projects/p/assets/ramp")
    point = ee.Geometry.Point([500105, 4399855], "EPSG:32613")
    assert image.reduceRegion("first", point).getInfo() == {"height": VALUE}

def test_options(earth_engine):
    assert earth_engine.project == "mine"
    assert ee.data._get_state().cloud_api_user_project == "mine"

def test_session(earth_engine):
    assert earth_engine.stats()["by_method"]["projects.value.compute"] == 1
    print("pid", earth_engine._command.process.pid)
"""

UNUSED = """
import sys

def test_nothing_of_it_is_imported():
    assert "pytest_eedask" in sys.modules
    heavy = {"eedask", "ee", "dask", "numpy", "pandas", "google.auth", "rasterio"}
    assert not heavy & set(sys.modules)
"""


def write(path, heights, crs, transform):
    """Write a band called height."""
    rows, columns = heights.shape
    profile = {"driver": "GTiff", "dtype": heights.dtype, "count": 1, "crs": crs}
    profile |= {"width": columns, "height": rows, "transform": transform}
    with rasterio.open(path, "w", **profile) as target:
        target.write(heights, 1)
        target.set_band_description(1, "height")


def readme_test():
    """Return the test that the README shows."""
    blocks = (PROJECT / "README.md").read_text().split("```python\n")
    (code,) = (block.split("```")[0] for block in blocks if "(earth_engine)" in block)
    return code


@pytest.mark.slow
def test_other_packages_test_on_it(pytester):
    # Heights that all differ; row 14, column 10 is where the inner test looks.
    ramp = np.arange(600, dtype=np.int16).reshape(20, 30)
    write("ramp.tif", ramp, "EPSG:32613", rasterio.Affine(10, 0, 500000, 0, -10, 4400000))
    plain = np.full((200, 200), 812.4)
    write("dem.tif", plain, "EPSG:4326", rasterio.Affine(0.001, 0, 10.4, 0, -0.001, 50.3))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS.replace("VALUE", str(ramp[14, 10])))
    pytester.makepyfile(test_readme=f"import ee, pytest\n\n{readme_test()}")
    result = pytester.runpytest_subprocess(*OPTIONS, "-s", timeout=240)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*initialized at the end: False"])
    # On a slow machine it is told what is waited for; there is nothing else to tell.
    told = result.stderr.str().splitlines()
    assert all(line.startswith("Waiting for the Earth Engine emulator") for line in told)
    (line,) = (line for line in result.outlines if "pid " in line)
    assert not psutil.pid_exists(int(line.split("pid ")[1].rstrip(".")))


@pytest.mark.slow
def test_it_ends_with_a_run_that_fails(pytester):
    pytester.makepyfile(
        "def test_it(earth_engine):\n"
        "    print('pid', earth_engine._command.process.pid)\n"
        "    assert False"
    )
    result = pytester.runpytest_subprocess(*OPTIONS, timeout=240)
    result.assert_outcomes(failed=1)
    (line,) = (line for line in result.outlines if line.startswith("pid "))
    assert not psutil.pid_exists(int(line.removeprefix("pid ")))


def test_it_is_not_felt_where_it_is_not_used(pytester):
    pytester.makepyfile(UNUSED)
    result = pytester.runpytest_subprocess(*OPTIONS, timeout=60)
    result.assert_outcomes(passed=1)
    # On a slow machine it is told what is waited for; there is nothing else to tell.
    told = result.stderr.str().splitlines()
    assert all(line.startswith("Waiting for the Earth Engine emulator") for line in told)


def test_pytest_finds_it():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"pytest_eedask": "pytest_eedask"}
    if "TOX_ENV_NAME" in os.environ:  # on the built wheel
        (found,) = metadata.entry_points(group="pytest11", name="pytest_eedask")
        assert found.load().earth_engine is not None
