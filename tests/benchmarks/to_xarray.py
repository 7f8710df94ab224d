"""Seconds that ``Result.to_xarray`` takes to open chips, and Dask to read some and all of them.

    python tests/benchmarks/to_xarray.py [--items 10000] [--side 64] [--folder FOLDER]

The chips are cells edge to edge, of three bands of one constant, fetched from an emulator first
(into the folder, if given: a second call finds them there). *Open* is ``open_result``, so that the
manifest is read, and ``to_xarray``: no chip is read. The first call of all, which imports xarray
and Dask, is not measured. *One chunk* and *all* read files, all bands of them, on Dask's threads.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import geopandas as gpd
import shapely
from bench import constant_chips, emulator, machine, table

import eedask

APART, BESIDE = ("item", "y", "x"), ("y", "x")
# One file a chunk, and more.
FEW, MANY = 1, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary, dask.config.set(scheduler="threads"):
        out = args.folder or Path(temporary, "out")
        with emulator():
            plan = constant_chips(cells(args.items, args.side), out, shape=None)
            plan.run(progress=False)
        eedask.open_result(out).to_xarray()
        rows = [measured(out, APART, files) for files in (FEW, MANY)]
        rows.append(measured(out, BESIDE, FEW))
    table(["dims", "files a chunk", "open, s", "one chunk, s", "all, s"], rows)


def cells(count: int, side: int) -> gpd.GeoDataFrame:
    """Return squares of pixels edge to edge, as many in a row as there are rows."""
    row = math.isqrt(count - 1) + 1
    corners = [divmod(number, row) for number in range(count)]
    boxes = [shapely.box(x * side, y * side, (x + 1) * side, (y + 1) * side) for y, x in corners]
    return gpd.GeoDataFrame({"number": range(count)}, geometry=boxes, crs="EPSG:5070")


def measured(out: Path, dims: tuple[str, ...], files: int) -> list[object]:
    """Return a row of the table."""
    opening, found = timed(
        lambda: eedask.open_result(out).to_xarray(dims=dims, files_per_chunk=files)
    )
    one = {dim: slice(sides[0]) for dim, sides in found.chunksizes.items()}
    first, _ = timed(lambda: found.isel(one).compute())
    every, _ = timed(lambda: found.mean().compute())
    seconds = [f"{value:.2f}" for value in (opening, first, every)]
    return [", ".join(dims), files, *seconds]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long some work takes, and what it gives."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    main()
