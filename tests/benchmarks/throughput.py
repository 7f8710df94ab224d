"""How much of the quota's ideal a run reaches, and the article's pool beside it.

    python tests/benchmarks/throughput.py [--items 4000] [--tail-items 10000]
        [--pool-items 500] [--workers 2]

The emulator answers 40 requests at once, each in 0.1 s, with a constant chip that costs it next to
nothing to render. The ideal is ``items · mean latency / 40``: all slots full from first to last.
The usual limit of 100 requests a second is off on both sides, as it would hide what is measured:
400 requests a second fill two cores with emulator and client.
Share of ideal is ideal / wall time of ``plan.run()``; the cluster is up before. Rows:

- *emulator alone*: a thin client with 40 connections: what this machine can show at best;
- *uniform*, *slow tail* (1 % of items take 3 s; more items, as one slow item that comes last costs
  the same of a short run as of a long one), in worker processes and in this process;
- *quota 25*: the server refuses more than 25, and eedask is told 40; ideal counted with 25;
- *100/s*: the usual quota of a project; the ideal is ``items / 100``;
- *Pool(25)*: ``article_pool.py``, fewer items, its time scaled to the same number.

``429`` is the share of requests refused, in all of the run.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import urllib3
from bench import cluster, constant_chips, constant_request, emulator, machine, points, table

import eedask
from eedask.emulator import Emulator

SLOTS, LATENCY = 40, 0.1
SLOW_SHARE, SLOW = 0.01, 3.0
UNIFORM = {"median": LATENCY}
TAIL = {**UNIFORM, "slow_share": SLOW_SHARE, "slow": SLOW}
HEAD = ["way", "items", "seconds", "ideal", "share", "wall/ideal", "429", "peak"]


@dataclass(frozen=True)
class Case:
    """A row: what the server allows, what eedask is told, and where it runs."""

    name: str
    latency: dict[str, float]
    quota: int = SLOTS
    workers: int = 2
    rate: float | None = None

    def ideal(self, items: int) -> float:
        """Return the seconds that full slots take, or the rate if that is slower."""
        share = self.latency.get("slow_share", 0.0)
        mean = (1 - share) * self.latency["median"] + share * self.latency.get("slow", 0.0)
        return max(items * mean / self.quota, items / self.rate if self.rate else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--tail-items", type=int, default=10_000, help="where 1 %% are slow")
    parser.add_argument("--pool-items", type=int, default=500, help="0 leaves the pool out")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    args = parser.parse_args()
    cases = [
        Case("uniform, processes", UNIFORM, workers=args.workers),
        Case("slow tail, processes", TAIL, workers=args.workers),
        Case("uniform, this process", UNIFORM, workers=0),
        Case("slow tail, this process", TAIL, workers=0),
        Case("quota 25 of 40 told", UNIFORM, quota=25, workers=args.workers),
        Case("100/s, processes", UNIFORM, workers=args.workers, rate=100),
        Case("100/s, this process", UNIFORM, workers=0, rate=100),
    ]
    print(machine())
    with emulator() as server:
        rows = [alone(server, args.items)]
        counts = [args.tail_items if case.latency is TAIL else args.items for case in cases]
        rows += [measure(server, *row) for row in zip(cases, counts, strict=True)]
        if args.pool_items:
            rows.append(pool(server, args.pool_items, args.items))
    table(HEAD, rows)


def alone(server: Emulator, count: int) -> list[str]:
    """Measure the emulator with a client that does next to nothing."""
    server.set_quotas(concurrency=SLOTS, latency=UNIFORM)
    url = f"{server.url}/v1/projects/{server.project}/image:computePixels"
    data = json.dumps(constant_request()).encode()
    with (
        urllib3.PoolManager(maxsize=SLOTS) as connections,
        concurrent.futures.ThreadPoolExecutor(SLOTS) as threads,
    ):

        def fetch(_: int) -> int:
            return connections.request("POST", url, body=data).status

        list(threads.map(fetch, range(100)))
        server.reset_stats()
        started = time.perf_counter()
        list(threads.map(fetch, range(count)))
        seconds = time.perf_counter() - started
    return row("emulator alone", count, seconds, count * LATENCY / SLOTS, server)


def measure(server: Emulator, case: Case, count: int) -> list[str]:
    """Run a plan."""
    server.set_quotas(concurrency=case.quota, latency=case.latency, rate=case.rate)
    with tempfile.TemporaryDirectory() as folder, cluster(case.workers):
        # Imports, the footer of a first Parquet file and the emulator's caches are not counted.
        constant_chips(points(200), Path(folder, "warm")).run(progress=False)
        plan = constant_chips(points(count), Path(folder, "out"), concurrency=SLOTS, rate=case.rate)
        server.reset_stats()
        started = time.perf_counter()
        result: eedask.Result = plan.run(progress=False)
        seconds = time.perf_counter() - started
        assert (result.manifest["status"] == "ok").all(), result.summary()
    return row(case.name, count, seconds, case.ideal(count), server)


def pool(server: Emulator, count: int, scaled_to: int) -> list[str]:
    """Run the article's pool on fewer items; its time grows in proportion."""
    server.set_quotas(concurrency=SLOTS, latency=UNIFORM, rate=None)
    server.reset_stats()
    script = Path(__file__).with_name("article_pool.py")
    command = [sys.executable, str(script), server.url, server.project, str(count), "25"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the article's pool failed:\n{done.stderr}")
    seconds = json.loads(done.stdout)["seconds"] * scaled_to / count
    ideal = scaled_to * LATENCY / SLOTS
    return row(f"Pool(25), scaled from {count}", scaled_to, seconds, ideal, server)


def row(name: str, count: int, seconds: float, ideal: float, server: Emulator) -> list[str]:
    """Return a row of the table, and print it for those who wait."""
    stats = server.stats()
    refused = stats["by_status"].get("429", 0) / max(1, stats["requests"])
    cells = [name, str(count), f"{seconds:.1f}", f"{ideal:.1f}", f"{ideal / seconds:.2f}"]
    cells += [f"{seconds / ideal:.2f}", f"{refused:.1%}", str(stats["peak_in_flight"])]
    print("  " + ", ".join(cells), flush=True)
    return cells


if __name__ == "__main__":
    main()
