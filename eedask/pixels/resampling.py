"""Resampling: how a chip's values are computed if its pixels are not the image's own.

Earth Engine takes the value of the nearest pixel, unless ``resample`` has set another way for the
image. ``resample`` interpolates between the image's own pixels
(https://developers.google.com/earth-engine/guides/resample).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import ee

from eedask.arguments import is_one_of
from eedask.crs import UTM
from eedask.errors import InputError
from eedask.expressions.compile import Expression
from eedask.expressions.graph import Part, assets, graphs
from eedask.grid import Lattice
from eedask.items.item import WorkItem

NEAREST = "nearest"
RESAMPLINGS = (NEAREST, "bilinear", "bicubic")

# Scenes of Landsat 4 to 9 have pixels of 30 m in UTM with their centres on multiples of 30, so that
# their corners, which count to Earth Engine, are 15 m beside those
# (https://www.usgs.gov/landsat-missions/landsat-collection-2-level-1-data).
_LANDSAT = re.compile(r"(^|/)LANDSAT/L[CET]0[4-9]/")
_LANDSAT_SCALE = 30.0

_GIVE_A_GRID = ("Image.setDefaultProjection", "Image.reproject")
_COMPOSITES = ("ImageCollection.mosaic", "ImageCollection.qualityMosaic", "ImageCollection.reduce")


def check_resampling(mode: str) -> None:
    """Raise InputError unless ``mode`` is one of :data:`RESAMPLINGS`."""
    if not is_one_of(mode, RESAMPLINGS):
        raise InputError(f"resampling={mode!r} is not known; choose one of {RESAMPLINGS}")


def resampled(image: ee.Image, mode: str) -> ee.Image:
    """Return the image, set to be resampled in the way that ``mode`` names."""
    return image if mode == NEAREST else image.resample(mode)


def check_has_pixels(mode: str, image: Expression, items: Sequence[WorkItem]) -> None:
    """Raise InputError if an image is to be interpolated that has no pixels of its own.

    A composite has EPSG:4326 at 1 degree, and interpolating in that gives no meaningful values
    (https://developers.google.com/earth-engine/apidocs/ee-image-resample).

    Parameters
    ----------
    mode : str
    image : Expression
    items : sequence of WorkItem
        A few, as examples.
    """
    for root in graphs(image, items) if mode != NEAREST else ():
        if (composite := _composite(root)) is not None:
            raise InputError(
                f"resampling={mode!r} works in an image's own pixels, and a composite"
                f" ({composite.function}) has none: interpolate the images that it is made of, with"
                f" collection.map(lambda image: image.resample({mode!r})), and leave resampling="
                " out; or give it pixels with setDefaultProjection"
            )


def _composite(part: Part) -> Part | None:
    """Return the composite from which an image has its default projection; None if from none."""
    found: Part | None = part
    while found is not None and found.function not in _GIVE_A_GRID:
        if found.function in _COMPOSITES or found.function.startswith("reduce."):
            return found
        found = found.first_image
    return None


def moved_pixels(lattice: Lattice, image: Expression, items: Sequence[WorkItem]) -> tuple[str, ...]:
    """Return a note for the user if chips in UTM lie half a pixel beside Landsat's own pixels.

    Parameters
    ----------
    lattice : Lattice
        Of the chips.
    image : Expression
    items : sequence of WorkItem
        A few, as examples.
    """
    if lattice.crs != UTM or lattice.scale != _LANDSAT_SCALE:
        return ()
    loaded = {id_ for root in graphs(image, items) for id_ in assets(root)}
    ids = sorted(filter(_LANDSAT.search, loaded))
    if not ids:
        return ()
    return (
        f"crs='utm' puts the corners of pixels on multiples of 30 m, and those of {ids[0]} are"
        " 15 m beside them, so that each pixel is moved by up to half its size. To keep them:"
        " crs='native', or, of a composite, crs='utm' with crs_transform=(30, 0, 15, 0, -30, 15)"
        " instead of scale=",
    )
