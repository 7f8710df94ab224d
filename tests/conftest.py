"""One emulator for the session, with rasters that the tests made themselves and know."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dask
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import real_data
from ee import _state
from hypothesis import settings
from mounted import FIELD, SCENE, SERIES, write
from places import points_in

from eedask.earthengine.connection import Connection
from eedask.emulator import Emulator
from eedask.quota.scheduler_plugin import OWNERS

# Clusters of the tests hang with it now and then where eedask has not stopped it yet: see
# eedask/run/profiler.py. The variable is for worker processes and scripts.
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"
dask.config.set({"distributed.worker.profile.enabled": False})

# Where the tests run in the background, a shell has interrupts ignored, and so would all processes
# that the tests start to interrupt them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine than of the code: tests have time limits. Those
# for which 25 examples are few say so themselves.
settings.register_profile("eedask", deadline=None, max_examples=25)
settings.load_profile("eedask")


BEFORE = pytest.StashKey[set[str]]()

# Left out where there is no real data; the report's head says so.
collect_ignore = [] if real_data.folder() else ["tables/test_real_tables.py"]


def pytest_report_header() -> str:
    """Say whether the tests on real data are there."""
    return real_data.report()


def _entries() -> set[str]:
    """What lies in the current folder, caches left out."""
    return {path.name for path in Path.cwd().iterdir() if path.name[0] not in "._"}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what lies in the current folder before the tests."""
    session.config.stash[BEFORE] = _entries()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if tests have left files there."""
    if left := _entries() - session.config.stash[BEFORE]:
        print(f"\ntests have left {sorted(left)} in {Path.cwd()}: they write to tmp_path alone")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases of crosses as slow that are not quick."""
    seen: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("cross")
        if mark is None or item.get_closest_marker("slow") is not None:
            continue
        test = item.nodeid.partition("[")[0]
        if seen[test] % mark.args[0]:
            item.add_marker("slow")
        seen[test] += 1


@pytest.fixture
def tell(capsys):
    """Print past pytest's capture, so that the figures stand in the test's output."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n  fire: {line}", end=" ")

    return tell


@pytest.fixture
def threads():
    """Runs without a client are on Dask's threads, in this process."""
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture
def sent(monkeypatch):
    """The bodies of all requests of this process, as JSON."""
    bodies = []
    plain = Connection.send

    def send(self, request, *slot):
        bodies.append(json.dumps(request.body))
        return plain(self, request, *slot)

    monkeypatch.setattr(Connection, "send", send)
    return bodies


@dataclass(frozen=True)
class Rasters:
    """The mounted files."""

    scene: Path
    field: Path
    series: Path


@pytest.fixture(scope="session")
def rasters(tmp_path_factory) -> Rasters:
    """Rasters whose every pixel differs, so that a shift by one is seen."""
    folder = tmp_path_factory.mktemp("rasters")
    made = Rasters(folder / "scene.tif", folder / "field.tif", folder / "series")
    rng = np.random.default_rng(3)
    # An origin off the multiples of the scale: alignment to the native grid must be real.
    transform = rasterio.Affine(5.0, 0.0, 500003.0, 0.0, -5.0, 4700001.0)
    scene = rng.integers(1, 255, (4, 300, 400), dtype=np.uint8)
    write(made.scene, scene, "EPSG:26914", transform, names=("R", "G", "B", "N"))
    field = rng.normal(280, 10, (2, 120, 150)).astype(np.float32)
    field[:, 40:60, 50:90] = -9999
    write(made.field, field, "EPSG:32614", rasterio.Affine(30, 0, 499005, 0, -30, 4701015), -9999)
    made.series.mkdir()
    for day in (1, 17, 33):
        layer = rng.integers(-2000, 10000, (1, 60, 80), dtype=np.int16)
        path = made.series / f"NDVI_2016_{day:03d}.tif"
        write(path, layer, "EPSG:32614", rasterio.Affine(250, 0, 495000, 0, -250, 4705000))
    return made


@pytest.fixture(scope="session")
def emulator(rasters) -> Iterator[Emulator]:
    """An emulator with the rasters mounted."""
    mounts = {SCENE: rasters.scene, FIELD: rasters.field, SERIES: rasters.series}
    # One process that renders: several of these emulators run beside each other.
    with Emulator(mounts=mounts, processes=1) as running:
        yield running


@pytest.fixture(scope="session")
def initialize(emulator) -> Iterator[Callable[[], None]]:
    """Initialise the ``ee`` client of this process on the emulator, unless it still is.

    That takes the client half a second, which is more than most tests do. It is reset when all
    tests have ended, and initialised anew after one that has left it changed.
    """
    with contextlib.ExitStack() as stack:
        known = None

        def initialize() -> None:
            nonlocal known
            if _state.get_state() != known:
                stack.close()
                stack.enter_context(emulator.initialized())
                known = dataclasses.replace(_state.get_state())

        yield initialize


@pytest.fixture
def earth_engine(emulator, initialize, monkeypatch) -> Emulator:
    """The ``ee`` client of this process, initialised on the emulator.

    What earlier tests have learned of the emulator's quota is forgotten.
    """
    monkeypatch.setattr(OWNERS, "_owners", {})
    monkeypatch.setattr(OWNERS, "_stated", set())
    initialize()
    return emulator


@pytest.fixture
def points(rasters) -> gpd.GeoDataFrame:
    """Forty points on the scene, some so near its edge that their chips reach beyond it."""
    names = np.where(np.arange(40) % 2, "odd", "even/…")
    frame = gpd.GeoDataFrame({"half": names}, geometry=points_in(rasters.scene, 40, seed=5))
    return frame.set_axis([f"p{k:02d}" for k in range(40)], axis=0).to_crs("EPSG:4326")
