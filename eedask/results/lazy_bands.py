"""Makes lazy Dask arrays of the bands of many chips. A file is read only when it is needed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eedask.results.blocks import Block, Blocks
from eedask.results.chip_files import Band, ChipFiles

if TYPE_CHECKING:
    import dask.array as da


@dataclass(frozen=True)
class Filled:
    """The type of a band's array, and what pixels without a value hold in it."""

    dtype: np.dtype[Any]
    fill: float | int


def lazy_bands(
    files: ChipFiles, blocks: Blocks, bands: Mapping[str, Filled]
) -> dict[str, da.Array]:
    """Return an array for each band, in which a block is a Dask chunk.

    Bands that are computed together share the reading of files.

    Parameters
    ----------
    files : ChipFiles
    blocks : Blocks
    bands : mapping of str to Filled
        By name, in the order that they have in the files.
    """
    # Imported here: at the top, every worker would import it, which takes long.
    import dask.array as da
    from dask.blockwise import BlockwiseDepDict, blockwise
    from dask.highlevelgraph import HighLevelGraph

    axes = "ijk"[: len(blocks.sides)]
    counts = tuple(map(len, blocks.sides))
    # Every call has names of its own, as files may have changed since the last call.
    token = uuid.uuid4().hex
    reading = f"read-chips-{token}"
    read = partial(_read, files, len(bands))
    source = BlockwiseDepDict(blocks.blocks, numblocks=counts)
    # Without this, Dask would pickle all blocks, twice, to make a name of them.
    source.__dask_tokenize__ = partial(str, token)
    layer = blockwise(read, reading, axes, source, axes, numblocks={})
    arrays = {}
    for position, (name, filled) in enumerate(bands.items()):
        key = f"band-{position}-{token}"
        compose = partial(_composed, position, filled)
        own = blockwise(compose, key, axes, reading, axes, numblocks={reading: counts})
        graph = HighLevelGraph({reading: layer, key: own}, {reading: set(), key: {reading}})
        arrays[name] = da.Array(graph, key, blocks.sides, dtype=filled.dtype)
    return arrays


def _read(files: ChipFiles, count: int, block: Block) -> tuple[Block, list[list[Band]]]:
    """Return a block, and all bands of each of its chips."""
    pieces = block.pieces
    return block, [files.bands(one.path, one.nbytes, one.shape, count) for one in pieces]


def _composed(position: int, filled: Filled, found: tuple[Block, list[list[Band]]]) -> NDArray[Any]:
    """Return one band of a block."""
    block, chips = found
    array = np.full(block.shape, filled.fill, filled.dtype)
    for piece, bands in reversed([*zip(block.pieces, chips, strict=True)]):
        *before, row, column = piece.place
        rows, from_rows = _overlap(row, piece.shape[0], block.shape[-2])
        columns, from_columns = _overlap(column, piece.shape[1], block.shape[-1])
        values = bands[position][from_rows, from_columns]
        target = array[tuple(before)][rows, columns]
        target[:] = np.where(np.ma.getmaskarray(values), target, np.ma.getdata(values))
    return array


def _overlap(start: int, length: int, most: int) -> tuple[slice, slice]:
    """Return which indices from 0 to ``most`` a stretch covers, and with which of its own.

    The stretch begins at ``start``, which may be negative, and is ``length`` long.
    """
    first, last = max(start, 0), min(start + length, most)
    return slice(first, last), slice(first - start, last - start)
