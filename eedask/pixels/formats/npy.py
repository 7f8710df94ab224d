"""NumPy's NPY: a structured array of (rows, columns), with one field for each band.

Where the type of a band has no value to spare for masked pixels, there is one more field, ``mask``,
with a byte for each band: 1 where it is valid, else 0.
"""

from __future__ import annotations

import functools
import io
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eedask.grid import PixelGrid, Window
from eedask.pixels.formats.base import (
    ImageFormat,
    JoinableFormat,
    Joiner,
    check_memory,
    check_same,
)
from eedask.pixels.formats.masking import MASK, MASK_OF, MaskedBands, Masking, check_free, valid_in

# Headers are Python literals, and in Python 3.11 two threads that read literals may both fail
# ("SystemError: AST constructor recursion depth mismatch").
_ONE_AT_A_TIME = threading.Lock()


class Npy(JoinableFormat):
    """NPY files."""

    name = "npy"
    aliases = ("numpy",)
    rest_name = "NPY"
    suffix = "npy"
    is_visual = False

    def shape_of(self, data: bytes) -> tuple[int, int]:
        """Read the header, and check that as many bytes of values follow as it says."""
        # Bytes 8 and 9 hold the length of the header that follows them:
        # https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
        length = 10 + int.from_bytes(data[8:10], "little")
        (rows, columns), dtype = _header(data[:length])
        if len(data) - length != rows * columns * dtype.itemsize:
            raise ValueError(f"{len(data) - length} bytes for {rows} x {columns} of {dtype}")
        return rows, columns

    def bands_of(self, data: bytes, named: Sequence[str] = ()) -> dict[str, str]:
        """Return the fields that hold one value a pixel."""
        # Bytes 6 and 8 on hold the version, and the length of the header; see shape_of.
        wide = data[6] > 1
        length = int.from_bytes(data[8 : 12 if wide else 10], "little") + (12 if wide else 10)
        return dict(_fields(data[:length]))

    def difference(self, data: bytes, bands: Sequence[str]) -> str | None:
        """Compare the names of the fields; if none are known, those of bands with their masks'."""
        length = 10 + int.from_bytes(data[8:10], "little")
        names = list(_header(data[:length])[1].names or ())
        if bands:
            return None if names == [*bands] else f"its bands are {names}, not {list(bands)}"
        values = names[: len(names) // 2]
        if names != [*values, *(MASK_OF + name for name in values)]:
            return (
                f"its bands are {names}, which are not bands and then {MASK_OF}… for each of them;"
                " if the image has bands of such names, state bands=[…]"
            )
        return None

    def joiner_of(self, grid: PixelGrid, most: int) -> Joiner:
        """Return a joiner that writes tiles into the file that is being made."""
        return _Joiner(grid, most)

    def bands_in(self, data: bytes) -> int:
        """Return the number of fields."""
        length = 10 + int.from_bytes(data[8:10], "little")
        return len(_header(data[:length])[1].names or ())

    def unpack(self, data: bytes, count: int) -> MaskedBands:
        """Return the first ``count`` fields as views, and the masks that the other fields hold."""
        answer = _loaded(data)
        names = answer.dtype.names or ()
        masks = [answer[mask] for mask in names[count:]]
        values = tuple(answer[band] for band in names[:count])
        return MaskedBands(names[:count], values, valid_in(masks, count))

    def settle(
        self,
        data: bytes,
        sent_as: ImageFormat,
        masking: Masking,
        count: int,
        grid: PixelGrid | None,
    ) -> bytes:
        """Return the file with its masks written into the values, or into the field ``mask``."""
        bands = sent_as.unpack(data, count)
        dtype = _kept(bands.names, tuple(values.dtype for values in bands.values), masking)
        file = _File(dtype, bands.valid.shape[1:])
        for name, values, valid in zip(bands.names, bands.values, bands.valid, strict=True):
            masking.fill(file.array[name], values, valid, name)
        if masking.as_band:
            file.array[MASK] = bands.valid.all(axis=0)
        elif MASK in (dtype.names or ()):
            # One band after the other, as copying all of them transposed takes five times as long.
            for number, valid in enumerate(bands.valid):
                file.array[MASK][..., number] = valid
        return file.finish()

    def open(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return a structured masked array, shape (rows, columns)."""
        masking = masking or Masking()
        array = _load(data)
        carried = _carries_masks(array.dtype)
        names = [name for name in array.dtype.names if not (carried and name == MASK)]
        values = np.empty(array.shape, [(name, array.dtype[name]) for name in names])
        masked = np.zeros(array.shape, [(name, bool) for name in names])
        for number, name in enumerate(names):
            values[name] = array[name]
            if carried:
                masked[name] = array[MASK][..., number] == 0
            elif masking.as_band and name != MASK:
                masked[name] = array[MASK] == 0
            elif not masking.as_band:
                masked[name] = masking.masked(array[name])
        return np.ma.MaskedArray(values, masked)

    def as_array(self, data: bytes, masking: Masking | None = None) -> NDArray[Any]:
        """Return the bands in the one type that holds all of them; 0 where masked."""
        array = self.open(data, masking)
        assert array.dtype.names is not None
        return np.stack([np.ma.filled(array[name], 0) for name in array.dtype.names])


def _loaded(data: bytes) -> NDArray[Any]:
    """Return the array of a checked file, without a copy."""
    length = 10 + int.from_bytes(data[8:10], "little")
    shape, dtype = _header(data[:length])
    return np.frombuffer(data, dtype, offset=length).reshape(shape)


def _carries_masks(dtype: np.dtype[Any]) -> bool:
    return MASK in (dtype.names or ()) and dtype[MASK].shape != ()


@functools.lru_cache(maxsize=64)
def _kept(
    names: tuple[str, ...], types: tuple[np.dtype[Any], ...], masking: Masking
) -> np.dtype[Any]:
    """Return the dtype of the file: a field for each band, and one for the mask if needed."""
    fields: list[Any] = list(zip(names, types, strict=True))
    carried = any(masking.value_for(dtype) is None for dtype in types)
    if carried:
        check_free(MASK, names)
    if masking.as_band:
        fields.append((MASK, "u1"))
    elif carried:
        fields.append((MASK, "u1", (len(names),)))
    return np.dtype(fields)


def _load(data: bytes) -> Any:
    with _ONE_AT_A_TIME:
        return np.load(io.BytesIO(data), allow_pickle=False)


@functools.lru_cache(maxsize=64)
def _fields(header: bytes) -> tuple[tuple[str, str], ...]:
    """Return the name and the type's name of each field that has one value for a pixel."""
    file = io.BytesIO(header)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    with _ONE_AT_A_TIME:
        _, _, dtype = read(file)
    fields = [(name, dtype[name]) for name in dtype.names or ()]
    return tuple((name, field.name) for name, field in fields if field.shape == ())


@functools.lru_cache(maxsize=64)
def _header(header: bytes) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return shape and dtype. Reading them is slow, and most chips of a run have equal headers."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("a version of the format that Earth Engine does not write")
    with _ONE_AT_A_TIME:
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or min(shape) < 1 or dtype.names is None:
        raise ValueError(f"an array of {dtype} with {len(shape)} dimensions, {shape}")
    if odd := [name for name in dtype.names if dtype[name].kind not in "iuf"]:
        raise ValueError(f"the bands {odd} hold no numbers: {dtype}")
    return (shape[0], shape[1]), dtype


class _File:
    """A file of zeros in memory, with an array that is a view of it, so that nothing is copied.

    Attributes
    ----------
    array : ndarray
        Its pixels; write to them, and then call :meth:`finish`.
    """

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._file = io.BytesIO()
        start = self._file.write(_head(dtype, shape))
        self._file.seek(math.prod(shape) * dtype.itemsize - 1, io.SEEK_CUR)
        self._file.write(b"\0")
        self.array = np.frombuffer(self._file.getbuffer(), dtype, offset=start).reshape(shape)

    def finish(self) -> bytes:
        """Return the file. The array cannot be used any more."""
        # While a view of the buffer exists, getvalue would copy it.
        del self.array
        return self._file.getvalue()


class _Joiner:
    """Writes tiles into a file in memory."""

    def __init__(self, grid: PixelGrid, most: int) -> None:
        self._shape = grid.shape
        self._most = most
        self._file: _File | None = None

    def add(self, window: Window, data: bytes) -> None:
        tile = _load(data)
        if self._file is None:
            check_memory(self._shape, tile.dtype.itemsize, self._most)
            self._file = _File(tile.dtype, self._shape)
        check_same("bands", tile.dtype, self._file.array.dtype)
        self._file.array[window.slices] = tile

    def finish(self) -> bytes:
        assert self._file is not None, "a chip has tiles"
        return self._file.finish()


@functools.lru_cache(maxsize=64)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the beginning of a file, up to its pixels."""
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    file = io.BytesIO()
    try:
        np.lib.format.write_array_header_1_0(file, header)
    except ValueError:  # over 64 kB, with hundreds of bands
        np.lib.format.write_array_header_2_0(file, header)
    return file.getvalue()
