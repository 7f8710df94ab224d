"""The images of a collection as items."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import ee
import geopandas as gpd
import pandas as pd

from eedask.arguments import check_flags
from eedask.earthengine.endpoint import EndpointName, endpoint_of_client
from eedask.errors import InputError
from eedask.items.descriptions import described, image_frame
from eedask.items.from_earth_engine import ID, fetch_features, property_names
from eedask.items.images_near import Choice, images_near

_OWN = ("id", "time", "geometry")


def image_ids(
    collection: ee.ImageCollection,
    properties: Sequence[str] = (),
    *,
    geometry: bool = True,
    near: gpd.GeoDataFrame | None = None,
    dates: tuple[str | datetime.date, str | datetime.date] | None = None,
    most: int | None = None,
    best: str | None = None,
    endpoint: EndpointName = "auto",
) -> gpd.GeoDataFrame:
    """Fetch which images a collection holds: one request for each 1000 of them.

    Only the ids, times, footprints and chosen properties are asked for. Pages that are too large
    are halved, which takes more requests. With ``near``, it is one request for each 100 places, and
    one more for each further 1000 rows of theirs.

    Parameters
    ----------
    collection : ee.ImageCollection or str
        Filtered as needed; or an asset's id.
    properties : sequence of str
        Properties of the images to fetch as well, such as "CLOUD_COVER".
    geometry : bool
        Without ``near``: whether to fetch the footprints, which are most of an answer's bytes.
    near : GeoDataFrame, optional
        Places, of any geometry: for each, the images that meet it, as items × images.
    dates : (start, end), optional
        With ``near``: images from start until just before end, UTC.
    most : int, optional
        With ``near``: how many images of a place, at most.
    best : str, optional
        With ``near``: the property by which images are ranked, the smallest first, such as
        "CLOUD_COVER". Images without it are left out. When not given, the earliest come first.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.

    Returns
    -------
    GeoDataFrame
        Without ``near``: one row an image, ordered by time, then by index. The index, named
        "system:index", holds ``system:index`` (text), which is unique within the collection.
        Columns: ``id``, the asset's id, by which ``ee.Image`` loads it (null for images that are
        computed); ``time``, ``system:time_start`` (datetime64[ms, UTC], null where an image has
        none, or one that is no time); the properties, null where an image lacks one; and
        ``geometry``, the footprint in EPSG:4326, None if not asked for.

        With ``near``: one row a place and image, in the order of the places, the best image first.
        The index, named "item" unless a column of the places is, holds ``"PLACE_IMAGE"``. Columns:
        those of the places, their geometry and crs included; ``place``, the place's id; ``rank``,
        from 0; then ``id``, ``time``, ``best`` by its name, and the properties. A place without
        images has no row.
        ``eedask.chips(items, lambda item: item.image("id"), …)`` fetches them.

    Raises
    ------
    InputError
        If ``ee`` is not initialised, or an argument cannot be used.
    ItemsError
        If the places cannot be used as items, or have columns of such names.
    RequestError
        If Earth Engine refuses, or the tries are used up.

    Examples
    --------
    >>> landsat = ee.ImageCollection("LANDSAT/LC08/C02/T1_L2")  # doctest: +SKIP
    >>> scenes = landsat.filterBounds(city).filterDate("2019", "2020")  # doctest: +SKIP
    >>> ids = eedask.items.image_ids(scenes, ["CLOUD_COVER"])  # doctest: +SKIP
    >>> eedask.images(ids, scenes, region=outline, out="city")  # doctest: +SKIP
    >>> clear = eedask.items.image_ids(  # doctest: +SKIP
    ...     landsat, near=points, dates=("2019", "2020"), most=3, best="CLOUD_COVER"
    ... )
    >>> eedask.chips(clear, lambda item: item.image("id"), out="clear", …)  # doctest: +SKIP
    """
    # Before the client's own error, which does not say what to do.
    endpoint_of_client(name=endpoint)
    check_flags(geometry=geometry)
    wanted = _wanted(collection, properties)
    if near is not None:
        choice = Choice(dates, most, best)
        return images_near(ee.ImageCollection(collection), near, wanted, choice, endpoint)
    if any(one is not None for one in (dates, most, best)):
        raise InputError(
            "dates, most and best go with near=; without it, filter the collection itself, with"
            " filterDate, sort and limit"
        )

    def describe(image: ee.Image) -> ee.Feature:
        return described(ee.Image(image), wanted, geometry)

    described_all = ee.FeatureCollection(ee.ImageCollection(collection).map(describe))
    frame = image_frame(list(fetch_features(described_all, endpoint)), wanted)
    ids = pd.Index(list(frame.pop(ID)), name="system:index")
    return frame.set_axis(ids, axis=0).sort_index(kind="stable").sort_values("time", kind="stable")


def _wanted(collection: Any, properties: Any) -> tuple[str, ...]:
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
    wanted = property_names(properties)
    if taken := [name for name in wanted if name in _OWN]:
        raise InputError(
            f"properties named {taken} would stand in the columns of the ids, times or footprints:"
            " copy them to other names first, with image.set(new_name, image.get(name))"
        )
    return wanted
