"""Converting arguments to the types that algorithms declare.

The client's casts leave no trace in an expression (``ee.Image(5)`` inside a mapped function is a
bare 5). So a value of another type is converted where it has an obvious form in the declared one,
as Earth Engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import shapely
from affine import Affine

from eedask.emulator.geometry import geometry as geometry_
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Image, PixelType, Projection
from eedask.emulator.values.dates import parse_date
from eedask.emulator.values.elements import geometry_of, is_element, with_index
from eedask.emulator.values.filtering import Filter
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import (
    Collection,
    Date,
    DateRange,
    ErrorMargin,
    Feature,
    collection_of,
)

Coercer = Callable[[Any, Any], Any]
"""``coerce(value, context)`` returns a value converted to a type, or raises :class:`Mismatch`.

``context`` is the :class:`~eedask.emulator.expression.expression.Context` of the evaluation, whose
``call`` runs the algorithms that some conversions need (such as a constant image from a number).
"""


class Mismatch(Exception):
    """A value cannot be converted to the declared type; the caller adds the argument's name."""


def coercer(declared: str) -> Coercer:
    """Return the function that converts to a declared type (``List<Number>``, ``Image``…)."""
    name, _, inside = declared.partition("<")
    inside = inside.removesuffix(">")
    if name == "List" and inside not in ("", "Object"):
        return partial(_list_of, coercer(inside), inside)
    if name == "Dictionary" and inside not in ("", "Object"):
        return partial(_dictionary_of, coercer(inside))
    return _COERCERS.get(name, _named(name))


def _anything(value: Any, _: Any) -> Any:
    return value


def _number(value: Any, _: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if (isinstance(value, np.ndarray) and value.ndim == 0) or isinstance(value, np.generic):
        return value.item()
    raise Mismatch


def _float(value: Any, context: Any) -> Any:
    return float(_number(value, context))


def _integer(value: Any, context: Any) -> Any:
    number = _number(value, context)
    if isinstance(number, float):
        if not number.is_integer():
            raise Mismatch
        return int(number)
    return number


def _string(value: Any, _: Any) -> Any:
    if isinstance(value, str):
        return value
    raise Mismatch


def _boolean(value: Any, _: Any) -> Any:
    if isinstance(value, bool | int | float):
        return bool(value)
    raise Mismatch


def _list(value: Any, _: Any) -> Any:
    if isinstance(value, list):
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise Mismatch


def _list_of(inner: Coercer, inside: str, value: Any, context: Any) -> Any:
    if isinstance(value, list | np.ndarray):
        return [inner(item, context) for item in _list(value, context)]
    if inside == "String" and isinstance(value, str):
        return [value]  # a single selector stands for a list of one
    if inside in ("Integer", "Float", "Number") and isinstance(value, int | float):
        return [inner(value, context)]
    if inside in ("Element", "Geometry", "Image<unknown bands") or inside.startswith("Image"):
        return [inner(value, context)]
    raise Mismatch


def _dictionary(value: Any, _: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Feature | Image):
        return dict(value.properties)
    raise Mismatch


def _dictionary_of(inner: Coercer, value: Any, context: Any) -> Any:
    return {k: inner(v, context) for k, v in _dictionary(value, context).items()}


def _geometry(value: Any, context: Any) -> Any:
    if isinstance(value, Geometry):
        return value
    if isinstance(value, Feature | Image):
        geometry = geometry_of(value)
        return Geometry(shapely.GeometryCollection()) if geometry is None else geometry
    if isinstance(value, Collection):
        return context.call("Collection.geometry", value, ErrorMargin(0.0))
    if isinstance(value, Mapping) and ("coordinates" in value or "geometries" in value):
        return geometry_.from_geojson(value)
    raise Mismatch


def _feature(value: Any, context: Any) -> Any:
    if isinstance(value, Feature):
        return value
    if isinstance(value, Geometry):
        return Feature(value)
    if isinstance(value, Mapping) and value.get("type") == "Feature":
        shape = value.get("geometry")
        return Feature(
            None if shape is None else _geometry(shape, context), value.get("properties") or {}
        )
    if isinstance(value, Image):
        return Feature(value.footprint, value.properties)
    raise Mismatch


def _element(value: Any, context: Any) -> Any:
    return value if is_element(value) else _feature(value, context)


def _image(value: Any, context: Any) -> Any:
    if isinstance(value, Image):
        return value
    if isinstance(value, bool | int | float | np.ndarray) or (
        isinstance(value, list) and value and all(isinstance(v, int | float) for v in value)
    ):
        return context.call("Image.constant", value)
    if isinstance(value, Collection) and value.kind == "ImageCollection":
        return context.call("ImageCollection.mosaic", value)
    raise Mismatch


def numbered(kind: Any, elements: list[Any]) -> Collection:
    """Return a collection of the elements of a list, with the ids "0", "1" and so on."""
    return collection_of(kind, [with_index(e, str(i)) for i, e in enumerate(elements)])


def _feature_collection(value: Any, context: Any) -> Any:
    if isinstance(value, Collection):
        return value  # the algorithms of Collection take both kinds of collection
    if isinstance(value, Mapping) and value.get("type") == "FeatureCollection":
        value = value.get("features")
    if isinstance(value, list):
        return numbered("FeatureCollection", [_element(item, context) for item in value])
    return numbered("FeatureCollection", [_element(value, context)])


def _image_collection(value: Any, context: Any) -> Any:
    if isinstance(value, Collection):
        return replace(value, kind="ImageCollection")
    if isinstance(value, list):
        return numbered("ImageCollection", [_image(item, context) for item in value])
    return numbered("ImageCollection", [_image(value, context)])


def _date(value: Any, _: Any) -> Any:
    if isinstance(value, Date):
        return value
    if isinstance(value, Mapping) and value.get("type") == "Date":
        value = value["value"]
    if isinstance(value, DateRange):
        return Date(value.start)
    if isinstance(value, Feature | Image):
        value = value.properties.get("system:time_start")
    if isinstance(value, str):
        return Date(parse_date(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Date(float(value))
    raise Mismatch


def _date_range(value: Any, context: Any) -> Any:
    if isinstance(value, DateRange):
        return value
    if isinstance(value, Mapping) and value.get("type") == "DateRange":
        return DateRange(*(_date(v, context).millis for v in value["dates"]))
    if isinstance(value, list) and len(value) == 2:
        return DateRange(*(_date(v, context).millis for v in value))
    start = _date(value, context).millis
    return DateRange(start, start + 1)


def _projection(value: Any, context: Any) -> Any:
    if isinstance(value, Projection):
        return value
    if isinstance(value, str):
        return context.call("Projection", value, None, None)
    if isinstance(value, Mapping) and "crs" in value:
        terms = value.get("transform")
        return Projection(value["crs"], Affine(*terms[:6])) if terms else Projection(value["crs"])
    if isinstance(value, Image):
        return context.call("Image.projection", value)
    raise Mismatch


def _error_margin(value: Any, _: Any) -> Any:
    if isinstance(value, ErrorMargin):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ErrorMargin(float(value))
    if isinstance(value, Mapping) and value.get("type") == "ErrorMargin":
        return ErrorMargin(value.get("value"), value.get("unit", "meters"))
    raise Mismatch


def _filter(value: Any, context: Any) -> Any:
    if isinstance(value, Filter):
        return value
    if isinstance(value, str):
        return context.call("Filter.expression", value)
    raise Mismatch


def _reducer(value: Any, context: Any) -> Any:
    if type(value).__name__ == "Reducer":
        return value
    if isinstance(value, str):
        return context.call(f"Reducer.{value}")
    raise Mismatch


def _algorithm(value: Any, context: Any) -> Any:
    if isinstance(value, str):
        return partial(context.apply, value)
    if callable(value):
        return value
    raise Mismatch


def _array(value: Any, _: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | int | float):
        try:
            array = np.asarray(value)
        except ValueError:
            raise Mismatch from None
        if array.dtype.kind in "bif" and (array.size or not isinstance(value, list)):
            return array
        if array.size == 0 and isinstance(value, list):
            return array
    raise Mismatch


def _pixel_type(value: Any, context: Any) -> Any:
    if isinstance(value, PixelType):
        return value
    if isinstance(value, str):
        return context.call(f"PixelType.{value}")
    if isinstance(value, Mapping) and "precision" in value:
        rank = int(value.get("dimensions") or 0)
        return PixelType(value["precision"], value.get("min"), value.get("max"), rank)
    raise Mismatch


def _named(name: str) -> Coercer:
    """Return the coercer of a type that no other can be converted to (Kernel, Join…)."""

    def check(value: Any, _: Any) -> Any:
        if type_name(value) != name:
            raise Mismatch
        return value

    return check


_COERCERS: dict[str, Coercer] = {
    "": _anything,
    "Object": _anything,
    "Number": _number,
    "Float": _float,
    "Integer": _integer,
    "Long": _integer,
    "String": _string,
    "Boolean": _boolean,
    "List": _list,
    "Dictionary": _dictionary,
    "Geometry": _geometry,
    "Feature": _feature,
    "Element": _element,
    "Image": _image,
    "FeatureCollection": _feature_collection,
    "ImageCollection": _image_collection,
    "Date": _date,
    "DateRange": _date_range,
    "Projection": _projection,
    "ErrorMargin": _error_margin,
    "Filter": _filter,
    "Reducer": _reducer,
    "Algorithm": _algorithm,
    "Array": _array,
    "PixelType": _pixel_type,
}
