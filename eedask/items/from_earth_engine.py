"""Work items from Earth Engine: the features of a collection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ee
import geopandas as gpd
import pandas as pd
import shapely
from ee import serializer
from shapely.geometry.base import BaseGeometry

from eedask.arguments import check_flags, is_names
from eedask.earthengine.endpoint import EndpointName, endpoint_of_client
from eedask.earthengine.methods import PAGE_SIZE, ask, compute_features, reading
from eedask.errors import InputError, TooLargeError
from eedask.items.check import ids_named
from eedask.quota.asking import Asking

# The property that carries ids in answers; no table has a column of this name.
ID = "eedask:id"

# Properties, and the geometry where there is one.
Feature = tuple[dict[str, Any], BaseGeometry | None]


def from_features(
    features: ee.FeatureCollection,
    properties: Sequence[str] | None = None,
    geometry: bool = False,
    *,
    endpoint: EndpointName = "auto",
) -> gpd.GeoDataFrame:
    """Fetch the features of a collection as work items: one request for each 1000 of them.

    Pages that are too large are halved, which takes more requests. All count against the same
    quota as those of runs.

    Parameters
    ----------
    features : ee.FeatureCollection
        The collection, filtered as needed.
    properties : sequence of str, optional
        The properties to fetch; all when not given.
    geometry : bool
        Whether to fetch the geometries. They are large, and not needed where a verb is told the
        regions by ``region=``, as a filter of the collection by id.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.

    Returns
    -------
    GeoDataFrame
        One row a feature, with a column for each property, in EPSG:4326. The index, named "id"
        unless a property is, holds ``system:index`` (text). Geometries are None unless asked for.
        A property that a feature lacks is null.

    Raises
    ------
    InputError
        If ``ee`` is not initialised, or an argument cannot be used: images are no features, see
        :func:`image_ids`.
    RequestError
        If Earth Engine refuses, or the tries are used up.

    Examples
    --------
    >>> gaul = ee.FeatureCollection("FAO/GAUL/2015/level1")  # doctest: +SKIP
    >>> colorado = gaul.filter(ee.Filter.eq("ADM1_NAME", "Colorado"))  # doctest: +SKIP
    >>> eedask.items.from_features(colorado, ["ADM1_CODE"], geometry=True)  # doctest: +SKIP
    """

    def trim(feature: ee.Feature) -> ee.Feature:
        if properties is None:
            kept = feature if geometry else feature.setGeometry(None)
        else:
            # Not ``select``, which is an error where a feature lacks the property.
            shape = feature.geometry() if geometry else None
            kept = ee.Feature(shape, {name: feature.get(name) for name in wanted})
        return kept.set(ID, feature.get("system:index"))

    # Before the client's own error, which does not say what to do.
    endpoint_of_client(name=endpoint)
    check_flags(geometry=geometry)
    _check(features)
    wanted = property_names(properties)
    _check_free(wanted)
    found = list(fetch_features(ee.FeatureCollection(features).map(trim), endpoint))
    frame = pd.DataFrame([properties for properties, _ in found])
    if "system:index" in frame and "system:index" not in wanted:
        del frame["system:index"]
    _check_free(frame.columns)
    ids = ids_named(frame.pop(ID) if found else [], "id", frame.columns)
    # In the order of `properties`. A property that no feature has is a column of nulls.
    others = frame.columns.difference([*wanted], sort=False)
    frame = frame.reindex(columns=[*wanted, *others])
    shapes = [shape for _, shape in found]
    return gpd.GeoDataFrame(frame.set_axis(ids, axis=0), geometry=shapes, crs="EPSG:4326")


def _check(features: Any) -> None:
    if isinstance(features, ee.ImageCollection):
        raise InputError(
            "from_features is for the features of a FeatureCollection; the images of an"
            " ImageCollection are items by eedask.items.image_ids(collection)"
        )
    if isinstance(features, ee.Image) or not isinstance(features, ee.ComputedObject | str):
        raise InputError(f"features is an ee.FeatureCollection; got {type(features).__name__}")


def _check_free(names: Iterable[str]) -> None:
    """Raise InputError if a property is called as the column of the shapes."""
    if "geometry" in names:
        raise InputError(
            "a property 'geometry' would stand in the column of the shapes: state which ones to"
            " fetch, as properties=['NAME'], or copy it to another name first, with"
            " feature.set(new_name, feature.get('geometry'))"
        )


def property_names(properties: Any) -> tuple[str, ...]:
    """Return the properties that a user names, each once; none for None.

    Raises
    ------
    InputError
        If they are no list of names.
    """
    if properties is not None and not is_names(properties):
        raise InputError(f"properties is a list of names, such as ['NAME']; got {properties!r}")
    return () if properties is None else tuple(dict.fromkeys(map(str, properties)))


def fetch_features(
    features: ee.FeatureCollection, endpoint_name: EndpointName = "auto"
) -> Iterator[Feature]:
    """Yield the features of a collection, page after page.

    If Earth Engine refuses a page as too large, it and the pages after it are asked for with half
    as many features. Each feature must have its id as the property :data:`ID`, or as its own id.

    Parameters
    ----------
    features : ee.FeatureCollection
    endpoint_name : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to.

    Raises
    ------
    InputError
        If ``ee`` is not initialised.
    RequestError
        If Earth Engine refuses, or the tries are used up.
    """
    expression = serializer.encode(features, for_cloud_api=True)
    endpoint = endpoint_of_client(name=endpoint_name)
    token: str | None = None
    size = PAGE_SIZE
    with Asking(endpoint, "features") as asking:
        while True:
            request = compute_features(endpoint, expression, token, size)
            try:
                features, token = ask(asking.send, request, _page)
            except TooLargeError:
                if size == 1:
                    raise
                size //= 2
                continue
            yield from features
            # Pages may be short; only a missing token ends the collection.
            if not token:
                return


def _page(body: bytes) -> tuple[list[Feature], str]:
    """Return the features of a page, and the token of the next; an empty one at the end.

    Raises
    ------
    TransientError
        If the answer is no page of features.
    """
    with reading(body, "a page of features"):
        page = json.loads(body)
        token = page.get("nextPageToken") or ""
        if not isinstance(token, str):
            raise ValueError(f"{token!r} is no token")
        return [_feature(feature) for feature in page.get("features", [])], token


def _feature(feature: dict[str, Any]) -> Feature:
    """Return a feature's properties and shape; either may be null, or not there at all."""
    properties, geometry = dict(feature.get("properties") or {}), feature.get("geometry")
    if properties.setdefault(ID, feature.get("id")) is None:
        raise ValueError("a feature has no id")
    try:
        return properties, shapely.geometry.shape(geometry) if geometry else None
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"a geometry cannot be read: {error}") from error
