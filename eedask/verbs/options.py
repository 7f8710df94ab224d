"""Checks the arguments that all verbs have; makes the plan of a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import pyarrow as pa

from eedask.dataset.folder import folder_at
from eedask.dataset.question import Question
from eedask.earthengine.endpoint import Endpoint, EndpointName, endpoint_of_client
from eedask.earthengine.retry import RetryPolicy
from eedask.plan import Plan
from eedask.quota.messages import Ceiling
from eedask.run.options import RunOptions
from eedask.run.task import Task

# Items in a partition of a table, at least and at most. Items share requests only within a
# partition, so a partition should hold enough items for several requests.
_LEAST_PARTITION, _MOST_PARTITION = 1000, 10_000


@dataclass(frozen=True)
class Sending:
    """The arguments about sending requests, which all verbs have; see :func:`eedask.chips`.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    concurrency: int
    rate: float | None
    retry: RetryPolicy | None
    deadline: float
    workload_tag: str | None
    credentials: str | os.PathLike[str] | None
    partition_size: int | None
    endpoint_name: EndpointName = "auto"

    def __post_init__(self) -> None:
        """Check the arguments, by making the options, before a verb looks at its others."""
        _ = self.options

    @cached_property
    def options(self) -> RunOptions:
        """The options of the plan: quota, retries, size of partitions."""
        ceiling = Ceiling(self.concurrency, self.rate)
        retry = RetryPolicy() if self.retry is None else self.retry
        return RunOptions(ceiling, retry, self.partition_size, self.endpoint_name == "auto")

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where requests go, as ``ee.Initialize`` and these arguments say.

        Raises
        ------
        InputError
            If one of them, or what ``ee.Initialize`` was told, cannot be used.
        """
        return endpoint_of_client(
            name=self.endpoint_name,
            workload_tag=self.workload_tag,
            deadline=self.deadline,
            credentials=self.credentials,
        )

    def table_plan(
        self,
        items: gpd.GeoDataFrame,
        task: Task,
        question: Question,
        out: str | os.PathLike[str],
    ) -> Plan:
        """Return the plan of a table.

        Parameters
        ----------
        items : GeoDataFrame
            Checked items.
        task : Task
            The work of the workers.
        question : Question
            All that determines the table's values.
        out : str or path
            The folder of the dataset.
        """
        size = min(_MOST_PARTITION, max(_LEAST_PARTITION, -(-len(items) // 16)))
        options = self.options.with_partition(size)
        return Plan(items, task, folder_at(out, "out"), question, options)


def id_type(items: gpd.GeoDataFrame) -> pa.DataType:
    """Return the type of the table's column of item ids: int64 or string, as in the index."""
    return pa.int64() if items.index.inferred_type == "integer" else pa.string()
