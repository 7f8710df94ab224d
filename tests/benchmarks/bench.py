"""What the benchmarks of runs share: the plan, the clusters, the machine, a table."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import distributed
import ee
import geopandas as gpd
import numpy as np
import psutil
from ee import _state, serializer

import eedask
from eedask.emulator import Emulator

# A constant of one pixel costs the emulator as little as an answer can.
SHAPE = (8, 8)


@contextlib.contextmanager
def emulator(**options: object) -> Iterator[Emulator]:
    """Start an emulator and initialise the ``ee`` client on it."""
    with Emulator(**{"processes": 1, **options}) as running:
        ee.Initialize(running.credentials, url=running.url, project=running.project)
        try:
            yield running
        finally:
            if session := _state.get_state().requests_session:
                session.close()
            ee.Reset()


def points(count: int) -> gpd.GeoDataFrame:
    """Return random points."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-104, -98, count), rng.uniform(36, 42, count)
    return gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs="EPSG:4326")


def constant_request() -> dict[str, object]:
    """Return the body of a request for such a chip, which asks for the bands and their masks."""
    image = ee.Image.constant([1, 2, 3]).toByte()
    masks = image.mask().gt(0).toByte().unmask(0, False)
    return {
        "expression": serializer.encode(image.addBands(masks), for_cloud_api=True),
        "fileFormat": "NPY",
        "grid": {
            "crsCode": "EPSG:5070",
            "dimensions": {"width": 8, "height": 8},
            "affineTransform": {"scaleX": 1, "scaleY": -1},
        },
    }


def constant_chips(items: gpd.GeoDataFrame, out: Path, **more: object) -> eedask.Plan:
    """Return the plan of one constant chip an item; requests a second are not limited."""
    image = ee.Image.constant([1, 2, 3]).toByte()
    grid = {"shape": SHAPE, "scale": 1, "crs": "EPSG:5070", "format": "npy"}
    return eedask.chips(items, image, out=out, **{"rate": None, **grid, **more})


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[distributed.Client | None]:
    """Start worker processes; with 0, runs start a cluster in this process themselves."""
    if not workers:
        yield None
        return
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=4, dashboard_address="127.0.0.1:0"
        ) as running,
        distributed.Client(running) as client,
    ):
        yield client


def machine() -> str:
    """Return a line about this machine."""
    gigabytes = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {gigabytes:.0f} GB, load {os.getloadavg()[0]:.1f};"
        f" Python {platform.python_version()}, distributed {distributed.__version__}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print("\n".join(lines), flush=True)


class Peak(threading.Thread):
    """The largest memory (RSS, bytes) of this process while the context lasts.

    Attributes
    ----------
    before, peak : int
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._over = threading.Event()
        self.before = self.peak = self._process.memory_info().rss

    def run(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self._process.memory_info().rss)

    @property
    def growth_mb(self) -> float:
        """The growth to the peak, in MB."""
        return (self.peak - self.before) / 1e6

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self.peak = max(self.peak, self._process.memory_info().rss)
