"""The region tables that come with the package, read from GeoParquet as queries need them.

The files are made by :mod:`eedask.emulator.catalog.tables.build`. The columns that a query filters
by are read for all rows, the others only for the row groups with matching rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from eedask.emulator.catalog.tables.tables import FeatureTable

FOLDER = Path(__file__).parents[1] / "data" / "regions"
BOX = "bbox"
GEOMETRY = "geometry"
FILES = {
    "RESOLVE/ECOREGIONS/2017": "ecoregions",
    "FAO/GAUL/2015/level0": "gaul_level0",
    "FAO/GAUL/2015/level1": "gaul_level1",
    "FAO/GAUL/2015/level2": "gaul_level2",
    "FAO/GAUL_SIMPLIFIED_500m/2015/level0": "gaul_level0",
    "FAO/GAUL_SIMPLIFIED_500m/2015/level1": "gaul_level1",
    "FAO/GAUL_SIMPLIFIED_500m/2015/level2": "gaul_level2",
    "TIGER/2018/Counties": "tiger_counties",
    "TIGER/2018/States": "tiger_states",
    "USDOS/LSIB_SIMPLE/2017": "lsib",
    "WCMC/WDPA/current/polygons": "wdpa",
}
"""The file of each table, by asset id."""

_GROUPS_KEPT = 32  # decoded row groups in memory for each table, of about 50,000 vertices each


def table(asset_id: str) -> FeatureTable:
    """Return a table by its asset id, one of :data:`FILES`."""
    return _open(FILES[asset_id])


@cache
def _open(name: str) -> FeatureTable:
    rows = ShippedRows(FOLDER / f"{name}.parquet")
    return FeatureTable(rows, rows.boxes(), rows.shape)


class ShippedRows:
    """The rows of one file: their properties, boxes and shapes.

    Parameters
    ----------
    path : Path
        A file that the build script has written.
    """

    def __init__(self, path: Path) -> None:
        # Imported here because most requests need no table.
        from pyarrow import parquet

        self._file = parquet.ParquetFile(path, memory_map=True)
        meta = self._file.metadata
        sizes = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
        self._starts = [0, *np.cumsum(sizes).tolist()]
        self.names: Sequence[str] = [
            name for name in self._file.schema_arrow.names if name not in (BOX, GEOMETRY)
        ]
        self.values = cache(self._values)
        self._properties = lru_cache(_GROUPS_KEPT)(self._read_properties)
        self._shapes = lru_cache(_GROUPS_KEPT)(self._read_shapes)

    def __len__(self) -> int:
        return self._starts[-1]

    def properties(self, row: int) -> dict[str, Any]:
        """Return the properties of a row, without those that are null."""
        group = bisect_right(self._starts, row) - 1
        return dict(self._properties(group)[row - self._starts[group]])

    def shape(self, row: int) -> BaseGeometry:
        """Return a row's shape, in degrees."""
        group = bisect_right(self._starts, row) - 1
        return self._shapes(group)[row - self._starts[group]]

    def boxes(self) -> NDArray[np.float64]:
        """Return west, south, east and north of all rows, shape (n, 4)."""
        sides = self._file.read([BOX]).column(0).combine_chunks().flatten()
        return _beside(sides).astype(np.float64)

    def groups(self) -> int:
        """Return the number of row groups of the file."""
        return len(self._starts) - 1

    def groups_read(self) -> int:
        """Return the number of row groups whose shapes have been decoded so far."""
        return self._shapes.cache_info().misses

    def _values(self, name: str) -> list[Any]:
        return self._file.read([name]).column(0).to_pylist()

    def _read_properties(self, group: int) -> list[dict[str, Any]]:
        rows = self._file.read_row_group(group, self.names).to_pylist()
        return [{k: v for k, v in row.items() if v is not None} for row in rows]

    def _read_shapes(self, group: int) -> list[BaseGeometry]:
        column = self._file.read_row_group(group, [GEOMETRY]).column(0).combine_chunks()
        offsets = []
        while hasattr(column, "offsets"):
            offsets.append(np.from_dlpack(column.offsets))
            column = column.flatten()
        xy = _beside(column.flatten())
        whole = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, xy, offsets[::-1])
        parts = shapely.get_num_geometries(whole)
        return [
            shapely.get_geometry(shape, 0) if count == 1 else shape
            for shape, count in zip(whole, parts.tolist(), strict=True)
        ]


def _beside(columns: Iterable[Any]) -> NDArray[Any]:
    """Return columns of numbers, which have no nulls, side by side in one array."""
    # Other ways from pyarrow to NumPy import pandas: a fifth of a second in each process.
    return np.column_stack([np.from_dlpack(column) for column in columns])
