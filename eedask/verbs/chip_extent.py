"""Checks the arguments of ``chips`` that say which pixels a chip has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import check_scale
from eedask.crs import NATIVE, UTM, crs_name
from eedask.errors import InputError
from eedask.expressions.symbols import Item
from eedask.grid import Lattice
from eedask.pixels.layout import Layout

Region = float | Callable[[Item], ee.Geometry]


@dataclass(frozen=True)
class ChipExtent:
    """The arguments of :func:`eedask.chips` that say which pixels a chip has.

    Raises
    ------
    InputError
        If one of them cannot be used, or they do not fit each other.
    """

    shape: Sequence[int] | None = None
    scale: float | None = None
    crs: Any = None
    crs_transform: Sequence[float] | None = None
    buffer: float | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        if self.crs_transform is not None and self.crs is None:
            raise InputError("crs_transform= is in units of a crs: state crs= as well")
        _ = self.rows_columns
        if self.region is None:
            _ = self.layout
            return
        if self.crs_transform is not None or self.buffer is not None:
            raise InputError(
                "crs_transform= and buffer= cannot be given with region=, for which Earth Engine"
                " works out where a chip lies; region=METRES is a buffer"
            )
        check_scale(self.scale)
        if (self.shape is None) == (self.scale is None):
            raise InputError("with region=, give either shape=(rows, columns) or scale=")
        if not (callable(self.region) or _is_finite(self.region)):
            raise InputError(f"region is a buffer in metres, or a function; got {self.region!r}")
        if self._region_crs == NATIVE:
            raise InputError("with region=, leave crs out to have the image's own grid")

    @property
    def is_native(self) -> bool:
        """Whether chips have the grid of the image, which has to be asked for."""
        return self.layout is not None and self.layout.lattice.is_native

    @cached_property
    def rows_columns(self) -> tuple[int, int] | None:
        """The chip's rows and columns, if ``shape`` was given."""
        if self.shape is None:
            return None
        try:
            rows, columns = self.shape
            whole = (int(rows), int(columns))
            if min(whole) < 1 or whole != (rows, columns):
                raise ValueError
        except (TypeError, ValueError):
            raise InputError(
                f"shape is (rows, columns), both at least 1; got {self.shape!r}"
            ) from None
        return whole

    @cached_property
    def layout(self) -> Layout | None:
        """How each item's grid is found; None where Earth Engine works it out from a region."""
        if self.region is not None:
            return None
        transform: Any = self.crs_transform
        lattice = Lattice(UTM if self.crs is None else self.crs, self.scale, transform)
        return Layout(lattice, self.rows_columns, self.buffer)

    @cached_property
    def _region_crs(self) -> str | None:
        """The crs of chips that Earth Engine cuts to a region; None for the image's own."""
        return None if self.crs is None else crs_name(self.crs)

    def check_items(self, items: gpd.GeoDataFrame) -> None:
        """Raise InputError if an item is a point, and nothing says how large its chip is."""
        without_extent = self.region is None and self.shape is None and self.buffer is None
        if without_extent and (items.geometry.geom_type == "Point").any():
            raise InputError(
                "a point has no extent: give shape=(rows, columns), or buffer=METRES, or region="
                " for Earth Engine to work it out"
            )

    def cut(self, image: ee.Image, item: Any) -> ee.Image:
        """Return an image clipped and scaled to an item's region.

        It does what ``getThumbURL`` of the ``ee`` client does with its arguments ``region``,
        ``dimensions`` and ``scale``. Without a region the image is returned as it is.
        """
        region, crs = self.region, self._region_crs
        if region is None:
            return image
        place = region(item) if callable(region) else item.geometry.buffer(region).bounds()
        if crs is not None:
            name = item.utm_crs if crs == UTM else crs
            image = image.setDefaultProjection(name, crsTransform=[1, 0, 0, 0, -1, 0])
        size: dict[str, Any] = {"scale": self.scale}
        if self.rows_columns is not None:
            size = dict(zip(("height", "width"), self.rows_columns, strict=True))
        arguments = {"input": image, "geometry": place, **size}
        return ee.ApiFunction.apply_("Image.clipToBoundsAndScale", arguments)

    def terms(self) -> dict[str, Any]:
        """Return the arguments as they are kept in the dataset's ``plan.json``."""
        lattice = self.layout.lattice if self.layout else None
        return {
            "shape": self.rows_columns,
            "scale": None if self.scale is None else float(self.scale),
            "crs": lattice.crs if lattice else self._region_crs,
            "crs_transform": lattice.transform if lattice else None,
            "buffer": None if self.buffer is None else float(self.buffer),
        }


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
