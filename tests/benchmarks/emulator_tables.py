"""How many tables a second the emulator makes: ``reduceRegions`` of 50 points a request.

    python tests/benchmarks/emulator_tables.py [--requests 300] [--points 50] [--threads 8]

The points of a request lie within 256 pixels of each other, as those that share an input tile do;
in the last row within 5120. The client is as thin as can be (bodies made beforehand, urllib3),
since it shares the machine
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
    parser.add_argument("--requests", type=int, default=300)
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
            print(f"{'image':24}{'requests/s':>12}{'ms each':>10}{'requests':>10}")
            for name, what in images().items():
                # The first requests import, load tables and fill caches in every process.
                measure(url, bodies(*what, 40, args.points, seed=0), args.threads, 5)
                wanted = bodies(*what, args.requests, args.points, seed=1)
                done, seconds = measure(url, wanted, args.threads, 10)
                rate = done / seconds
                print(f"{name:24}{rate:12.1f}{1e3 / rate:10.1f}{done:10}", flush=True)


def images() -> dict[str, tuple[ee.Image, float, int]]:
    """Return what is sampled: an image, the scale in metres, the side of a square in pixels."""
    naip = ee.ImageCollection("USDA/NAIP/DOQQ").filterDate("2015", "2020")
    modis = ee.ImageCollection("MODIS/061/MOD11A2").filterDate("2016", "2017")
    mosaic = naip.mosaic().select(["R", "G", "B"])
    return {
        "mounted GeoTIFF": (ee.Image(MOUNTED), 50.0, 256),
        "SRTM": (ee.Image("USGS/SRTMGL1_003"), 30.0, 256),
        "MOD11A2": (modis.select("LST_Day_1km").first(), 1000.0, 256),
        "mosaic of NAIP": (mosaic, 1.0, 256),
        "NAIP, spread": (mosaic, 1.0, 5120),
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


def bodies(
    image: ee.Image, scale: float, side: int, count: int, points: int, seed: int
) -> list[bytes]:
    """Return request bodies, the points of each in a square of so many pixels."""
    random = np.random.default_rng(seed)
    spread = side * scale / 111320
    made = []
    for _ in range(count):
        corner = np.array([WEST + 0.1, NORTH - 1.9]) + random.uniform(0, max(0.1, 1.8 - spread), 2)
        places = np.round(random.uniform(corner, corner + spread, (points, 2)), 6)
        features = ee.FeatureCollection(
            [ee.Feature(ee.Geometry.Point(xy), {"id": k}) for k, xy in enumerate(places.tolist())]
        )
        table = image.reduceRegions(features, ee.Reducer.first(), scale)
        request = {"expression": serializer.encode(table, for_cloud_api=True)}
        made.append(json.dumps(request).encode())
    return made


def measure(url: str, requests: list[bytes], threads: int, most: float) -> tuple[int, float]:
    """Return how many requests are answered, and the seconds, at most about so many."""
    with (
        urllib3.PoolManager(maxsize=threads) as pool,
        concurrent.futures.ThreadPoolExecutor(threads) as executor,
    ):
        started = time.perf_counter()

        def fetch(data: bytes) -> bytes | None:
            if time.perf_counter() - started > most:
                return None
            answer = pool.request("POST", url, body=data)
            assert answer.status == 200, answer.data
            return answer.data

        answers = [answer for answer in executor.map(fetch, requests) if answer is not None]
        seconds = time.perf_counter() - started
        assert all(b'"properties"' in answer for answer in answers)
        return len(answers), seconds


if __name__ == "__main__":
    main()
