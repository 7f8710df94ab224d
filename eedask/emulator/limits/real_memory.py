"""Limits the real memory of a render process, as a last resort.

The memory that a request holds is counted while it computes
(:mod:`~eedask.emulator.limits.metering`), but not everything that is allocated on the way is
counted. Therefore the operating system is told to refuse memory far beyond the count. Python then
raises ``MemoryError``, and the request ends like others that need too much memory.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The real memory that a request may take: this factor times the memory that it may hold by the
# count, for what it makes on the way, and so many bytes for modules and data that are loaded when
# they are first needed.
FACTOR, ROOM = 4, 256 * 2**20

_DATA = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)


def allow(memory: int) -> None:
    """Limit how much more memory this process may take than it has now. Only Linux can do this.

    Parameters
    ----------
    memory : int
        Bytes that the next request may hold by the count.
    """
    if sys.platform != "linux":
        return
    import resource

    if (has := _DATA.search(Path("/proc/self/status").read_text())) is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = int(has[1]) * 1024 + FACTOR * memory + ROOM
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
