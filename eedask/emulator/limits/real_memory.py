"""What a render process may really hold, as a last resort beside what is counted.

What requests hold is counted as they compute (see :mod:`~eedask.emulator.limits.metering`), and not
all that is allocated on the way is. The system refuses what is far beyond it, which Python raises
as ``MemoryError``: the request then ends as others do that need too much memory.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# A request may really take so many times what it may hold by the count, for what it makes on the
# way, and so many bytes more, for what is loaded when it is first needed.
FACTOR, ROOM = 4, 256 * 2**20

_DATA = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)


def allow(memory: int) -> None:
    """Let this process take so much more memory than it has now; only Linux can be told that.

    Parameters
    ----------
    memory : int
        Bytes that the request which is to come may hold.
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
