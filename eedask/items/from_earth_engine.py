"""Work items that Earth Engine has: the features of a collection."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import ee
import geopandas as gpd
import pandas as pd
import shapely
from ee import serializer

from eedask.earthengine.endpoint import endpoint_of_client
from eedask.earthengine.methods import compute_features
from eedask.quota.asking import Asking

# The property under which ids travel; no table has a column of this name.
_ID = "eedask:id"


def from_features(
    features: ee.FeatureCollection,
    properties: Sequence[str] | None = None,
    geometry: bool = False,
) -> gpd.GeoDataFrame:
    """Fetch the features of a collection, page by page.

    Parameters
    ----------
    features : ee.FeatureCollection
    properties : sequence of str, optional
        The properties to fetch; all when not given.
    geometry : bool
        Whether to fetch the geometries. They are large, and a request that filters by id on
        Earth Engine's side does not need them.

    Returns
    -------
    GeoDataFrame
        One row a feature, in EPSG:4326, ``system:index`` as the index; geometries are None
        unless asked for. A property that a feature lacks is null.

    Raises
    ------
    RequestError
        If Earth Engine refuses.
    """

    def trim(feature: ee.Feature) -> ee.Feature:
        if properties is None:
            kept = feature if geometry else feature.setGeometry(None)
        else:
            # Not ``select``, which is an error where a feature lacks the property.
            shape = feature.geometry() if geometry else None
            kept = ee.Feature(shape, {name: feature.get(name) for name in properties})
        return kept.set(_ID, feature.get("system:index"))

    expression = serializer.encode(ee.FeatureCollection(features).map(trim), for_cloud_api=True)
    found = list(_features(expression))
    frame = pd.DataFrame([feature["properties"] or {} for feature in found])
    if "system:index" in frame and "system:index" not in (properties or ()):
        del frame["system:index"]
    ids = pd.Index(frame.pop(_ID) if found else [], name="id")
    # In the order that was asked for; what no feature has is there, and empty.
    wanted = list(dict.fromkeys(properties or ()))
    frame = frame.reindex(columns=[*wanted, *frame.columns.difference(wanted, sort=False)])
    shapes = [shapely.geometry.shape(f["geometry"]) if f["geometry"] else None for f in found]
    return gpd.GeoDataFrame(frame.set_axis(ids, axis=0), geometry=shapes, crs="EPSG:4326")


def _features(expression: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the features of a collection, page after page."""
    endpoint = endpoint_of_client()
    token: str | None = None
    with Asking(endpoint, "features") as asking:
        while True:
            page = json.loads(asking.send(compute_features(endpoint, expression, token)))
            yield from page.get("features", [])
            # Pages may be short; only a missing token ends the collection.
            token = page.get("nextPageToken")
            if not token:
                return
