"""What the tests under fire share: a bed, items, the plan, a script to kill, and the inspection.

The inspection reads the folder with pyarrow, NumPy and rasterio alone, lest it believe what it
tests. As a program, this is a user's script: ``python fire.py URL PROJECT ITEMS OUT WHERE``, where
WHERE is ``own`` (a cluster in the script's process) or ``processes`` (a LocalCluster).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import distributed
import ee
import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import rasterio
from ee import _state
from google.auth.credentials import AnonymousCredentials

import eedask
from eedask.emulator import Emulator
from eedask.errors import RunStopped

ASSET = "projects/eedask-tests/assets/noise"
CRS, PIXEL, SIDE, CHIP = "EPSG:32614", 5.0, 500, 8
LEFT, TOP = 500_000.0, 4_700_000.0
# Enough tries for every fault that a seed deals out, and no long waits.
PATIENT = eedask.RetryPolicy(tries=30, delay=0.05, max_delay=0.5, jitter=(0.0, 0.05))
SLOTS = 16
HOW_TO_RESUME = r"(?is)again\s.*to (go on|resume)|to resume"
# Of a run that cannot succeed: what may be sent before that is noticed.
FEW = 150


# The bed: an emulator, a raster without two chips alike, and work items on it.


def write_noise(path: Path) -> Path:
    """Write the raster of which all chips are cut."""
    pixels = np.random.default_rng(8).integers(1, 2**16, (SIDE, SIDE), dtype=np.uint16)
    transform = rasterio.Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP)
    profile = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", crs=CRS, transform=transform, **profile) as file:
        file.write(pixels, 1)
    return path


@dataclass
class Bed:
    """A running emulator and the raster that it serves."""

    emulator: Emulator
    raster: Path

    @property
    def chips_asked(self) -> int:
        """Requests for chips that the emulator met; not the one about the image's bands."""
        by_method = self.emulator.stats()["by_method"]
        return int(by_method.get("projects.image.computePixels", 0))


@contextlib.contextmanager
def running_bed(folder: Path) -> Iterator[Bed]:
    """Start the emulator."""
    raster = write_noise(folder / "noise.tif")
    with Emulator(mounts={ASSET: raster}, processes=1, seed=11) as emulator:
        yield Bed(emulator, raster)


@contextlib.contextmanager
def made_new(bed: Bed, latency: float = 0.05) -> Iterator[Bed]:
    """Take back what an earlier test set, and initialise the ``ee`` client."""
    bed.emulator.set_faults(None)
    bed.emulator.set_quotas(latency=latency, concurrency=None, rate=None)
    wait_until(lambda: bed.emulator.stats()["in_flight"] == 0)
    bed.emulator.reset_stats()
    with initialized(bed.emulator.url, bed.emulator.project):
        yield bed


@contextlib.contextmanager
def initialized(url: str, project: str) -> Iterator[None]:
    """Initialise the ``ee`` client."""
    ee.Initialize(AnonymousCredentials(), url=url, project=project)
    try:
        yield
    finally:
        # The client leaves its session open, and open sockets are warnings in tests.
        if session := _state.get_state().requests_session:
            session.close()
        ee.Reset()


def make_items(count: int, seed: int) -> gpd.GeoDataFrame:
    """Return points whose chips lie within the raster; ``row``, ``column`` is the chip's corner."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, SIDE - CHIP, (2, count))
    # Off the pixels' centres and edges, so that no rounding decides on which side a chip falls.
    x = LEFT + (columns + CHIP / 2 + 0.2) * PIXEL
    y = TOP - (rows + CHIP / 2 + 0.2) * PIXEL
    return gpd.GeoDataFrame(
        {"row": rows, "column": columns},
        geometry=gpd.points_from_xy(x, y, crs=CRS),
        index=[f"i{k:05d}" for k in range(count)],
    ).to_crs("EPSG:4326")


def plan_of(items: gpd.GeoDataFrame, out: str | Path, **more: object) -> eedask.Plan:
    """Return the plan of one chip an item."""
    options = {"concurrency": SLOTS, "rate": None, "retry": PATIENT, "deadline": 30}
    options["partition_size"] = 25
    grid = {"shape": (CHIP, CHIP), "scale": PIXEL, "crs": CRS, "format": "npy"}
    return eedask.chips(items, ee.Image(ASSET), out=out, **grid, **{**options, **more})


@contextlib.contextmanager
def processes(workers: int) -> Iterator[distributed.Client]:
    """Start a cluster of worker processes with nannies, and a client of it."""
    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=4,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


# The inspection.


def flushed(out: Path) -> dict[str, object]:
    """Return the ids in the manifest's parts with the time each was finished.

    Raises if a part is not whole, or holds an id twice.
    """
    rows = []
    for part in sorted((out / "manifest").glob("part-*.parquet")):
        table = pq.read_table(part, columns=["id", "finished"])
        rows += zip(table["id"].to_pylist(), table["finished"].to_pylist(), strict=True)
    found = dict(rows)
    assert len(found) == len(rows), "the manifest holds an id twice"
    return found


def inspect(out: Path, items: gpd.GeoDataFrame, raster: Path) -> None:
    """See that every item has one row and one file with the pixels that rasterio reads."""
    rows = flushed(out)
    assert sorted(rows) == sorted(items.index)
    manifest = eedask.open_result(out).manifest
    assert list(manifest.index) == list(items.index)
    failed = manifest[manifest["status"] != "ok"]
    assert failed.empty, failed[["error_kind", "error"]].value_counts().to_string()
    inspect_files(out, manifest, raster)


def inspect_files(out: Path, manifest: gpd.GeoDataFrame, raster: Path) -> None:
    """See that the files are those of the manifest, none damaged, none too many."""
    with rasterio.open(raster) as source:
        pixels = source.read(1)
    wrong = []
    for row in manifest.itertuples():
        expected = pixels[row.row : row.row + CHIP, row.column : row.column + CHIP]
        chip = np.load(out / row.path)
        band = chip[chip.dtype.names[0]]
        if not np.array_equal(band, expected) or (out / row.path).stat().st_size != row.nbytes:
            wrong.append(row.Index)
    assert not wrong, f"files that hold something else: {wrong}"
    there = {path.relative_to(out).as_posix() for path in (out / "chips").rglob("*.*")}
    assert there == set(manifest["path"])
    assert not list(out.rglob("*.part"))


def check_kept(before: dict[str, object], out: Path) -> None:
    """See that rows which were flushed then are the same rows now: nobody fetched them again."""
    after = flushed(out)
    again = [id_ for id_, finished in before.items() if after[id_] != finished]
    assert not again, f"flushed, and fetched again: {again}"


@dataclass
class Figures:
    """What a situation cost; printed as one line."""

    name: str
    bed: Bed
    items: int
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = time.monotonic() - self.started

    @property
    def requests(self) -> int:
        """Requests for chips that the emulator met, those refused included."""
        return self.bed.chips_asked

    def line(self, more: str = "") -> str:
        """Return the line."""
        stats, requests = self.bed.emulator.stats(), self.requests
        faults = stats["faults"]
        spoiled = sum(faults.get(name, 0) for name in ("truncated", "wrong_bytes", "drip"))
        good = stats["by_status"].get("200", 0) - spoiled
        wasted = requests - self.items
        seconds = self.seconds or time.monotonic() - self.started
        return (
            f"{self.name}: {self.items} items, {requests} requests,"
            f" {wasted} wasted ({wasted / self.items:.1%}), {max(0, good - self.items)} items"
            f" repeated, peak {stats['peak_in_flight']} in flight, {seconds:.1f} s"
            + (f"; {more}" if more else "")
        )


def wait_until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.02)


def wait_until_quiet(bed: Bed) -> None:
    """Wait until nobody sends anything: what was under way is at its end, and counted."""
    seen = [-1]

    def is_quiet() -> bool:
        stats = bed.emulator.stats()
        last, seen[0] = seen[0], stats["requests"]
        time.sleep(0.3)
        return stats["in_flight"] == 0 and last == seen[0]

    wait_until(is_quiet)


def run_to_the_end(plan: eedask.Plan, runs: int) -> int:
    """Run a plan, again where a run stops; return how many runs it took."""
    for number in range(1, runs):
        try:
            plan.run(progress=False)
        except RunStopped:
            continue
        return number
    plan.run(progress=False)
    return runs


def resume(bed: Bed, items: gpd.GeoDataFrame, out: Path) -> str:
    """Run the plan again, see that it fetches what was not flushed and no more, and say so."""
    wait_until_quiet(bed)
    before, requests = flushed(out), bed.chips_asked
    plan_of(items, out).run(progress=False)
    fetched = bed.chips_asked - requests
    assert fetched == len(items) - len(before)
    check_kept(before, out)
    inspect(out, items, bed.raster)
    return f"{len(before)} rows flushed when it stopped, {fetched} fetched by the resume"


def bound_by_modes() -> tuple[str, ...]:
    """Return the command through which a program has to keep to the modes of files.

    Nothing for an ordinary user; root has to give up the power to pass over them.
    """
    if os.geteuid():
        return ()
    powers = "-dac_override,-dac_read_search"
    return ("setpriv", f"--inh-caps={powers}", f"--bounding-set={powers}", "--")


# Those who shoot.


class Killer(threading.Thread):
    """Kills workers of a LocalCluster at random, seeded times while the context lasts.

    Parameters
    ----------
    cluster : LocalCluster
    out : Path
        Of the run; what is flushed is noted before each kill.
    times : (float, float)
        Seconds between kills.
    kills : int
    everyone : bool
        Whether all workers die at once, not just one.
    """

    def __init__(
        self,
        cluster: distributed.LocalCluster,
        out: Path,
        times: tuple[float, float],
        kills: int,
        everyone: bool = False,
    ) -> None:
        super().__init__()
        self.kills = 0
        self.flushed: list[dict[str, object]] = []
        self._cluster, self._out, self._times = cluster, out, times
        self._workers = len(cluster.workers)
        self._most, self._everyone = kills, everyone
        self._random = random.Random(4)
        self._over = threading.Event()

    def run(self) -> None:
        wait_until(lambda: flushed(self._out) or self._over.is_set(), 60)
        while not self._over.wait(self._random.uniform(*self._times)):
            pids = [nanny.pid for nanny in self._cluster.workers.values() if nanny.pid]
            if not pids:
                # A nanny whose worker is killed while it starts gives up, after the last kill too.
                # Who runs a cluster starts another then.
                self._cluster.scale(self._workers)
            elif self.kills < self._most:
                self._kill(pids)

    def _kill(self, pids: list[int]) -> None:
        self.flushed.append(flushed(self._out))
        for pid in pids if self._everyone else [self._random.choice(pids)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills += 1

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def check_kept(self) -> None:
        """See that nothing was fetched again which was flushed before a kill."""
        for before in self.flushed:
            check_kept(before, self._out)


class Script:
    """A user's script in a session of its own, as a terminal gives it; ended with the context.

    Parameters
    ----------
    bed : Bed
    items : GeoDataFrame
    out : Path
    where : str
        See the module.
    through : sequence of str
        A command that starts it.
    """

    def __init__(
        self,
        bed: Bed,
        items: gpd.GeoDataFrame,
        out: Path,
        where: str,
        through: Sequence[str] = (),
    ) -> None:
        self._out = out
        table = out.with_name(f"{out.name}-items.parquet")
        items.to_parquet(table)
        arguments = [bed.emulator.url, bed.emulator.project, str(table), str(out), where]
        self.process = subprocess.Popen(
            [*through, sys.executable, __file__, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, rows: int) -> None:
        """Wait until so many rows are flushed."""

        def are_there() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the script ended early: {self.process.communicate()[0]}")
            return len(flushed(self._out)) >= rows

        # A script imports much and starts a cluster, which takes long on a busy machine.
        wait_until(are_there, 90)

    def signal_all(self, number: int) -> None:
        """Send a signal to the script and all that it started, as Ctrl-C in a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal_all(signal.SIGKILL)
        self.process.communicate()


def main() -> None:
    url, project, table, out, where = sys.argv[1:]
    ee.Initialize(AnonymousCredentials(), url=url, project=project)
    cluster = processes(2) if where == "processes" else contextlib.nullcontext()
    # A CRS that went through a file is written otherwise than one given by its code.
    items = gpd.read_parquet(table).set_crs("EPSG:4326", allow_override=True)
    with cluster:
        print(plan_of(items, out).run(progress=False).summary())


if __name__ == "__main__":
    main()
