"""What chips are asked for: the arguments that say so, checked together, and their task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from numbers import Real
from typing import Any

import ee
import geopandas as gpd

from eedask.arguments import check_scale
from eedask.crs import NATIVE, UTM, crs_name
from eedask.dataset.file_names import differ_only_by_case
from eedask.dataset.question import Question
from eedask.dataset.subfolders import Subfolders
from eedask.earthengine.endpoint import Endpoint
from eedask.errors import InputError
from eedask.expressions.compile import Expression, compile_expression
from eedask.grid import Lattice
from eedask.items.from_earth_engine import check_properties
from eedask.items.item import WorkItem, sample_items
from eedask.pixels.chip_task import COMPUTE_PIXELS, METHODS, URL_METHODS, ChipTask
from eedask.pixels.descriptions import PROJECTION, PROPERTIES, property_keys
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import PACKED, Masking
from eedask.pixels.formats.registry import image_format
from eedask.pixels.layout import Layout
from eedask.pixels.query import check_size
from eedask.pixels.resampling import (
    NEAREST,
    check_has_pixels,
    check_resampling,
    moved_pixels,
    resampled,
)
from eedask.pixels.visualization import Visualization, visualization

Region = float | Callable[[Any], ee.Geometry]


@dataclass(frozen=True)
class ChipRequest:
    """The arguments of :func:`eedask.chips` that say what the chips are, checked together.

    Raises
    ------
    InputError
        If one of them cannot be used, or they do not fit each other.
    """

    image: Any
    shape: Sequence[int] | None
    scale: float | None
    crs: Any
    region: Region | None
    format: str
    bands: Sequence[str] | None
    vis_params: Mapping[str, Any] | None
    folder_by: str | Sequence[str] | None
    folder_missing: str | None
    method: str
    nodata: float | None
    mask: str | None
    properties: Sequence[str]
    crs_transform: Sequence[float] | None = None
    buffer: float | None = None
    resampling: str = NEAREST

    def __post_init__(self) -> None:
        _check_method(self.method, self.kind)
        check_resampling(self.resampling)
        check_properties(self.properties)
        _ = self.masking
        if self.crs_transform is not None and self.crs is None:
            raise InputError("crs_transform= is in units of a crs: state crs= as well")
        _ = self._subfolders
        rows_columns, bands = self.rows_columns, self._bands_and_look[0]
        if self.region is None:
            _ = self.layout
            return
        if self.crs_transform is not None or self.buffer is not None:
            raise InputError(
                "crs_transform= and buffer= are for chips that are laid out here; region= has Earth"
                " Engine work out where a chip lies, and region=METRES is a buffer"
            )
        check_scale(self.scale)
        if (self.shape is None) == (self.scale is None):
            raise InputError("with region=, give either shape=(rows, columns) or scale=")
        if not (callable(self.region) or _is_finite(self.region)):
            raise InputError(f"region is a buffer in metres, or a function; got {self.region!r}")
        if self._region_crs == NATIVE:
            raise InputError("with region=, leave crs out to have the image's own grid")
        if rows_columns is not None:
            by_url = self.method != COMPUTE_PIXELS
            of_masks = 0 if self.kind.is_visual else max(1, len(self._sent_as.mask_names(bands)))
            check_size(rows_columns, max(1, len(bands)) + of_masks, 1, by_url=by_url)

    @property
    def needs_geometry(self) -> bool:
        """Whether the chips lie around the items' own geometries."""
        return self.region is None

    @property
    def names(self) -> tuple[str, ...]:
        """The properties of images that the manifest is to have, each once."""
        return tuple(dict.fromkeys(self.properties or ()))

    @cached_property
    def kind(self) -> ImageFormat:
        """The file format, as an object."""
        return image_format(self.format)

    @property
    def _sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.kind.sent_as(has_grid=self.region is None)

    @cached_property
    def masking(self) -> Masking:
        """How files of data say which pixels are masked."""
        if self.mask not in (None, "band"):
            raise InputError(f"mask is 'band' or None; got {self.mask!r}")
        if self.nodata is None and self.mask is None:
            return Masking()
        if self.kind.is_visual:
            raise InputError(
                f"nodata= and mask= are for data; format={self.kind.name!r} holds none"
            )
        if self.nodata is not None and self.mask is not None:
            raise InputError("give nodata= or mask='band', not both: each says what is masked")
        if self.nodata is not None and not _is_number(self.nodata):
            raise InputError(f"nodata is a number; got {self.nodata!r}")
        # Of NumPy's numbers, their plain ones.
        plain = getattr(self.nodata, "item", lambda: self.nodata)()
        return Masking(plain, self.mask is not None)

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

    def task(self, items: gpd.GeoDataFrame, endpoint: Endpoint) -> tuple[ChipTask, Question]:
        """Return the task of the workers, and all that determines its results.

        Parameters
        ----------
        items : GeoDataFrame
            Checked items, see :func:`~eedask.items.check.check_items`.
        endpoint : Endpoint
            Where requests go.

        Returns
        -------
        ChipTask
        Question
            By which a dataset of the same plan is known again.
        """
        self._check_items(items)
        samples = sample_items(items)
        image = compile_expression(self._recipe(), samples, expect=ee.Image)
        check_has_pixels(self.resampling, image, samples)
        bands, look = self._bands_and_look
        if (missing := self.kind.missing()) is not None:
            raise InputError(self.kind.cannot_write(missing))
        is_own = image.depends_on_item if self.region is None else callable(self.image)
        task = ChipTask(
            endpoint=endpoint,
            image=image,
            layout=self.layout,
            about=None if is_own else self._about(samples),
            description=self._description(samples) if is_own else None,
            format=self.kind,
            method=self.method,
            bands=bands,
            visualization=look,
            subfolders=self._subfolders,
            masking=self.masking,
            unique_case=not self._case_matters(items),
            properties=self.names,
            remarks=moved_pixels(self.layout.lattice, image, samples) if self.layout else (),
        )
        if self.rows_columns is not None and self.layout is not None:
            task.check_shape(self.rows_columns)
        return task, Question(self._terms(), {"image": image}, self._uses())

    def _uses(self) -> frozenset[str]:
        """Return what a chip depends on besides its image: where it lies, and its folder."""
        found = {"geometry"} if self.region is None else set()
        return frozenset(found | {f"column:{name}" for name in self._subfolders.columns})

    def _terms(self) -> dict[str, Any]:
        bands, look = self._bands_and_look
        return {
            "verb": "chips",
            "format": self.kind.name,
            "shape": self.rows_columns,
            "scale": None if self.scale is None else float(self.scale),
            "crs": self.layout.lattice.crs if self.layout else self._region_crs,
            "crs_transform": self.layout.lattice.transform if self.layout else None,
            "buffer": None if self.buffer is None else float(self.buffer),
            "resampling": None if self.resampling == NEAREST else self.resampling,
            "bands": bands,
            "visualization": look.to_json() if look else None,
            "folder_by": self._subfolders.columns,
            "folder_missing": self.folder_missing,
            "properties": self.names,
            **self.masking.to_json(),
        }

    @cached_property
    def _subfolders(self) -> Subfolders:
        return Subfolders.of(self.folder_by, self.folder_missing)

    @cached_property
    def _region_crs(self) -> str | None:
        """The crs of chips that Earth Engine cuts to a region; None for the image's own."""
        return None if self.crs is None else crs_name(self.crs)

    @cached_property
    def _bands_and_look(self) -> tuple[tuple[str, ...], Visualization | None]:
        named = (self.bands,) if isinstance(self.bands, str) else tuple(self.bands or ())
        if self.vis_params is None:
            if self.kind.is_visual and len(named) not in (0, 1, 3):
                raise InputError(f"a {self.kind.name} picture has 1 or 3 bands; got {list(named)}")
            return named, None
        if not self.kind.is_visual:
            raise InputError(f"vis_params makes pictures; format={self.kind.name!r} holds data")
        shown, look = visualization(self.vis_params)
        if named and shown and named != shown:
            raise InputError(f"bands={list(named)} and vis_params' bands {list(shown)} differ")
        return shown or named, look

    def _check_items(self, items: gpd.GeoDataFrame) -> None:
        self._subfolders.check(items)
        without_extent = self.region is None and self.shape is None and self.buffer is None
        if without_extent and (items.geometry.geom_type == "Point").any():
            raise InputError(
                "a point has no extent: give shape=(rows, columns), or buffer=METRES, or region="
                " for Earth Engine to work it out"
            )

    def _case_matters(self, items: gpd.GeoDataFrame) -> bool:
        return differ_only_by_case(items.index) or self._subfolders.differ_only_by_case(items)

    def _image_of(self, item: Any) -> ee.Image:
        image = self.image(item) if callable(self.image) else self.image
        return resampled(image, self.resampling)

    def _recipe(self) -> Any:
        """Return the image, or a function from an item to it, cut to the region if there is one."""
        recipe = self._with_masks if self.region is None else self._clipped
        if not callable(self.image):
            return recipe(None) if self.region is None else recipe

        # Under the name of the user's function, which errors tell.
        @wraps(self.image)
        def named(item: Any) -> ee.Image:
            return recipe(item)

        return named

    def _with_masks(self, item: Any) -> ee.Image:
        """Return an item's image; of data, its bands and then what tells where they are masked.

        Outside of its footprint an image and its mask have no pixels: there, too, it is masked.
        How each format tells it, :mod:`~eedask.pixels.formats.masking` says.
        """
        image = self._image_of(item)
        if self.kind.is_visual:
            return image
        bands, _ = self._bands_and_look
        image = ee.Image(image)
        chosen = image.select(list(bands)) if bands else image
        valid = chosen.mask().gt(0)
        if self._sent_as.has_one_type:
            # Masks of 0 and 1 alone, as nothing is to come of a value and what fills its place.
            whole = chosen.mask(valid)
            chosen, masks = whole.unmask(0, False), whole.unmask(1, False)
        else:
            masks = _packed(valid, bands) if len(bands) > 1 else valid
            masks = masks.toByte().unmask(0, False)
        names = self._sent_as.mask_names(bands)
        return chosen.addBands(masks.rename(list(names)) if names else masks)

    def _clipped(self, item: Any) -> ee.Image:
        """Return an item's image cut to its region, in the way of the client's ``getThumbURL``."""
        image, region, crs = self._with_masks(item), self.region, self._region_crs
        place = region(item) if callable(region) else item.geometry.buffer(region).bounds()
        if crs is not None:
            name = item.utm_crs if crs == UTM else crs
            image = image.setDefaultProjection(name, crsTransform=[1, 0, 0, 0, -1, 0])
        size: dict[str, Any] = {"scale": self.scale}
        if self.rows_columns is not None:
            size = dict(zip(("height", "width"), self.rows_columns, strict=True))
        arguments = {"input": image, "geometry": place, **size}
        return ee.ApiFunction.apply_("Image.clipToBoundsAndScale", arguments)

    @property
    def _is_native(self) -> bool:
        return self.layout is not None and self.layout.lattice.is_native

    def _about(self, samples: list[WorkItem]) -> Expression:
        """Return the question about the image that all items share."""

        def about(item: Any) -> ee.Dictionary:
            image = self._image_of(item)
            told = {"names": image.bandNames(), "types": image.bandTypes()}
            return ee.Dictionary({**told, **self._told_of(image)})

        what = about if callable(self.image) else about(None)
        return compile_expression(what, samples, expect=ee.Dictionary)

    def _description(self, samples: list[WorkItem]) -> Expression | None:
        """Return the question about an item's own image; None if there is none."""
        if not (self._is_native or self.names):
            return None

        # Under the name of the user's function, which errors tell.
        @wraps(self.image)
        def description(item: Any) -> ee.Dictionary:
            return ee.Dictionary(self._told_of(self._image_of(item)))

        return compile_expression(description, samples, expect=ee.Dictionary)

    def _told_of(self, image: ee.Image) -> dict[str, Any]:
        """Return what has to be known of an image before its pixels are asked for."""
        told: dict[str, Any] = {}
        if self._is_native:
            bands, _ = self._bands_and_look
            told[PROJECTION] = image.select(bands[0] if bands else 0).projection()
        if self.names:
            # As those of a feature: they may be null.
            keys = property_keys(self.names)
            told[PROPERTIES] = ee.Feature(None, {key: image.get(keys[key]) for key in keys})
        return told


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _packed(valid: ee.Image, bands: Sequence[str]) -> ee.Image:
    """Return 0 and 1 of several bands as bits, which :func:`~masking.valid_in` reads."""
    numbers = range(len(bands))
    parts = [numbers[first : first + PACKED] for first in numbers[::PACKED]]
    bits = [
        valid.select(list(part))
        .multiply(ee.Image.constant([1 << place for place in range(len(part))]))
        .reduce(ee.Reducer.sum())
        for part in parts
    ]
    return ee.Image.cat(bits)


def _check_method(method: str, kind: ImageFormat) -> None:
    if method not in METHODS:
        raise InputError(f"method={method!r} is not known; choose one of {METHODS}")
    if method in URL_METHODS and URL_METHODS[method] != kind.is_visual:
        raise InputError(
            f"method={method!r} does not give {kind.name} files: thumbnails are pictures (png,"
            " jpg), downloads are data (npy, tif)"
        )
