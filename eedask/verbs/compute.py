"""The verb ``compute``: any value of Earth Engine's for each item."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import geopandas as gpd
import pyarrow as pa

from eedask.dataset.dataset import RESERVED
from eedask.earthengine.endpoint import DEADLINE
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.expressions.compile import compile_expression, digest_of
from eedask.items.check import check_items
from eedask.items.item import sample_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.columns import Table, stated_columns
from eedask.tables.compute_task import ComputeTask, ValueJobs, ValueQuery
from eedask.verbs.options import Sending, id_type


def compute(
    items: gpd.GeoDataFrame,
    function: Callable[[Any], Any],
    *,
    out: str | os.PathLike[str],
    schema: pa.Schema | Mapping[str, Any] | None = None,
    batch_size: int = 20,
    concurrency: int = DEFAULT_CONCURRENCY,
    rate: float | None = DEFAULT_RATE,
    retry: RetryPolicy | None = None,
    deadline: float = DEADLINE,
    workload_tag: str | None = None,
    credentials: str | os.PathLike[str] | None = None,
    partition_size: int | None = None,
) -> Plan:
    """Plan a table of whatever Earth Engine computes for each item.

    Parameters
    ----------
    items : GeoDataFrame or DataFrame
        One row an item; the index holds unique ids, all integers or all strings. Geometries only
        where the function uses them.
    function : callable
        From an item to any ``ee`` object that ``getInfo`` gives the value of; see
        :func:`eedask.chips` for what an item has.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    schema : pyarrow.Schema or mapping, optional
        The columns and their types: ``{"count": "int64", "name": str}``. When not given, they
        are inferred from a few items, numbers as float64.
    batch_size : int
        Items in a request at most.
    concurrency, rate, retry, deadline, workload_tag, credentials, partition_size
        As for :func:`eedask.chips`.

    Returns
    -------
    Plan
        Its result's ``table()`` has a column for each key of a dictionary, or each property of a
        feature; ``value`` for any other value. Lists and dictionaries in them are lists and
        structs (maps, where the keys are numbers); dates are times in UTC. Keys that a later
        item has and the columns have not make a failure row of it.

    Raises
    ------
    InputError
        If the plan cannot work; nothing was sent.
    """
    sending = Sending(concurrency, rate, retry, deadline, workload_tag, credentials, partition_size)
    if not callable(function):
        raise InputError(f"function takes an item and gives an ee object; got {function!r}")
    checked = check_items(items, geometry=False, reserved=RESERVED)
    samples = sample_items(checked)
    value = compile_expression(function, samples)
    columns = () if schema is None else stated_columns(schema)
    maker = ValueJobs(batch_size, len(checked))
    task = ComputeTask(sending.endpoint, ValueQuery(value), maker, Table(id_type(checked), columns))
    terms = {
        "verb": "compute",
        "expression": digest_of(value, samples),
        "schema": {column.name: str(column.type) for column in columns} or None,
    }
    return sending.table_plan(checked, task, terms, out)
