"""Chips as an ``xarray.Dataset``: a variable a band, on Dask arrays that read files when needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.arguments import check_flags, is_count, is_names, is_one_of
from eedask.dataset.dataset import Dataset
from eedask.dataset.roles import column_names, columns_for
from eedask.dataset.rows import MANIFEST_COLUMNS, OK, WHEN, bands_in, chip_names
from eedask.errors import InputError
from eedask.pixels.formats.masking import Masking
from eedask.results.blocks import Blocks, layers, mosaic
from eedask.results.chip_files import ChipFiles
from eedask.results.common_grid import common_grid
from eedask.results.coordinates import (
    COEFFICIENT,
    SPATIAL_REF,
    Coordinates,
    of_items,
    of_pixels,
    of_transforms,
    spatial_ref,
)
from eedask.results.lazy_bands import Filled, lazy_bands
from eedask.results.values import other_names

if TYPE_CHECKING:
    import xarray

ITEM = "item"
APART, BESIDE, BY_TIME = (ITEM, "y", "x"), ("y", "x"), (WHEN, "y", "x")
DIMS = (APART, BESIDE, BY_TIME)
NAN, FILL = "nan", "fill"

# Columns of the manifest that do not become coordinates.
_NOT_TOLD = ("path", "nbytes", "attempts", "elapsed_s", "error_kind", "error", "finished")


@dataclass(frozen=True)
class Wanted:
    """The arguments of :meth:`eedask.Result.to_xarray`, checked.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    dims: Sequence[str]
    items: Iterable[Any] | None
    masked: str
    drop_failed: bool
    files_per_chunk: int

    def __post_init__(self) -> None:
        if not is_names(self.dims) or tuple(self.dims) not in DIMS:
            raise InputError(f"dims is one of {', '.join(map(str, DIMS))}; got {self.dims!r}")
        listed = isinstance(self.items, Iterable) and not isinstance(self.items, str)
        if self.items is not None and not listed:
            raise InputError(f"items is a list of items' ids; got {self.items!r}")
        check_flags(drop_failed=self.drop_failed)
        if not is_one_of(self.masked, (NAN, FILL)):
            raise InputError(f"masked is {NAN!r} or {FILL!r}; got {self.masked!r}")
        if not is_count(self.files_per_chunk):
            raise InputError(
                "files_per_chunk is a whole number of files, 1 or more; got"
                f" {self.files_per_chunk!r}"
            )


@dataclass(frozen=True)
class Chips:
    """The chips of some items.

    Attributes
    ----------
    rows : DataFrame
        One row an item, indexed by id, in the items' order. Columns: ``path`` (null if there is no
        chip), ``nbytes``, both again for each role if there are several, ``crs``, ``transform``,
        ``height``, ``width``.
    columns : DataFrame
        The other columns of the items and the manifest, of which coordinates are made.
    names : mapping of str to str
        For ``crs``, ``transform``, ``height`` and ``width``: the names of these columns in the
        manifest, which differ if the items have columns of these names.
    """

    rows: pd.DataFrame
    columns: pd.DataFrame
    names: Mapping[str, str]

    @property
    def there(self) -> pd.DataFrame:
        """The rows of the items that have a chip."""
        return self.rows[self.rows["path"].notna()]

    def by_time(self) -> Chips:
        """Return the chips sorted by the column ``time``; those of the same time keep their order.

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
            raise InputError(f"item {times.index[-1]!r} has no time: leave it out with items=[…]")
        rows, columns = self.rows.loc[times.index], self.columns.loc[times.index]
        return replace(self, rows=rows, columns=columns)


@dataclass(frozen=True)
class Arranged:
    """Chips with their places in an ``xarray.Dataset``, and its coordinates.

    Attributes
    ----------
    placed : DataFrame
        The rows of :class:`Chips`, with the columns ``row`` and ``column``: where a chip's first
        pixel lies in the array.
    cut : callable
        Returns the blocks of an array, given ``placed``.
    coordinates : dict
    """

    placed: pd.DataFrame
    cut: Callable[[pd.DataFrame], Blocks]
    coordinates: Coordinates

    def blocks(self, role: str | None) -> Blocks:
        """Return the blocks of arrays with a role's bands."""
        path, nbytes = columns_for(role)
        own = {"path": self.placed[path], "nbytes": self.placed[nbytes]}
        return self.cut(self.placed.assign(**own))


Bands = dict[str | None, dict[str, np.dtype[Any]]]


def bands_of(dataset: Dataset, ids: pd.Index | None = None) -> Bands:
    """Return, for each role, the types of the chips' bands by their names.

    The role is None if items have only one file. The result is empty if there are no chips.

    Parameters
    ----------
    dataset : Dataset
    ids : Index, optional
        The ids of items with chips to look at; all when not given.

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
    by_role = [each for text in texts for each in bands_in(text).items()]
    return {role: {name: np.dtype(k) for name, k in own.items()} for role, own in by_role}


def chip_dataset(
    files: Mapping[str | None, ChipFiles], manifest: gpd.GeoDataFrame, wanted: Wanted
) -> xarray.Dataset:
    """Return chips as a dataset; see :meth:`eedask.Result.to_xarray`.

    Parameters
    ----------
    files : mapping of str to ChipFiles
        By role.
    manifest : GeoDataFrame
    wanted : Wanted
    """
    try:
        import xarray
    except ImportError as error:
        raise InputError(
            'to_xarray needs xarray, which is not installed: pip install "eedask[xarray]"'
        ) from error
    dataset = next(iter(files.values())).dataset
    chips, dims = _chips(dataset, [*files], manifest, wanted), tuple(wanted.dims)
    bands = bands_of(dataset, chips.there.index)
    names = _variable_names(bands, dims)
    arrange = {APART: _apart, BESIDE: _beside, BY_TIME: _by_time}[dims]
    arranged = arrange(chips, {*names.values()}, wanted.files_per_chunk)
    variables = {}
    for role, own in bands.items():
        masking = files[role].masking
        filled = {name: _filled(masking, dtype, wanted.masked) for name, dtype in own.items()}
        for name, array in lazy_bands(files[role], arranged.blocks(role), filled).items():
            told = {} if role is None else {"role": role}
            variables[names[role, name]] = xarray.Variable(
                dims, array, _fill_value(filled[name]) | told
            )
    if SPATIAL_REF in arranged.coordinates:
        for variable in variables.values():
            variable.encoding["grid_mapping"] = SPATIAL_REF
    return xarray.Dataset(variables, arranged.coordinates)


def _variable_names(bands: Bands, dims: Collection[str]) -> dict[tuple[str | None, str], str]:
    """Return the name of the variable of each role's bands.

    A variable must not have the name of a dimension, or of a coordinate that is not an item's: it
    would be taken for that coordinate.

    Raises
    ------
    InputError
        If two variables would have the same name.
    """
    counts = Counter(name for own in bands.values() for name in own)
    taken, names = {*dims, ITEM, SPATIAL_REF, COEFFICIENT}, {}
    for role, own in bands.items():
        for name in own:
            free = name if counts[name] == 1 else f"{name}_{role}"
            names[role, name] = f"{free}_band" if free in taken else free
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        raise InputError(
            "variables have the names of bands, with _ROLE if several roles have a band of that"
            f" name; the names {twice} would stand for two variables: rename bands, with"
            " image.rename"
        )
    return names


def _chips(
    dataset: Dataset,
    roles: Iterable[str | None],
    manifest: gpd.GeoDataFrame,
    wanted: Wanted,
) -> Chips:
    names = chip_names(manifest.columns[: manifest.columns.get_loc(MANIFEST_COLUMNS[0])])
    chosen = manifest
    if wanted.items is not None:
        ids = pd.Index(list(wanted.items)).unique()
        if not (missing := ids.difference(manifest.index)).empty:
            raise InputError(
                f"items={missing[:3].tolist()} are not ids of this result: take ids from the index"
                " of its manifest"
            )
        chosen = manifest.loc[ids]
    done = chosen["status"] == OK
    if not done.any():
        raise InputError(
            f"{dataset.folder.url} has no chips of these items: none of them is done; see their"
            " status and error in the manifest"
        )
    if wanted.drop_failed:
        chosen, done = chosen[done], done[done]
    own = {name: free for free, name in names.items()}
    of_roles = column_names(role for role in roles if role is not None)
    rows = chosen[["path", "nbytes", *of_roles, *own]].rename(columns=own)
    rows["path"] = rows["path"].where(done)
    left_out = [*_NOT_TOLD, *of_roles, *(names[n] for n in ("transform", "height", "width"))]
    columns = chosen.drop(columns=[manifest.geometry.name, *left_out])
    return Chips(rows, columns, names)


def _filled(masking: Masking, dtype: np.dtype[Any], masked: str) -> Filled:
    """Return the type of a band's array, and what pixels without a value hold in it."""
    if dtype.kind == "f":
        return Filled(dtype, math.nan)
    if masked == NAN:
        return Filled(np.dtype("f4" if dtype.itemsize <= 2 else "f8"), math.nan)
    if (nodata := masking.value_for(dtype)) is not None:
        return Filled(dtype, int(nodata))
    # In these types every value may be a real one, so a larger type is needed.
    if dtype.kind == "u" or dtype.itemsize == 1:
        dtype = np.dtype(f"i{min(8, 2 * dtype.itemsize)}")
    return Filled(dtype, int(np.iinfo(dtype).min))


def _fill_value(filled: Filled) -> dict[str, Any]:
    """Return the attribute ``_FillValue`` of a variable; nothing for NaN, which needs none."""
    missing = filled.fill != filled.fill
    return {} if missing else {"_FillValue": filled.dtype.type(filled.fill)}


def _apart(chips: Chips, bands: set[str], per_chunk: int) -> Arranged:
    """Arrange chips along the dimension ``item``."""
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
    name, taken = chips.names["transform"], {*bands, *APART, SPATIAL_REF, COEFFICIENT}
    name = other_names([name], taken).get(name, name)
    coordinates = {
        ITEM: (ITEM, chips.rows.index),
        **of_items(chips.columns, ITEM, taken | {name}),
        **of_transforms(chips.rows["transform"], name, ITEM),
    }
    if len(crs := chips.there["crs"].unique()) == 1 and crs[0] is not None:
        coordinates |= spatial_ref(crs[0])
    cut = partial(layers, shape=(height, width), per_block=per_chunk)
    return Arranged(chips.rows.assign(row=0, column=0), cut, coordinates)


def _beside(chips: Chips, bands: set[str], per_chunk: int) -> Arranged:
    """Arrange chips beside each other on one grid."""
    there, common = chips.there, common_grid(chips.there)
    placed = there.assign(row=common.rows, column=common.columns)
    return Arranged(placed, partial(mosaic, common=common), of_pixels(common))


def _by_time(chips: Chips, bands: set[str], per_chunk: int) -> Arranged:
    """Arrange chips along the dimension ``time``, on one grid."""
    chips = chips.by_time()
    there, common = chips.there, common_grid(chips.there)
    places = pd.DataFrame({"row": common.rows, "column": common.columns}, there.index)
    times = of_items(chips.columns[[WHEN]], WHEN, ())
    taken = {*bands, *BY_TIME, ITEM, SPATIAL_REF, COEFFICIENT}
    others = chips.columns.drop(columns=[WHEN, chips.names["crs"]])
    coordinates = {
        **times,
        ITEM: (WHEN, chips.rows.index),
        **of_items(others, WHEN, taken),
        **of_pixels(common),
    }
    cut = partial(layers, shape=common.grid.shape, per_block=per_chunk)
    return Arranged(chips.rows.join(places), cut, coordinates)
