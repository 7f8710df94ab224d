"""How many chips a second the emulator renders: 256x256x3 mosaics of NAIP at random places.

    python tests/benchmarks/emulator_chips.py [--chips 600] [--threads 8]

The client is as thin as can be (bodies made beforehand, urllib3), since it shares the machine with
what is measured. Cold places have never been rendered; warm ones have.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import random
import time

import ee
import pyproj
import urllib3
from ee import serializer

from eedask.emulator import Emulator

SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", type=int, default=600)
    parser.add_argument("--threads", type=int, default=8)
    args = parser.parse_args()
    with Emulator() as emulator:
        ee.Initialize(emulator.credentials, url=emulator.url, project=emulator.project)
        url = f"{emulator.url}/v1/projects/{emulator.project}/image:computePixels"
        # The first requests import, load tables and fill caches in every process.
        measure(url, bodies(60, seed=0), args.threads)
        cold = bodies(args.chips, seed=1)
        print(f"{os.cpu_count()} cores, {args.threads} connections, {args.chips} chips")
        print(f"{'':6}{'chips/s':>10}{'ms a chip':>12}{'MB':>8}")
        for name in ("cold", "warm"):
            seconds, size = measure(url, cold, args.threads)
            rate = len(cold) / seconds
            print(f"{name:6}{rate:10.1f}{1e3 / rate:12.1f}{size / 1e6:8.1f}")


def bodies(count: int, seed: int) -> list[bytes]:
    """Return request bodies for chips at random points of the Great Plains."""
    rng = random.Random(seed)
    return [body(rng.uniform(-104, -98), rng.uniform(36, 42)) for _ in range(count)]


def body(longitude: float, latitude: float) -> bytes:
    point = ee.Geometry.Point([longitude, latitude])
    scenes = ee.ImageCollection("USDA/NAIP/DOQQ").filterBounds(point.buffer(SIDE))
    image = scenes.filterDate("2015", "2020").mosaic().select(["R", "G", "B"])
    crs = f"EPSG:{26900 + int((longitude + 180) // 6) + 1}"
    to_crs = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    easting, northing = to_crs.transform(longitude, latitude)
    grid = {
        "crsCode": crs,
        "dimensions": {"width": SIDE, "height": SIDE},
        "affineTransform": {
            "scaleX": 1,
            "scaleY": -1,
            "translateX": round(easting) - SIDE // 2,
            "translateY": round(northing) + SIDE // 2,
        },
    }
    expression = serializer.encode(image, for_cloud_api=True)
    request = {"expression": expression, "fileFormat": "PNG", "grid": grid}
    return json.dumps(request).encode()


def measure(url: str, requests: list[bytes], threads: int) -> tuple[float, int]:
    """Return the seconds that all requests take, and the bytes that come back."""
    with (
        urllib3.PoolManager(maxsize=threads) as pool,
        concurrent.futures.ThreadPoolExecutor(threads) as executor,
    ):

        def fetch(data: bytes) -> int:
            answer = pool.request("POST", url, body=data)
            assert answer.status == 200, answer.data
            return len(answer.data)

        started = time.perf_counter()
        size = sum(executor.map(fetch, requests))
        return time.perf_counter() - started, size


if __name__ == "__main__":
    main()
