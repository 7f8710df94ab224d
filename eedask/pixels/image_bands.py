"""The bands, grid and properties of an image, as Earth Engine describes them before any chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eedask.earthengine.methods import checked_projection, reading, value_of
from eedask.errors import InputError
from eedask.pixels.descriptions import properties_in
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import holds

# The types of whole numbers that files have, the smallest first.
_WHOLE = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "i8"))


@dataclass(frozen=True)
class ImageBands:
    """The bands of an image, and its grid.

    Attributes
    ----------
    types : mapping of str to mapping
        The type of each band by its name, as ``ee.PixelType.getInfo`` returns it.
    projection : mapping, optional
        As ``ee.Projection.getInfo`` returns it; None if it was not asked for.
    properties : mapping of str to object
        The properties that were asked for, with the value None for those that the image does not
        have.
    """

    types: Mapping[str, Mapping[str, Any]]
    projection: Mapping[str, Any] | None
    properties: Mapping[str, Any]

    def check(self, asked: Sequence[str]) -> None:
        """Raise InputError unless the image has the bands that are asked for, or any at all."""
        if not self.types:
            raise InputError(
                "the image has no bands, as a mosaic of a collection without images: look at the"
                " collection's dates, bounds and other filters"
            )
        if missing := [name for name in asked if name not in self.types]:
            raise InputError(
                f"the image has no bands {missing}; it has {list(self.types)}: choose of these"
            )

    def check_drawable(self, asked: Sequence[str], kind: ImageFormat) -> None:
        """Raise InputError unless a picture can be made of the bands without ``vis_params``.

        That takes 1 or 3 bands of whole numbers from 0 to 255. What Earth Engine does with other
        bands is not documented: it may refuse them, or cut values above 255 without a sign of it
        in the picture.

        Parameters
        ----------
        asked : sequence of str
            The bands that are asked for; all bands when empty.
        kind : ImageFormat
        """
        names = list(asked or self.types)
        if len(names) not in (1, 3):
            raise InputError(
                f"a {kind.name} picture has 1 or 3 bands, and the image has {names}: choose with"
                " bands=[…], or take format='tif' or 'npy'"
            )
        wider = [name for name in names if not _is_8_bit(self.types[name])]
        if wider:
            told = ", ".join(f"{name!r} is {_words(self.types[name])}" for name in wider)
            raise InputError(
                f"a {kind.name} picture holds whole numbers from 0 to 255, and the band {told}: say"
                " with vis_params={'min': …, 'max': …} which values are black and white, or cast"
                " the image with toByte(), or take format='tif' or 'npy'"
            )

    def check_nodata(self, asked: Sequence[str], nodata: float) -> None:
        """Raise InputError if the files' type cannot hold the nodata value.

        Only bands of whole numbers whose range Earth Engine states are checked: files have the
        smallest type for that range. Every file is checked again by its actual type.

        Parameters
        ----------
        asked : sequence of str
            The bands that are asked for; all bands when empty.
        nodata : float
        """
        types = [self.types[name] for name in asked or self.types]
        if any(
            kind.get("precision") != "int" or not {"min", "max"} <= kind.keys() for kind in types
        ):
            return
        low, high = min(kind["min"] for kind in types), max(kind["max"] for kind in types)
        holding = [kind for kind in _WHOLE if holds(kind, low) and holds(kind, high)]
        fitting = [kind for kind in holding if kind.itemsize == holding[0].itemsize]
        if fitting and not any(holds(kind, nodata) for kind in fitting):
            raise InputError(
                f"nodata={nodata!r} is no value of {fitting[0]}, the type of the bands, whose"
                f" values are whole numbers from {low} to {high}: state one that is, or cast the"
                " image"
            )


def bands_of(body: bytes, names: Sequence[str] = ()) -> ImageBands:
    """Return the description of an image, with its named properties, from ``value:compute``.

    Raises
    ------
    TransientError
        If the answer is not such a description.
    """
    with reading(body, "bands"):
        return told_bands(value_of(body), names)


def told_bands(told: Mapping[str, Any], names: Sequence[str] = ()) -> ImageBands:
    """Return an image's bands, grid and properties from the value of its description.

    Parameters
    ----------
    told : mapping
        With the keys ``names`` and ``types``, and with ``projection`` and the properties if they
        were asked for. If it is malformed, it raises an error that :func:`reading` turns into a
        TransientError.
    names : sequence of str
        The properties that were asked for.
    """
    types = {str(name): dict(told["types"][name]) for name in told["names"]}
    projection = told.get("projection")
    checked = None if projection is None else checked_projection(projection)
    return ImageBands(types, checked, properties_in(told, names))


def _is_8_bit(kind: Mapping[str, Any]) -> bool:
    return kind.get("precision") == "int" and 0 <= kind.get("min", -1) <= kind.get("max", 256) < 256


def _words(kind: Mapping[str, Any]) -> str:
    of_range = f" from {kind['min']} to {kind['max']}" if {"min", "max"} <= kind.keys() else ""
    return f"{kind.get('precision', 'of an unknown type')}{of_range}"
