"""A run to watch: two worker processes, requests that fail now and then, and a page that shows all.

Fetches small chips of elevation around random points in Colorado, from an emulator that refuses
some requests (429, 503) as a busy Earth Engine does; one chip in a hundred asks for a band that
does not exist, and fails for good. Open the address that is printed, while the run goes on. With
--project it runs on Earth Engine, where only those chips fail.

    python examples/watch.py                # ends by itself, in less than half a minute
    python examples/watch.py --count 5000   # minutes, for a longer look
"""

from __future__ import annotations

import argparse
import contextlib

import ee
import geopandas as gpd
import numpy as np
import shapely
from distributed import Client, LocalCluster
from naip_chips import initialize

import eedask

REGION = shapely.box(-109.0, 37.1, -102.1, 40.9)
FAULTS = "429=0.01,503=0.03"


def main() -> None:
    """Run the chips on a cluster; the run itself prints the address of its page, and a summary."""
    args = parse_arguments()
    with contextlib.ExitStack() as stack:
        initialize(args.project, stack, latency=0.4, faults=FAULTS)
        cluster = LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=args.dashboard)
        stack.enter_context(Client(stack.enter_context(cluster)))
        plan = eedask.chips(
            points(args.count, args.seed),
            elevation,
            out=args.out,
            shape=(64, 64),
            scale=30,
            crs="utm",
            format="npy",
            concurrency=10,
        )
        print(plan)
        plan.run(overwrite=True)  # "watch the run at http://127.0.0.1:8787/eedask"


def points(count: int, seed: int) -> gpd.GeoDataFrame:
    """Return random points, each with the band that is asked for there."""
    region = gpd.GeoDataFrame(geometry=[REGION], crs="EPSG:4326")
    found = eedask.items.random_points(region, count, seed=seed)
    wrong = np.arange(count) % 100 == 50
    return found.assign(band=np.where(wrong, "height", "elevation"))


def elevation(item: eedask.Item) -> ee.Image:
    """Return the band of the elevation model that the item names."""
    return ee.Image("USGS/SRTMGL1_003").select([item["band"]])


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="chips")
    parser.add_argument("--dashboard", default="127.0.0.1:8787", help="address of the page")
    parser.add_argument("--out", default="watch", help="the folder to fill")
    parser.add_argument("--seed", type=int, default=42, help="of the random points")
    parser.add_argument("--project", help="Google Cloud project; without it, the emulator")
    return parser.parse_args()


if __name__ == "__main__":
    main()
