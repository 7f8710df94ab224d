"""How many tables a second the emulator makes: ``reduceRegions`` of 50 points a request.

    python tests/benchmarks/emulator_tables.py [--requests 400] [--points 50] [--threads 8]

The points of a request lie within a few kilometres of each other, as those that share input tiles
do. The client is as thin as can be (bodies made beforehand, urllib3), since it shares the machine
with what is measured.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import tempfile
import time
from pathlib import Path

import ee
import numpy as np
import rasterio
import urllib3
from ee import serializer

from eedask.emulator import Emulator

MOUNTED = "projects/benchmark/assets/raster"
WEST, NORTH = -103.0, 41.0
SIDE, PIXEL = 4000, 0.0005  # a square of two degrees


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--threads", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = raster(Path(folder) / "raster.tif")
        with Emulator({MOUNTED: path}) as emulator:
            ee.Initialize(emulator.credentials, url=emulator.url, project=emulator.project)
            url = f"{emulator.url}/v1/projects/{emulator.project}/table:computeFeatures"
            cores = os.cpu_count()
            print(f"{cores} cores, {args.threads} connections, {args.points} points a request")
            print(f"{'image':24}{'requests/s':>12}{'ms each':>10}{'rows':>8}")
            for name, (image, scale) in images().items():
                # The first requests import, load tables and fill caches in every process.
                measure(url, bodies(image, scale, 40, args.points, seed=0), args.threads)
                wanted = bodies(image, scale, args.requests, args.points, seed=1)
                seconds, rows = measure(url, wanted, args.threads)
                rate = len(wanted) / seconds
                print(f"{name:24}{rate:12.1f}{1e3 / rate:10.1f}{rows:8}", flush=True)


def images() -> dict[str, tuple[ee.Image, float]]:
    """Return the images that are sampled, and the scale in metres of each."""
    naip = ee.ImageCollection("USDA/NAIP/DOQQ").filterDate("2015", "2020")
    modis = ee.ImageCollection("MODIS/061/MOD13Q1").filterDate("2016", "2017")
    return {
        "mounted GeoTIFF": (ee.Image(MOUNTED), 50.0),
        "mosaic of NAIP": (naip.mosaic().select(["R", "G", "B"]), 1.0),
        "mean of 23 MOD13Q1": (modis.select("NDVI").mean(), 250.0),
    }


def raster(path: Path) -> Path:
    """Write a tiled raster of noise."""
    values = np.random.default_rng(0).integers(0, 4000, (2, SIDE, SIDE), dtype=np.int16)
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 2, "dtype": "int16"}
    profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    transform = rasterio.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=transform) as file:
        file.write(values)
    return path


def bodies(image: ee.Image, scale: float, count: int, points: int, seed: int) -> list[bytes]:
    """Return request bodies, the points of each in a square of a twentieth of a degree."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        west, south = (
            random.uniform(WEST + 0.1, WEST + 1.8),
            random.uniform(NORTH - 1.9, NORTH - 0.2),
        )
        places = np.round(
            random.uniform((west, south), (west + 0.05, south + 0.05), (points, 2)), 6
        )
        features = ee.FeatureCollection(
            [ee.Feature(ee.Geometry.Point(xy), {"id": k}) for k, xy in enumerate(places.tolist())]
        )
        table = image.reduceRegions(features, ee.Reducer.first(), scale)
        request = {"expression": serializer.encode(table, for_cloud_api=True)}
        made.append(json.dumps(request).encode())
    return made


def measure(url: str, requests: list[bytes], threads: int) -> tuple[float, int]:
    """Return the seconds that all requests take, and the rows that come back."""
    with (
        urllib3.PoolManager(maxsize=threads) as pool,
        concurrent.futures.ThreadPoolExecutor(threads) as executor,
    ):

        def fetch(data: bytes) -> bytes:
            answer = pool.request("POST", url, body=data)
            assert answer.status == 200, answer.data
            return answer.data

        started = time.perf_counter()
        answers = list(executor.map(fetch, requests))
        seconds = time.perf_counter() - started
        return seconds, sum(len(json.loads(answer)["features"]) for answer in answers)


if __name__ == "__main__":
    main()
