"""Finds the grid that chips share, and where they lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eedask.errors import InputError
from eedask.grid import PixelGrid

# By which part of a pixel chips may lie off the pixels of others, to allow for rounding.
_CLOSE = 1e-3
_OTHERWISE = "dims=('item', 'y', 'x') keeps chips apart; items=[…] chooses some of them"


@dataclass(frozen=True)
class CommonGrid:
    """The smallest grid that holds all of some chips, and where they lie in it.

    Attributes
    ----------
    grid : PixelGrid
    rows, columns : ndarray of int
        Row and column of each chip's first pixel, counted from the grid's first pixel.
    """

    grid: PixelGrid
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @property
    def x(self) -> NDArray[np.float64]:
        """The x coordinates of the middles of the pixels, in the crs; shape (columns,)."""
        a, _, c, *_ = self.grid.transform
        return np.asarray(c + a * (np.arange(self.grid.shape[1]) + 0.5))

    @property
    def y(self) -> NDArray[np.float64]:
        """The y coordinates of the middles of the pixels, in the crs; shape (rows,)."""
        *_, e, f = self.grid.transform
        return np.asarray(f + e * (np.arange(self.grid.shape[0]) + 0.5))


def common_grid(chips: pd.DataFrame) -> CommonGrid:
    """Return the grid on which chips lie.

    Parameters
    ----------
    chips : DataFrame
        Columns ``crs``, ``transform``, ``height``, ``width``; at least one row, an item each.

    Raises
    ------
    InputError
        If it is not known where a chip lies, or the chips do not lie on the pixels of one grid.
    """
    if (unknown := chips["transform"].isna() | chips["crs"].isna()).any():
        raise InputError(
            f"it is not known where the chips of {_some(chips.index[unknown])} lie, as only"
            " GeoTIFFs state it if chips are fetched with region=: fetch them with scale= or as"
            f" tif, or {_OTHERWISE}"
        )
    if len(crs := chips["crs"].unique()) > 1:
        raise InputError(
            f"the chips lie in {len(crs)} crs, {', '.join(map(str, crs[:3]))}…: fetch them with"
            f" one crs= for all, or {_OTHERWISE}"
        )
    transforms = np.array(chips["transform"].tolist())
    a, b, c, d, e, f = transforms[0]
    if b or d:
        raise InputError(
            f"the chips' pixels are rotated against the crs's axes (transform {transforms[0]}), so"
            f" that rows and columns have no x and y coordinates; {_OTHERWISE}"
        )
    other = ~np.isclose(transforms[:, [0, 4]], [a, e], rtol=1e-9, atol=0).all(axis=1)
    _refuse(chips.index, other, "have pixels of another size than")
    places = (transforms[:, [5, 2]] - (f, c)) / (e, a)
    whole = np.round(places)
    off = (np.abs(places - whole) > _CLOSE).any(axis=1)
    _refuse(chips.index, off, "lie between the pixels of")
    first, sides = whole.min(axis=0), chips[["height", "width"]].to_numpy(dtype=np.int64)
    starts = (whole - first).astype(np.int64)
    transform = (a, 0.0, c + a * first[1], 0.0, e, f + e * first[0])
    rows, columns = (starts + sides).max(axis=0).tolist()
    grid = PixelGrid(str(crs[0]), tuple(map(float, transform)), (rows, columns))  # type: ignore[arg-type]
    return CommonGrid(grid, starts[:, 0], starts[:, 1])


def _refuse(ids: pd.Index, which: NDArray[np.bool_], how: str) -> None:
    """Raise InputError if ``which`` is true for any chip: it does not fit the first one."""
    if which.any():
        raise InputError(
            f"the chips of {_some(ids[which])} {how} that of item {ids[0]!r}: fetch all on one"
            " grid of pixels, with one crs= and scale=, or crs='native' of one image; or"
            f" {_OTHERWISE}"
        )


def _some(ids: pd.Index) -> str:
    """Return a few ids in words."""
    shown: list[Any] = ids[:3].tolist()
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"item{'s' * (len(ids) > 1)} {', '.join(map(repr, shown))}{more}"
