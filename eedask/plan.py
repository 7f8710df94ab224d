"""Plans: what the verbs return. A plan is checked and complete, and runs when it is told to."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dask.bag as db
import geopandas as gpd
from tqdm.auto import tqdm

from eedask.arguments import is_count
from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder, refusals_told
from eedask.dataset.question import Question
from eedask.dataset.rows import FAILED, OK
from eedask.dataset.run_lock import one_run
from eedask.dataset.staging import stage
from eedask.errors import DatasetError, InputError, RunStopped
from eedask.estimating.estimate import Estimate
from eedask.estimating.measuring import estimate
from eedask.items.check import check_storable
from eedask.items.item import WorkItem, sample_items
from eedask.results.reporting.notebook import plan_html
from eedask.results.result import Result
from eedask.run.execute import check_scheduler, execute, rows_bag, stop
from eedask.run.explanation import Explanation, explanation, traps_of
from eedask.run.options import RunOptions
from eedask.run.preparing import prepared
from eedask.run.progress import Counter, Listener, Progress
from eedask.run.progress_bar import listener
from eedask.run.run_limits import RunLimits
from eedask.run.spec import RunSpec
from eedask.run.task import Task
from eedask.watching.compute import Spent
from eedask.watching.map_sample import points_of, share_of
from eedask.watching.messages import Beginning

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
        All that determines the result. A run resumes what is in the folder only if the plan that
        began it asked the same.
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
        """Do all items that are not done yet, and return the result of all.

        A dataset that is there already is resumed if it is this plan's: the same arguments and
        function, and the same items, in whatever order. An item is the same if its id, its
        geometry and its values in the columns that the plan uses are; of a function that is called
        on the workers, every column that the items had at first is used.

        Runs on the current ``distributed.Client``; without one, on the threads or in the thread
        that ``dask.config.set(scheduler=…)`` names; without that, on a cluster in this process.

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
            Whether the dataset grows, where the plan has other items than it: new items are
            fetched, changed ones are fetched anew, and those that the plan no longer has stay,
            after the others. Without it, that is an error which counts them. Once the dataset has
            grown, the same frame can be run again without it.
        max_items : int, optional
            Items that this run does, of those that are not done yet; those that fail count. The
            same plan goes on with the others when it is run again.
        until : str or datetime, optional
            When the run stops if it is not at its end: at a time of the clock, as "18:00", or at a
            datetime; without a time zone, of this machine's.
        max_eecu_hours : float, optional
            EECU-hours that this run may use; earlier runs do not count. It stops when it has used
            as many, by a sample of its requests that Earth Engine is asked about, and goes on,
            with as many again, when it is run again. Some more are used: by the requests that are
            under way then, and by those since the last time that costs were told. Where Earth
            Engine does not tell, a warning says that the budget cannot be kept.

        Returns
        -------
        Result
            With all items, those of earlier runs included.

        Raises
        ------
        InputError
            If Dask's scheduler is one on which the quota cannot be kept, such as "processes"; or if
            Earth Engine's answers about bands and grids show that the plan cannot work; or if both
            ``overwrite`` and ``extend`` are true.
        DatasetError
            If ``out`` holds the results of another plan, or of other items, or other files, or
            another run is at work in it.
        RunStopped
            If the run could not go on: credentials, compute budget, a full disk, a cluster without
            workers, first items that all fail alike; or if it reached ``max_items``, ``until`` or
            ``max_eecu_hours`` before its end. What is done is kept.
        """
        limits = RunLimits(max_items, until, max_eecu_hours)
        check_scheduler()
        if overwrite and extend:
            raise InputError(
                "overwrite=True begins anew, and extend=True goes on; give one of them"
            )
        run_id, result = uuid.uuid4().hex[:12], Result(Dataset(self.out), self._retry)
        with (
            self._summed_up(result, progress),
            one_run(self.out, self.verb, lambda reason: stop(run_id, reason)),
            listener(progress, self.verb) as listen,
        ):
            dataset, partitions = self._stage(overwrite, extend)
            before = self._progress_so_far(retry_failed)
            listen(before)
            # Not print, whose text would stand at the end of the bar.
            tell = tqdm.write if progress is True else logger.info
            if before.done == before.total:
                tell("nothing is left to do: earlier runs came to all items")
            else:
                spec = self._spec(dataset, run_id, retry_failed)
                self._tell_notes(tell)
                only = limits.first_of(dataset, partitions, retry_failed=retry_failed)
                spec = replace(spec, costs_early=max_eecu_hours is not None, only=only)
                with limits.kept(before, listen, lambda reason: stop(run_id, reason)) as heard:
                    self._execute(partitions, spec, before, heard, tell, limits.max_eecu_s)
                # Counts from other processes may come late; the rows that are written count.
                listen(self._progress_at_end(listen.latest))
                limits.check_end(before)
            self.out.sweep()
        return result

    def explain(self, *, latency: float = 1.0) -> Explanation:
        """Return what the plan will ask of Earth Engine, in words and numbers; nothing is sent.

        Its warnings tell what in the function, the items or the arguments makes the plan slower or
        dearer than it need be, and what to do instead. Numbers are of all items, as if none were
        done yet. It takes some two seconds for each 100,000 items.

        Parameters
        ----------
        latency : float
            Seconds that a request is taken to last, for the time that the run takes.

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
        """Do a few items as a pilot, and return what all will take in time and compute.

        The pilot's results are kept in ``out``: a run that follows does not fetch them again. Its
        items are spread over all; where items share requests, some that lie next to each other
        do. Where the plan leaves open which endpoint is asked, or the ``tile_scale``, five more
        items are asked for once in each way, to tell which is cheaper; they are not kept.

        Parameters
        ----------
        n : int
            Items of the pilot.
        progress : bool or callable
            As of :meth:`run`.

        Raises
        ------
        InputError
            If ``n`` is no number of items, or all items are done already; and as :meth:`run`.
        DatasetError, RunStopped
            As :meth:`run`.

        Examples
        --------
        >>> print(plan.estimate())  # doctest: +SKIP
        """
        if not is_count(n):
            raise InputError(f"n is a number of items, from 1; got {n!r}")
        check_scheduler()
        run_id = "pilot"
        with (
            one_run(self.out, self.verb, lambda reason: stop(run_id, reason)),
            listener(progress, self.verb) as listen,
        ):
            dataset, partitions = self._stage()

            def do(spec: RunSpec) -> Collection[Spent]:
                nonlocal run_id
                run_id, before = spec.run_id, self._progress_so_far(retry_failed=False)
                return self._execute(partitions, spec, before, listen, logger.info).spent.values()

            spec = self._spec(dataset, run_id)
            before = self.task.before(len(self._samples)).least
            found = estimate(spec, self.options, before, n, do)
            self.out.sweep()
        return found

    def bag(self) -> db.Bag:
        """Return a lazy bag of manifest rows, as dictionaries; computing it does the work.

        When this is called, the items are written to ``out``, and the requests that come before the
        first item are sent: for the bands, and the grid where it is needed, of a table's image or
        of one that all chips share. Chips of images that depend on the item need none.

        Dask computes the bag, and what is made of it, on the current ``distributed.Client``, or
        else by threads. Its scheduler "processes" is refused, as each of its processes would send
        as many requests as the whole quota allows. What a process holds for the bag (threads,
        connections) is given up a few seconds after its last partition. If there is a client when
        this is called, its dashboard shows the bag, as waiting until it is computed. While a bag
        is computed, the folder is not guarded against other runs: start none in it.

        Raises
        ------
        InputError, DatasetError, RunStopped
            As :meth:`run`, when what is asked first shows that the plan cannot work, or ``out``
            holds something else.
        """
        run_id = uuid.uuid4().hex[:12]
        with one_run(self.out, self.verb, lambda reason: stop(run_id, reason)):
            dataset, partitions = self._stage()
            spec = replace(self._spec(dataset, run_id), idle_s=_BAG_IDLE_S)
            beginning = self._beginning(spec, self._progress_so_far(retry_failed=False))
        return rows_bag(partitions, spec, beginning, functools.partial(points_of, self.items))

    def _execute(
        self,
        partitions: int,
        spec: RunSpec,
        before: Progress,
        listen: Listener,
        tell: Callable[[str], None],
        max_eecu_s: float | None = None,
    ) -> Counter:
        counter = Counter(before, listen)
        beginning = replace(self._beginning(spec, before), max_eecu_s=max_eecu_s)
        try:
            points = functools.partial(points_of, self.items)
            execute(partitions, spec, beginning, points, counter, tell)
        except KeyboardInterrupt:
            now = self._progress_so_far(retry_failed=False)
            print(
                f"interrupted: {now.done} of {now.total} items are done and kept in"
                f" {self.out.url}; run the same plan again to go on",
                file=sys.stderr,
            )
            raise
        finally:
            # The folder may be what the run ended for.
            with contextlib.suppress(OSError, DatasetError):
                spec.dataset.note_cost(counter.eecu_s)
        return counter

    def _tell_notes(self, tell: Callable[[str], None]) -> None:
        traps = traps_of(self.task, self._samples) if len(self.items) > 1 else []
        for words in dict.fromkeys([*self.notes, *traps]):
            tell(f"note: {words}")

    def _beginning(self, spec: RunSpec, before: Progress) -> Beginning:
        """Return what is told of a run, given what is done before it."""
        counts = before.total, before.done, before.failed
        return Beginning(spec.run_id, self.verb, self.out.url, spec.quota, *counts)

    @contextlib.contextmanager
    def _summed_up(self, result: Result, progress: bool | Listener) -> Iterator[None]:
        """Print a summary when a run has ended, or was stopped, if its bar is shown."""
        try:
            yield
        except RunStopped:
            # Before the first item, there is nothing to tell but why.
            if progress is True and self._progress_so_far(retry_failed=False).done:
                print(result.summary())
            raise
        if progress is True:
            print(result.summary())

    def _retry(self, progress: bool | Listener) -> Result:
        return self.run(progress=progress, retry_failed=True)

    def _stage(self, overwrite: bool = False, extend: bool = False) -> tuple[Dataset, int]:
        """Write items and plan to the folder; return its dataset and the number of partitions."""
        dataset = Dataset(self.out)
        size = self.options.partition_of(len(self.items))
        how = {"overwrite": overwrite, "extend": extend}
        with refusals_told(self.out, whatever=True):
            plan = stage(dataset, self.items, self.question, size, **how)
            dataset.forget_lost_files()
        return dataset, plan["partitions"]

    def _spec(self, dataset: Dataset, run_id: str, retry_failed: bool = False) -> RunSpec:
        """Send the requests that come before the first item; return what workers have to know."""
        task = prepared(self.task, self._samples, self.options, self.verb)
        if task.schema is not None:
            with refusals_told(self.out, whatever=True):
                dataset.values.state(task.schema)
        return RunSpec(
            run_id=run_id,
            dataset=dataset,
            task=task,
            policy=self.options.retry,
            ceiling=self.options.ceiling,
            verb=self.verb,
            map_share=share_of(len(self.items)),
            retry_failed=retry_failed,
            resumes=dataset.counts()[OK] > 0,
        )

    def _progress_so_far(self, retry_failed: bool) -> Progress:
        dataset = Dataset(self.out)
        counts = dataset.counts()
        failed = 0 if retry_failed else counts[FAILED]
        plan = dataset.plan()
        return Progress(plan["count"], counts[OK] + failed, failed, eecu_s=plan.get("eecu_s"))

    def _progress_at_end(self, latest: Progress) -> Progress:
        """Return what is done by the rows that are written, and what was counted of requests."""
        counts = {"throttled": latest.throttled, "retries": latest.retries}
        return replace(self._progress_so_far(retry_failed=False), **counts)

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
        options = self.options
        return [
            *asked,
            ("endpoint", self.task.endpoint),
            ("concurrency", options.ceiling.concurrency),
            ("rate", options.ceiling.rate),
            ("retry", options.retry),
        ]
