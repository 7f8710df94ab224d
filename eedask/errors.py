"""Every error that eedask raises.

::

    EedaskError
    ├── InputError (also ValueError)       what was asked cannot be done
    │   ├── ItemsError                     the work items: duplicate ids, no geometry, no crs …
    │   ├── SizeError                      a chip is larger than Earth Engine answers
    │   └── FunctionError                  a function of an item fails on it
    ├── TraceError                         a function cannot be traced; it is built per item
    ├── NoImageError                       an item has no image, or several
    ├── OutsideError                       an item's image does not meet the region
    ├── DatasetError                       the output folder holds something else, or is damaged
    ├── RunStopped                         a run ended early; the dataset can be resumed
    └── RequestError                       one exchange with Earth Engine went wrong; see ``kind``
        ├── QuotaError          "quota"            too many requests: slow down, try again
        ├── TransientError      "transient"        a fault that passes: try again
        ├── TooLargeError       "too_large"        a smaller request would succeed
        ├── PermanentError      "permanent"        the same request can never succeed
        ├── AuthorizationError  "authorization"    nobody's request will succeed until it is mended
        └── BudgetError         "budget"           the project's compute budget is used up
"""

from __future__ import annotations

import copy
from typing import ClassVar, Literal, Self

# What was too large about a request: by the words of Earth Engine's refusal, but for "answer".
Cause = Literal[
    "answer",  # to several items, which stays another than what was asked for
    "capacity",  # that Earth Engine could spare
    "memory",  # that the computation needed
    "time",  # that the computation needed
    "output",  # of the computation, before it is encoded
    "request size",  # bytes of the pixels that were asked for
    "grid side",  # rows or columns that were asked for
    "payload",  # bytes of the request itself, that is of the expression
    "elements",  # of a collection inside the expression
    "value",  # computed inside the expression
    "region pixels",  # of a reduction inside the expression
]


def printable(text: str) -> str:
    r"""Return words from outside on one line, with nothing in them that acts on a terminal.

    Control characters, marks that turn the direction of writing, and halves of surrogate pairs
    (which cannot be encoded for a file) become escapes such as ``\x1b``.
    """
    line = text if text.isprintable() else " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)


class EedaskError(Exception):
    """The root of eedask's errors; ``kind`` is the manifest's ``error_kind`` of an item's error."""

    kind: ClassVar[str] = "input"

    def of(self, what: str) -> Self:
        """Return the same error, with a message that begins with what it is about."""
        error = copy.copy(self)
        error.args = (f"{what}: {self.args[0]}", *self.args[1:])
        return error


class InputError(EedaskError, ValueError):
    """An argument cannot be used, or a function of the user's fails on an item."""


class ItemsError(InputError):
    """The work items cannot be used as they are."""


class SizeError(InputError):
    """A request would be larger than Earth Engine answers."""


class FunctionError(InputError):
    """A function of an item raises an error, or gives what cannot be encoded."""


class TraceError(EedaskError):
    """A user's function needs an item's real value, so that it cannot be traced.

    It is then called for each item on the workers; users see the reason in ``plan.notes``.
    """


class NoImageError(EedaskError):
    """A collection has no image for an item, or more than one."""

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
        :func:`printable` has it.
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
    """A fault on the way or at Earth Engine that may be gone the next time.

    Parameters
    ----------
    message, status, retry_after
        As of :class:`RequestError`.
    cause : {"capacity", "time", "answer"}, optional
        Why smaller requests may succeed where this one goes on to fail, as far as one can tell.
        Earth Engine lacked memory or machines just then ("capacity"), or time to answer ("time");
        or it answered, but not what was asked of several items ("answer"), which may be because
        of one of them.
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
    """The computation or its answer is too large; a part of it would succeed.

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
    """Earth Engine refuses this very request; it would refuse it again."""

    kind = "permanent"


class AuthorizationError(RequestError):
    """The credentials or the project are not accepted."""

    kind = "authorization"


class BudgetError(RequestError):
    """The project's compute budget (EECU) is used up."""

    kind = "budget"
