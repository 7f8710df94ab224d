"""Learns what the files hold of items that have no image, as their collection is empty.

Such a file has the bands and types of the other items' files, and all of its pixels are masked.
Bands and types are not computed here but seen: before the run, Earth Engine is asked for one pixel
of an image that is masked everywhere, in the form in which all other pixels are asked for. All
files of items without an image are made of this pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import REFUSALS, Send, first_answered
from eedask.errors import InputError
from eedask.expressions.compile import Expression
from eedask.grid import PixelGrid
from eedask.items.item import WorkItem
from eedask.pixels.chip_image import COMPUTE_PIXELS, ChipImage, of_role
from eedask.run.forecast import Bounds

# What becomes of an item that has no image: it fails, or has a file of masked pixels.
FAIL, NODATA = "fail", "nodata"
EMPTY = (FAIL, NODATA)

# Degrees. Nothing is seen of the pixel but its form, so its size does not matter.
_SIDE = 1e-4


def learned(
    image: ChipImage, endpoint: Endpoint, send: Send, items: Sequence[WorkItem]
) -> ChipImage:
    """Return an image with the masked pixel of which files of items without an image are made.

    It is that of the first item that has an image. If none of the items has one, it is that of the
    bands that the user names, see :attr:`ChipImage.blanks`.

    Parameters
    ----------
    image : ChipImage
        It is returned as it is if items without an image fail.
    endpoint : Endpoint
    send : Send
    items : sequence of WorkItem
        A few, as examples.

    Raises
    ------
    InputError
        If none of the items has an image, and no bands are named.
    RequestError
        If Earth Engine cannot be asked.
    """
    if not image.blanks:
        return image
    refusal: Exception | None = None
    with of_role(image.role):
        for blank in image.blanks:
            try:
                pixel = first_answered(items, partial(_pixel_of, image, endpoint, send, blank))
            except REFUSALS as error:
                refusal = refusal or error
            else:
                return replace(image, masked_pixel=pixel)
        raise InputError(
            f"with empty='nodata', items without an image have the bands of the others, but none of"
            f" the {len(items)} items that were looked at has an image ({refusal}): state bands=[…]"
        )


def requests_of(image: ChipImage, samples: int) -> Bounds:
    """Return how many requests :func:`learned` sends, given so many items as examples."""
    if not image.blanks:
        return Bounds.exactly(0)
    each = 1 if image.method == COMPUTE_PIXELS else 2
    return Bounds(1, each * (samples + len(image.blanks) - 1))


def _pixel_of(
    image: ChipImage, endpoint: Endpoint, send: Send, blank: Expression, item: WorkItem
) -> bytes:
    """Return the answer with one small pixel of a masked image, at an item's place."""
    place = item.value("geometry").centroid
    grid = PixelGrid("EPSG:4326", (_SIDE, 0, place.x, 0, -_SIDE, place.y), (1, 1))
    return image.fetch_blank(endpoint, blank, item, grid, send)
