"""Every error that eedask raises.

::

    EedaskError
    ├── InputError (also ValueError)       what was asked cannot be done
    │   ├── ItemsError                     the work items: duplicate ids, no geometry, no crs …
    │   ├── SizeError                      a request, or a chip, would be too large
    │   └── FunctionError                  the user's function fails on an item
    ├── TraceError                         a function cannot be traced; it is called per item
    ├── NoImageError                       an item has no image, or several
    ├── OutsideError                       an item's image does not meet the region
    ├── DatasetError                       the output folder holds something else, or is damaged
    ├── RunStopped                         a run ended early; the dataset can be resumed
    └── RequestError                       one exchange with Earth Engine went wrong; see ``kind``
        ├── QuotaError          "quota"            too many requests: slow down, try again
        ├── TransientError      "transient"        a fault that passes: try again
        ├── TooLargeError       "too_large"        a smaller request would succeed
        ├── PermanentError      "permanent"        the same request can never succeed
        ├── AuthorizationError  "authorization"    no request succeeds before the login is mended
        └── BudgetError         "budget"           the project's compute budget is used up
"""

from __future__ import annotations

import copy
from typing import ClassVar, Literal, Self

# Why a smaller request may succeed where one failed. All but "answer" are read from the words of
# Earth Engine's refusal.
Cause = Literal[
    "answer",  # an answer about several items was, again and again, not what was asked for
    "capacity",  # Earth Engine had too few free machines, or too little free memory
    "memory",  # the computation needed too much memory
    "time",  # the computation took too long
    "output",  # the computed pixels were too large, before they are encoded as a file
    "request size",  # too many bytes of pixels were asked for
    "grid side",  # too many rows or columns of pixels were asked for
    "payload",  # the body of the request, which is mostly the expression, had too many bytes
    "elements",  # a collection inside the expression had too many elements
    "value",  # a value computed inside the expression was too large
    "region pixels",  # a reduction inside the expression had a region of too many pixels
]


def printable(text: str) -> str:
    r"""Return a text from outside as one line that is safe to print on a terminal.

    Control characters, marks that turn the direction of writing, and halves of surrogate pairs
    (which cannot be encoded for a file) become escapes such as ``\x1b``.
    """
    line = text if text.isprintable() else " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)


class EedaskError(Exception):
    """The base class of all errors that eedask raises.

    Attributes
    ----------
    kind : str
        What the manifest's column ``error_kind`` holds for an item that failed with this error.
    """

    kind: ClassVar[str] = "input"

    def of(self, what: str) -> Self:
        """Return a copy of the error whose message begins with ``what``, such as an item's role."""
        error = copy.copy(self)
        error.args = (f"{what}: {self.args[0]}", *self.args[1:])
        return error


class InputError(EedaskError, ValueError):
    """An argument, or an item, cannot be used as it is."""


class ItemsError(InputError):
    """The work items cannot be used as they are."""


class SizeError(InputError):
    """A request would be larger than Earth Engine accepts, or a chip than can be put together."""


class FunctionError(InputError):
    """The user's function raises an error for an item, or returns what cannot be encoded."""


class TraceError(EedaskError):
    """A user's function needs the real values of an item, so that it cannot be traced.

    Users do not see this error: the function is then called for each item on the workers, and
    ``plan.notes`` says why.
    """


class NoImageError(EedaskError):
    """An item has no image, as its collection is empty for it, or has several."""

    kind = "no_image"


class OutsideError(EedaskError):
    """An item's image does not meet the region, so that no pixels of it are fetched."""

    kind = "outside"


class DatasetError(EedaskError):
    """The output folder cannot be used or read."""


class RunStopped(EedaskError):
    """A run ended before all items were done. Results so far are kept; run again to resume."""


class RequestError(EedaskError):
    """One exchange with Earth Engine did not give what was asked for.

    Parameters
    ----------
    message : str
        Earth Engine's own words where it answered; otherwise what went wrong. It is kept as
        :func:`printable` returns it.
    status : int, optional
        HTTP status, if there was an answer.
    retry_after : float, optional
        Seconds that the answer asked to wait before the next try.
    """

    def __init__(
        self, message: str, status: int | None = None, retry_after: float | None = None
    ) -> None:
        # All arguments go up, so that the error survives pickling between Dask workers.
        super().__init__(printable(message), status, retry_after)
        self.status = status
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """What went wrong, without the status."""
        return str(self.args[0])

    def __str__(self) -> str:
        return self.message if self.status is None else f"HTTP {self.status}: {self.message}"


class QuotaError(RequestError):
    """The project's requests come too fast or too many at once."""

    kind = "quota"


class TransientError(RequestError):
    """A fault of the network or of Earth Engine that may not happen again at the next try.

    Parameters
    ----------
    message, status, retry_after
        As of :class:`RequestError`.
    cause : {"capacity", "time", "answer"}, optional
        Why smaller requests may succeed if this one fails again; None if they would not.
        "capacity": Earth Engine had too few free machines, or too little memory. "time": it did
        not answer in time. "answer": it answered a request about several items with something
        else than was asked for, which may be because of one of these items.
    """

    kind = "transient"

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        cause: Literal["capacity", "time", "answer"] | None = None,
    ) -> None:
        super().__init__(message, status, retry_after)
        self.cause = cause


class TooLargeError(RequestError):
    """The computation or its answer is too large; a request for a part of it may succeed.

    Parameters
    ----------
    message, status, retry_after
        As of :class:`RequestError`.
    cause : Cause, optional
        What was too large; None if the message does not say.
    asked : int, optional
        The size that the request had, if the message states it: bytes for "request size".
    allowed : int, optional
        The largest size that is allowed, if the message states it: bytes for "request size" and
        "payload", pixels for "grid side" and "region pixels", elements for "elements".
    """

    kind = "too_large"

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        cause: Cause | None = None,
        asked: int | None = None,
        allowed: int | None = None,
    ) -> None:
        super().__init__(message, status, retry_after)
        # Pickling keeps attributes by itself.
        self.cause = cause
        self.asked = asked
        self.allowed = allowed


class PermanentError(RequestError):
    """Earth Engine refuses the request, and would refuse the same request again."""

    kind = "permanent"


class AuthorizationError(RequestError):
    """The credentials or the project are not accepted."""

    kind = "authorization"


class BudgetError(RequestError):
    """The project's compute budget (EECU) is used up."""

    kind = "budget"
