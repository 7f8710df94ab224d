"""The images of a collection as items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ee
import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.errors import InputError
from eedask.items.from_earth_engine import ID, check_properties, fetch_features

# Properties under which an answer holds an image's asset id and time: no image has such ones.
_ASSET, _TIME = "eedask:asset", "eedask:time"
_OWN = ("id", "time", "geometry")


def image_ids(
    collection: ee.ImageCollection, properties: Sequence[str] = (), *, geometry: bool = True
) -> gpd.GeoDataFrame:
    """Fetch which images a collection holds: one request for each 1000 of them.

    Only the ids, times, footprints and chosen properties are asked for. Pages that are too large
    are halved, which takes more requests.

    Parameters
    ----------
    collection : ee.ImageCollection or str
        Filtered as needed; or an asset's id.
    properties : sequence of str
        Properties of the images to fetch as well, such as "CLOUD_COVER".
    geometry : bool
        Whether to fetch the footprints, which are most of an answer's bytes.

    Returns
    -------
    GeoDataFrame
        One row an image, ordered by time, then by index. The index, named "system:index", holds
        ``system:index`` (text), which is unique within the collection. Columns: ``id``, the
        asset's id, by which ``ee.Image`` loads it (null for images that are computed); ``time``,
        ``system:time_start`` (datetime64[ms, UTC], null where an image has none); the properties,
        null where an image lacks one; and ``geometry``, the footprint in EPSG:4326, None if not
        asked for.

    Raises
    ------
    InputError
        If ``ee`` is not initialised, or an argument cannot be used.
    RequestError
        If Earth Engine refuses, or the tries are used up.

    Examples
    --------
    >>> landsat = ee.ImageCollection("LANDSAT/LC08/C02/T1_L2")  # doctest: +SKIP
    >>> scenes = landsat.filterBounds(city).filterDate("2019", "2020")  # doctest: +SKIP
    >>> eedask.items.image_ids(scenes, ["CLOUD_COVER"])  # doctest: +SKIP
    """
    wanted = _wanted(collection, properties)

    def describe(element: ee.Image) -> ee.Feature:
        image = ee.Image(element)
        return described(image, wanted, geometry).set(ID, image.get("system:index"))

    described_all = ee.FeatureCollection(ee.ImageCollection(collection).map(describe))
    frame = image_frame(list(fetch_features(described_all)), wanted)
    ids = pd.Index(list(frame.pop(ID)), name="system:index")
    return frame.set_axis(ids, axis=0).sort_index(kind="stable").sort_values("time", kind="stable")


def described(image: ee.Image, properties: Sequence[str], geometry: bool) -> ee.Feature:
    """Return a feature that says of an image what :func:`image_frame` reads."""
    kept: dict[str, Any] = {name: image.get(name) for name in properties}
    kept |= {_ASSET: image.get("system:id"), _TIME: image.get("system:time_start")}
    return ee.Feature(image.geometry() if geometry else None, kept)


def image_frame(found: list[Any], properties: Sequence[str]) -> gpd.GeoDataFrame:
    """Return what features of :func:`described` say, a row each, with the column :data:`ID`."""
    names = [ID, _ASSET, _TIME, *properties]
    frame = pd.DataFrame([values for values, _ in found]).reindex(columns=names)
    times = pd.to_numeric(frame[_TIME]).round().astype("Int64")
    stamps = times.astype("object").where(times.notna(), None).to_numpy(dtype="datetime64[ms]")
    frame[_TIME] = pd.DatetimeIndex(np.asarray(stamps)).tz_localize("UTC")
    frame[_ASSET] = frame[_ASSET].astype("object").where(frame[_ASSET].notna(), None)
    named = frame.rename(columns={_ASSET: "id", _TIME: "time"})
    return gpd.GeoDataFrame(named, geometry=[shape for _, shape in found], crs="EPSG:4326")


def _wanted(collection: Any, properties: Any) -> list[str]:
    """Return the names of the properties to fetch, each once.

    Raises
    ------
    InputError
        If the arguments cannot be used.
    """
    if isinstance(collection, ee.FeatureCollection):
        raise InputError(
            "image_ids is for the images of an ImageCollection; the features of a"
            " FeatureCollection are items by eedask.items.from_features(features)"
        )
    computed = type(collection) is ee.ComputedObject
    if not (computed or isinstance(collection, ee.ImageCollection | str)):
        raise InputError(f"collection is an ee.ImageCollection; got {type(collection).__name__}")
    check_properties(properties)
    wanted = list(dict.fromkeys(properties or ()))
    if taken := [name for name in wanted if name in _OWN]:
        raise InputError(
            f"properties named {taken} would stand in the columns of the ids, times or footprints:"
            " copy them to other names first, with image.set(new_name, image.get(name))"
        )
    return wanted
