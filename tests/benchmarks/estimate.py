"""What ``plan.estimate()`` says after 20 items, and what the run of all of them then takes.

    python tests/benchmarks/estimate.py [--items 4000] [--pilot 20] [--rate 100] [--concurrency 40]
                                        [--latency 0.2] [--batch 1000] [--verbs chips …]

On an emulator with the quota of a project, 40 requests at once and 100 a second, of 0.2 s each,
and a GeoTIFF that is made for this and mounted. The compute that the emulator counts is the same
whenever a request is repeated; the time is not, where others share the machine. It is where the
quota is low enough, and requests last longer than the emulator works for them: it answers after its
latency, or when it is ready, if that is later, so that a few items do not tell how long many last.
A run in which the cores were nearly all busy, with the emulator's work or others', took as long as
that work, not as long as its quota and latency: of such a run, no pilot tells the time.

    python tests/benchmarks/estimate.py --rate 25 --verbs chips
    python tests/benchmarks/estimate.py --concurrency 2 --latency 4 --verbs sample_points
    python tests/benchmarks/estimate.py --concurrency 4 --latency 2 --batch 25 --verbs …
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import psutil
import rasterio
import shapely
from bench import emulator, machine, table

import eedask
from eedask.emulator import Emulator

HEAD = [
    *("verb", "items", "requests", "real", "seconds", "real", "off"),
    *("EECU-s (low to high)", "real", "off", "cores busy", "ms of work an item", "limited by"),
]
FIELD = "projects/eedask-benchmarks/assets/field"
CRS, SIDE, PIXEL, WEST, NORTH = "EPSG:32613", 4096, 10, 450_000, 4_450_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--pilot", type=int, default=20)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--concurrency", type=int, default=40, help="requests at once")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds of a request")
    parser.add_argument("--batch", type=int, default=1000, help="items a request of tables")
    parser.add_argument("--verbs", nargs="+", choices=PLANS, default=list(PLANS))
    args = parser.parse_args()
    print(machine())
    quota = {"concurrency": args.concurrency, "rate": args.rate, "latency": args.latency}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "field.tif")
        write_field(path)
        with emulator(processes=None, mounts={FIELD: path}, **quota) as running:
            rows = [compared(running, verb, args, Path(folder, verb)) for verb in args.verbs]
    table(HEAD, rows)


def compared(running: Emulator, verb: str, args: argparse.Namespace, out: Path) -> list[object]:
    """Return a row: the estimate of a plan, and its run without what the pilot has done."""
    more = {"rate": args.rate, "concurrency": args.concurrency}
    if verb != "chips":
        more["batch_size"] = args.batch
    plan = PLANS[verb](places(args.items), out, **more)
    running.reset_stats()
    estimate = plan.estimate(args.pilot)
    print(estimate, flush=True)
    pilot = running.stats()["eecu_seconds"]
    running.reset_stats()
    psutil.cpu_percent()
    began, worked = time.monotonic(), time.process_time()
    result = plan.run(progress=False)
    seconds, busy = time.monotonic() - began, psutil.cpu_percent()
    work = 1e3 * (time.process_time() - worked) / args.items
    assert result.failed.empty
    stats = running.stats()
    told, real = estimate.eecu_seconds, stats["eecu_seconds"] + pilot
    return [
        *(verb, f"{args.items:,}", f"{estimate.requests.expected:,.0f}", f"{stats['requests']:,}"),
        *(f"{estimate.seconds.expected:.1f}", f"{seconds:.1f}"),
        f"{estimate.seconds.expected / seconds - 1:+.0%}",
        *(f"{told.expected:.1f} ({told.low:.1f} to {told.high:.1f})", f"{real:.1f}"),
        *(f"{told.expected / real - 1:+.0%}", f"{busy:.0f} %", f"{work:.2f}"),
        estimate.limited_by,
    ]


def write_field(path: Path) -> None:
    """Write a raster of two bands."""
    rng = np.random.default_rng(2)
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 2, "dtype": "uint16"}
    transform = rasterio.Affine(PIXEL, 0, WEST, 0, -PIXEL, NORTH)
    profile |= {"crs": CRS, "transform": transform, "tiled": True}
    with rasterio.open(path, "w", **profile) as target:
        target.write(rng.integers(1, 4000, (2, SIDE, SIDE), dtype=np.uint16))
        target.descriptions = "red", "nir"


def places(count: int) -> gpd.GeoDataFrame:
    """Return random points on the raster, with a radius in metres each, from 50 to 400."""
    rng = np.random.default_rng(3)
    edge = 500
    x = rng.uniform(WEST + edge, WEST + SIDE * PIXEL - edge, count)
    y = rng.uniform(NORTH - SIDE * PIXEL + edge, NORTH - edge, count)
    radius = 50 * 8 ** rng.random(count)
    return gpd.GeoDataFrame({"radius": radius}, geometry=gpd.points_from_xy(x, y), crs=CRS)


def index() -> ee.Image:
    """Return an image that is computed from both bands."""
    return ee.Image(FIELD).normalizedDifference(["nir", "red"])


def chips(items: gpd.GeoDataFrame, out: Path, **more: object) -> eedask.Plan:
    grid = {"shape": (64, 64), "scale": 10, "crs": CRS, "format": "npy"}
    return eedask.chips(items, index(), out=out, **grid, **more)


def reduce_regions(items: gpd.GeoDataFrame, out: Path, **more: object) -> eedask.Plan:
    discs = shapely.buffer(items.geometry, items["radius"], quad_segs=4)
    regions = items.set_geometry(discs, crs=items.crs)
    return eedask.reduce_regions(regions, index(), "mean", out=out, scale=10, **more)


def sample_points(items: gpd.GeoDataFrame, out: Path, **more: object) -> eedask.Plan:
    return eedask.sample_points(items, index(), out=out, scale=10, **more)


PLANS = {"chips": chips, "reduce_regions": reduce_regions, "sample_points": sample_points}

if __name__ == "__main__":
    main()
