"""What data files hold where the image is masked.

What Earth Engine writes there by itself is not documented. So masks are asked for with the bands,
in the same request, as bands that follow them. No question about types has to be asked.

- In a format whose bands may differ in type (NPY), they are bands of bytes. Where the bands are
  named, a byte holds the masks of eight of them, a bit each; where they are not, nobody knows how
  many there are, and each has a byte of its own. Earth Engine counts two bytes a pixel for each.
- In a format with one type for all bands (GeoTIFF), each band comes twice: filled with 0 where it
  is masked, and filled with 1. Both have the type of the band, so that nothing is refused or
  changed for the sake of the masks. Where the two differ, the band is masked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eedask.errors import PermanentError

MASK = "mask"
# Bands whose masks a band of bytes holds, if it is known which they are.
PACKED = 8


def mask_names(bands: Sequence[str], each: int = PACKED) -> tuple[str, ...]:
    """Return the names under which the masks of named bands are asked for, none of them a band's.

    Parameters
    ----------
    bands : sequence of str
        Those that the user names. If there are none, the image's bands are not known, and there
        are no names of masks either.
    each : int
        Of how many bands one band holds the masks.
    """
    stem = "mask_bits" if each > 1 else "filled"
    while any(band.startswith(stem) for band in bands):
        stem += "_"
    return tuple(f"{stem}{number}" for number in range(-(-len(bands) // each)))


def valid_in(masks: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Return where each band is valid, shape (bands, rows, columns).

    Parameters
    ----------
    masks : ndarray, shape (bands of masks, rows, columns)
        As they came: one for each band, or a bit for each, the lowest bit first.
    count : int
        How many bands there are.
    """
    if len(masks) == count:
        return np.asarray(masks != 0)
    whole = masks.astype(np.uint8)
    return np.stack([whole[n // PACKED] & (1 << n % PACKED) != 0 for n in range(count)])


def equal_in(ones: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where bands and the same bands, with masked pixels filled otherwise, are equal.

    Both have shape (bands, rows, columns). A NaN in both is one that the image has.
    """
    equal = ones == others
    if ones.dtype.kind == "f":
        equal |= np.isnan(ones) & np.isnan(others)
    return np.asarray(equal)


@dataclass(frozen=True)
class MaskedBands:
    """What an answer of data says.

    Attributes
    ----------
    names : tuple of str
        Of the bands.
    values : tuple of ndarray, shape (rows, columns)
        Of each band, in its own type. They may be views of the answer that cannot be written to.
    valid : ndarray of bool, shape (bands, rows, columns)
        False where a band is masked; its value there means nothing.
    """

    names: tuple[str, ...]
    values: tuple[NDArray[Any], ...]
    valid: NDArray[np.bool_]

    def check_free(self, name: str) -> None:
        """Raise PermanentError if a band has the name of what a file adds to the bands."""
        if name in self.names:
            raise PermanentError(f"the image has a band {name!r}, as the file has: rename the band")


@dataclass(frozen=True)
class Masking:
    """How files say which pixels are masked.

    Attributes
    ----------
    nodata : int or float, optional
        The value that they hold there, as the user states it. When None it goes by the type: NaN
        for floats, the least value of signed types of 16 bits and more. All values of the others
        may be real: files of those carry a mask.
    as_band : bool
        Whether there is a band ``mask`` instead: 1 where all bands are valid, else 0. Values are
        0 where masked.
    """

    nodata: int | float | None = None
    as_band: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as a dataset keeps them; JSON has no NaN."""
        stated = None if self.nodata is None else str(self.nodata)
        return {"nodata": stated, MASK: "band" if self.as_band else None}

    @classmethod
    def from_json(cls, terms: Mapping[str, Any]) -> Self:
        """Return what :meth:`to_json` was given."""
        if (stated := terms.get("nodata")) is None:
            return cls(None, terms.get(MASK) == "band")
        whole = stated.removeprefix("-").isdigit()
        return cls(int(stated) if whole else float(stated), terms.get(MASK) == "band")

    def value_for(self, dtype: np.dtype[Any]) -> int | float | None:
        """Return what a masked pixel of a type holds; None where the file says it otherwise.

        Raises
        ------
        PermanentError
            If the type cannot hold the value that the user states.
        """
        if self.as_band:
            return None
        if self.nodata is not None:
            if not holds(dtype, self.nodata):
                raise PermanentError(
                    f"nodata={self.nodata!r} is no value of {dtype}, the type of the bands: state"
                    " one that is, or leave it out"
                )
            return self.nodata
        if dtype.kind == "f":
            return math.nan
        if dtype.kind == "i" and dtype.itemsize > 1:
            return int(np.iinfo(dtype).min)
        return None

    def filled(
        self, values: NDArray[Any], valid: NDArray[np.bool_], dtype: np.dtype[Any], band: str
    ) -> NDArray[Any]:
        """Return a band in a type, with what masked pixels are to hold in it.

        They hold 0 if the file says otherwise that they are masked.

        Raises
        ------
        PermanentError
            If a pixel that is not masked has the value that by default means masked; or the type
            cannot hold the value that the user states.
        """
        nodata = self.value_for(dtype)
        kept = values.astype(dtype)
        if self.nodata is None and nodata is not None and ((kept == nodata) & valid).any():
            raise PermanentError(
                f"the band {band!r} has pixels of {nodata}, which in {dtype} files means masked:"
                " state nodata= with a value that no pixel has, or ask for mask='band'"
            )
        np.copyto(kept, 0 if nodata is None else nodata, where=~valid, casting="unsafe")
        return kept

    def masked(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where values are masked, as far as the values themselves say it."""
        nodata = self.value_for(values.dtype)
        if nodata is None:
            return np.zeros(values.shape, bool)
        return np.isnan(values) if nodata != nodata else np.asarray(values == nodata)


def holds(dtype: np.dtype[Any], value: int | float) -> bool:
    """Whether a type of numbers has exactly this value."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return value != value or float(dtype.type(value)) == value
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max and value == int(value)
