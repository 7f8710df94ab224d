"""Cuts an array of chips into blocks (Dask's chunks); finds out which chips lie in each block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from eedask.errors import InputError
from eedask.results.common_grid import CommonGrid

Index = tuple[int, ...]

# The most blocks of a mosaic. More come about if a few chips lie far apart, and the graph of Dask
# would be too large.
_MOST_BLOCKS = 1_000_000


class Piece(NamedTuple):
    """A chip, or the part of a chip, that lies in a block.

    Attributes
    ----------
    path : str
        Path of the chip's file, relative to the dataset.
    nbytes : int
        Size of the file.
    shape : (int, int)
        Rows and columns of the chip.
    place : tuple of int
        Index of the chip's first pixel in the block. Its row or column is negative if the chip
        begins in an earlier block.
    """

    path: str
    nbytes: int
    shape: tuple[int, int]
    place: Index


class Block(NamedTuple):
    """A block of an array, and the chips in it. Where chips overlap, the first one counts."""

    shape: Index
    pieces: tuple[Piece, ...] = ()


class Blocks(NamedTuple):
    """All blocks of an array by their index, and the lengths of blocks along each dimension."""

    blocks: dict[Index, Block]
    sides: tuple[tuple[int, ...], ...]


def layers(chips: pd.DataFrame, shape: tuple[int, int], per_block: int) -> Blocks:
    """Return the blocks of an array that has a layer for each chip, shape (chips, *shape).

    Parameters
    ----------
    chips : DataFrame
        Columns ``path`` (null where there is no chip: its layer is empty), ``nbytes``, ``height``,
        ``width``, ``row`` and ``column`` (of the chip's first pixel in its layer).
    shape : (int, int)
        Rows and columns of a layer.
    per_block : int
        Layers in a block.
    """
    placed = [*_placed(chips)]
    blocks: dict[Index, Block] = {}
    for number, start in enumerate(range(0, len(placed), per_block)):
        several = placed[start : start + per_block]
        pieces = tuple(
            Piece(one.path, one.nbytes, one.shape, (layer, *one.place))
            for layer, one in enumerate(several)
            if one is not None
        )
        blocks[number, 0, 0] = Block((len(several), *shape), pieces)
    depths = tuple(block.shape[0] for block in blocks.values())
    return Blocks(blocks, (depths, shape[:1], shape[1:]))


def mosaic(chips: pd.DataFrame, common: CommonGrid) -> Blocks:
    """Return the blocks of an array of all chips beside each other.

    A block is as large as the largest chip, so that chips edge to edge have a block each.

    Parameters
    ----------
    chips : DataFrame
        As those of :func:`layers`, of which none has a null path.
    common : CommonGrid

    Raises
    ------
    InputError
        If the chips lie so far from each other that there would be too many blocks.
    """
    height, width = int(chips["height"].max()), int(chips["width"].max())
    sides = (_cut(common.grid.shape[0], height), _cut(common.grid.shape[1], width))
    if (count := len(sides[0]) * len(sides[1])) > _MOST_BLOCKS:
        raise InputError(
            f"the chips lie so far apart that the grid of all, {common.grid.shape} (rows, columns),"
            f" is {count:,} times as large as a chip: choose some with items=[…], or keep them"
            " apart with dims=('item', 'y', 'x')"
        )
    pieces: dict[tuple[int, int], list[Piece]] = {}
    for one in filter(None, _placed(chips)):
        (row, column), (rows, columns) = one.place, one.shape
        for i in range(row // height, (row + rows - 1) // height + 1):
            for j in range(column // width, (column + columns - 1) // width + 1):
                place = (row - i * height, column - j * width)
                piece = Piece(one.path, one.nbytes, one.shape, place)
                pieces.setdefault((i, j), []).append(piece)
    blocks: dict[Index, Block] = {
        (i, j): Block((rows, columns), tuple(pieces.get((i, j), ())))
        for i, rows in enumerate(sides[0])
        for j, columns in enumerate(sides[1])
    }
    return Blocks(blocks, sides)


def _placed(chips: pd.DataFrame) -> Iterator[Piece | None]:
    """Yield each chip, with its row and column as its place; None where there is no chip."""
    there = chips["path"].notna()
    paths = chips["path"].astype(object).where(there, None)
    names = ["nbytes", "height", "width", "row", "column"]
    numbers = chips[names].where(there, 0).astype("int64").to_numpy().tolist()
    for path, (nbytes, height, width, row, column) in zip(paths, numbers, strict=True):
        yield None if path is None else Piece(path, nbytes, (height, width), (row, column))


def _cut(length: int, side: int) -> tuple[int, ...]:
    """Return the lengths of the blocks of a dimension: as many of ``side`` as fit, and the rest."""
    whole, rest = divmod(length, side)
    return (side,) * whole + (rest,) * (rest > 0)
