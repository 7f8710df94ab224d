"""Points in few requests: ``sample_points`` against the ways that scripts use today.

    python tests/benchmarks/tables.py [--points 100000] [--slow 300] [--places scene globe]

*Scene*: points in a square of 512 pixels of MOD11A2's first image of 2016; *globe*: anywhere
between 60 degrees south and north, on the same image. The other ways, *one request a point* and
*chunks of 1,000 in input order*, send the same ``reduceRegions`` on as many threads; they are
measured on fewer points (``--slow``, and ten times as many for chunks), and scaled up to all.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import tempfile
import time
from pathlib import Path

import dask
import ee
import geopandas as gpd
import numpy as np
import urllib3
from bench import emulator, machine, table
from ee import serializer

import eedask
from eedask.emulator import Emulator

HEAD = ["place", "way", "measured on", "requests", "MB", "seconds", "points a request"]
CONCURRENCY = 8
# A square of 512 pixels of 926.6 m, and the world without its poles: west, south, east, north.
PLACES = {"scene": (20.0, -2.0, 24.2, 2.2), "globe": (-180.0, -60.0, 180.0, 60.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--slow", type=int, default=300)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    args = parser.parse_args()
    print(machine())
    rows = []
    with emulator(processes=None) as running:
        modis = ee.ImageCollection("MODIS/061/MOD11A2").filterDate("2016", "2017")
        image = ee.Image(modis.select("LST_Day_1km").first())
        for place in args.places:
            items = points(PLACES[place], args.points)
            # The first requests import, load tables and fill caches in every process.
            asked(running, image, items.iloc[:50], 1)
            rows.append([place, *ours(running, image, items)])
            for size, count in ((1, args.slow), (1000, 10 * args.slow)):
                rows.append([place, *slow(running, image, items, size, count)])
    table(HEAD, rows)


def points(bounds: tuple[float, float, float, float], count: int) -> gpd.GeoDataFrame:
    """Return random points within bounds."""
    west, south, east, north = bounds
    rng = np.random.default_rng(2)
    x, y = rng.uniform(west, east, count), rng.uniform(south, north, count)
    return gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs="EPSG:4326")


def ours(running: Emulator, image: ee.Image, items: gpd.GeoDataFrame) -> list[object]:
    """Return a row of sample_points."""
    running.reset_stats()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="threads"):
        plan = eedask.sample_points(
            items, image, out=Path(folder, "out"), concurrency=CONCURRENCY, rate=None
        )
        result = plan.run(progress=False)
        seconds = time.perf_counter() - started
        assert result.failed.empty
        size = int(result.manifest["nbytes"].sum())
    requests = running.stats()["requests"]
    return row("eedask", len(items), len(items), requests, size, seconds)


def slow(
    running: Emulator, image: ee.Image, items: gpd.GeoDataFrame, size: int, count: int
) -> list[object]:
    """Return a row of requests of so many points, in input order."""
    some = items.iloc[:count]
    requests, nbytes, seconds = asked(running, image, some, min(size, len(some)))
    way = "one request a point" if size == 1 else "chunks of 1,000"
    return row(way, len(items), len(some), requests, nbytes, seconds)


def row(
    way: str, wanted: int, measured: int, requests: int, size: int, seconds: float
) -> list[object]:
    """Return a row, scaled from the points that were measured to those that were wanted."""
    times = wanted / measured
    figures = (f"{requests * times:,.0f}", f"{size * times / 1e6:.1f}", f"{seconds * times:,.0f}")
    return [way, f"{measured:,}", *figures, f"{measured / requests:,.0f}"]


def asked(
    running: Emulator, image: ee.Image, items: gpd.GeoDataFrame, size: int
) -> tuple[int, int, float]:
    """Return requests, bytes of answers and seconds of asking for points, so many a request."""
    url = f"{running.url}/v1/projects/{running.project}/value:compute"
    chunks = [items.iloc[at : at + size] for at in range(0, len(items), size)]
    started = time.perf_counter()
    with (
        urllib3.PoolManager(maxsize=CONCURRENCY) as pool,
        concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as executor,
    ):

        def fetch(chunk: gpd.GeoDataFrame) -> int:
            answer = pool.request("POST", url, body=body(image, chunk))
            assert answer.status == 200, answer.data
            return len(answer.data)

        nbytes = sum(executor.map(fetch, chunks))
    return len(chunks), nbytes, time.perf_counter() - started


def body(image: ee.Image, chunk: gpd.GeoDataFrame) -> bytes:
    """Return the body of a request for points, written as scripts write it."""
    features = [
        ee.Feature(ee.Geometry.Point([point.x, point.y]), {"id": int(id_)})
        for id_, point in chunk.geometry.items()
    ]
    reduced = image.reduceRegions(ee.FeatureCollection(features), ee.Reducer.first())
    return json.dumps({"expression": serializer.encode(reduced, for_cloud_api=True)}).encode()


if __name__ == "__main__":
    main()
