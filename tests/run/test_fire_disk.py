"""Under fire: the disk is full or cannot be written to; the run stops, says why, and goes on."""

import errno
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import distributed
import pytest
from fire import (
    FEW,
    HOW_TO_RESUME,
    Figures,
    Script,
    bound_by_modes,
    flushed,
    made_new,
    make_items,
    plan_of,
    resume,
    running_bed,
    wait_until_quiet,
)

from eedask.dataset import folder as storage
from eedask.errors import EedaskError, RunStopped


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_bed(tmp_path_factory.mktemp("bed")) as bed:
        yield bed


@pytest.fixture
def bed(running):
    with made_new(running) as bed:
        yield bed


@pytest.fixture
def client():
    """A client of a worker in this process: what is pretended here holds there."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class Mounted:
    """A disk with little space."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self._folder = str(folder)
        size = ["-o", f"size={kilobytes}k"]
        self._run("mount", "-t", "tmpfs", *size, "eedask-tests", self._folder)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, capture_output=True, check=True)

    def grow(self) -> None:
        """Make room."""
        self._run("mount", "-o", "remount,size=64m", self._folder)

    def close(self) -> None:
        self._run("umount", self._folder)


class Pretended:
    """A disk that writes half of what has no room, and says so as the system does."""

    def __init__(self, folder: Path, kilobytes: int) -> None:
        self._left = kilobytes * 1024
        self._lock = threading.Lock()
        self._write = storage.write_whole
        storage.write_whole = self._until_full(self._write)

    def _until_full(self, write):
        def write_whole(path, data):
            with self._lock:
                # Files take whole blocks.
                self._left -= -(-len(data) // 4096) * 4096
                full = self._left < 0
            if full:
                write(path, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            return write(path, data)

        return write_whole

    def grow(self) -> None:
        """Make room."""
        storage.write_whole = self._write

    close = grow


@pytest.fixture(params=[Mounted, Pretended])
def small_disk(request, tmp_path):
    """A folder with room for a megabyte, and what can make more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        disk = request.param(folder, kilobytes=1024)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk cannot be mounted here; the pretended one is tested")
    yield folder, disk
    disk.close()


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(bed, small_disk, tell):
    folder, disk = small_disk
    items, out = make_items(500, seed=71), folder / "out"
    figures = Figures(f"full disk ({type(disk).__name__.lower()})", bed, len(items))
    with pytest.raises(RunStopped, match="No space left") as caught:
        plan_of(items, out).run(progress=False)
    stopped_s = time.monotonic() - figures.started
    assert re.search(HOW_TO_RESUME, str(caught.value))
    # What was fetched in vain since the disk was full.
    assert figures.requests - len(flushed(out)) <= FEW
    assert not list(out.rglob("*.part"))
    disk.grow()
    tell(figures.line(f"stopped after {stopped_s:.1f} s; {resume(bed, items, out)}"))


@pytest.mark.slow
@pytest.mark.parametrize("locked", ["chips", "manifest"])
def test_a_folder_that_the_user_may_not_write_to_stops_a_script(bed, tmp_path, tell, locked):
    items, out = make_items(400, seed=74), tmp_path / "out"
    plan_of(items, out).bag()  # lays the folder out, and sends nothing
    (out / locked).mkdir(mode=0o555)
    figures = Figures(f"{locked} without the right to write", bed, len(items))
    with Script(bed, items, out, "own", bound_by_modes()) as script:
        output, _ = script.process.communicate(timeout=120)
    assert script.process.returncode != 0
    assert re.search(f"RunStopped: .* cannot be written to .*Permission denied.*{locked}", output)
    assert re.search(HOW_TO_RESUME, output), output[-3000:]
    wait_until_quiet(bed)
    wasted = figures.requests
    assert 0 < wasted <= FEW
    (out / locked).chmod(0o755)
    assert not flushed(out), "rows of items that were never written"
    tell(figures.line(f"stopped after {wasted} requests; {resume(bed, items, out)}"))


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_told_before_anything_is_sent(bed, client, tmp_path):
    (tmp_path / "a-file").write_text("in the way")
    plan = plan_of(make_items(50, seed=72), tmp_path / "a-file" / "out")
    with pytest.raises((EedaskError, OSError), match="a-file"):
        plan.run(progress=False)
    assert bed.emulator.stats()["requests"] == 0


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_stops_the_run(bed, client, tmp_path, tell):
    items, out = make_items(400, seed=73), tmp_path / "out"
    plan = plan_of(items, out)
    plan.bag()  # lays the folder out, and sends nothing
    # Stops whoever writes, root too, on whom modes are lost.
    (out / "chips").write_text("in the way")
    figures = Figures("unwritable folder", bed, len(items))
    with pytest.raises(RunStopped, match="chips") as caught:
        plan.run(progress=False)
    wasted = figures.requests
    assert wasted <= FEW
    assert re.search(HOW_TO_RESUME, str(caught.value))
    (out / "chips").unlink()
    assert not flushed(out), "rows of items that were never written"
    tell(figures.line(f"stopped after {wasted} requests; {resume(bed, items, out)}"))
