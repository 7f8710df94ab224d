"""Requests for which Earth Engine lacks the capacity or the time are made smaller.

The server stands before an emulator and answers what is heavier than it takes as the live service
may: with words of its capacity, with the status of a time limit, or not at all.
"""

import json
import time

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import urllib3
from fire import initialized
from loopback import reply, serving
from mounted import SCENE

import eedask

pytestmark = pytest.mark.usefixtures("threads")

DEADLINE = 3.0
AT_ONCE = eedask.RetryPolicy(tries=4, delay=0, max_delay=0, jitter=(0, 0))
OPTIONS = {"retry": AT_ONCE, "deadline": DEADLINE}
# Each way, and after how many requests in a row a smaller one is sent.
WAYS = {"capacity": 3, "504": 2, "silence": 2}


class Weak:
    """Hands on requests that ask for little.

    Attributes
    ----------
    way : str
        How the others are answered.
    refused, answered : list of int
        How much was asked for: pixels, or regions.
    """

    def __init__(self, url, way, most):
        self.url, self.http, self.way, self.most = url, urllib3.PoolManager(maxsize=8), way, most
        self.refused, self.answered = [], []

    def answer(self, handler):
        asked = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        del handler.headers["Content-Length"]
        handler.headers["Content-Length"] = "0"  # what is read is read
        amount = self.amount(handler.path, asked)
        if amount > self.most:
            self.refused.append(amount)
            self.refuse(handler)
            return
        if amount:
            self.answered.append(amount)
        kind = {"Content-Type": "application/json"}
        url = self.url + handler.path
        got = self.http.request(handler.command, url, body=asked or None, headers=kind)
        reply(handler, got.status, got.data, kind)

    def amount(self, path, asked):
        """Return how many pixels a request is for, or else how many regions it holds."""
        if path.endswith("image:computePixels"):
            sides = json.loads(asked)["grid"]["dimensions"]
            return sides["width"] * sides["height"]
        return asked.count(b'"Polygon"') + asked.count(b'"GeometryConstructors.Polygon"')

    def refuse(self, handler):
        if self.way == "silence":
            time.sleep(DEADLINE + 1)
            handler.close_connection = True
            return
        status = 504 if self.way == "504" else 503
        words = "Earth Engine memory capacity exceeded." if self.way == "capacity" else "Timeout"
        reply(handler, status, json.dumps({"error": {"code": status, "message": words}}).encode())


@pytest.fixture(params=WAYS)
def weak(request, emulator):
    """Return a function that puts the server between the client and the emulator."""
    stack = []

    def begin(most):
        server = Weak(emulator.url, request.param, most)
        serves = serving(server.answer)
        client = initialized(serves.__enter__(), emulator.project)
        client.__enter__()
        stack.append((server, serves, client))
        return server

    yield begin
    for server, serves, client in stack:
        client.__exit__(None, None, None)
        serves.__exit__(None, None, None)
        server.http.clear()


def squares(rasters, count):
    """Return squares of the scene."""
    with rasterio.open(rasters.scene) as file:
        x, y = file.transform @ (100, 150)
        shapes = [shapely.box(x + k, y, x + k + 40, y + 40) for k in range(0, 60 * count, 60)]
        return gpd.GeoDataFrame(geometry=shapes, crs=file.crs).to_crs("EPSG:4326")


def middles(rasters, count):
    """Return the points in the middle of squares."""
    shapes = squares(rasters, count)
    return shapes.set_geometry(shapes.representative_point())


@pytest.mark.cross(3)
def test_a_batch_is_halved(weak, rasters, emulator, tmp_path):
    server = weak(most=2)
    items = squares(rasters, 4)
    image = ee.Image(SCENE)
    plan = eedask.reduce_regions(items, image, "mean", out=tmp_path / "weak", **OPTIONS)
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    assert server.refused == [4] * WAYS[server.way]
    assert sum(server.answered) == 4
    with initialized(emulator.url, emulator.project):
        plan = eedask.reduce_regions(items, image, "mean", out=tmp_path / "strong")
        wanted = plan.run(progress=False).table()[list("RGBN")].sort_index()
    pd.testing.assert_frame_equal(result.table()[list("RGBN")].sort_index(), wanted)


@pytest.mark.cross(3)
def test_a_chip_is_quartered(weak, rasters, tmp_path):
    server = weak(most=3000)
    item = middles(rasters, 1)
    options = {"shape": (100, 100), "crs": "native", "format": "npy"}
    plan = eedask.chips(item, ee.Image(SCENE), out=tmp_path / "weak", **options, **OPTIONS)
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].iloc[0]
    assert server.refused == [10_000] * WAYS[server.way]
    assert server.answered == [2500] * 4
    row = result.manifest.iloc[0]
    with rasterio.open(rasters.scene) as file:
        column, first = ~file.transform @ (row["transform"][2], row["transform"][5])
        column, first = round(column), round(first)
        wanted = file.read()[:, first : first + 100, column : column + 100]
    chip = result.open(item.index[0])
    for band, pixels in zip("RGBN", wanted, strict=True):
        np.testing.assert_array_equal(chip[band], pixels)


@pytest.mark.parametrize("weak", ["capacity", "504"], indirect=True)
def test_a_small_item_keeps_its_tries(weak, rasters, tmp_path):
    server = weak(most=10)
    item = middles(rasters, 1)
    options = {"shape": (8, 8), "crs": "native", "format": "npy"}
    plan = eedask.chips(item, ee.Image(SCENE), out=tmp_path / "o", **options, **OPTIONS)
    row = plan.run(progress=False).manifest.iloc[0]
    assert (row["status"], row["error_kind"]) == ("failed", "transient")
    assert server.refused == [64] * AT_ONCE.tries
