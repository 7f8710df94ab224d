"""What data files hold where the image is masked.

What Earth Engine writes into masked pixels is not documented. Therefore masks are asked for in the
same request, as further bands that follow the image's own bands. The types of the bands do not have
to be known for that.

- In a format whose bands may differ in type (NPY), the further bands are bytes. If the user names
  the bands, each byte holds the masks of eight bands, one bit for each. If not, it is not known how
  many bands there are, and each band has a byte of its own, whose name is the band's behind
  :data:`MASK_OF`: a band of another image is never taken for a mask. Earth Engine counts two bytes
  a pixel for each further band.
- In a format with one type for all bands (GeoTIFF), each band is asked for twice: with 0 in its
  masked pixels, and with 1. The band is masked where the two differ. Both have the band's type, so
  the masks do not make Earth Engine refuse the types or convert them.
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
MASK_OF = "mask_of_"
# How many bands' masks one band of bytes holds, if the bands are named.
PACKED = 8


def mask_names(bands: Sequence[str], each: int = PACKED) -> tuple[str, ...]:
    """Return the names of the bands of masks. None of them is the name of one of ``bands``.

    Parameters
    ----------
    bands : sequence of str
        The bands that the user names. If it is empty, the image's bands are not known, and the
        result is empty too.
    each : int
        How many bands' masks one band of masks holds.
    """
    stem = "mask_bits" if each > 1 else "filled"
    while any(band.startswith(stem) for band in bands):
        stem += "_"
    return tuple(f"{stem}{number}" for number in range(-(-len(bands) // each)))


def valid_in(masks: Sequence[NDArray[Any]], count: int) -> NDArray[np.bool_]:
    """Return where each band is valid, shape (bands, rows, columns).

    Parameters
    ----------
    masks : sequence of ndarray, shape (rows, columns)
        As Earth Engine sent them: one for each band, or one for :data:`PACKED` bands with a bit for
        each, the lowest bit first.
    count : int
        How many bands there are.
    """
    valid = np.empty((count, *masks[0].shape), bool)
    if len(masks) == count:
        for number, mask in enumerate(masks):
            np.not_equal(mask, 0, out=valid[number])
        return valid
    bits = [mask.astype(np.uint8) for mask in masks]
    for number in range(count):
        np.not_equal(bits[number // PACKED] & (1 << number % PACKED), 0, out=valid[number])
    return valid


def equal_in(ones: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where two arrays are equal that differ in what fills masked pixels.

    Both have shape (bands, rows, columns). NaN in both arrays counts as equal: it is a value of the
    image.
    """
    equal = ones == others
    if ones.dtype.kind == "f":
        equal |= np.isnan(ones) & np.isnan(others)
    return np.asarray(equal)


@dataclass(frozen=True)
class MaskedBands:
    """The bands of an answer in a format of data, and where they are masked.

    Attributes
    ----------
    names : tuple of str
        Names of the bands.
    values : tuple of ndarray, shape (rows, columns)
        Of each band, in its own type. They may be views of the answer that cannot be written to.
    valid : ndarray of bool, shape (bands, rows, columns)
        False where a band is masked; its value there means nothing.
    """

    names: tuple[str, ...]
    values: tuple[NDArray[Any], ...]
    valid: NDArray[np.bool_]


def check_free(name: str, bands: Sequence[str]) -> None:
    """Raise PermanentError if a band has a name that the file needs for its mask."""
    if name in bands:
        raise PermanentError(
            f"the image has a band {name!r}, and the file needs this name for its mask: rename the"
            " band, with image.rename"
        )


@dataclass(frozen=True)
class Masking:
    """How files say which pixels are masked.

    Attributes
    ----------
    nodata : int or float, optional
        The value of masked pixels that the user states. When None, it depends on the type: NaN for
        floats; the least value for signed types of 16 bits and more. In other types all values may
        be real ones, so files of those carry a mask instead.
    as_band : bool
        Whether files have a band ``mask`` instead: 1 where all bands are valid, else 0. Values are
        0 where they are masked.
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
        """Return what a masked pixel of a type holds; None if a mask says what is masked.

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

    def fill(
        self, into: NDArray[Any], values: NDArray[Any], valid: NDArray[np.bool_], band: str
    ) -> None:
        """Write a band into an array, and what says "masked" into its masked pixels.

        Masked pixels get the value of :meth:`value_for`, or 0 if that is None.

        Parameters
        ----------
        into : ndarray, shape (rows, columns)
            Its type is that of the file, to which the values are converted.
        values : ndarray, shape (rows, columns)
        valid : ndarray of bool, shape (rows, columns)
        band : str
            The band's name, for the message.

        Raises
        ------
        PermanentError
            If a pixel that is not masked equals the default value for masked pixels, or the type
            cannot hold the value that the user states.
        """
        nodata = self.value_for(into.dtype)
        into[...] = values
        if self.nodata is None and into.dtype.kind == "i" and nodata is not None:
            self._check_unused(nodata, into, valid, band)
        if not valid.all():
            np.copyto(into, 0 if nodata is None else nodata, where=~valid, casting="unsafe")

    def _check_unused(
        self, nodata: float, values: NDArray[Any], valid: NDArray[np.bool_], band: str
    ) -> None:
        """Raise PermanentError if a pixel that is not masked has the value of masked ones."""
        equal = values == nodata
        if equal.any() and (equal & valid).any():
            raise PermanentError(
                f"the band {band!r} has pixels of {nodata}, which in {values.dtype} files means"
                " masked: state nodata= with a value that no pixel has, or ask for mask='band'"
            )

    def masked(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where values equal the value of masked pixels; nowhere, if there is none."""
        nodata = self.value_for(values.dtype)
        if nodata is None:
            return np.zeros(values.shape, bool)
        return np.isnan(values) if nodata != nodata else np.asarray(values == nodata)


def holds(dtype: np.dtype[Any], value: int | float) -> bool:
    """Return whether a numeric type can represent this value exactly."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return value != value or float(dtype.type(value)) == value
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max and value == int(value)
