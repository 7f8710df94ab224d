"""The two kinds of item that a user's function is called with.

The values of a :class:`TracedItem` are variables of an expression: called with it, the function
builds one graph for all items. The values of a :class:`BoundItem` are those of a real item: called
with it, the function builds the graph of that item alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import ee
from shapely.geometry.base import BaseGeometry

from eedask.earthengine.geometries import to_ee_geometry
from eedask.errors import TraceError
from eedask.items.item import WorkItem

# Names of variables begin with this, which no Earth Engine script uses. The item's field follows in
# hexadecimal: a column may have any name, a variable's name has letters, digits and underscores.
_PREFIX = "_eedask_item_"


class Item(Protocol):
    """One work item, as a function that the user passes to a verb gets it.

    While the function is traced, all values are ``ee`` objects that stand for the values of any
    item. When the function is called for a real item, the geometry is an ``ee.Geometry`` and all
    other values are Python's own.

    Examples
    --------
    >>> def image(item: eedask.Item) -> ee.Image:  # doctest: +SKIP
    ...     images = ee.ImageCollection("USDA/NAIP/DOQQ").filterBounds(item.geometry)
    ...     return images.filterDate(item["start"], item["end"]).mosaic()
    """

    @property
    def id(self) -> Any:
        """The item's id."""

    @property
    def geometry(self) -> Any:
        """The item's geometry, as an ``ee.Geometry`` with planar edges in EPSG:4326."""

    @property
    def utm_crs(self) -> Any:
        """EPSG code of the UTM zone of the geometry's centroid, such as "EPSG:32613"."""

    def __getitem__(self, name: str) -> Any:
        """Return the item's value in a column; None if it is missing."""

    def image(self, column: str) -> ee.Image:
        """Return the image whose asset id is the item's value in a column.

        ``ee.Image(item["id"])`` is not the same while the function is traced: ``ee.Image`` loads
        a string, and takes any other object for an image.

        Raises
        ------
        TypeError
            If the value is no text; the item then fails.

        Examples
        --------
        >>> images = eedask.items.image_ids(collection)  # doctest: +SKIP
        >>> eedask.chips(images, lambda item: item.image("id"), …)  # doctest: +SKIP
        """


class BoundItem:
    """An :class:`Item` with the values of a real one."""

    def __init__(self, item: WorkItem) -> None:
        self._item = item

    @property
    def id(self) -> Any:
        """The item's id."""
        return self._item.value("id")

    @property
    def geometry(self) -> ee.Geometry:
        """The item's geometry, with planar edges in EPSG:4326."""
        return to_ee_geometry(self._item.value("geometry"))

    @property
    def utm_crs(self) -> str:
        """EPSG code of the item's UTM zone."""
        return self._item.utm_crs

    def __getitem__(self, name: str) -> Any:
        if name not in self._item.values:
            hint = "; an item's id is item.id" if name == "id" else ""
            raise KeyError(f"the items have no column {name!r}; they have {self._columns}{hint}")
        return self._item.value(f"column:{name}")

    def image(self, column: str) -> ee.Image:
        """Return the image whose asset id stands in a column."""
        asset = self[column]
        if not isinstance(asset, str):
            raise TypeError(f"the column {column!r} holds {asset!r}, which is not an asset's id")
        return ee.Image(asset)

    def __getattr__(self, name: str) -> Any:
        # Called only for unknown attributes. Users of geopandas may expect columns to be some.
        raise AttributeError(
            "an item has .id, .geometry, .utm_crs, .image(NAME) and its columns as item[NAME], not"
            f" .{name}; the columns are {self._columns}"
        )

    @property
    def _columns(self) -> list[str]:
        return list(self.__dict__["_item"].values)


class TracedItem:
    """An :class:`Item` whose values are variables.

    Parameters
    ----------
    example : mapping
        The fields of a real item, from which the variables take their types.
    """

    def __init__(self, example: Mapping[str, Any]) -> None:
        self._example = example

    @property
    def id(self) -> Any:
        """The item's id, as a variable."""
        return self._variable("id")

    @property
    def geometry(self) -> Any:
        """The item's geometry, as a variable."""
        return self._variable("geometry")

    @property
    def utm_crs(self) -> Any:
        """EPSG code of the item's UTM zone, as a variable."""
        return self._variable("utm_crs")

    def __getitem__(self, name: str) -> Any:
        return self._variable(f"column:{name}")

    def image(self, column: str) -> ee.Image:
        """Return the image whose asset id stands in a column, which is a variable."""
        return ee.Image(ee.ApiFunction.apply_("Image.load", {"id": self[column]}))

    def _variable(self, name: str) -> Any:
        if name not in self._example:
            raise KeyError(name.removeprefix("column:"))
        variable = ee.ComputedObject(None, None, varName=_variable_of(name))
        return _guarded(_ee_class(self._example[name]))._cast(variable)


def _variable_of(field: str) -> str:
    return _PREFIX + field.encode("utf-8", "surrogatepass").hex()


def slot_of(reference: Any) -> str | None:
    """Return the field of the item that a variable stands for; None for other variables."""
    if isinstance(reference, str) and reference.startswith(_PREFIX):
        name = bytes.fromhex(reference.removeprefix(_PREFIX))
        return name.decode("utf-8", "surrogatepass")
    return None


def _ee_class(value: Any) -> Any:
    if isinstance(value, BaseGeometry):
        return ee.Geometry
    if isinstance(value, str):
        return ee.String
    if isinstance(value, datetime.datetime):
        return ee.Date
    # bool is an int to Python and a number to Earth Engine.
    if isinstance(value, int | float):
        return ee.Number
    return ee.ComputedObject


@cache
def _guarded(base: Any) -> Any:
    """Return a subclass whose objects raise TraceError where Python needs their real value.

    Without this, ``if item["x"] == 3`` would silently take one branch for all items.
    """

    def refuse(self: Any, *_: Any) -> Any:
        raise TraceError(
            "it uses a value of the item in Python itself (a condition, an f-string, a loop …);"
            " with Earth Engine's own functions alone, it is called once for all items"
        )

    names = ("bool", "str", "format", "int", "float", "index", "iter", "len", "contains", "eq")
    guards: dict[str, Any] = {f"__{name}__": refuse for name in names}
    # Attributes in which ee.Number and ee.String keep a literal; the client expects them to exist.
    guards |= {"_number": None, "_string": None}
    # Defining __eq__ alone would make the objects unhashable, and the client hashes them.
    guards["__hash__"] = base.__hash__
    # What Python calls them where it cannot work with them, as in "item['x'] * 2".
    return type(f"ee.{base.__name__}", (base,), guards)
