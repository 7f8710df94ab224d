"""Points of each class of an image."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import ee
import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.arguments import check_scale, checked_seed, is_count
from eedask.crs import NATIVE, UTM, canonical_crs, crs_name
from eedask.earthengine.endpoint import EndpointName
from eedask.earthengine.geometries import to_ee_geometry
from eedask.errors import InputError
from eedask.items.check import ids_named
from eedask.items.from_earth_engine import ID, fetch_features
from eedask.items.regions import check_region, in_degrees


def stratified_sample(
    image: ee.Image,
    class_band: str,
    region: Any,
    scale: float,
    n: int | Mapping[int, int],
    *,
    seed: int = 0,
    crs: Any = None,
    endpoint: EndpointName = "auto",
) -> gpd.GeoDataFrame:
    """Draw random pixels of each class of an image. One request for each 1000 of them.

    Earth Engine draws the pixels; their places and classes are all that is fetched
    (https://developers.google.com/earth-engine/apidocs/ee-image-stratifiedsample).

    Parameters
    ----------
    image : ee.Image
    class_band : str
        Its band of classes, which are whole numbers.
    region : ee.Geometry, ee.FeatureCollection, GeoDataFrame, GeoSeries or shapely geometry
        Where to draw. The outline of a local shape is sent with every request; of an ``ee`` object,
        only its expression is.
    scale : float
        Metres a pixel.
    n : int or mapping of int to int
        Points of every class; or by class, for those classes alone.
    seed : int
        The same seed and arguments give the same points.
    crs : anything pyproj reads, optional
        Of the pixels; the image's own when not given.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.

    Returns
    -------
    GeoDataFrame
        Pixel centres in EPSG:4326, with the column ``class_band`` (int64), ordered by class. A
        class with fewer pixels has all of them. The index, named "id" unless the band is, holds
        ``"CLASS-NUMBER"``, numbers from 0.

    Raises
    ------
    InputError
        If an argument cannot be used, ``ee`` is not initialised, or nothing was drawn.
    RequestError
        If Earth Engine refuses, or the tries are used up.

    Examples
    --------
    >>> cover = ee.Image("ESA/WorldCover/v200/2021")  # doctest: +SKIP
    >>> eedask.items.stratified_sample(cover, "Map", county, 10, 200, seed=1)  # doctest: +SKIP
    """
    if not isinstance(image, ee.Image):
        raise InputError(f"image is an ee.Image; got {type(image).__name__}")
    if not isinstance(class_band, str) or not class_band:
        raise InputError(f"class_band is a band's name; got {class_band!r}")
    if class_band == "geometry":
        raise InputError(
            "a band 'geometry' would stand in the column of the points: rename it, with"
            " image.rename"
        )
    if crs is not None and crs_name(crs) in (UTM, NATIVE):
        raise InputError(
            "crs is that of the pixels to draw from, as 'EPSG:32613', and the image's own when not"
            f" given; got {crs!r}"
        )
    check_scale(scale)
    if scale is None:
        raise InputError("scale is a positive number of metres; got None")
    sampled = image.select([class_band]).stratifiedSample(
        **_counts(n),
        classBand=class_band,
        region=_ee_region(region),
        scale=float(scale),
        projection=None if crs is None else canonical_crs(crs),
        seed=checked_seed(seed),
        geometries=True,
    )

    def trim(feature: ee.Feature) -> ee.Feature:
        kept = {class_band: feature.get(class_band), ID: feature.get("system:index")}
        return ee.Feature(feature.geometry(), kept)

    return _frame(list(fetch_features(sampled.map(trim), endpoint)), class_band)


def _counts(n: Any) -> dict[str, Any]:
    """Return how many points of which class, in Earth Engine's arguments."""
    if is_count(n):
        return {"numPoints": int(n)}
    by_class = isinstance(n, Mapping) and n and all(isinstance(one, Integral) for one in n)
    if not (by_class and all(is_count(count) for count in n.values())):
        raise InputError(
            "n is the number of points of a class, at least 1, or such numbers by class, as"
            f" {{10: 200, 80: 50}}; got {n!r}"
        )
    values, points = [int(one) for one in n], [int(count) for count in n.values()]
    return {"numPoints": 0, "classValues": values, "classPoints": points}


def _ee_region(region: Any) -> ee.Geometry:
    if isinstance(region, ee.FeatureCollection | ee.Feature):
        return region.geometry()
    if isinstance(region, ee.Geometry):
        return region
    shapes = in_degrees(check_region(region))
    return to_ee_geometry(gpd.GeoSeries(shapes, crs="EPSG:4326").union_all())


def _frame(found: list[Any], class_band: str) -> gpd.GeoDataFrame:
    """Return points with ids that do not depend on the order in which they were answered."""
    if not found:
        raise InputError(
            f"the band {class_band!r} has no pixel of these classes in the region: look at the"
            " region, and at what masks the image"
        )
    classes = pd.Series([values[class_band] for values, _ in found]).astype("int64")
    points = gpd.GeoDataFrame(
        {class_band: classes}, geometry=[shape for _, shape in found], crs="EPSG:4326"
    )
    points = points.iloc[np.lexsort((points.geometry.x, -points.geometry.y, classes))]
    numbers = points.groupby(class_band).cumcount()
    width = len(str(numbers.max()))
    ids = [f"{c}-{k:0{width}d}" for c, k in zip(points[class_band], numbers, strict=True)]
    return points.set_axis(ids_named(ids, "id", points.columns), axis=0)
