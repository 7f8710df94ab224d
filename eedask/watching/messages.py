"""The message by which a client announces a run to the scheduler."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eedask.errors import InputError, printable

# The user in a URL such as ftp://name:password@host/folder.
_USER = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True)
class Beginning:
    """What is known of a run when it begins.

    Attributes
    ----------
    run_id, verb, out : str
        The run, its verb, and the folder that it fills. A user name and password in its URL are
        left out: everybody may read the dashboard.
    quota : str
        The key of the quota that its requests count against.
    total : int
        Items of the run.
    done, failed : int
        Items that are done already, and those of them that failed.
    is_bag : bool
        Whether the run is a bag: it begins when the user computes it, and ends with its last item.
    points : tuple of (mark, longitude, latitude)
        The items that the map shows, see :mod:`eedask.watching.map_sample`; degrees.
    max_eecu_s : float, optional
        EECU-seconds that the run may use.
    """

    run_id: str
    verb: str
    out: str
    quota: str
    total: int
    done: int = 0
    failed: int = 0
    is_bag: bool = False
    points: tuple[tuple[int, float, float], ...] = ()
    max_eecu_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", printable(_USER.sub("", self.out)))
        if not 0 <= self.failed <= self.done <= self.total:
            raise InputError(f"a run has total >= done >= failed >= 0 items; got {self}")
