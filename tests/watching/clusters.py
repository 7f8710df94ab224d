"""Small clusters with a dashboard, and small plans to run on them."""

import distributed
import ee
from mounted import SCENE

import eedask


def local_cluster(**options):
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", **options
    )


def dashboard(cluster):
    """Return the address of a cluster's dashboard."""
    return f"http://127.0.0.1:{cluster.scheduler.http_server.port}"


def by_band(item):
    return ee.Image(SCENE).select([item["band"]])


def plan_of(items, out, **more):
    """Return the plan of a tiny chip of each item's band."""
    options = {"shape": (8, 8), "scale": 5, "format": "npy", "partition_size": 7, **more}
    return eedask.chips(items, by_band, out=out, **options)
