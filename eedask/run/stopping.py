"""Decides, in one process, when a run is to be stopped before its end."""

from __future__ import annotations

import re
import threading

from eedask.errors import AuthorizationError, BudgetError, DatasetError, RunStopped

# If so many items fail at the start, all for the same reason, all others are expected to fail.
ALIKE = 50
# Kinds of errors that would come again with the same request.
_HOPELESS = ("permanent", "input", "no_image", "unexpected")
# Parts of a message that may differ although the reason is the same: ids and numbers.
_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")
# Characters of a message that are compared; to look for details takes quadratic time.
_COMPARED = 1000


# Errors that do not depend on the item: they stop the run.
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
    """Return the message for the user about an error that stops a run, with what to do."""
    if isinstance(error, AuthorizationError):
        return _AUTHORIZATION.format(error=error)
    if isinstance(error, BudgetError):
        return _BUDGET.format(error=error)
    return str(error)


class Verdict:
    """Counts how items end, and decides when the run is to be stopped.

    Parameters
    ----------
    first : bool
        Whether no item of the dataset was done before. If items have succeeded before, or failed
        ones are tried again, many failures do not show that all items fail.

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
        """Stop the run, for a reason; later reasons are not kept."""
        with self._lock:
            self.reason = self.reason or reason

    def hear(self, kind: str | None, error: str | None) -> str | None:
        """Count an item's end; return why to stop, if the first items all failed alike.

        Parameters
        ----------
        kind, error : str, optional
            Kind and message of a failed item's error; None for an item that succeeded.
        """
        with self._lock:
            if not self._open:
                return None
            pattern = f"{kind}: {_DETAILS.sub('…', (error or '')[:_COMPARED])}"
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
