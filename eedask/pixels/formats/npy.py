"""NumPy's NPY: structured arrays, a field a band."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import check_memory, check_same


def _npy_shape(data: bytes) -> tuple[int, int]:
    """Read the header, and see that as many values follow; they need no reading."""
    # The length of the header stands in it: https://numpy.org/doc/stable/reference/generated/
    # numpy.lib.format.html
    length = 10 + int.from_bytes(data[8:10], "little")
    (rows, columns), dtype = _npy_header(data[:length])
    if len(data) - length != rows * columns * dtype.itemsize:
        raise ValueError(f"{len(data) - length} bytes for {rows} x {columns} of {dtype}")
    return rows, columns


@functools.lru_cache(maxsize=64)
def _npy_header(header: bytes) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return shape and dtype; the chips of a run mostly share them, and they are slow to read."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("a version of the format that Earth Engine does not write")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or dtype.names is None:
        raise ValueError(f"an array of {dtype} with {len(shape)} dimensions")
    return (shape[0], shape[1]), dtype


class _NpyJoiner:
    """Structured arrays; the array lies in the file that is being made."""

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._shape = grid.shape
        self._most = most
        self._file = io.BytesIO()
        self._array: NDArray[Any] | None = None

    def add(self, window: Window, data: bytes) -> None:
        tile = np.load(io.BytesIO(data), allow_pickle=False)
        if self._array is None:
            self._array = self._allocated(tile.dtype)
        check_same("bands", tile.dtype, self._array.dtype)
        self._array[window.slices] = tile

    def finish(self) -> bytes:
        self._array = None  # a buffer that is looked at cannot be given away without a copy
        return self._file.getvalue()

    def _allocated(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        check_memory(self._shape, dtype.itemsize, self._most)
        _write_npy_header(self._file, dtype, self._shape)
        start = self._file.tell()
        self._file.seek(self._shape[0] * self._shape[1] * dtype.itemsize - 1, io.SEEK_CUR)
        self._file.write(b"\0")
        pixels = np.frombuffer(self._file.getbuffer(), dtype, offset=start)
        return pixels.reshape(self._shape)


def _write_npy_header(file: io.BytesIO, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    try:
        np.lib.format.write_array_header_1_0(file, header)
    except ValueError:  # over 64 kB, with hundreds of bands
        np.lib.format.write_array_header_2_0(file, header)
