"""CPU seconds of the client for one chip request, and of the scheduler for one item.

    python tests/benchmarks/client_cpu.py [--items 3000] [--repeats 3] [--folder /dev/shm]

*Client*: ``plan.run()`` on Dask's threads in this process against an emulator in processes of its
own that is ready to answer at once; the CPU time of this process over the requests. It holds all
of it: binding, JSON, HTTP, decoding, files, rows. What a run costs before its first request
(imports, staging) is left out: a first run of few items warms up, and two runs of different size
are subtracted. *Thin client*: the least that any client in Python has to do: as many threads that
post a body made beforehand, with urllib3, and write the answer to a new file. *Scheduler*: CPU time
of the process that has scheduler and client while the work is done in worker processes.

Files are written to memory where the machine has such a folder: on a disk, what the kernel takes
for a new file changes tenfold with what else is written at that hour.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import dask
import urllib3
from bench import cluster, constant_chips, constant_request, emulator, machine, points, table

from eedask.emulator import Emulator

SLOTS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=memory())
    args = parser.parse_args()
    print(f"{machine()}; files in {args.folder}")
    # Not by argument: workers of the cluster below inherit it too.
    tempfile.tempdir = os.environ["TMPDIR"] = str(args.folder)
    few = max(100, args.items // 5)
    rows = []
    with emulator() as server:
        rows.append(["thin client, ms a request", *thin(server, args.items, args.repeats)])
        with dask.config.set(scheduler="threads"):
            rows.append(["client, ms a request", *measure(few, args.items, args.repeats)])
        with cluster(1):
            rows.append(
                ["scheduler and client, ms an item", *measure(few, args.items, args.repeats)]
            )
    table(["what", "median", "least", "most"], rows)


def memory() -> Path:
    """Return a folder in memory, or where temporary files are."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def measure(few: int, many: int, repeats: int) -> list[str]:
    """Return median, least and greatest CPU milliseconds of this process for one more item."""
    run(few)
    costs = [1e3 * (run(many) - run(few)) / (many - few) for _ in range(repeats)]
    return [f"{cost:.3f}" for cost in (statistics.median(costs), min(costs), max(costs))]


def thin(server: Emulator, count: int, repeats: int) -> list[str]:
    """Return the same for a client that does next to nothing."""
    url = f"{server.url}/v1/projects/{server.project}/image:computePixels"
    body = json.dumps(constant_request()).encode()
    with (
        tempfile.TemporaryDirectory() as folder,
        urllib3.PoolManager(maxsize=SLOTS) as connections,
        concurrent.futures.ThreadPoolExecutor(SLOTS) as threads,
    ):

        def fetch(number: int) -> None:
            answer = connections.request("POST", url, body=body)
            Path(folder, f"{number:06}.npy").write_bytes(answer.data)

        list(threads.map(fetch, range(SLOTS)))
        costs = []
        for _ in range(repeats):
            started = time.process_time()
            list(threads.map(fetch, range(count)))
            costs.append(1e3 * (time.process_time() - started) / count)
    return [f"{cost:.3f}" for cost in (statistics.median(costs), min(costs), max(costs))]


def run(count: int) -> float:
    """Return the CPU seconds of this process for a run."""
    with tempfile.TemporaryDirectory() as folder:
        plan = constant_chips(points(count), Path(folder, "out"), concurrency=SLOTS)
        started = time.process_time()
        plan.run(progress=False)
        return time.process_time() - started


if __name__ == "__main__":
    main()
