"""The images of each place of many: places × images, asked for in batches of places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ee
import geopandas as gpd
import pandas as pd

from eedask.arguments import is_count
from eedask.earthengine.endpoint import EndpointName
from eedask.earthengine.geometries import to_ee_geometry
from eedask.errors import InputError, ItemsError, TooLargeError
from eedask.items.check import check_items, ids_named
from eedask.items.crossing import pair_ids
from eedask.items.dates import interval
from eedask.items.descriptions import described, image_frame
from eedask.items.from_earth_engine import ID, Feature, fetch_features

# The property of an answer that holds the place's number.
_PLACE = "eedask:place"
_OWN = ("place", "rank", "id", "time")
# Places that share a request: with ten images each, their rows fill a page.
_PLACES = 100


@dataclass(frozen=True)
class Choice:
    """Which of the images of a place are wanted.

    Attributes
    ----------
    dates : (start, end), optional
        Half-open, as ``filterDate`` takes them.
    most : int, optional
    best : str, optional
        The property that ranks images, the smallest first; when not given, their time does.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """

    dates: tuple[Any, Any] | None
    most: int | None
    best: str | None

    def __post_init__(self) -> None:
        if self.dates is not None:
            if not isinstance(self.dates, tuple | list) or len(self.dates) != 2:
                raise InputError(f"dates is (start, end); got {self.dates!r}")
            interval(*self.dates)
        if self.most is not None and not is_count(self.most):
            raise InputError(f"most is a whole number of images, 1 or more; got {self.most!r}")
        if self.best is not None and not (isinstance(self.best, str) and self.best):
            raise InputError(f"best is a property's name, such as 'CLOUD_COVER'; got {self.best!r}")

    @property
    def rank(self) -> str:
        """The property by which images are sorted."""
        return self.best or "system:time_start"

    def dated(self, collection: ee.ImageCollection) -> ee.ImageCollection:
        """Return the images of a collection that can be chosen, wherever they are."""
        if self.dates is not None:
            first, last = (round(t.timestamp() * 1000) for t in interval(*self.dates))
            collection = collection.filterDate(first, last)
        return collection.filter(ee.Filter.notNull([self.rank]))

    def at(self, dated: ee.ImageCollection, place: ee.Geometry) -> ee.ImageCollection:
        """Return the chosen images of a place."""
        found = dated.filterBounds(place).sort(self.rank)
        return found if self.most is None else found.limit(int(self.most))


def images_near(
    collection: ee.ImageCollection,
    near: Any,
    properties: Sequence[str],
    choice: Choice,
    endpoint: EndpointName,
) -> gpd.GeoDataFrame:
    """Return the images of each place; see :func:`eedask.items.image_ids`."""
    places = check_items(near, geometry=True)
    names = list(dict.fromkeys([*([choice.best] if choice.best else []), *properties]))
    _check_names(places, names)
    shapes = list(enumerate(places.geometry.to_crs("EPSG:4326")))
    dated, found = choice.dated(collection), []
    for first in range(0, len(shapes), _PLACES):
        found += _fetched(dated, shapes[first : first + _PLACES], names, choice, endpoint)
    images = image_frame(found, names)
    images[_PLACE] = pd.Series([values[_PLACE] for values, _ in found], dtype="int64")
    order = dict.fromkeys([_PLACE, choice.best or "time", "time", ID])
    return _joined(places, images.sort_values(list(order), kind="stable"), names)


def _check_names(places: gpd.GeoDataFrame, names: Sequence[str]) -> None:
    """Raise an error if columns of the places, the images and this module's own would be one."""
    if taken := [name for name in names if name in _OWN]:
        raise InputError(
            f"properties named {taken} would stand in columns that items near places have: copy"
            " them to other names first, with image.set(new_name, image.get(name))"
        )
    if taken := [name for name in (*_OWN, *names) if name in places.columns]:
        raise ItemsError(
            f"the places have columns {taken}, in which the images' would stand: rename or drop"
            " them"
        )


def _joined(
    places: gpd.GeoDataFrame, images: gpd.GeoDataFrame, names: Sequence[str]
) -> gpd.GeoDataFrame:
    """Return the rows of sorted images, each with its place's columns and geometry."""
    rows = places.iloc[images[_PLACE].to_numpy()]
    told = images[["id", "time", *names]]
    told.insert(0, "rank", images.groupby(_PLACE).cumcount())
    told.insert(0, "place", rows.index)
    ids = ids_named(pair_ids(rows.index, images[ID]), "item", rows.columns)
    drawn = rows.drop(columns=rows.geometry.name).set_axis(ids, axis=0)
    joined = pd.concat([drawn, told.set_axis(ids, axis=0)], axis=1)
    joined[places.geometry.name] = rows.geometry.array
    return gpd.GeoDataFrame(joined, geometry=places.geometry.name, crs=places.crs)


def _fetched(
    dated: ee.ImageCollection,
    places: list[tuple[int, Any]],
    names: list[str],
    choice: Choice,
    endpoint: EndpointName,
) -> list[Feature]:
    """Return the descriptions of the images of places: in one request, or halved if too large."""

    def of_place(place: ee.Feature) -> ee.FeatureCollection:
        def describe(image: ee.Image) -> ee.Feature:
            return described(ee.Image(image), names, False).set(_PLACE, place.get(_PLACE))

        return ee.FeatureCollection(choice.at(dated, place.geometry()).map(describe))

    features = [ee.Feature(to_ee_geometry(shape), {_PLACE: k}) for k, shape in places]
    try:
        images = ee.FeatureCollection(features).map(of_place).flatten()
        return list(fetch_features(images, endpoint))
    except TooLargeError:
        if len(places) == 1:
            raise
    middle = len(places) // 2
    halves = (places[:middle], places[middle:])
    return [one for half in halves for one in _fetched(dated, half, names, choice, endpoint)]
