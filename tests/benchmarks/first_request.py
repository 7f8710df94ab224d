"""How long a newcomer waits: for the import, for a run's first request, for some hundred chips.

    python tests/benchmarks/first_request.py [--repeats 3] [--items 300 1500]

Each figure is of a fresh interpreter, against an emulator that is already up, which answers 40
requests at once, each in 0.1 s, with a constant chip; requests a second are not limited. Rows:

- *import*: seconds of ``import eedask``, and of looking up ``eedask.chips``, which imports Dask,
  ``ee`` and geopandas;
- *first request*: seconds from ``plan.run()`` to the first request, on Dask's threads and on a
  cluster that the run starts for itself;
- *chips*: seconds of the whole script, imports included, with eedask and with cubexpress (40
  threads), if that is installed (``pip install cubexpress``, best in an environment of its own).

The shortest of the repeats counts, as everything else on a machine only makes them longer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import time
from importlib.util import find_spec

import bench

from eedask.emulator import Emulator

SLOTS, LATENCY_S = 40, 0.1

_START = """
    import json, sys, time
    began = time.monotonic()
    url, project, place, count, out = sys.argv[1:]
    count = int(count)
    import ee, numpy as np
    from google.auth.credentials import AnonymousCredentials
    ee.Initialize(AnonymousCredentials(), url=url, project=project)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-104, -98, count), rng.uniform(36, 42, count)
    image = ee.Image.constant([1, 2, 3]).toByte()
"""

EEDASK = (
    """
    import sys, time
    began = time.monotonic()
    import eedask
    imported = time.monotonic()
    eedask.chips
    looked_up = time.monotonic()
"""
    + _START.replace("began", "started")
    + """
    import dask, geopandas as gpd
    from eedask.earthengine.connection import Connection
    if place == "threads":
        dask.config.set(scheduler="threads")
    items = gpd.GeoDataFrame(geometry=gpd.points_from_xy(x, y), crs="EPSG:4326")
    plan = eedask.chips(items, image, out=out, shape=(8, 8), scale=1, crs="EPSG:5070",
                        format="npy", rate=None)
    sent, send = [], Connection.send
    def timed(*arguments, **options):
        sent.append(time.monotonic())
        return send(*arguments, **options)
    Connection.send = timed
    run = time.monotonic()
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all()
    print(json.dumps({"import": imported - began, "chips": looked_up - imported,
                      "first": sent[0] - run, "whole": time.monotonic() - began}))
"""
)

CUBEXPRESS = (
    _START
    + """
    import cubexpress
    from pyproj import Transformer
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:5070", always_xy=True).transform(x, y)
    bands = ("constant_0", "constant_1", "constant_2")
    rows = [
        cubexpress.RequestRow(
            f"c{k}",
            cubexpress.RasterTransform(
                crs="EPSG:5070", translate_x=east[k], translate_y=north[k],
                scale_x=1.0, scale_y=-1.0, width=8, height=8,
            ),
            image,
            bands,
        )
        for k in range(count)
    ]
    table = cubexpress.RequestTable(rows=rows)
    result = cubexpress.express(table, out, nworkers=40, verbose=False)
    assert not result.failed and len(result.paths) == count
    print(json.dumps({"whole": time.monotonic() - began}))
"""
)


def timed(script: str, server: Emulator, place: str, count: int) -> dict[str, float]:
    """Run a script in an interpreter of its own; return the seconds that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", textwrap.dedent(script), server.url, server.project]
        command += [place, str(count), f"{folder}/out"]
        started = time.monotonic()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        # What an interpreter takes to start and to end is waited for as well.
        return {**found, "whole": time.monotonic() - started}


def best(repeats: int, script: str, server: Emulator, place: str, count: int) -> dict[str, float]:
    """Return the shortest of each of the seconds."""
    runs = [timed(script, server, place, count) for _ in range(repeats)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--items", type=int, nargs="+", default=[300, 1500])
    options = parser.parse_args()
    print(bench.machine())
    rows: list[tuple[str, str]] = []
    with Emulator(processes=1, concurrency=SLOTS, latency=LATENCY_S) as server:
        few = options.items[0]
        for place in ("threads", "own cluster"):
            found = best(options.repeats, EEDASK, server, place, few)
            if not rows:
                rows += [("import eedask", f"{found['import']:.2f}")]
                rows += [("eedask.chips, looked up", f"{found['chips']:.2f}")]
            rows += [(f"run() to first request, {place}", f"{found['first']:.2f}")]
        for count in options.items:
            found = best(options.repeats, EEDASK, server, "own cluster", count)
            rows += [(f"{count} chips, eedask", f"{found['whole']:.1f}")]
            if find_spec("cubexpress"):
                found = best(options.repeats, CUBEXPRESS, server, "", count)
                rows += [(f"{count} chips, cubexpress with 40 threads", f"{found['whole']:.1f}")]
    bench.table(("what", "seconds"), rows)
    if not find_spec("cubexpress"):
        print("cubexpress is not installed: its rows are left out")


if __name__ == "__main__":
    main()
