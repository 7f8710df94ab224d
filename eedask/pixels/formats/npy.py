"""NumPy's NPY: a structured array of (rows, columns), with one field for each band."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import ImageFormat, Joiner, check_memory, check_same


class Npy(ImageFormat):
    """NPY files."""

    name = "npy"
    aliases = ("numpy",)
    rest_name = "NPY"
    suffix = "npy"
    is_visual = False

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the header, and see that as many values follow as it says; they are not read."""
        # Bytes 8 and 9 hold the length of the header that follows them:
        # https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
        length = 10 + int.from_bytes(data[8:10], "little")
        (rows, columns), dtype = _header(data[:length])
        if len(data) - length != rows * columns * dtype.itemsize:
            raise ValueError(f"{len(data) - length} bytes for {rows} x {columns} of {dtype}")
        return rows, columns

    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the fields that hold one value a pixel."""
        # Headers of hundreds of bands are of a later version; they are slow to read.
        length = 10 + int.from_bytes(data[8:10], "little")
        later = data[6] > 1
        dtype = self.open(data).dtype if later else _header(data[:length])[1]
        fields = [(name, dtype[name]) for name in dtype.names or ()]
        return {name: field.name for name, field in fields if field.shape == ()}

    def difference(self, data: bytes, bands: Sequence[str], grid: PixelGrid | None) -> str | None:
        """Compare the names of the fields."""
        length = 10 + int.from_bytes(data[8:10], "little")
        _, dtype = _header(data[:length])
        if bands and dtype.names != tuple(bands):
            return f"its bands are {list(dtype.names or ())}, not {list(bands)}"
        return None

    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a joiner that writes tiles into the file that is being made."""
        return _Joiner(grid, most)

    def open(self, data: bytes) -> NDArray[Any]:
        """Return the structured array, shape (rows, columns)."""
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
        return array

    def as_array(self, data: bytes) -> NDArray[Any]:
        """Return the bands in the one type that holds all of them; NPY has 0 where masked."""
        array = self.open(data)
        assert array.dtype.names is not None
        return np.stack([array[name] for name in array.dtype.names])


@functools.lru_cache(maxsize=64)
def _header(header: bytes) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return shape and dtype. They are slow to read, and most chips of a run share them."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("a version of the format that Earth Engine does not write")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or min(shape) < 1 or dtype.names is None:
        raise ValueError(f"an array of {dtype} with {len(shape)} dimensions, {shape}")
    if odd := [name for name in dtype.names if dtype[name].kind not in "iuf"]:
        raise ValueError(f"the bands {odd} hold no numbers: {dtype}")
    return (shape[0], shape[1]), dtype


class _Joiner:
    """The array is a view of the file that is being made, so that the chip is held only once."""

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
        # While a view of the buffer exists, getvalue would copy it.
        self._array = None
        return self._file.getvalue()

    def _allocated(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        check_memory(self._shape, dtype.itemsize, self._most)
        _write_header(self._file, dtype, self._shape)
        start = self._file.tell()
        self._file.seek(self._shape[0] * self._shape[1] * dtype.itemsize - 1, io.SEEK_CUR)
        self._file.write(b"\0")
        pixels = np.frombuffer(self._file.getbuffer(), dtype, offset=start)
        return pixels.reshape(self._shape)


def _write_header(file: io.BytesIO, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    try:
        np.lib.format.write_array_header_1_0(file, header)
    except ValueError:  # over 64 kB, with hundreds of bands
        np.lib.format.write_array_header_2_0(file, header)
