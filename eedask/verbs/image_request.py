"""Checks the arguments of ``chips`` about one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from numbers import Integral, Real
from typing import Any

import ee

from eedask.arguments import is_names, is_one_of
from eedask.errors import InputError
from eedask.expressions.compile import Expression, check_type, compile_expression
from eedask.items.item import WorkItem
from eedask.pixels.chip_image import COMPUTE_PIXELS, METHODS, URL_METHODS, ChipImage
from eedask.pixels.empty_items import EMPTY, FAIL, NODATA
from eedask.pixels.formats.base import ImageFormat
from eedask.pixels.formats.masking import MASK_OF, PACKED, Masking
from eedask.pixels.formats.registry import image_format
from eedask.pixels.query import check_size
from eedask.pixels.resampling import NEAREST, check_has_pixels, check_resampling, resampled
from eedask.pixels.visualization import Visualization, visualization
from eedask.verbs.chip_extent import ChipExtent


@dataclass(frozen=True)
class ImageRequest:
    """The arguments of :func:`eedask.chips` about one image, and its ``role`` if there are several.

    Raises
    ------
    InputError
        If one of them cannot be used, or they do not fit each other or the extent.
    """

    image: Any
    extent: ChipExtent
    role: str | None = None
    format: str = "png"
    bands: Sequence[str] | None = None
    vis_params: Mapping[str, Any] | None = None
    method: str = COMPUTE_PIXELS
    nodata: float | None = None
    mask: str | None = None
    resampling: str = NEAREST
    empty: str = FAIL

    def __post_init__(self) -> None:
        self._check_empty()
        _check_method(self.method, self.kind)
        check_resampling(self.resampling)
        _ = self.masking
        bands, _ = self.bands_and_look
        if self.extent.region is not None and self.extent.rows_columns is not None:
            by_url = self.method != COMPUTE_PIXELS
            of_masks = 0 if self.kind.is_visual else max(1, len(self._sent_as.mask_names(bands)))
            count = max(1, len(bands)) + of_masks
            check_size(self.extent.rows_columns, count, 1, by_url=by_url)

    def _check_empty(self) -> None:
        if not is_one_of(self.empty, EMPTY):
            raise InputError(f"empty is 'fail' or 'nodata'; got {self.empty!r}")
        if self.empty == NODATA and self.extent.region is not None:
            raise InputError(
                "with region=, only Earth Engine knows where a chip lies, and it does not say so"
                " without an image: leave empty='nodata' out, or give shape= or buffer= with crs="
                " and scale= in place of region="
            )

    @cached_property
    def kind(self) -> ImageFormat:
        """The file format, as an object."""
        return image_format(self.format)

    @property
    def _sent_as(self) -> ImageFormat:
        """The format in which Earth Engine is asked for the pixels."""
        return self.kind.sent_as(has_grid=self.extent.region is None)

    @cached_property
    def masking(self) -> Masking:
        """How files of data say which pixels are masked."""
        if not is_one_of(self.mask, (None, "band")):
            raise InputError(f"mask is 'band' or None; got {self.mask!r}")
        if self.nodata is None and self.mask is None:
            return Masking()
        if self.kind.is_visual:
            raise InputError(
                f"nodata= and mask= are for formats of data; format={self.kind.name!r} is a picture"
            )
        if self.nodata is not None and self.mask is not None:
            raise InputError("give nodata= or mask='band', not both: each says what is masked")
        if self.nodata is not None and not _is_number(self.nodata):
            raise InputError(f"nodata is a number; got {self.nodata!r}")
        # NumPy's numbers are converted to Python's.
        plain = getattr(self.nodata, "item", lambda: self.nodata)()
        return Masking(plain, self.mask is not None)

    @property
    def _band_names(self) -> tuple[str, ...]:
        """The bands that the user names; files of data have each of them once."""
        named = [self.bands] if isinstance(self.bands, str) else self.bands
        if named is not None and not is_names(named):
            raise InputError(f"bands is a list of names, such as ['B4', 'B8']; got {named!r}")
        found = () if named is None else tuple(map(str, named))
        if not self.kind.is_visual and len({*found}) < len(found):
            raise InputError(
                f"files of data have each band once; got bands={list(found)}: name it once, or"
                " give it another name beside, with image.select and rename"
            )
        return found

    @cached_property
    def bands_and_look(self) -> tuple[tuple[str, ...], Visualization | None]:
        """The bands that the user names, and how they become a picture if that is stated."""
        named = self._band_names
        if self.vis_params is None:
            if self.kind.is_visual and len(named) not in (0, 1, 3):
                raise InputError(f"a {self.kind.name} picture has 1 or 3 bands; got {list(named)}")
            return named, None
        if not self.kind.is_visual:
            raise InputError(f"vis_params makes pictures; format={self.kind.name!r} holds data")
        shown, look = visualization(self.vis_params)
        if named and shown and named != shown:
            raise InputError(
                f"bands={list(named)} and vis_params' bands {list(shown)} differ: state bands in"
                " one of them only"
            )
        return shown or named, look

    def chip_image(
        self, samples: list[WorkItem], more: Callable[[ee.Image], dict[str, Any]]
    ) -> ChipImage:
        """Return the image with all that workers have to know of it.

        Parameters
        ----------
        samples : list of WorkItem
            A few of the items.
        more : callable
            Returns what to ask about an image besides its bands, as a dictionary of ``ee`` objects.
            It is asked only if all items share the image.
        """
        expression = compile_expression(self._recipe(), samples, expect=ee.Image)
        check_has_pixels(self.resampling, expression, samples)
        bands, look = self.bands_and_look
        if (missing := self.kind.missing()) is not None:
            raise InputError(self.kind.cannot_write(missing))
        # Cut to a region, every image depends on the item.
        is_cut = self.extent.region is not None
        is_own = callable(self.image) if is_cut else expression.depends_on_item

        def about(image: ee.Image) -> dict[str, Any]:
            return {"names": image.bandNames(), "types": image.bandTypes(), **more(image)}

        return ChipImage(
            expression=expression,
            about=None if is_own else self.question(about, samples),
            format=self.kind,
            method=self.method,
            bands=bands,
            visualization=look,
            masking=self.masking,
            has_grid=not is_cut,
            role=self.role,
            blanks=self._blanks(samples) if is_own and self.empty == NODATA else (),
        )

    def question(
        self, what: Callable[[ee.Image], dict[str, Any]], samples: list[WorkItem]
    ) -> Expression:
        """Return the expression of a dictionary that describes an item's image.

        Parameters
        ----------
        what : callable
            Returns the entries of the dictionary, given the image.
        samples : list of WorkItem
            A few of the items.
        """

        def question(item: Any) -> ee.Dictionary:
            return ee.Dictionary(what(self._image_of(item)))

        return compile_expression(self._named(question), samples, expect=ee.Dictionary)

    def terms(self) -> dict[str, Any]:
        """Return the arguments as they are kept in the dataset's ``plan.json``."""
        bands, look = self.bands_and_look
        return {
            "format": self.kind.name,
            "resampling": None if self.resampling == NEAREST else self.resampling,
            "bands": bands,
            "visualization": look.to_json() if look else None,
            "empty": None if self.empty == FAIL else self.empty,
            **self.masking.to_json(),
        }

    def _image_of(self, item: Any) -> ee.Image:
        image = self.image(item) if callable(self.image) else self.image
        check_type(image, ee.Image)
        # Algorithms of unknown return type give a plain ComputedObject.
        return resampled(ee.Image(image), self.resampling)

    def _named(self, recipe: Callable[[Any], Any]) -> Any:
        """Give a function of an item the name of the user's function, for error messages.

        If the user gave an image and no function, call it: its result is the same for all items.
        """
        return wraps(self.image)(recipe) if callable(self.image) else recipe(None)

    def _recipe(self) -> Any:
        """Return the image, or a function from an item to it, cut to the region if there is one."""

        def recipe(item: Any) -> ee.Image:
            return self.extent.cut(self._with_masks(self._image_of(item)), item)

        # An image that is cut to the item's region depends on the item.
        if self.extent.region is not None and not callable(self.image):
            return recipe
        return self._named(recipe)

    def _blanks(self, samples: list[WorkItem]) -> tuple[Expression, ...]:
        """Return images that are masked everywhere: the item's own, and one of the named bands.

        The latter is of float32, which holds most numbers that ``nodata`` may be, and NaN. For
        pictures, it is of bytes.
        """

        def own(item: Any) -> ee.Image:
            return self._with_masks(self._image_of(item).updateMask(0))

        recipes = [self._named(own)]
        if names := list(dict.fromkeys(self.bands_and_look[0])):
            zeros = ee.Image.constant([0] * len(names)).rename(names).updateMask(0)
            typed = zeros.toByte() if self.kind.is_visual else zeros.toFloat()
            recipes.append(self._with_masks(typed))
        return tuple(compile_expression(each, samples, expect=ee.Image) for each in recipes)

    def _with_masks(self, image: ee.Image) -> ee.Image:
        """Return an image; for formats of data, with the bands that hold its masks.

        Which bands these are, :mod:`~eedask.pixels.formats.masking` describes. Outside of its
        footprint an image has no pixels, and counts as masked.
        """
        if self.kind.is_visual:
            return image
        bands, _ = self.bands_and_look
        chosen = image.select(list(bands)) if bands else image
        valid, names = chosen.mask().gt(0), self._sent_as.mask_names(bands)
        if self._sent_as.has_one_type:
            # With a mask of 0 and 1 only: a partial mask must not blend a value with its filling.
            whole = chosen.mask(valid)
            chosen, masks = whole.unmask(0, False), whole.unmask(1, False)
        else:
            masks = _packed(valid, bands) if len(bands) > 1 else valid
            masks = masks.toByte().unmask(0, False)
            if not names:
                masks = masks.regexpRename("^", MASK_OF, False)
        return chosen.addBands(masks.rename(list(names)) if names else masks)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, and one that some type of pixels may hold."""
    plain = isinstance(value, Real) and not isinstance(value, bool)
    return plain and not (isinstance(value, Integral) and abs(int(value)) >= 2**64)


def _packed(valid: ee.Image, bands: Sequence[str]) -> ee.Image:
    """Pack bands of 0 and 1 into bits of fewer bands, as :func:`~masking.valid_in` reads them."""
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
    if not is_one_of(method, METHODS):
        raise InputError(f"method={method!r} is not known; choose one of {METHODS}")
    if method in URL_METHODS and URL_METHODS[method] != kind.is_visual:
        raise InputError(
            f"method={method!r} does not give {kind.name} files: thumbnails are pictures (png,"
            " jpg), downloads are data (npy, tif)"
        )
