"""Chips as an ``xarray.Dataset``: a variable a band, on Dask arrays that read files when needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.arguments import is_count
from eedask.dataset.dataset import Dataset
from eedask.dataset.rows import MANIFEST_COLUMNS, OK, WHEN, bands_in, chip_names
from eedask.errors import InputError
from eedask.pixels.formats.masking import Masking
from eedask.results.blocks import Blocks, layers, mosaic
from eedask.results.chip_files import ChipFiles
from eedask.results.common_grid import common_grid
from eedask.results.coordinates import (
    SPATIAL_REF,
    Coordinates,
    of_items,
    of_pixels,
    of_transforms,
    spatial_ref,
)
from eedask.results.lazy_bands import Filled, lazy_bands

if TYPE_CHECKING:
    import xarray

ITEM = "item"
APART, BESIDE, BY_TIME = (ITEM, "y", "x"), ("y", "x"), (WHEN, "y", "x")
DIMS = (APART, BESIDE, BY_TIME)
NAN, FILL = "nan", "fill"

# Of the manifest, what is of no use beside pixels.
_NOT_TOLD = ("path", "nbytes", "attempts", "elapsed_s", "error_kind", "error", "finished")


@dataclass(frozen=True)
class Wanted:
    """The arguments of :meth:`eedask.Result.to_xarray`, checked.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    dims: tuple[str, ...]
    items: Iterable[Any] | None
    masked: str
    drop_failed: bool
    files_per_chunk: int

    def __post_init__(self) -> None:
        if self.dims not in DIMS:
            raise InputError(f"dims is one of {', '.join(map(str, DIMS))}; got {self.dims!r}")
        if self.masked not in (NAN, FILL):
            raise InputError(f"masked is {NAN!r} or {FILL!r}; got {self.masked!r}")
        if not is_count(self.files_per_chunk):
            raise InputError(
                f"files_per_chunk is a number of files, at least 1; got {self.files_per_chunk!r}"
            )


@dataclass(frozen=True)
class Chips:
    """The chips of some items.

    Attributes
    ----------
    rows : DataFrame
        By item id, in the items' order: ``path`` (null where there is no chip), ``nbytes``,
        ``crs``, ``transform``, ``height``, ``width``.
    columns : DataFrame
        What else is told of the items, which coordinates are made of.
    names : mapping of str to str
        What ``crs`` and ``transform`` are called in the manifest.
    """

    rows: pd.DataFrame
    columns: pd.DataFrame
    names: Mapping[str, str]

    @property
    def there(self) -> pd.DataFrame:
        """The rows of the items that have a chip."""
        return self.rows[self.rows["path"].notna()]

    def by_time(self) -> Chips:
        """Return them by the column ``time``; those of one time stay in their order.

        Raises
        ------
        InputError
            If there is no such column of times, or one is null.
        """
        if WHEN not in self.columns or self.columns[WHEN].dtype.kind != "M":
            raise InputError(
                f"dims={BY_TIME} needs items with a column 'time' of timestamps, as"
                " eedask.items.image_ids gives it"
            )
        times = self.columns[WHEN].sort_values(kind="stable")
        if times.hasnans:
            raise InputError(f"item {times.index[-1]!r} has no time: leave it out, with items=[…]")
        return Chips(self.rows.loc[times.index], self.columns.loc[times.index], self.names)


def bands_of(dataset: Dataset, ids: pd.Index | None = None) -> dict[str, np.dtype[Any]]:
    """Return the types of the bands of chips by their names; empty if there are no chips.

    Parameters
    ----------
    dataset : Dataset
    ids : Index, optional
        Of items with chips; all when not given.

    Raises
    ------
    InputError
        If chips of different items have different bands.
    """
    found = dataset.bands()
    different = (found if ids is None else found.loc[ids]).drop_duplicates()
    if len(different) > 1:
        (one, its), (other, others) = different.iloc[:2].items()
        raise InputError(
            f"the chips differ in their bands: item {one!r} has {its}, item {other!r} {others}."
            " Choose items with the same, or give all images the same bands, with select and a"
            " cast such as toFloat()"
        )
    texts = different.dropna().tolist()
    return {name: np.dtype(kind) for text in texts for name, kind in bands_in(text).items()}


def chip_dataset(files: ChipFiles, manifest: gpd.GeoDataFrame, wanted: Wanted) -> xarray.Dataset:
    """Return chips as a dataset; see :meth:`eedask.Result.to_xarray`."""
    try:
        import xarray
    except ImportError as error:
        raise InputError(
            'to_xarray needs xarray, which is not installed: pip install "eedask[xarray]"'
        ) from error
    chips = _chips(files.dataset, manifest, wanted)
    bands = {
        name: _filled(files.masking, dtype, wanted.masked)
        for name, dtype in bands_of(files.dataset, chips.there.index).items()
    }
    arranged = {APART: _apart, BESIDE: _beside, BY_TIME: _by_time}[wanted.dims]
    blocks, coordinates = arranged(chips, {*bands}, wanted.files_per_chunk)
    arrays = lazy_bands(files, blocks, bands)
    variables = {
        # A variable that is called as a dimension would be its coordinate.
        f"{name}_band" if name in wanted.dims else name: xarray.Variable(
            wanted.dims, array, _fill_value(bands[name])
        )
        for name, array in arrays.items()
    }
    if SPATIAL_REF in coordinates:
        for variable in variables.values():
            variable.encoding["grid_mapping"] = SPATIAL_REF
    return xarray.Dataset(variables, coordinates)


def _chips(dataset: Dataset, manifest: gpd.GeoDataFrame, wanted: Wanted) -> Chips:
    names = chip_names(manifest.columns[: manifest.columns.get_loc(MANIFEST_COLUMNS[0])])
    chosen = manifest
    if wanted.items is not None:
        ids = pd.Index(list(wanted.items)).unique()
        if not (missing := ids.difference(manifest.index)).empty:
            raise InputError(f"items holds ids of items; {missing[:3].tolist()} are none")
        chosen = manifest.loc[ids]
    done = chosen["status"] == OK
    if not done.any():
        raise InputError(f"{dataset.folder.url} has no chips of these items")
    if wanted.drop_failed:
        chosen, done = chosen[done], done[done]
    own = {name: free for free, name in names.items()}
    rows = chosen[["path", "nbytes", *own]].rename(columns=own)
    rows["path"] = rows["path"].where(done)
    left_out = [*_NOT_TOLD, *(names[name] for name in ("transform", "height", "width"))]
    columns = chosen.drop(columns=[manifest.geometry.name, *left_out])
    return Chips(rows, columns, names)


def _filled(masking: Masking, dtype: np.dtype[Any], masked: str) -> Filled:
    """Return the type of a band's array, and what it holds where there is no value."""
    if dtype.kind == "f":
        return Filled(dtype, math.nan)
    if masked == NAN:
        return Filled(np.dtype("f4" if dtype.itemsize <= 2 else "f8"), math.nan)
    if (nodata := masking.value_for(dtype)) is not None:
        return Filled(dtype, int(nodata))
    # All values of these may be real, so that a larger type is needed.
    if dtype.kind == "u" or dtype.itemsize == 1:
        dtype = np.dtype(f"i{min(8, 2 * dtype.itemsize)}")
    return Filled(dtype, int(np.iinfo(dtype).min))


def _fill_value(filled: Filled) -> dict[str, Any]:
    """Return the attributes of a variable; NaN needs none to be read as missing."""
    missing = filled.fill != filled.fill
    return {} if missing else {"_FillValue": filled.dtype.type(filled.fill)}


def _apart(chips: Chips, bands: set[str], per_chunk: int) -> tuple[Blocks, Coordinates]:
    """Return blocks and coordinates of chips one behind the other."""
    sizes = chips.there[["height", "width"]].drop_duplicates()
    if len(sizes) > 1:
        one, other = sizes.index[:2]
        its, others = map(tuple, sizes.iloc[:2].to_numpy(dtype=object).tolist())
        raise InputError(
            f"the chips have {len(sizes)} shapes: that of item {one!r} is {its} (rows, columns),"
            f" that of item {other!r} {others}. Fetch chips of one shape, with"
            " shape=(rows, columns); or choose items of one, with"
            " items=manifest.index[manifest['height'] == …]; or, where chips lie on one grid,"
            f" merge them with dims={BESIDE}"
        )
    height, width = (int(side) for side in sizes.iloc[0])
    name, taken = chips.names["transform"], {*bands, *APART, SPATIAL_REF}
    coordinates = {
        ITEM: (ITEM, chips.rows.index),
        **of_items(chips.columns, ITEM, taken | {name}),
        **of_transforms(chips.rows["transform"], name, ITEM),
    }
    if len(crs := chips.there["crs"].unique()) == 1 and crs[0] is not None:
        coordinates |= spatial_ref(crs[0])
    placed = chips.rows.assign(row=0, column=0)
    return layers(placed, (height, width), per_chunk), coordinates


def _beside(chips: Chips, bands: set[str], per_chunk: int) -> tuple[Blocks, Coordinates]:
    """Return blocks and coordinates of chips beside each other."""
    there, common = chips.there, common_grid(chips.there)
    placed = there.assign(row=common.rows, column=common.columns)
    return mosaic(placed, common), of_pixels(common)


def _by_time(chips: Chips, bands: set[str], per_chunk: int) -> tuple[Blocks, Coordinates]:
    """Return blocks and coordinates of chips one behind the other by time, on one grid."""
    chips = chips.by_time()
    there, common = chips.there, common_grid(chips.there)
    places = pd.DataFrame({"row": common.rows, "column": common.columns}, there.index)
    times = of_items(chips.columns[[WHEN]], WHEN, ())
    taken = {*bands, *BY_TIME, ITEM, SPATIAL_REF, "coefficient"}
    others = chips.columns.drop(columns=[WHEN, chips.names["crs"]])
    coordinates = {
        **times,
        ITEM: (WHEN, chips.rows.index),
        **of_items(others, WHEN, taken),
        **of_pixels(common),
    }
    return layers(chips.rows.join(places), common.grid.shape, per_chunk), coordinates
