"""Images held to the bands that a table has columns for.

Earth Engine names the results of ``reduceRegions`` by the reducer alone where an image has one band
(https://developers.google.com/earth-engine/apidocs/ee-image-reduceregions), so that the answer does
not tell the value of band "b" from that of band "a". Therefore bands are selected by name within
the request, and each row says which bands its image has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eedask.earthengine.nodes import Graph, Node, call, constant
from eedask.errors import InputError
from eedask.grid import NativeProjection

# The property of a feature that holds the names of its image's bands.
BANDS_KEY = "eedask:bands"


@dataclass(frozen=True)
class ExpectedBands:
    """The bands that a table has columns for.

    Attributes
    ----------
    names : tuple of str
    native : NativeProjection, optional
        The grid of an image that has them; None where it has none of its own.
    """

    names: tuple[str, ...]
    native: NativeProjection | None

    def of(self, image: Node, masked: Node) -> Node:
        """Return an image with exactly these bands; those that it lacks are masked everywhere.

        An image without bands, as a mosaic of no images is, gives masked pixels then, and not a
        refusal that would be that of all items of the request.

        Parameters
        ----------
        image : Node
        masked : Node
            As :meth:`masked` returns it.
        """
        # What is added behind bands of the same name is renamed, and not selected.
        both = call("Image.addBands", dstImg=image, srcImg=masked)
        return call("Image.select", input=both, bandSelectors=constant(list(self.names)))

    def masked(self, graph: Graph) -> Node:
        """Return an image of these bands that is masked everywhere, to share within a graph."""
        zeros = call("Image.constant", value=constant([0] * len(self.names)))
        named = call("Image.rename", input=zeros, names=constant(list(self.names)))
        none = call("Image.constant", value=constant(0))
        masked = call("Image.updateMask", image=named, mask=none)
        if self.native is None:
            return graph.shared(masked)
        crs, transform = constant(self.native.crs), constant(list(self.native.transform))
        return graph.shared(
            call("Image.setDefaultProjection", image=masked, crs=crs, crsTransform=transform)
        )

    def has_none(self, found: Mapping[str, Any]) -> bool:
        """Return whether a row's image has no bands at all, so that its values are null.

        Parameters
        ----------
        found : mapping
            The properties of a feature.

        Raises
        ------
        InputError
            If its bands are others than these; the message names both.
        """
        bands = found[BANDS_KEY]
        if bands and set(bands) != set(self.names):
            raise InputError(
                f"the image has the bands {list(bands)}, and the table has columns for those of"
                f" other items' images, {list(self.names)}: give all images the same bands, with"
                " select and rename"
            )
        return not bands


def band_names(image: Node) -> Node:
    """Return the list of the names of an image's bands."""
    return call("Image.bandNames", image=image)


def checked_bands(found: Mapping[str, Any]) -> None:
    """Raise ValueError or LookupError unless a feature says which bands its image has."""
    bands = found[BANDS_KEY]
    if not isinstance(bands, list) or not all(isinstance(name, str) for name in bands):
        raise ValueError(f"{bands!r} is no list of band names")
