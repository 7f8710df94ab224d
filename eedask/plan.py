"""Plans: what the verbs return. A plan's arguments are checked; nothing is sent before it runs."""

from __future__ import annotations

import contextlib
import functools
import logging
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dask.bag as db
import geopandas as gpd
from tqdm.auto import tqdm

from eedask.arguments import check_flags, is_count
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.dataset.question import Question
from eedask.dataset.run_lock import one_run
from eedask.errors import InputError, RunStopped
from eedask.estimating.estimate import Estimate
from eedask.estimating.measuring import estimate
from eedask.items.check import check_storable
from eedask.items.item import WorkItem, sample_items
from eedask.results.reporting.notebook import plan_html
from eedask.results.result import Result
from eedask.run.execute import check_scheduler, stop
from eedask.run.explanation import Explanation, explanation
from eedask.run.options import RunOptions
from eedask.run.progress import Listener, progress_in
from eedask.run.progress_bar import listener
from eedask.run.run_limits import RunLimits
from eedask.run.spec import RunSpec
from eedask.run.staged import Staged, written
from eedask.run.task import Task
from eedask.watching.compute import Spent

logger = logging.getLogger(__name__)

# Seconds after a partition of a bag in which a process keeps its threads and connections for the
# next partition.
_BAG_IDLE_S = 5.0


@dataclass(frozen=True, eq=False)
class Plan:
    """What a verb is going to do. Nothing is sent or written until :meth:`run` or :meth:`bag`.

    Attributes
    ----------
    items : GeoDataFrame
        The checked items.
    task : Task
        The work of the workers.
    out : Folder
        Where results go.
    question : Question
        All that determines the result. A run resumes what is in the folder only if the folder was
        filled by a plan with an equal question.
    options : RunOptions
        Quota, retries and size of partitions, which do not change the result.

    Examples
    --------
    >>> plan = eedask.chips(points, image, out="chips", shape=(64, 64), scale=10)  # doctest: +SKIP
    >>> plan  # its arguments, and notes  # doctest: +SKIP
    >>> result = plan.run()  # doctest: +SKIP
    """

    items: gpd.GeoDataFrame
    task: Task
    out: Folder
    question: Question
    options: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        check_storable(self.items)

    @property
    def verb(self) -> str:
        """Name of the verb that made the plan."""
        return str(self.question.terms["verb"])

    @functools.cached_property
    def _samples(self) -> list[WorkItem]:
        return sample_items(self.items)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, such as why a function has to be called on the workers."""
        return self.task.notes

    def run(
        self,
        *,
        progress: bool | Listener = True,
        retry_failed: bool = False,
        overwrite: bool = False,
        extend: bool = False,
        max_items: int | None = None,
        until: str | datetime | None = None,
        max_eecu_hours: float | None = None,
    ) -> Result:
        """Do all items that are not done yet, and return the result of all items.

        If ``out`` holds a dataset already, the run resumes it, provided that it was made by the
        same plan: the same arguments and function, and the same items, in any order. Two items are
        the same if their ids, their geometries and their values in the columns that the plan uses
        are equal. A function that is called on the workers counts as using every column that the
        items had in the first run.

        The work is done on the current ``distributed.Client``. Without a client, it is done by
        Dask's scheduler "threads" or "synchronous" if ``dask.config.set(scheduler=…)`` names one,
        and otherwise on a cluster that the run starts within this process.

        Parameters
        ----------
        progress : bool or callable
            True draws a bar in a terminal or a notebook, writes a line a minute elsewhere, and
            prints the plan's notes, the address of the page that shows the run, and
            :meth:`eedask.Result.summary` at the end. A callable is called with an
            :class:`eedask.Progress` a few times a second; notes and address then go to the log, as
            with False, which shows nothing.
        retry_failed : bool
            Whether items that failed in an earlier run are tried again.
        overwrite : bool
            Whether results that are in the folder, of this plan or another, are removed first.
            Files that no run has written stay.
        extend : bool
            What happens if the plan's items are not those of the dataset. True: new items are
            fetched, changed ones are fetched again, and those that the plan no longer has stay in
            the dataset, after the others. False: the run stops with an error that says how many
            items are the same, new, changed and gone. After it has grown, the dataset can be run
            again with the same frame and ``extend=False``.
        max_items : int, optional
            How many of the items that are not done yet this run does, those that fail included.
            When the same plan is run again, it goes on with the others.
        until : str or datetime, optional
            When the run stops, if it has not ended by then: a time of day such as "18:00", or a
            datetime. Without a time zone, it is in this machine's.
        max_eecu_hours : float, optional
            EECU-hours that this run may use; those of earlier runs do not count. What the run has
            used is estimated from a sample of its requests, whose cost Earth Engine is asked for.
            The run stops when the estimate reaches this number. Requests that are under way then,
            and those since costs were last asked for, come on top. When the plan is run again, it
            goes on with the full number again. If Earth Engine does not tell what requests cost, a
            warning says that the limit cannot be kept.

        Returns
        -------
        Result
            With all items, those of earlier runs included.

        Raises
        ------
        InputError
            If Dask's scheduler is one on which the quota cannot be kept, such as "processes"; if
            Earth Engine's answers about bands and grids show that the plan cannot work; if a limit
            cannot be used; or if both ``overwrite`` and ``extend`` are true.
        DatasetError
            If ``out`` holds the results of another plan, or of other items, or other files, or
            another run is at work in it.
        RunStopped
            If the run could not go on, because of credentials, the compute budget, a full disk, a
            cluster without workers, or because the first items all failed in the same way; or if
            it reached ``max_items``, ``until`` or ``max_eecu_hours`` while items were left. What
            is done is kept, and the same plan can be run again to go on.
        """
        check_flags(retry_failed=retry_failed, overwrite=overwrite, extend=extend)
        limits = RunLimits(max_items, until, max_eecu_hours)
        check_scheduler()
        if overwrite and extend:
            raise InputError(
                "overwrite=True begins anew, and extend=True goes on; give only one of them"
            )
        run_id, result = uuid.uuid4().hex[:12], Result(Dataset(self.out), self._retry)
        with (
            self._summed_up(result, progress),
            one_run(self.out, self.verb, lambda reason: stop(run_id, reason)),
            listener(progress, self.verb) as listen,
        ):
            staged = self._stage(overwrite, extend)
            dataset = staged.dataset
            before = progress_in(dataset, retry_failed=retry_failed)
            listen(before)
            # Not print, whose text would stand at the end of the bar.
            tell = tqdm.write if progress is True else logger.info
            if before.done == before.total:
                tell("nothing is left to do: earlier runs came to all items")
            else:
                spec = staged.spec(run_id, retry_failed)
                staged.tell_notes(tell)
                only = limits.first_of(dataset, staged.partitions, retry_failed=retry_failed)
                spec = replace(spec, costs_early=max_eecu_hours is not None, only=only)
                with limits.kept(before, listen, lambda reason: stop(run_id, reason)) as heard:
                    staged.execute(spec, before, heard, tell, limits.max_eecu_s)
                # Counts from other processes may come late; the rows that are written count.
                counts = {"throttled": listen.latest.throttled, "retries": listen.latest.retries}
                listen(replace(progress_in(dataset), **counts))
                limits.check_end(before)
            self.out.sweep()
        return result

    def explain(self, *, latency: float = 1.0) -> Explanation:
        """Return what the plan will ask of Earth Engine, in words and numbers. Nothing is sent.

        Warnings name what in the function, the items or the arguments makes the plan slower or
        more expensive than it need be, and say what to do instead. The numbers are for all items,
        as if none were done yet. The call takes about two seconds for each 100,000 items.

        Parameters
        ----------
        latency : float
            How many seconds each request is assumed to take, when the duration of the run is
            reckoned.

        Returns
        -------
        Explanation
            ``print`` shows it; its attributes are the numbers.

        Raises
        ------
        InputError
            If the latency is no positive number.

        Examples
        --------
        >>> print(plan.explain())  # doctest: +SKIP
        """
        return explanation(self.task, self.items, self.options, self.verb, latency)

    def estimate(self, n: int = 20, *, progress: bool | Listener = False) -> Estimate:
        """Do a few items as a pilot, and estimate how much time and compute all items will take.

        The results of the pilot are kept in ``out``: a run that follows does not fetch them again.
        The pilot's items are spread evenly over all items; if items share requests, it takes
        several groups of neighbours instead. If the plan leaves the endpoint or the ``tile_scale``
        open, five more items are then fetched once with each choice, to find out which is cheaper;
        their results are not kept.

        Parameters
        ----------
        n : int
            How many items the pilot does.
        progress : bool or callable
            As for :meth:`run`.

        Returns
        -------
        Estimate
            ``print`` shows it; its attributes are the numbers.

        Raises
        ------
        InputError
            If ``n`` is not a whole number of 1 or more, or all items are done already; and as for
            :meth:`run`.
        DatasetError, RunStopped
            As for :meth:`run`.

        Examples
        --------
        >>> print(plan.estimate())  # doctest: +SKIP
        """
        if not is_count(n):
            raise InputError(f"n is a whole number of items, 1 or more; got {n!r}")
        check_scheduler()
        run_id = "pilot"
        with (
            one_run(self.out, self.verb, lambda reason: stop(run_id, reason)),
            listener(progress, self.verb) as listen,
        ):
            staged = self._stage()

            def do(spec: RunSpec) -> Collection[Spent]:
                nonlocal run_id
                run_id, before = spec.run_id, progress_in(staged.dataset)
                return staged.execute(spec, before, listen, logger.info).spent.values()

            spec = staged.spec(run_id)
            before = self.task.before(len(self._samples)).least
            found = estimate(spec, self.options, before, n, do)
            self.out.sweep()
        return found

    def bag(self) -> db.Bag:
        """Return a lazy Dask bag that does the work when it is computed.

        Its elements are rows of the manifest, as dictionaries, one for each item.

        This call itself writes the items to ``out``, and sends the requests that come before the
        first item: they ask for the bands, and if needed the grid, of a table's image or of an
        image that all chips share. Chips whose images depend on the item need no such request.

        Dask computes the bag, and whatever is derived from it, on the current
        ``distributed.Client``, or else on threads. Dask's scheduler "processes" is refused, because
        each of its processes would send as many requests as the whole quota allows. A process
        closes the threads and connections that it opened for the bag a few seconds after its last
        partition. If there is a client when this method is called, its dashboard shows the bag, as
        waiting until it is computed. Unlike :meth:`run`, a bag that is being computed does not
        lock the folder: do not start another run in the same folder meanwhile.

        Raises
        ------
        InputError, DatasetError, RunStopped
            As for :meth:`run`, if the first requests show that the plan cannot work, or ``out``
            holds something else.
        """
        run_id = uuid.uuid4().hex[:12]
        with one_run(self.out, self.verb, lambda reason: stop(run_id, reason)):
            staged = self._stage()
            return staged.bag(replace(staged.spec(run_id), idle_s=_BAG_IDLE_S))

    @contextlib.contextmanager
    def _summed_up(self, result: Result, progress: bool | Listener) -> Iterator[None]:
        """Print a summary when a run has ended, or was stopped, if its bar is shown."""
        try:
            yield
        except RunStopped:
            # If no item is done yet, the error says all that there is to say.
            if progress is True and progress_in(Dataset(self.out)).done:
                print(result.summary())
            raise
        if progress is True:
            print(result.summary())

    def _retry(self, progress: bool | Listener) -> Result:
        return self.run(progress=progress, retry_failed=True)

    def _stage(self, overwrite: bool = False, extend: bool = False) -> Staged:
        """Write the items and the question to the folder."""
        dataset, how = Dataset(self.out), {"overwrite": overwrite, "extend": extend}
        partitions = written(dataset, self.items, self.question, self.options, **how)
        return Staged(
            verb=self.verb,
            items=self.items,
            samples=self._samples,
            task=self.task,
            options=self.options,
            dataset=dataset,
            partitions=partitions,
        )

    def __repr__(self) -> str:
        lines = [f"eedask plan: {self.verb} of {len(self.items)} items into {self.out.url}"]
        lines += [f"  {name}: {value}" for name, value in self._described()]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        title = f"{self.verb} of {len(self.items)} items into {self.out.url}"
        return plan_html(title, self._described(), self.notes)

    def _described(self) -> list[tuple[str, Any]]:
        terms = self.question.terms.items()
        asked = [(k, v) for k, v in terms if v not in (None, ()) and k != "verb"]
        return [
            *asked,
            ("endpoint", self.task.endpoint),
            *self.options.described,
        ]
