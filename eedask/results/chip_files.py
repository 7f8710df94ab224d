"""Opens the files of chips. The object can be pickled, so Dask's workers open files with it too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import refusals_told
from eedask.errors import DatasetError, EedaskError
from eedask.pixels.formats.masking import Masking
from eedask.pixels.formats.registry import format_of

# A band's values, shape (rows, columns), with a mask or without.
Band = NDArray[Any]


@dataclass(frozen=True)
class ChipFiles:
    """Opens the files of a dataset's chips.

    Each method takes a file's path, relative to the dataset, and the bytes that were written to
    it, and raises

    - InputError if what reads the format is not installed,
    - DatasetError if the file is missing or damaged.

    Parameters
    ----------
    dataset : Dataset
    masking : Masking
        How its files say which pixels are masked.
    """

    dataset: Dataset
    masking: Masking

    def open(self, path: str, nbytes: int) -> Any:
        """Return a file as users work with it; see :meth:`eedask.Result.open`."""
        with self._or_damaged(path):
            return format_of(path).open(self._bytes(path, nbytes), self.masking)

    def picture(self, path: str, nbytes: int) -> Image.Image:
        """Return a file as a picture to look at."""
        with self._or_damaged(path):
            return format_of(path).as_picture(self._bytes(path, nbytes), self.masking)

    def bands(self, path: str, nbytes: int, shape: tuple[int, int], count: int) -> list[Band]:
        """Return a file's bands as masked arrays of a shape, in their order.

        Parameters
        ----------
        path : str
        nbytes : int
        shape : (int, int)
            The rows and columns that the manifest states.
        count : int
            How many bands there are.
        """
        opened = self.open(path, nbytes)
        with self._or_damaged(path):
            bands = _bands(opened)
            if [band.shape for band in bands] != [shape] * count:
                raise ValueError(f"it has other than {count} bands of {shape} (rows, columns)")
            return bands

    def _bytes(self, path: str, nbytes: int) -> bytes:
        """Return a chip's file; raise ValueError if it is not as long as it was written."""
        data = self.dataset.folder.read(path)
        if len(data) != nbytes:
            raise ValueError(f"it has {len(data)} bytes, and {nbytes} were written")
        return data

    @contextlib.contextmanager
    def _or_damaged(self, path: str) -> Iterator[None]:
        """Raise a DatasetError that says what to do, for any error from reading a chip's file."""
        try:
            with refusals_told(self.dataset.folder):
                yield
        except EedaskError:
            raise
        # Each library has errors of its own for files that it cannot read.
        except Exception as error:
            raise DatasetError(
                f"{self.dataset.folder.path(path)} is missing or damaged ({error}); remove it and"
                " run the same plan again to fetch it anew"
            ) from error


def _bands(opened: Any) -> list[Band]:
    """Return the bands of what a format opens a file as: an array, a picture, a dataset."""
    if isinstance(opened, np.ndarray):
        return [opened[name] for name in opened.dtype.names or ()]
    if isinstance(opened, Image.Image):
        grey = opened.mode in ("1", "L", "LA")
        channels = np.moveaxis(np.asarray(opened.convert("LA" if grey else "RGBA")), -1, 0)
        return [np.ma.masked_where(channels[-1] == 0, colour) for colour in channels[:-1]]
    with opened:
        return [*opened.read(masked=True)]
