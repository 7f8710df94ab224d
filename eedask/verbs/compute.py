"""The verb ``compute``: any value that Earth Engine computes, for each item."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import ee
import geopandas as gpd
import pyarrow as pa

from eedask.dataset.dataset import RESERVED
from eedask.dataset.question import Question
from eedask.earthengine.endpoint import DEADLINE, EndpointName
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.expressions.compile import compile_expression
from eedask.expressions.symbols import Item
from eedask.items.check import check_items
from eedask.items.item import sample_items
from eedask.plan import Plan
from eedask.quota.messages import DEFAULT_CONCURRENCY, DEFAULT_RATE
from eedask.tables.columns import Table, stated_columns
from eedask.tables.compute_task import ComputeTask, ValueJobs, ValueQuery
from eedask.verbs.options import Sending, id_type


def compute(
    items: gpd.GeoDataFrame,
    function: Callable[[Item], Any],
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
    endpoint: EndpointName = "auto",
    partition_size: int | None = None,
) -> Plan:
    """Plan a table with one row an item: the value that a function of the item gives.

    Parameters
    ----------
    items : GeoDataFrame or DataFrame
        One row an item; the index holds unique ids, all integers or all strings. Geometries are
        needed only if the function uses them.
    function : callable
        From an :class:`eedask.Item` to any ``ee`` object whose value ``getInfo`` would return.
    out : str or path
        Folder, local or any fsspec URL, that the workers can write to.
    schema : pyarrow.Schema or mapping, optional
        The columns and their types: ``{"count": "int64", "name": str}``. When not given, they
        are inferred from a few items, numbers as float64.
    batch_size : int
        Items in a request at most, up to 2,500.
    concurrency : int
        Requests at once, over all workers and all runs of the project on the cluster. Earth
        Engine's default quota is 40 (https://developers.google.com/earth-engine/guides/usage).
        Where Earth Engine grants less, the run adapts to that.
    rate : float, optional
        Requests a second, over all of them; the default quota is 100. None: not limited.
    retry : RetryPolicy, optional
        How often a request that may succeed later is tried, and the waits in between; 8 tries
        when not given.
    deadline : float
        Seconds that one request may take, from its start to the last byte of its answer.
    workload_tag : str, optional
        A label sent with each request, by which Google's monitoring tells costs apart; the
        default is what ``ee.data.setWorkloadTag`` has set.
    credentials : {"default", "client"} or path, optional
        The credentials that workers in other processes use; see :func:`eedask.chips`.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.
    partition_size : int, optional
        Items in a Dask partition. When not given: a 16th of the items, from 1,000 to 10,000.

    Returns
    -------
    Plan
        Its result's ``table()`` has a column for each key of a dictionary, or for each property of
        a feature; any other value is in the column ``value``. In Parquet, nested lists are
        lists, and nested dictionaries are structs (maps, if the keys are numbers); dates are
        timestamps in UTC. An item whose value has a key that is not among the columns fails.

    Raises
    ------
    InputError
        If an argument cannot be used, or the arguments do not fit each other.
    ItemsError
        If the items cannot be used as they are.

    Examples
    --------
    >>> lst = ee.ImageCollection("MODIS/061/MOD11A2")
    >>> plan = eedask.compute(
    ...     fields, lambda item: lst.filterBounds(item.geometry).size(), out="counts"
    ... )  # doctest: +SKIP
    >>> plan.run().table()["value"]  # doctest: +SKIP
    """
    sending = Sending(
        concurrency, rate, retry, deadline, workload_tag, credentials, partition_size, endpoint
    )
    if not callable(function):
        raise InputError(f"function takes an item and gives an ee object; got {function!r}")
    checked = check_items(items, geometry=False, reserved=RESERVED)
    samples = sample_items(checked)
    value = compile_expression(_asking_properties(function), samples)
    columns = () if schema is None else stated_columns(schema)
    maker = ValueJobs(batch_size, len(checked))
    task = ComputeTask(sending.endpoint, ValueQuery(value), maker, Table(id_type(checked), columns))
    terms = {
        "verb": "compute",
        "schema": {column.name: str(column.type) for column in columns} or None,
    }
    question = Question(terms, {"function": value})
    return sending.table_plan(checked, task, question, out)


def _asking_properties(function: Callable[[Item], Any]) -> Callable[[Item], Any]:
    """Return a function like ``function`` that returns the properties of features as dictionaries.

    A feature in an answer may have members and properties of any kind that nobody asked for.
    """

    @functools.wraps(function)
    def asking(item: Item) -> Any:
        value = function(item)
        if not isinstance(value, ee.Feature):
            return value
        # Named, as toDictionary leaves out those of "system:", such as a time, by default
        # (https://developers.google.com/earth-engine/apidocs/ee-feature-todictionary).
        return value.toDictionary(value.propertyNames().remove("system:index"))

    return asking
