"""Jobs of several items: how they are cut, and what their tasks share.

A job that is too large is cut before it is sent, as far as sizes are known; where it turns out
too large, or one of its items stands in the way of the others, it is halved and asked again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eedask.earthengine.methods import of_one_item
from eedask.earthengine.retry import Attempts
from eedask.errors import EedaskError, PermanentError, RequestError, SizeError, TooLargeError
from eedask.items.item import WorkItem
from eedask.run.task import Job, Outcome, Sender
from eedask.tables.batch_sizes import BatchSizes

# What to do about an item whose request alone is longer than Earth Engine takes.
TOO_LONG = "put less into the expression of an item"

# Parts of a job that are cut off at once.
_CUTS = 8


class Oversized(EedaskError):
    """Raised before a request is sent that is larger than any that is known to work.

    The job is then cut into smaller ones.

    Attributes
    ----------
    allowed : float
        The weight that it is to be cut to.
    """

    def __init__(self, allowed: float) -> None:
        super().__init__("cut to what is known to work")
        self.allowed = allowed


@dataclass(frozen=True)
class Batch:
    """How heavy the request of a job is expected to be.

    Attributes
    ----------
    weights : tuple of float
        Of each item, in the unit that the task counts the size of its requests in.
    tile_scale : float
    eased : bool
        Whether the tile scale was raised, so that its success tells nothing of others.
    """

    weights: tuple[float, ...]
    tile_scale: float
    eased: bool = False

    @property
    def weight(self) -> float:
        """The sum of the weights of all items."""
        return sum(self.weights)


def halves(job: Job) -> tuple[Job, Job]:
    """Return a job of several items as two."""
    middle = len(job.items) // 2
    return part(job, slice(None, middle)), part(job, slice(middle, None))


def part(job: Job, which: slice) -> Job:
    """Return a job of some of the items, with the attempts and the time that were spent."""
    batch = replace(job.laid_out, weights=job.laid_out.weights[which])
    return Job(job.items[which], batch, Attempts(job.attempts.count), job.elapsed_s)


def cut(job: Job, allowed: float) -> list[Job]:
    """Cut a job into up to eight of the allowed weight at most, and one with the other items.

    A job of one item may be heavier. The last one is cut in its turn, by what is known then.
    """
    parts, start, held = [], 0, 0.0
    for position, weight in enumerate(job.laid_out.weights):
        if position > start and held + weight > allowed:
            parts.append(part(job, slice(start, position)))
            start, held = position, 0.0
            if len(parts) == _CUTS:
                break
        held += weight
    return [*parts, part(job, slice(start, None))]


class BatchedTask:
    """The part of a task whose jobs hold several items that learns sizes and splits jobs.

    Subclasses state ``presumed``, ``total`` and how a job is sent.
    """

    @property
    def presumed(self) -> float:
        """The weight that a request may have before any request has shown what works."""
        raise NotImplementedError

    @property
    def total(self) -> float:
        """A lower bound of the weight of all items of the run."""
        raise NotImplementedError

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""
        return TOO_LONG

    def ask(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Send one request for all items of a job, and return the outcome of each."""
        raise NotImplementedError

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return jobs to try instead of one of a single item that is too large; or none."""
        return ()

    def sizes(self) -> BatchSizes:
        """Return a new object in which a run's jobs in one process note which sizes work."""
        return BatchSizes(self.presumed, self.total)

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Send one request for all items of a job, and note whether its size works.

        Raises
        ------
        Oversized, RequestError
        """
        sizes: BatchSizes = sender.sizes
        weight = job.laid_out.weight
        if len(job.items) > 1:
            allowed = sizes.admit(job, weight, sender.rest)
            if allowed < weight:
                raise Oversized(allowed)
        try:
            with self.advising(job):
                outcomes = self.ask(job, sender)
        except TooLargeError as error:
            if error.cause == "answer":
                sizes.other(job)
            else:
                sizes.too_large(job, weight, job.label)
            raise
        except BaseException:
            sizes.other(job)
            raise
        if job.laid_out.eased:
            sizes.other(job)
        else:
            sizes.worked(job, weight)
        return outcomes

    @contextlib.contextmanager
    def advising(self, job: Job) -> Iterator[None]:
        """Add what to do to the error of a job of one item.

        That is an error because the request is longer than Earth Engine takes, or because the item
        has no image.
        """
        try:
            with of_one_item() if len(job.items) == 1 else contextlib.nullcontext():
                yield
        except SizeError as error:
            if len(job.items) > 1:
                raise
            raise SizeError(f"{error}; {self.too_long(job.items[0])}") from error

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return smaller or lighter jobs that may succeed where this one failed."""
        if isinstance(error, Oversized):
            return cut(job, error.allowed)
        own = isinstance(error, TooLargeError | PermanentError)
        if len(job.items) > 1 and (own or not isinstance(error, RequestError)):
            # It may be one item's own, as where the user's function fails on its values.
            return halves(job)
        if len(job.items) == 1 and isinstance(error, TooLargeError):
            return self.lighter(job)
        return ()
