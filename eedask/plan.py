"""Plans: what the verbs return. A plan is checked and complete, and runs when it is told to."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import dask.bag as db
import geopandas as gpd
from tqdm.auto import tqdm

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder, refusals_told
from eedask.dataset.question import Question
from eedask.dataset.rows import FAILED, OK
from eedask.dataset.run_lock import one_run
from eedask.dataset.staging import stage
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError, RequestError, RunStopped
from eedask.items.check import check_storable
from eedask.items.item import sample_items
from eedask.quota.asking import Asking
from eedask.results.reporting.notebook import plan_html
from eedask.results.result import Result
from eedask.run.execute import check_scheduler, execute, rows_bag, stop
from eedask.run.explanation import Explanation, explanation
from eedask.run.options import RunOptions
from eedask.run.progress import Counter, Listener, Progress, listener
from eedask.run.run_limits import RunLimits
from eedask.run.spec import RunSpec
from eedask.run.stopping import STOPPING, reason_to_stop
from eedask.run.task import Task
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
            True draws a bar, and prints the address of the dashboard if a cluster is started. A
            callable is called with an :class:`eedask.Progress` whenever items are done. False
            shows nothing.
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
            Items after which the run stops, those that fail included; the same plan goes on with
            the others when it is run again. A few more may be done, which were under way.
        until : str or datetime, optional
            When the run stops if it is not at its end: at a time of the clock, as "18:00", or at a
            datetime; without a time zone, of this machine's.

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
            workers, first items that all fail alike; or if it reached ``max_items`` or ``until``
            before its end. What is done is kept.
        """
        limits = RunLimits(max_items, until)
        check_scheduler()
        if overwrite and extend:
            raise InputError(
                "overwrite=True begins anew, and extend=True goes on; give one of them"
            )
        run_id = uuid.uuid4().hex[:12]
        with (
            one_run(self.out, self.verb, lambda reason: stop(run_id, reason)),
            listener(progress, self.verb) as listen,
        ):
            dataset, partitions = self._stage(overwrite, extend)
            before = self._progress_so_far(retry_failed)
            listen(before)
            if before.done < before.total:
                spec = self._spec(dataset, run_id, retry_failed)
                # Not print, whose text would stand at the end of the bar.
                tell = tqdm.write if progress is True else logger.info
                with limits.kept(before, listen, lambda reason: stop(run_id, reason)) as heard:
                    self._execute(partitions, spec, before, heard, tell)
                # Counts from other processes may come late; the rows that are written count.
                listen(self._progress_so_far(retry_failed=False))
            self.out.sweep()
        return Result(dataset, self._retry)

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

    def bag(self) -> db.Bag:
        """Return a lazy bag of manifest rows, as dictionaries; computing it does the work.

        When this is called, the items are written to ``out``, and the requests that come before the
        first item are sent: for the bands, and the grid where it is needed, of a table's image or
        of one that all chips share. Chips of images that depend on the item need none.

        Dask computes the bag, and what is made of it, on the current ``distributed.Client``, or
        else by threads. Its scheduler "processes" is refused, as each of its processes would send
        as many requests as the whole quota allows. What a process holds for the bag (threads,
        connections) is given up a few seconds after its last partition. While a bag is computed,
        the folder is not guarded against other runs: start none in it.

        Raises
        ------
        InputError, DatasetError, RunStopped
            As :meth:`run`, when what is asked first shows that the plan cannot work, or ``out``
            holds something else.
        """
        run_id = uuid.uuid4().hex[:12]
        with one_run(self.out, self.verb, lambda reason: stop(run_id, reason)):
            dataset, partitions = self._stage()
            spec = self._spec(dataset, run_id)
        return rows_bag(partitions, replace(spec, idle_s=_BAG_IDLE_S))

    def _execute(
        self,
        partitions: int,
        spec: RunSpec,
        before: Progress,
        listen: Listener,
        tell: Callable[[str], None],
    ) -> None:
        def beginning() -> Beginning:
            counts = before.total, before.done, before.failed
            points = tuple(points_of(self.items))
            return Beginning(spec.run_id, self.verb, self.out.url, spec.quota, *counts, points)

        try:
            execute(partitions, spec, Counter(before, listen), beginning, tell)
        except KeyboardInterrupt:
            now = self._progress_so_far(retry_failed=False)
            print(
                f"interrupted: {now.done} of {now.total} items are done and kept in"
                f" {self.out.url}; run the same plan again to go on",
                file=sys.stderr,
            )
            raise

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
        task = self._prepared()
        if task.schema is not None:
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

    def _prepared(self) -> Task:
        """Return the task with the answers that it needs before the first item."""
        # All items depend on these requests, so they get at least the usual number of tries.
        tries = max(self.options.retry.tries, RetryPolicy().tries)
        policy = replace(self.options.retry, tries=tries)
        try:
            with Asking(self.task.endpoint, self.verb, policy, self.options.ceiling) as asking:
                return self.task.prepare(asking.send, sample_items(self.items))
        except STOPPING as error:
            raise RunStopped(reason_to_stop(error)) from error
        except RequestError as error:
            raise RunStopped(
                f"Earth Engine cannot say what {self.verb} would give, even of the first items:"
                f" {str(error).rstrip('.')}. Mend the plan, or the items, and run again"
            ) from error

    def _progress_so_far(self, retry_failed: bool) -> Progress:
        dataset = Dataset(self.out)
        counts = dataset.counts()
        failed = 0 if retry_failed else counts[FAILED]
        return Progress(dataset.plan()["count"], counts[OK] + failed, failed)

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
