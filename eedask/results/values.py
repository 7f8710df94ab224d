"""The values of a table as pandas and Dask frames. Nulls do not change a column's type."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

import geopandas as gpd
import pandas as pd
import pyarrow as pa

from eedask.dataset.dataset import Dataset
from eedask.dataset.parts import or_damaged
from eedask.dataset.rows import ITEM_ID, WHEN, decoded
from eedask.dataset.values_table import TABLE, is_series
from eedask.errors import DatasetError
from eedask.results.layouts import Layout, laid_out

if TYPE_CHECKING:
    import dask.dataframe as dd

# Without this, pandas would make floats of whole numbers in a column with nulls.
_NULLABLE = {pa.int64(): pd.Int64Dtype()}


def all_values(dataset: Dataset) -> pd.DataFrame:
    """Return the values of all items; those of a time series are sorted by time.

    Raises
    ------
    DatasetError
        If the dataset has no table.
    """
    found = dataset.table()
    if found is None:
        raise _no_table(dataset)
    values = _frame(found)
    with or_damaged(dataset.folder, TABLE):
        for name in dataset.properties("table"):
            values[name] = decoded(values[name])
    return values.sort_values(WHEN, kind="stable") if is_series(found.schema) else values


def values_in(dataset: Dataset, layout: Layout) -> pd.DataFrame:
    """Return the values of all items in a layout; see :meth:`eedask.Result.table`.

    Raises
    ------
    DatasetError
        If the dataset has no table.
    InputError
        If it cannot have that layout.
    """
    values, schema = all_values(dataset), dataset.values.schema()
    maps = [field.name for field in schema or () if pa.types.is_map(field.type)]
    asked = dataset.plan()["asked"]
    is_histogram = "reducer" in asked and asked.get("group") is None
    return laid_out(values, maps, layout, 0.0 if is_histogram else None)


def beside_items(items: gpd.GeoDataFrame, values: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return the items with their values. An item's column with the name of a value is renamed."""
    taken = other_names(items.columns, values.columns)
    if items.geometry.name in taken:
        items = items.rename_geometry(taken.pop(items.geometry.name))
    return items.rename(columns=taken).join(values)


def lazy_values(dataset: Dataset) -> dd.DataFrame:
    """Return the values of all items, a partition for each file of the table.

    Raises
    ------
    DatasetError
        If the dataset has no table.
    """
    # Imported here: at the top, every worker would import it, which takes long.
    import dask.dataframe as dd

    schema = dataset.values.schema()
    if schema is None:
        raise _no_table(dataset)
    meta = _frame(schema.empty_table())
    partitions = dataset.table_partitions()
    if not partitions:
        return dd.from_pandas(meta, npartitions=1)
    # Not dask's read_parquet: it lets the nulls in a file decide the types of its partition.
    return dd.from_map(partial(_part, dataset), partitions, meta=meta)


def _no_table(dataset: Dataset) -> DatasetError:
    dataset.plan()  # raises where the folder is gone, or damaged
    return DatasetError(f"{dataset.folder.url} has no table; its results are files: see .open(id)")


def _part(dataset: Dataset, number: int) -> pd.DataFrame:
    return _frame(dataset.table_of(number))


def _frame(table: pa.Table) -> pd.DataFrame:
    # Ids are never null, and an index of plain integers equals the items' own.
    ids = pd.Index(table[ITEM_ID].to_pandas(), name=ITEM_ID)
    frame: pd.DataFrame = table.drop_columns(ITEM_ID).to_pandas(types_mapper=_NULLABLE.get)
    return frame.set_axis(ids, axis=0)


def other_names(own: Iterable[str], values: Collection[str]) -> dict[str, str]:
    """Return new names for those of the items' columns that have the name of a value.

    ``_item`` is put behind such a name, again and again until it is new.
    """
    names = list(own)
    given: dict[str, str] = {}
    for name in names:
        other = name
        while other in values or (other != name and (other in names or other in given.values())):
            other = f"{other}_item"
        if other != name:
            given[name] = other
    return given
