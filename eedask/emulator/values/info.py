"""Converts values to JSON: as getInfo answers it, and features as exported tables have them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry, shape_json, to_geojson
from eedask.emulator.pixels.raster import Band, Image, PixelType, Projection
from eedask.emulator.readings import reading
from eedask.emulator.values.elements import INDEX, index_of
from eedask.emulator.values.typenames import type_name
from eedask.emulator.values.value_types import Collection, Date, DateRange, ErrorMargin, Feature

MAX_ELEMENTS = 5000
"""The most elements of a collection that one answer of getInfo can hold."""

_UNASKED = {"id": "0_0", "updateTime": "2026-01-01T00:00:00Z", "links": {"self": []}}
_UNASKED_PROPERTIES = {INDEX: "0_0", "geo": None, "unasked": [{"of": None}, 1.5]}
_EXACT = 2.0**53  # up to here a double can hold every integer


def to_info(value: Any) -> Any:
    """Return a value as the JSON values that getInfo answers.

    Floats without a fraction become integers. Those that JSON cannot express become the strings
    ``NaN``, ``Infinity`` and ``-Infinity``. (Readings: ``whole_numbers``, ``non_finite``.)

    Raises
    ------
    EarthEngineError
        A collection has more than 5,000 elements, a value has no JSON, or values are nested too
        deeply.
    """
    try:
        return _info(value)
    except RecursionError:
        raise too_deep() from None


def too_deep() -> EarthEngineError:
    """Return the error for expressions or values that are nested too deeply."""
    return EarthEngineError("The expression is too deeply nested to be evaluated.")


def _info(value: Any) -> Any:
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return number_json(value)
    if isinstance(value, list | tuple):
        return [_info(item) for item in value]
    if isinstance(value, Mapping):
        return {str(k): _info(v) for k, v in value.items()}
    for kind, convert in _CONVERTERS:
        if isinstance(value, kind):
            return convert(value)
    if callable(getattr(value, "to_info", None)):
        return _info(value.to_info())
    raise EarthEngineError(f"An object of type {type_name(value)} cannot be computed to JSON.")


def number_json(value: float) -> int | float | str | None:
    """Return a number in the form of Earth Engine's JSON, see :func:`to_info`."""
    if not math.isfinite(value):
        return _not_finite(value)
    is_whole = value.is_integer() and abs(value) < _EXACT
    return int(value) if is_whole and reading("whole_numbers") == "integers" else value


def _not_finite(value: float) -> float | str | None:
    """Return what stands for a number that JSON lacks, by the reading ``non_finite``."""
    match reading("non_finite"):
        case "null":
            return None
        case "bare":
            return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def feature_json(feature: Feature) -> dict[str, Any]:
    """Return a feature as GeoJSON in EPSG:4326, with ``system:index`` among its properties.

    This is the form that tables answer, unlike getInfo's. Edges are straight in longitude and
    latitude: great circles are approximated by more vertices. An image's geometry is its
    footprint.
    """
    geometry = feature.footprint if isinstance(feature, Image) else feature.geometry
    properties = {k: _info(v) for k, v in feature.properties.items()}
    index = index_of(feature)
    if index is not None:
        properties.setdefault(INDEX, index)
    shape = None if geometry is None else _info(shape_json(geometry.lonlat))
    return _as_read({"type": "Feature", "geometry": shape, "properties": properties})


def _geometry(geometry: Geometry) -> Any:
    return _info(to_geojson(geometry))


def _feature(feature: Feature) -> dict[str, Any]:
    geometry = feature.geometry
    result = {
        "type": "Feature",
        "geometry": None if geometry is None else _geometry(geometry),
        "properties": {k: _info(v) for k, v in feature.properties.items() if k != INDEX},
    }
    index = index_of(feature)
    return _as_read(result if index is None else {**result, "id": index})


def _as_read(feature: dict[str, Any]) -> dict[str, Any]:
    """Return a feature's JSON as the readings ``feature_members`` and ``extra_properties`` say."""
    if reading("extra_properties") == "some":
        feature = {**_UNASKED, **feature}
        feature["properties"] = {**_UNASKED_PROPERTIES, **feature["properties"]}
    if reading("feature_members") == "absent":
        feature = {k: v for k, v in feature.items() if v is not None and v != {}}
    return feature


def _image(image: Image) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "Image", "bands": [band_json(b) for b in image.bands]}
    if image.id is not None:
        result["id"] = image.id
    if image.version is not None:
        result["version"] = image.version
    if image.properties:
        result["properties"] = _info(dict(image.properties))
    return result


def band_json(band: Band) -> dict[str, Any]:
    """Return the entry of a band in the list ``bands`` of an image's JSON."""
    result: dict[str, Any] = {"id": band.id, "data_type": _pixel_type(band.type)}
    if band.dimensions is not None:
        result["dimensions"] = list(band.dimensions)
    if band.origin is not None:
        result["origin"] = list(band.origin)
    terms = [number_json(float(t)) for t in band.projection.transform[:6]]
    return {**result, "crs": band.projection.crs, "crs_transform": terms}


def _pixel_type(kind: PixelType) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "PixelType", "precision": kind.precision}
    for name, bound in (("min", kind.min), ("max", kind.max)):
        if bound is not None:
            result[name] = number_json(float(bound))
    if kind.dimensions:
        result["dimensions"] = kind.dimensions
    return result


def _projection(projection: Projection) -> dict[str, Any]:
    terms = [number_json(float(t)) for t in projection.transform[:6]]
    named = "wkt" if "[" in projection.crs else "crs"
    return {"type": "Projection", named: projection.crs, "transform": terms}


def _collection(collection: Collection) -> dict[str, Any]:
    elements = list(islice(collection.elements(), MAX_ELEMENTS + 1))
    if len(elements) > MAX_ELEMENTS:
        raise EarthEngineError(
            f"Collection query aborted after accumulating over {MAX_ELEMENTS} elements."
        )
    images = collection.kind == "ImageCollection" or any(isinstance(e, Image) for e in elements)
    result: dict[str, Any] = {"type": "ImageCollection" if images else "FeatureCollection"}
    if images:
        result["bands"] = []
    else:
        known = collection.columns
        result["columns"] = _columns(iter(elements)) if known is None else dict(known())
    if collection.id is not None:
        result["id"] = collection.id
    if collection.version is not None:
        result["version"] = collection.version
    if collection.properties:
        result["properties"] = _info(dict(collection.properties))
    return {**result, "features": [_info(e) for e in elements]}


def _columns(elements: Iterator[Any]) -> dict[str, str]:
    """Return the names and types of the first feature's properties.

    They are the ``columns`` of collections that do not come from a table. That is a guess: Earth
    Engine answers no columns for some.
    """
    first = next(elements, None)
    if first is None:
        return {}
    columns = {k: type_name(v) for k, v in sorted(first.properties.items()) if v is not None}
    return columns if index_of(first) is None else {**columns, INDEX: "String"}


def _date_range(dates: DateRange) -> dict[str, Any]:
    return {"type": "DateRange", "dates": [number_json(dates.start), number_json(dates.end)]}


def _error_margin(margin: ErrorMargin) -> dict[str, Any]:
    return {"type": "ErrorMargin", "unit": margin.unit, "value": _info(margin.value)}


_CONVERTERS: list[tuple[Any, Any]] = [
    (Geometry, _geometry),
    (Feature, _feature),
    (Image, _image),
    (Collection, _collection),
    (Date, lambda date: {"type": "Date", "value": number_json(date.millis)}),
    (Projection, _projection),
    (PixelType, _pixel_type),
    (DateRange, _date_range),
    (ErrorMargin, _error_margin),
    (np.ndarray, lambda array: _info(array.tolist())),
    (np.generic, lambda scalar: _info(scalar.item())),
]
