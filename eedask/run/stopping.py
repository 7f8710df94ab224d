"""When a run is not worth going on with: one process's view of it."""

from __future__ import annotations

import re
import threading

from eedask.errors import AuthorizationError, BudgetError, DatasetError, RunStopped

# So many first items that all fail for the same reason are taken for all others as well.
ALIKE = 50
# What would fail again, whatever the item.
_HOPELESS = ("permanent", "input", "unexpected")
# Ids and figures differ between messages that say the same.
_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")


# What is nobody's item's fault and stands in the way of all of them.
STOPPING = (AuthorizationError, BudgetError, DatasetError, RunStopped)

_AUTHORIZATION = (
    "Earth Engine does not accept the credentials or the project: {error}. Then run the same plan"
    " again to go on"
)
_BUDGET = (
    "the project's compute budget is used up ({error}). Run the same plan again, to go on, when it"
    " is renewed"
)


def reason_to_stop(error: Exception) -> str:
    """Return what to tell the user of an error that ends a run, and what to do about it."""
    if isinstance(error, AuthorizationError):
        return _AUTHORIZATION.format(error=error)
    if isinstance(error, BudgetError):
        return _BUDGET.format(error=error)
    return str(error)


class Verdict:
    """Hears of every item, and says when to stop.

    Parameters
    ----------
    first : bool
        Whether the items are the first of their dataset: if others went well before, or were
        found to fail and are tried again all the same, many failures are no sign that all fail.

    Attributes
    ----------
    reason : str, optional
        Why the run is to stop; None while it goes on.
    """

    def __init__(self, *, first: bool = True) -> None:
        self.reason: str | None = None
        self._alike = 0
        self._pattern: str | None = None
        self._open = first
        self._lock = threading.Lock()

    def stop(self, reason: str) -> None:
        """Stop; the first reason stays."""
        with self._lock:
            self.reason = self.reason or reason

    def hear(self, kind: str | None, error: str | None) -> str | None:
        """Count an item's end; return why to stop, if the first items all failed alike.

        Parameters
        ----------
        kind, error : str, optional
            Of a failed item.
        """
        with self._lock:
            if not self._open:
                return None
            pattern = f"{kind}: {_DETAILS.sub('…', error or '')}"
            self._open = kind in _HOPELESS and self._pattern in (None, pattern)
            self._pattern = pattern
            self._alike += 1
            if not self._open or self._alike < ALIKE:
                return None
            self._open = False
        return (
            f"the first {self._alike} items all failed alike, so the run was stopped: {error}."
            " Mend the plan; to try these items all the same, run it with retry_failed=True"
        )
