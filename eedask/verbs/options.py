"""What the verbs of tables have in common: partitions, and the plan itself."""

from __future__ import annotations

import os
from typing import Any

import geopandas as gpd
import pyarrow as pa

from eedask.dataset.folder import Folder
from eedask.plan import Plan
from eedask.run.options import RunOptions
from eedask.run.task import Task

# Items in a partition: several requests' worth, as requests are laid out within partitions.
_LEAST_PARTITION, _MOST_PARTITION = 1000, 10_000


def table_partition(count: int, options: RunOptions) -> RunOptions:
    """Return run options whose partitions hold several requests' worth of so many items."""
    size = min(_MOST_PARTITION, max(_LEAST_PARTITION, -(-count // 16)))
    return options.with_partition(size)


def table_plan(
    items: gpd.GeoDataFrame,
    task: Task,
    terms: dict[str, Any],
    out: str | os.PathLike[str],
    options: RunOptions,
) -> Plan:
    """Return the plan of a table."""
    options = table_partition(len(items), options)
    return Plan(str(terms["verb"]), items, task, Folder(os.fspath(out)), terms, options)


def id_type(items: gpd.GeoDataFrame) -> pa.DataType:
    """Return the type of a table's ids."""
    return pa.int64() if items.index.inferred_type == "integer" else pa.string()
