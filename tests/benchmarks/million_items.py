"""A million items: seconds and memory of the client and the scheduler, to plan, stage and run.

    python tests/benchmarks/million_items.py [--items 1000000] [--partition 250] [--undone 4]

The client's and the scheduler's memory (RSS) are those of this process: scheduler and client
share it, and the two worker processes are apart. Steps, each with its growth to the peak:

- *items*: the GeoDataFrame itself, which the user has anyway; not counted in the sum;
- *plan*: ``eedask.chips``; *bag*: staging and the lazy graph;
- *run*: all partitions but a few have their rows already (written beforehand as eedask would
  leave them), so that they end at once and what remains is Dask's and eedask's own work: graph,
  submission, bookkeeping, reading the manifest. That is the pace of a resume as well.

Warnings of a large graph are counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from bench import Peak, cluster, constant_chips, emulator, machine, points, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--partition", type=int, default=250, help="items in a partition")
    parser.add_argument("--undone", type=int, default=4, help="partitions that are fetched")
    args = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder, emulator() as server, cluster(2):
        steps = Steps()
        items = steps.take("items", lambda: points(args.items))
        start = psutil.Process().memory_info().rss
        out = Path(folder, "out")
        plan = steps.take("plan", lambda: constant_chips(items, out, partition_size=args.partition))
        bag = steps.take("bag (staging, graph)", plan.bag)
        partitions = bag.npartitions
        write_rows(out, partitions - args.undone)
        del bag
        server.reset_stats()
        steps.take(f"run ({partitions} partitions, {args.undone} to fetch)", lambda: run(plan))
        sent = server.stats()["requests"]
    table(
        ["step", "seconds", "growth to the peak, MB", "kept, MB", "large-graph warnings"],
        steps.rows,
    )
    print(f"peak over the items alone: {(steps.peak - start) / 1e6:.0f} MB; requests sent: {sent}")


def run(plan: Any) -> None:
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all()


class Steps:
    """Measures steps one after the other."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.peak = 0

    def take(self, name: str, step: Callable[[], Any]) -> Any:
        """Take a step; return what it returns."""
        gc.collect()
        with warnings.catch_warnings(record=True) as caught, Peak() as memory:
            warnings.simplefilter("always")
            started = time.perf_counter()
            made = step()
            seconds = time.perf_counter() - started
        gc.collect()
        kept = (psutil.Process().memory_info().rss - memory.before) / 1e6
        large = sum("large graph" in str(warning.message) for warning in caught)
        row = [name, f"{seconds:.1f}", f"{memory.growth_mb:.0f}", f"{kept:.0f}", str(large)]
        print("  " + ", ".join(row), flush=True)
        self.rows.append(row)
        self.peak = max(self.peak, memory.peak)
        return made


def write_rows(out: Path, partitions: int) -> None:
    """Write a row for every item, as a run would have left them."""
    items = pq.ParquetFile(out / "items.parquet")
    (out / "manifest").mkdir(exist_ok=True)
    ids = _id_column(items)
    for number in range(partitions):
        group = items.read_row_group(number, columns=[ids])
        pq.write_table(_rows(group[ids]), out / "manifest" / f"part-{number:05d}.parquet")


def _id_column(items: pq.ParquetFile) -> str:
    # The name under which pandas keeps the index.
    (name,) = json.loads(items.schema_arrow.metadata[b"pandas"])["index_columns"]
    return str(name)


def _rows(ids: pa.ChunkedArray) -> pa.Table:
    count = len(ids)
    now = pa.array([datetime.now(UTC)] * count, pa.timestamp("us", tz="UTC"))
    text, none = pa.string(), [None] * count
    return pa.table(
        {
            "id": ids,
            "status": pa.array(["ok"] * count, text),
            "path": pa.array([f"chips/{id_}.npy" for id_ in ids.to_pylist()], text),
            "nbytes": pa.array([0] * count, pa.int64()),
            "attempts": pa.array([1] * count, pa.int32()),
            "elapsed_s": pa.array([0.1] * count, pa.float64()),
            "error_kind": pa.array(none, text),
            "error": pa.array(none, text),
            "finished": now,
        }
    )


if __name__ == "__main__":
    main()
