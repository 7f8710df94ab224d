"""One run at a time in a folder: a lock with its owner's name, on local disks and in stores.

Each run puts a file of its own under ``.locks`` and then looks who else has one there: stores have
no operation that creates a file only if there is none, which fsspec offers for all of them. Who
finds another goes away again. The file is written anew every few seconds, so that one that a
crashed run has left is told by its age, and by nobody writing it while it is watched, as clocks may
be set; on the machine where that run was, by its process being gone.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from eedask.dataset.folder import Folder
from eedask.errors import DatasetError

LOCKS = ".locks"
# Seconds between two signs of life, and after which a run without any is taken for gone.
BEAT_S, STALE_S = 3.0, 20.0
# Signs of life that fail to come while a lock is watched which seems to be left over.
_WATCH = 2
# Of a folder that can be read, and not be written to.
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
# Seconds, at most, that one of two runs which have met waits before it looks once more.
_AGAIN_S = 1.0


@dataclass(frozen=True)
class Owner:
    """The process that holds a folder's lock, as the lock's file names it.

    Attributes
    ----------
    user, host : str
        Names of the user and the machine, for the message to other users.
    pid : int
        The process's number.
    machine : str
        Tells machines, and containers of one, apart: process numbers mean something within it.
    verb : str
        Of the plan.
    since : str
        When the run began, UTC.
    """

    user: str
    host: str
    pid: int
    machine: str
    verb: str
    since: str

    @property
    def is_gone(self) -> bool:
        """Whether it surely has ended; only known of this machine's processes."""
        return self.machine == _machine() and not _is_alive(self.pid)

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid}), {self.verb} since {self.since}"


@contextlib.contextmanager
def one_run(folder: Folder, verb: str, lost: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder's lock while the context lasts, so that no other run fills the folder.

    Parameters
    ----------
    folder : Folder
    verb : str
    lost : callable
        Is told, from another thread, if another run has taken the folder over, because this one
        gave no sign of life for a while: its machine was asleep, for instance.

    Raises
    ------
    DatasetError
        If another run is there; the message says whose.
    """
    mine = f"{LOCKS}/{uuid.uuid4().hex}.json"
    content = json.dumps(asdict(_owner(verb))).encode()
    try:
        _claim(folder, mine, content)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise DatasetError(
                f"out={folder.url!r} cannot be written to ({error}); choose a folder that can, or"
                " mend that and run again"
            ) from error
        # Where nothing can be written there is nothing to guard: all may be done already.
        yield
        return
    over = threading.Event()
    beat = threading.Thread(
        target=_beat, args=(folder, mine, content, over, lost), name="eedask-lock", daemon=True
    )
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join(BEAT_S)
        with contextlib.suppress(OSError):
            _give_up(folder, mine)


def _claim(folder: Folder, mine: str, content: bytes) -> None:
    """Put the lock there, and see that it is the only one."""
    if folder.is_file:
        raise DatasetError(f"out={folder.url!r} is a file; choose a folder")
    for attempt in (0, 1):
        folder.write(mine, content, sync=False)
        other = _other(folder, mine)
        if other is None:
            return
        _give_up(folder, mine)
        if attempt == 0:
            # The other may have come in the same moment, and goes away as well.
            time.sleep(random.uniform(0.2, _AGAIN_S))
    raise DatasetError(
        f"{folder.url} is in use by another run: {other}. Wait until it ends, or stop it, and run"
        f" again; a run that has crashed is taken over after {STALE_S:g} s. Or choose another"
        f" folder. If there is no such run, remove {folder.path(LOCKS)}"
    )


def _other(folder: Folder, mine: str) -> Owner | None:
    """Return who else is there and alive; remove what others have left."""
    now = folder.modified(mine)
    silent: dict[str, tuple[Owner, float]] = {}
    for name in folder.list(LOCKS):
        if name == mine:
            continue
        try:
            owner = Owner(**json.loads(folder.read(name)))
            # Both times are of the clock that the folder has, whatever the machines' own say.
            beat = folder.modified(name)
        except FileNotFoundError:  # it has ended just now
            continue
        except (ValueError, TypeError):  # nothing that a run writes
            folder.remove(name)
            continue
        if owner.is_gone:
            folder.remove(name)
        # The clock may have been set back since, or ahead within the last seconds.
        elif now is not None and beat is not None and abs(now - beat) > STALE_S:
            silent[name] = owner, beat
        else:
            return owner
    return _still_there(folder, silent)


def _still_there(folder: Folder, silent: dict[str, tuple[Owner, float]]) -> Owner | None:
    """Watch locks that seem to be left over; return an owner that lives, and remove the others."""
    until = time.monotonic() + _WATCH * BEAT_S
    while silent and time.monotonic() < until:
        time.sleep(BEAT_S / 10)
        for name, (owner, beat) in silent.items():
            with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
                if folder.modified(name) != beat:
                    return owner
    for name in silent:
        folder.remove(name)
    return None


def _beat(
    folder: Folder,
    mine: str,
    content: bytes,
    over: threading.Event,
    lost: Callable[[str], None],
) -> None:
    while not over.wait(BEAT_S):
        # A store that does not answer now may do so the next time.
        with contextlib.suppress(OSError):
            if not folder.exists(mine):
                lost(f"another run has taken {folder.url} over, as this one seemed to have ended")
                return
            if not over.is_set():
                folder.write(mine, content, sync=False)


def _give_up(folder: Folder, mine: str) -> None:
    folder.remove(mine)
    folder.remove_empty(LOCKS)


def _owner(verb: str) -> Owner:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        user = "somebody"
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    return Owner(user, socket.gethostname(), os.getpid(), _machine(), verb, since)


def _machine() -> str:
    """Return the host's name and, on Linux, what tells its starts and its containers apart."""
    known = [socket.gethostname()]
    with contextlib.suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(known)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # On Windows, os.kill would end the process. The age tells, too.
    with contextlib.suppress(OSError):
        # One that was killed and whose parent has not asked for its end is still in the list.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH  # else it is another user's
    return True
