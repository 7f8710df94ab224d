"""What the verbs have in common: how requests are sent, and the plan of a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas as gpd
import pyarrow as pa

from eedask.dataset.folder import Folder
from eedask.earthengine.endpoint import Endpoint, endpoint_of_client
from eedask.earthengine.retry import RetryPolicy
from eedask.plan import Plan
from eedask.quota.messages import Ceiling
from eedask.run.options import RunOptions
from eedask.run.task import Task

# Items in a partition of a table: several requests' worth, as requests are laid out within
# partitions.
_LEAST_PARTITION, _MOST_PARTITION = 1000, 10_000


@dataclass(frozen=True)
class Sending:
    """The arguments of how requests are sent, which all verbs share; see :func:`eedask.chips`.

    Raises
    ------
    InputError
        If one of them cannot be.
    """

    concurrency: int
    rate: float | None
    retry: RetryPolicy | None
    deadline: float
    workload_tag: str | None
    credentials: str | os.PathLike[str] | None
    partition_size: int | None

    def __post_init__(self) -> None:
        """Build the options, which checks them before anything else of a verb is looked at."""
        _ = self.options

    @cached_property
    def options(self) -> RunOptions:
        """How the plan runs."""
        ceiling = Ceiling(self.concurrency, self.rate)
        return RunOptions(ceiling, self.retry or RetryPolicy(), self.partition_size)

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where requests go: where ``ee.Initialize`` points, with these arguments.

        Raises
        ------
        InputError
            If ``ee`` is not initialised, or the deadline or credentials cannot be.
        """
        return endpoint_of_client(
            workload_tag=self.workload_tag, deadline=self.deadline, credentials=self.credentials
        )

    def table_plan(
        self,
        items: gpd.GeoDataFrame,
        task: Task,
        terms: dict[str, Any],
        out: str | os.PathLike[str],
    ) -> Plan:
        """Return the plan of a table, ``terms`` being what determines its values."""
        size = min(_MOST_PARTITION, max(_LEAST_PARTITION, -(-len(items) // 16)))
        options = self.options.with_partition(size)
        return Plan(str(terms["verb"]), items, task, Folder(os.fspath(out)), terms, options)


def id_type(items: gpd.GeoDataFrame) -> pa.DataType:
    """Return the type of a table's ids."""
    return pa.int64() if items.index.inferred_type == "integer" else pa.string()
