"""What a verb's work is made of: jobs of one item or many, and what each item gets from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import Send
from eedask.earthengine.retry import Attempts
from eedask.grid import Transform
from eedask.items.item import WorkItem

Check = Callable[[bytes], None]


class Sender(Protocol):
    """What sends a job's requests: it waits for its turn, and tries again what may succeed.

    Safe to share between the threads that work on the job.
    """

    def send(self, request: Request, check: Check | None = None) -> bytes:
        """Return the body of the answer; ``check`` raises if it is not whole."""

    def ask(self, request: Request, check: Check | None = None) -> bytes:
        """Send what has to be known before the items' own requests, as :meth:`send` does.

        It is not counted among the attempts of the items.
        """

    def rest(self) -> None:
        """Give back the slot that the job was taken with: it waits for something else first."""

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Have threads of the process that become idle call ``work``, at most so many of them.

        It may be called late, or never if the run ends: it is help, nothing to wait for.
        """

    @property
    def sizes(self) -> Any:
        """Which sizes of requests work, as far as the run's jobs have learned in this process."""


@dataclass(frozen=True)
class File:
    """An item's image file, with where its pixels lie.

    Attributes
    ----------
    path : str
        Relative to the dataset.
    data : bytes
    height, width : int
        Rows and columns of its pixels.
    crs : str, optional
        As :class:`~eedask.grid.PixelGrid` has it; None if only Earth Engine knows it.
    transform : tuple of 6 floats, optional
        Likewise, from (column, row) to coordinates of the crs.
    """

    path: str
    data: bytes
    height: int
    width: int
    crs: str | None = None
    transform: Transform | None = None


@dataclass(frozen=True)
class Records:
    """An item's rows of the dataset's table.

    Attributes
    ----------
    rows : sequence of mapping
        Values by column; a column that a row lacks is null there.
    nbytes : int
        The item's share of the answer.
    """

    rows: Sequence[Mapping[str, Any]]
    nbytes: int = 0


# What an item gets: its result, or the error that stood in the way of it.
Outcome = File | Records | Exception


@dataclass
class Job:
    """Items that are asked for together.

    Attributes
    ----------
    items : tuple of WorkItem
    laid_out : object
        What of the work needs no request; an exception stands for what cannot be laid out.
    attempts : Attempts
        Requests that were sent for these items, those before a split included; not those of
        :meth:`Sender.ask`.
    elapsed_s : float
        Seconds that were spent on them before a split.
    """

    items: tuple[WorkItem, ...]
    laid_out: Any = None
    attempts: Attempts = field(default_factory=Attempts)
    elapsed_s: float = 0.0

    @property
    def label(self) -> str:
        """What the job is called in the log."""
        first = f"item {self.items[0].id!r}"
        return first if len(self.items) == 1 else f"{first} and {len(self.items) - 1} more"


class Task(Protocol):
    """The work of a verb."""

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""

    @property
    def needs_client(self) -> bool:
        """Whether the ``ee`` client is needed on the worker."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""

    @property
    def schema(self) -> pa.Schema | None:
        """The columns of the table that the work fills; None for files."""

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> Task:
        """Return the task with what had to be asked once, before any item.

        Parameters
        ----------
        send : Send
        items : sequence of WorkItem
            A few, as examples.

        Raises
        ------
        InputError
            If the answers show that the plan cannot work.
        RequestError
            If there are none.
        """

    def sizes(self) -> Any:
        """Return a new object in which a run's jobs in one process note which sizes work."""

    def jobs(self, items: Sequence[WorkItem]) -> Iterable[Job]:
        """Return the jobs of a partition's items; each item is in one of them."""

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Return what each item of a job gets; an error that is raised is that of all of them."""

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return smaller or lighter jobs that may succeed where this one failed; none if none."""
