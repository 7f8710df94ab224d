"""Reads from an image's expression how many bands it has, and how many bytes a value takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eedask.expressions.graph import Part
from eedask.run.forecast import Bounds

# The most bands of one request
# (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/computePixels).
MOST_BANDS = 1024
# The most bytes of one pixel: 8 for the value of each band and 1 for its mask.
MOST_PIXEL_BYTES = MOST_BANDS * 9
_ANY_NUMBER, _ANY_BYTES, _NO_BYTES = Bounds(1, None), Bounds(1, 8), Bounds.exactly(0)

# Bytes of a value after a cast (https://developers.google.com/earth-engine/apidocs/ee-image-tobyte
# and its neighbours).
_CASTS = {
    **dict.fromkeys(("Byte", "Uint8", "Int8"), 1),
    **dict.fromkeys(("Uint16", "Int16", "Short"), 2),
    **dict.fromkeys(("Uint32", "Int32", "Int", "Float"), 4),
    **dict.fromkeys(("Long", "Int64", "Double"), 8),
}
# Functions that leave an image's bands and their types as they are.
_KEEP = {
    *("Image.clip", "Image.clipToBoundsAndScale", "Image.reproject", "Image.resample"),
    *("Image.rename", "Image.setDefaultProjection", "Image.updateMask", "Image.selfMask"),
    "Image.unmask",
    *("Element.set", "Element.copyProperties", "Element.setMulti", "Image.select"),
}
# A band selector that matches this is not a pattern, and names one band.
_NAME = re.compile(r"[\w ]+\Z", re.ASCII)


@dataclass(frozen=True)
class KnownPixels:
    """What is known of the pixels of an image before it is asked for.

    Attributes
    ----------
    bands : Bounds
        Number of bands.
    value_bytes : Bounds
        Bytes of one value of a band.
    mask_bytes : Bounds
        Bytes of a pixel in the additional bands that say where the others are masked.
    """

    bands: Bounds = _ANY_NUMBER
    value_bytes: Bounds = _ANY_BYTES
    mask_bytes: Bounds = _NO_BYTES

    @property
    def pixel_bytes(self) -> Bounds:
        """Bytes of a pixel as Earth Engine counts them: each value, and one byte of its mask."""
        return self.bands * self._value_and_mask + self.mask_bytes

    @property
    def _value_and_mask(self) -> Bounds:
        return self.value_bytes + Bounds.exactly(1)

    def with_masks(self, names: Sequence[str], *, of_one_type: bool) -> KnownPixels:
        """Return the same pixels with additional bands that say where the others are masked.

        Parameters
        ----------
        names : sequence of str
            The names of the additional bands; empty if there is one for each band.
        of_one_type : bool
            Whether these have the type of the bands, instead of bytes.
        """
        count = Bounds.exactly(len(names)) if names else self.bands
        each = self._value_and_mask if of_one_type else Bounds.exactly(2)
        return replace(self, mask_bytes=count * each)


def before_masks(root: Part) -> Part:
    """Return the image without the bands of masks that are added to it in requests for data."""
    part: Part | None = root
    while part is not None and part.function != "Image.addBands":
        part = part.first_image
    return root if part is None else part.first_image or root


def known_pixels(root: Part) -> KnownPixels:
    """Return what can be read from an image's expression about its bands and types."""
    bands: int | None = None
    value_bytes: int | None = None
    part: Part | None = root
    while part is not None:
        cast = part.function.removeprefix("Image.to") if "Image.to" in part.function else ""
        if part.function == "Image.visualize":
            bands, value_bytes = bands or 3, value_bytes or 1
        elif cast in _CASTS:
            value_bytes = value_bytes or _CASTS[cast]
        elif not _keeps(part):
            break
        bands = bands or _bands_named(part)
        part = None if part.function == "Image.visualize" else part.first_image
    return KnownPixels(
        _ANY_NUMBER if bands is None else Bounds.exactly(bands),
        _ANY_BYTES if value_bytes is None else Bounds.exactly(value_bytes),
    )


def stated_shape(root: Part) -> tuple[int, int] | None:
    """Return the rows and columns that an image's own expression cuts it to; None if none."""
    for part in root.calls("Image.clipToBoundsAndScale"):
        sides = [part.parts[name].constant for name in ("height", "width") if name in part.parts]
        if len(sides) == 2 and all(isinstance(side, int) for side in sides):
            return sides[0], sides[1]
    return None


def _keeps(part: Part) -> bool:
    """Whether a function leaves an image's bands and their types as they are."""
    # With one argument, Image.mask gives the mask.
    return part.function in _KEEP or (part.function == "Image.mask" and "mask" in part.parts)


def _bands_named(part: Part) -> int | None:
    """Return how many bands a selection or renaming names; None if it does not name them."""
    argument = {"Image.select": "bandSelectors", "Image.rename": "names"}.get(part.function)
    if argument is None or argument not in part.parts:
        return None
    listed = part.parts[argument]
    names: Any = listed.constant
    if names is None:
        names = [each.constant for each in listed.parts.values()]
    if isinstance(names, list) and names and all(map(_is_one, names)):
        return len(names)
    return None


def _is_one(selector: Any) -> bool:
    return isinstance(selector, int) or (isinstance(selector, str) and bool(_NAME.match(selector)))
