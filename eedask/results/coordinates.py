"""Makes the coordinates of an ``xarray.Dataset`` of chips.

They follow the CF conventions (https://cfconventions.org).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eedask.crs import as_pyproj
from eedask.grid import Transform
from eedask.results.common_grid import CommonGrid
from eedask.results.values import other_names

# The name of the scalar coordinate that states the pixels' crs, which rioxarray expects.
SPATIAL_REF = "spatial_ref"
COEFFICIENT = "coefficient"

Coordinates = dict[str, tuple[Any, ...]]


def spatial_ref(crs: str, transform: Transform | None = None) -> Coordinates:
    """Return the coordinate that states a crs, and the pixels' transform if all share one."""
    found = as_pyproj(crs)
    attrs = {**found.to_cf(), "spatial_ref": found.to_wkt()}
    if transform is not None:
        a, b, c, d, e, f = transform
        attrs["GeoTransform"] = " ".join(map(repr, (c, a, b, f, d, e)))
    return {SPATIAL_REF: ((), 0, attrs)}


def of_pixels(common: CommonGrid) -> Coordinates:
    """Return the coordinates ``x`` and ``y`` of the middles of pixels, and that of their crs."""
    grid = common.grid
    axes = {axis["axis"].lower(): axis for axis in as_pyproj(grid.crs).cs_to_cf()}
    return {
        "y": ("y", common.y, axes.get("y", {})),
        "x": ("x", common.x, axes.get("x", {})),
        **spatial_ref(grid.crs, grid.transform),
    }


def of_items(columns: pd.DataFrame, dim: str, taken: Collection[str]) -> Coordinates:
    """Return columns as coordinates along a dimension.

    Parameters
    ----------
    columns : DataFrame
        In the order of the dimension.
    dim : str
    taken : collection of str
        Names that coordinates cannot have: a column of such a name is called ``NAME_item``.
    """
    names = other_names(columns.columns, taken)
    return {names.get(name, name): (dim, _plain(columns[name])) for name in columns.columns}


def of_transforms(transforms: pd.Series, name: str, dim: str) -> Coordinates:
    """Return the coordinate of the items' transforms, shape (items, 6); NaN if not known."""
    unknown = (np.nan,) * 6
    # None where an item failed, NaN where it is not done.
    rows = [
        unknown if gone else one for one, gone in zip(transforms, transforms.isna(), strict=True)
    ]
    return {
        name: ((dim, COEFFICIENT), np.array(rows, dtype=float)),
        COEFFICIENT: (COEFFICIENT, list("abcdef")),
    }


def _plain(column: pd.Series) -> NDArray[Any]:
    """Return a column as a NumPy array: of times in UTC, numbers, or objects with None for null."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return np.asarray(column.dt.tz_convert("UTC").dt.tz_localize(None))
    if pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind in "mM":
        nullable = pd.api.types.is_extension_array_dtype(column.dtype)
        return column.to_numpy(dtype=float) if nullable and column.hasnans else column.to_numpy()
    values = np.empty(len(column), dtype=object)
    # One by one: a list in a column is one value.
    for place, value in enumerate(column.astype(object).where(column.notna(), None)):
        values[place] = value
    return values
