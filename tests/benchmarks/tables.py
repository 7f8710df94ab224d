"""Points in few requests: ``sample_points`` against the ways that scripts use today.

    python tests/benchmarks/tables.py [--points 100000] [--slow 1000] [--places scene globe]

Both places are of one GeoTIFF of the world between 60 degrees south and north, of pixels of a
120th of a degree (926 m at the equator), which is made for this and mounted: the emulator's
invented worlds would be drawn anew for every tile, for hours. *Scene*: points in a square of 512
pixels; *globe*: anywhere. The other ways, *one request a point* and *chunks of 1,000 in input
order*, send the same ``reduceRegions`` on as many threads; they are measured on fewer points
(``--slow``, and twenty times as many for chunks), and scaled up to all.
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
import rasterio
import urllib3
from bench import emulator, machine, table
from ee import serializer
from rasterio.windows import Window

import eedask
from eedask.emulator import Emulator

HEAD = ["place", "way", "measured on", "requests", "MB", "seconds", "points a request"]
CONCURRENCY = 8
WORLD = "projects/eedask-benchmarks/assets/world"
SIDE, TILE = 1 / 120, 256
# West, south, east, north.
EDGES = (-180.0, -60.0, 180.0, 60.0)
PLACES = {"scene": (20.0, -2.0, 20.0 + 512 * SIDE, -2.0 + 512 * SIDE), "globe": EDGES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    args = parser.parse_args()
    print(machine())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder, "world.tif")
        write_world(world)
        with emulator(processes=None, mounts={WORLD: world}) as running:
            image = ee.Image(WORLD)
            for place in args.places:
                items = points(PLACES[place], args.points)
                # The first requests import, and open the file, in every process.
                asked(running, image, items.iloc[:50], 1)
                rows.append([place, *ours(running, image, items)])
                print(rows[-1], flush=True)
                for size, count in ((1, args.slow), (1000, 20 * args.slow)):
                    rows.append([place, *slow(running, image, items, size, count)])
                    print(rows[-1], flush=True)
    table(HEAD, rows)


def write_world(path: Path) -> None:
    """Write the raster of the world, whose values tell the pixel; some 20 s."""
    west, south, east, north = EDGES
    columns, rows = round((east - west) / SIDE), round((north - south) / SIDE)
    profile = {
        "driver": "GTiff",
        "width": columns,
        "height": rows,
        "count": 1,
        "dtype": "int16",
        "crs": "EPSG:4326",
        "transform": rasterio.Affine(SIDE, 0, west, 0, -SIDE, north),
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "compress": "deflate",
        "predictor": 2,
        "zlevel": 1,
    }
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, rows, TILE):
            below = np.arange(top, min(top + TILE, rows))
            band = value_at(below[:, None], np.arange(columns)[None])
            file.write(band, 1, window=Window(0, top, columns, len(below)))


def value_at(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return what the world's pixels hold."""
    return (rows % 97 * 181 + columns % 181).astype(np.int16)


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
        values = result.table()["b1"]
        seconds = time.perf_counter() - started
        assert result.failed.empty
        check(values.to_numpy(), items)
        size = int(result.manifest["nbytes"].sum())
    requests = running.stats()["requests"]
    return row("eedask", len(items), len(items), requests, size, seconds)


def check(values: np.ndarray, items: gpd.GeoDataFrame) -> None:
    """Raise unless the values are those of the pixels that the points lie in."""
    west, _, _, north = EDGES
    rows = np.floor((north - items.geometry.y.to_numpy()) / SIDE).astype(int)
    columns = np.floor((items.geometry.x.to_numpy() - west) / SIDE).astype(int)
    # A point within rounding of a pixel's edge may be said to lie in either.
    assert np.mean(values == value_at(rows, columns)) > 0.9999


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
