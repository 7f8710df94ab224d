"""The interface between verbs and runs: a verb's task, its jobs, and the outcome of each item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.methods import Send
from eedask.earthengine.retry import Attempts
from eedask.errors import NoImageError
from eedask.expressions.compile import Expression
from eedask.grid import Transform
from eedask.items.item import WorkItem
from eedask.run.forecast import Bounds, Forecast
from eedask.run.request_pool import Split

Check = Callable[[bytes], None]


class Sender(Protocol):
    """Sends the requests of a job under the quota, with retries.

    Safe to share between the threads that work on the job.
    """

    def send(self, request: Request, check: Check | None = None) -> bytes:
        """Return the body of the answer. ``check`` raises if the body is not whole."""

    def ask(self, request: Request, check: Check | None = None) -> bytes:
        """Send what has to be known before the items' own requests, as :meth:`send` does.

        It is not counted among the attempts of the items.
        """

    def rest(self) -> None:
        """Give the job's slot back, before the job waits for something other than a request."""

    def recruit(self, work: Callable[[], None], hands: int) -> None:
        """Let up to ``hands`` idle threads of the process call ``work``.

        They may call it late, or never if the run ends, so nothing may wait for their help.
        """

    @property
    def sizes(self) -> Any:
        """The object of :meth:`Task.sizes`, in which jobs note which sizes of requests work."""


@dataclass(frozen=True)
class File:
    """An image file of an item.

    Attributes
    ----------
    path : str
        Relative to the dataset's folder.
    data : bytes
        The file's content.
    bands : mapping of str to str
        NumPy's names of the types of its bands, by their names.
    role : str, optional
        What the user calls its image; None if the item has no other file.
    """

    path: str
    data: bytes
    bands: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None


@dataclass(frozen=True)
class Chip:
    """The outcome of an item whose result is image files: one, or one for each role.

    Attributes
    ----------
    files : tuple of File
        At least one; all have the same pixels.
    height, width : int
        Rows and columns of the pixels.
    crs : str, optional
        The crs of the pixels, as in :class:`~eedask.grid.PixelGrid`; None if only Earth Engine
        knows it.
    transform : tuple of 6 floats, optional
        From (column, row) to coordinates of the crs, in the order of ``rasterio.Affine``; None if
        only Earth Engine knows it.
    properties : mapping of str to object, optional
        What the user wanted to know of the item's image; values are those of JSON.
    missing : NoImageError, optional
        Why all pixels of one of the files, or of several, are masked, if the item has no image for
        them; None if it has an image for each.
    """

    files: tuple[File, ...]
    height: int
    width: int
    crs: str | None = None
    transform: Transform | None = None
    properties: Mapping[str, Any] | None = None
    missing: NoImageError | None = None


@dataclass(frozen=True)
class Records:
    """The outcome of an item whose result is rows of the dataset's table.

    Attributes
    ----------
    rows : sequence of mapping
        Values by column. A column that a row does not have is null.
    nbytes : int
        The item's share of the bytes of the answer.
    properties : mapping of str to object, optional
        Those of the item's image, for the manifest.
    """

    rows: Sequence[Mapping[str, Any]]
    nbytes: int = 0
    properties: Mapping[str, Any] | None = None


# The outcome of an item: its result, or the error because of which it has none.
Outcome = Chip | Records | Exception


@dataclass
class Job:
    """One or more items that are done together, often by one request.

    Attributes
    ----------
    items : tuple of WorkItem
    laid_out : object
        What the task has prepared without a request, such as a chip's grid. An exception fails the
        job's items.
    attempts : Attempts
        Requests that were sent for these items, those before a split included; not those of
        :meth:`Sender.ask`.
    elapsed_s : float
        Seconds that were spent on each of these items before a split: its share of those of its
        jobs.
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
    """The work of a verb: how items become jobs, and how a job is done.

    Tasks are pickled and sent to workers.
    """

    @property
    def endpoint(self) -> Endpoint:
        """The service and project that requests go to."""

    @property
    def needs_client(self) -> bool:
        """Whether the ``ee`` client is needed on the worker."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """What the user stated the work in, by what the user calls it."""

    @property
    def schema(self) -> pa.Schema | None:
        """The columns of the table that the work fills; None for files."""

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends, given so many items as examples."""

    def forecast(self, items: Sequence[WorkItem], size: int) -> Forecast:
        """Return what is expected to be asked for items, in partitions of ``size``; send nothing.

        The items are in the order of their partitions, and the first of them begins one.
        """

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> Task:
        """Return the task, complete with what it has to ask Earth Engine before the first item.

        Parameters
        ----------
        send : Send
            Sends a request and returns the body of the answer.
        items : sequence of WorkItem
            A few of the items, as examples.

        Raises
        ------
        InputError
            If the answers show that the plan cannot work.
        RequestError
            If Earth Engine refuses.
        """

    def sent_to(self, endpoint: Endpoint) -> Task:
        """Return the same work with its requests sent elsewhere."""

    def ways(self) -> Mapping[str, Task]:
        """Return the same work done in other ways that are left open, by the arguments for them."""

    def sizes(self) -> Any:
        """Return a new object for the jobs of a run in one process, to note which sizes work."""

    def jobs(self, items: Sequence[WorkItem]) -> Iterable[Job]:
        """Return the jobs of a partition's items; each item is in one of them."""

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome] | Split:
        """Do a job; return the outcome of each item, or the jobs in which they are done next.

        An error that is raised fails all of the items, unless :meth:`split` has jobs for them.
        """

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return jobs to do instead of one that failed; if there are none, its items fail."""
