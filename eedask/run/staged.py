"""A plan whose items lie in its folder: what is asked before the first item, and the run itself."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import dask.bag as db
import geopandas as gpd

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import refusals_told
from eedask.dataset.question import Question
from eedask.dataset.rows import OK
from eedask.dataset.staging import stage
from eedask.errors import DatasetError
from eedask.items.item import WorkItem
from eedask.run.execute import execute, rows_bag
from eedask.run.explanation import traps_of
from eedask.run.options import RunOptions
from eedask.run.preparing import prepared
from eedask.run.progress import Counter, Listener, Progress, progress_in
from eedask.run.spec import RunSpec
from eedask.run.task import Task
from eedask.watching.map_sample import fraction_of, points_of
from eedask.watching.messages import Beginning

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Staged:
    """A plan after its items and its question were written to its folder.

    Attributes
    ----------
    verb : str
        Name of the verb that made the plan.
    items : GeoDataFrame
        The checked items.
    samples : sequence of WorkItem
        A few of the items, with which functions are tried.
    task : Task
        The work of the workers, as the verb made it.
    options : RunOptions
        Quota, retries and size of partitions.
    dataset : Dataset
        What the folder holds.
    partitions : int
        How many partitions the items lie in.
    """

    verb: str
    items: gpd.GeoDataFrame
    samples: Sequence[WorkItem]
    task: Task
    options: RunOptions
    dataset: Dataset
    partitions: int

    def spec(self, run_id: str, retry_failed: bool = False) -> RunSpec:
        """Send the requests that come before the first item; return what workers have to know."""
        task = prepared(self.task, self.samples, self.options, self.verb)
        if task.schema is not None:
            with refusals_told(self.dataset.folder, whatever=True):
                self.dataset.values.state(task.schema)
        return RunSpec(
            run_id=run_id,
            dataset=self.dataset,
            task=task,
            policy=self.options.retry,
            ceiling=self.options.ceiling,
            verb=self.verb,
            map_fraction=fraction_of(len(self.items)),
            retry_failed=retry_failed,
            resumes=self.dataset.counts()[OK] > 0,
        )

    def tell_notes(self, tell: Tell) -> None:
        """Tell what the user should know before the run, such as why it will be slow."""
        traps = traps_of(self.task, self.samples) if len(self.items) > 1 else []
        for words in dict.fromkeys([*self.task.notes, *traps]):
            tell(f"note: {words}")

    def execute(
        self,
        spec: RunSpec,
        before: Progress,
        listen: Listener,
        tell: Tell,
        max_eecu_s: float | None = None,
    ) -> Counter:
        """Do the items of all partitions that are not done; return what was counted meanwhile.

        What requests have cost is noted in the dataset, however the run ends.

        Parameters
        ----------
        spec : RunSpec
            What workers have to know.
        before : Progress
            How far earlier runs came.
        listen : callable
            Called with the progress, a few times a second.
        tell : callable
            Called with words for the user.
        max_eecu_s : float, optional
            The EECU-seconds that the run may use, for the dashboard.

        Raises
        ------
        RunStopped, KeyboardInterrupt
        """
        counter = Counter(before, listen)
        beginning = replace(self._beginning(spec, before), max_eecu_s=max_eecu_s)
        points = functools.partial(points_of, self.items)
        try:
            execute(self.partitions, spec, beginning, points, counter, tell)
        except KeyboardInterrupt:
            now = progress_in(self.dataset)
            print(
                f"interrupted: {now.done} of {now.total} items are done and kept in"
                f" {self.dataset.folder.url}; run the same plan again to go on",
                file=sys.stderr,
            )
            raise
        finally:
            # The folder itself may be the reason why the run ended.
            with contextlib.suppress(OSError, DatasetError):
                self.dataset.note_cost(counter.eecu_s)
        return counter

    def bag(self, spec: RunSpec) -> db.Bag:
        """Return a lazy Dask bag of the manifest's rows; computing it does the work."""
        beginning = self._beginning(spec, progress_in(self.dataset))
        return rows_bag(self.partitions, spec, beginning, functools.partial(points_of, self.items))

    def _beginning(self, spec: RunSpec, before: Progress) -> Beginning:
        """Return what the scheduler is told of a run that begins with some items done."""
        counts = before.total, before.done, before.failed
        return Beginning(spec.run_id, self.verb, self.dataset.folder.url, spec.quota, *counts)


def written(
    dataset: Dataset,
    items: gpd.GeoDataFrame,
    question: Question,
    options: RunOptions,
    *,
    overwrite: bool = False,
    extend: bool = False,
) -> int:
    """Write items and question to a dataset's folder; return the number of partitions."""
    how = {"overwrite": overwrite, "extend": extend}
    with refusals_told(dataset.folder, whatever=True):
        plan = stage(dataset, items, question, options.partition_of(len(items)), **how)
        dataset.forget_lost_files()
    return int(plan["partitions"])
