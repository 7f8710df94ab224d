"""What watching a run costs its scheduler: the share of a core at 100 requests a second.

    python tests/benchmarks/watching.py [--seconds 20] [--rate 110]

A run of small chips goes on at that rate on two worker processes, and a thread asks for
``/eedask/status.json`` and ``/metrics`` once a second. The scheduler lives in this process; the CPU
time of its thread is taken around what watching does there: the messages of the workers, the two
answers (Dask's own metrics left out), and one open page, brought up to date once a second.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed
import requests
from bench import constant_chips, emulator, machine, points, table
from bokeh.document import Document

from eedask.watching import metrics, page
from eedask.watching.http import _Status
from eedask.watching.scheduler_plugin import PLUGIN, WatchingPlugin

SPENT: defaultdict[str, float] = defaultdict(float)
CALLS: defaultdict[str, int] = defaultdict(int)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    # A run keeps a little below its rate.
    parser.add_argument("--rate", type=float, default=110)
    args = parser.parse_args()
    print(machine())
    WatchingPlugin.log_event = metered("messages", WatchingPlugin.log_event)
    _Status.get = metered("status.json", _Status.get)
    collect = metrics._COLLECTOR.collect
    metrics._COLLECTOR.collect = metered("metrics", lambda: list(collect()))
    with (
        emulator(latency=0.1, processes=1),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=4, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster),
        tempfile.TemporaryDirectory() as folder,
    ):
        items = points(int(args.seconds * args.rate))
        plan = constant_chips(items, Path(folder, "out"), concurrency=40, rate=args.rate)
        over = threading.Event()
        asking = threading.Thread(target=ask, args=[cluster, over])
        asking.start()
        stats = plan.run(progress=False).stats
        # Without what a run takes to begin and to end.
        took = (stats["ended"].max() - stats["started"].min()).total_seconds()
        over.set()
        asking.join()
    print(f"{len(items) / took:.1f} requests a second, {took:.0f} s")
    rows = [[what, CALLS[what], share(spent, took)] for what, spent in SPENT.items()]
    rows.append(["without the page", "", share(sum(SPENT.values()) - SPENT["open page"], took)])
    rows.append(["all", "", share(sum(SPENT.values()), took)])
    table(["what", "calls", "% of a core"], rows)


def metered(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that adds its CPU time to that of ``what``."""

    @functools.wraps(call)
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return call(*args, **kwargs)
        finally:
            SPENT[what] += time.thread_time() - started
            CALLS[what] += 1

    return timed


def ask(cluster: distributed.LocalCluster, over: threading.Event) -> None:
    """Ask for everything once a second, and keep one page open."""
    home = f"http://127.0.0.1:{cluster.scheduler.http_server.port}"
    opened: list[Callable[[], None]] = []
    while not over.wait(1):
        plugin = cluster.scheduler.plugins.get(PLUGIN)
        if plugin is None:
            continue
        for path in ("/eedask/status.json", "/metrics"):
            requests.get(f"{home}{path}", timeout=60).raise_for_status()
        if not opened:
            document = Document()
            page._page(plugin, cluster.scheduler, {"pages": [], "plots": []}, document)
            (callback,) = document.session_callbacks
            opened.append(metered("open page", callback.callback))
        cluster.scheduler.loop.add_callback(opened[0])


def share(spent: float, took: float) -> str:
    """Return CPU time as a percentage of wall time."""
    return f"{100 * spent / took:.2f}"


if __name__ == "__main__":
    main()
