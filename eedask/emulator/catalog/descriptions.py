"""Descriptions of assets in the form of the REST API (``EarthEngineAsset``).

https://developers.google.com/earth-engine/reference/rest/v1/projects.assets
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import shapely

from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Band, Image, PixelType, Projection
from eedask.emulator.values.value_types import Collection

_PUBLIC_FOLDER = "projects/earthengine-public/assets/"


def resource_name(asset_id: str) -> str:
    """Return an id as ``projects/P/assets/x``; one without a project is a public asset."""
    return asset_id if asset_id.startswith("projects/") else _PUBLIC_FOLDER + asset_id


def describe(kind: str, asset_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that assets of all kinds have, some of them made of system properties."""
    description: dict[str, Any] = {
        "type": kind,
        "name": resource_name(asset_id),
        "id": asset_id,
    }
    own = {name: value for name, value in properties.items() if not name.startswith("system:")}
    if own:
        description["properties"] = own
    for field, name in (("startTime", "system:time_start"), ("endTime", "system:time_end")):
        if name in properties:
            description[field] = timestamp(properties[name])
    if "system:asset_size" in properties:
        description["sizeBytes"] = str(properties["system:asset_size"])
    return description


def describe_image(image: Image) -> dict[str, Any]:
    """Return the description of an image, with the types and grids of its bands."""
    description = describe("IMAGE", image.id or "", image.properties)
    if image.footprint is not None:
        description["geometry"] = _geojson(image.footprint)
    if image.version is not None:
        description["updateTime"] = timestamp(image.version / 1000)
    description["bands"] = [_band(band) for band in image.bands]
    return description


def describe_collection(asset_id: str, collection: Collection) -> dict[str, Any]:
    """Return the description of an image collection."""
    return describe("IMAGE_COLLECTION", asset_id, collection.properties)


def describe_table(asset_id: str, collection: Collection, size: int | None) -> dict[str, Any]:
    """Return the description of a table; ``size`` is its number of features, if known."""
    description = describe("TABLE", asset_id, collection.properties)
    if size is not None:
        description["featureCount"] = str(size)
    return description


def timestamp(millis: float) -> str:
    """Return a moment as RFC 3339, in UTC."""
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=millis)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds") + "Z"


def _geojson(geometry: Geometry) -> dict[str, Any]:
    shape: dict[str, Any] = shapely.geometry.mapping(geometry.shape)
    return shape


def _band(band: Band) -> dict[str, Any]:
    return {
        "id": band.id,
        "dataType": _data_type(band.type),
        "grid": _grid(band.projection, band.dimensions),
        "pyramidingPolicy": "MEAN",
    }


def _data_type(kind: PixelType) -> dict[str, Any]:
    """Return precision and range of a pixel type; as everywhere in this API, zeros are left out."""
    described: dict[str, Any] = {"precision": kind.precision.upper()}
    limits = {"min": kind.min, "max": kind.max}
    span = {name: limit for name, limit in limits.items() if limit}
    if kind.precision == "int" and span:
        described["range"] = span
    return described


def _grid(projection: Projection, dimensions: tuple[int, int] | None) -> dict[str, Any]:
    t = projection.transform
    affine = {
        "scaleX": t.a,
        "shearX": t.b,
        "translateX": t.c,
        "shearY": t.d,
        "scaleY": t.e,
        "translateY": t.f,
    }
    code = projection.crs.startswith(("EPSG:", "SR-ORG:"))
    grid: dict[str, Any] = {
        "crsCode" if code else "crsWkt": projection.crs,
        "affineTransform": {name: value for name, value in affine.items() if value},
    }
    if dimensions is not None:
        grid["dimensions"] = {"width": dimensions[0], "height": dimensions[1]}
    return grid
