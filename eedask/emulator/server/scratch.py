"""Makes the temporary folder of a running emulator, and removes those that killed ones have left.

An emulator removes its folder when it ends, but cannot do so if it is killed. Therefore each
emulator, when it starts, removes the folders whose emulators are gone. A running emulator holds a
lock on a file in its folder, which the operating system releases however the process ends.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "eedask-emulator-"
# The file that is locked, and what it is called until it is.
LOCK, _UNLOCKED = "running", "starting"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for this process, remove those of processes that are gone, and yield it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made, contextlib.ExitStack() as held:
        folder = Path(made)
        if sys.platform != "win32":  # which has no such locks
            (folder / _UNLOCKED).touch()
            held.enter_context(_locked(folder / _UNLOCKED))
            # Only now: a file of this name without a lock has no owner any more.
            (folder / _UNLOCKED).rename(folder / LOCK)
            _sweep(folder.parent)
        yield folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file; raise OSError if it is not there, or another process has it."""
    import fcntl

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _sweep(where: Path) -> None:
    for lock in where.glob(f"{PREFIX}*/{LOCK}"):
        # Others' folders, those in use, and those that another emulator removes just now.
        with contextlib.suppress(OSError), _locked(lock):
            shutil.rmtree(lock.parent)
