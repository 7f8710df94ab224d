"""What other packages ask of Earth Engine, and other tests here do not."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from graphs import Call, call, info_of

from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError

FOLDER, TABLE = "projects/p/assets/series", "projects/p/assets/table"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    (folder / "series").mkdir()
    profile = {"driver": "GTiff", "count": 1, "width": 4, "height": 3, "dtype": "uint8"}
    place = {"crs": "EPSG:32613", "transform": Affine(10, 0, 500000, 0, -10, 4400000)}
    for day in ("20200101", "20200102"):
        with rasterio.open(folder / f"series/a_{day}.tif", "w", **profile, **place) as file:
            file.write(np.ones((1, 3, 4), np.uint8))
    columns = {"name": ["a", "b", None], "size": [1, 2, 3], "share": [0.5, 1.0, 2.0]}
    points = [shapely.Point(i, 0) for i in range(3)]
    frame = gpd.GeoDataFrame(columns, geometry=points, crs="EPSG:4326")
    frame.to_parquet(folder / "table.parquet")
    return Catalog({FOLDER: folder / "series", TABLE: folder / "table.parquet"})


def series() -> Call:
    return call("ImageCollection.load", id=FOLDER)


def table() -> Call:
    return call("Collection.loadTable", tableId=TABLE)


def test_images_know_their_ids_as_a_property(catalog):
    first = call("Collection.first", collection=series())
    assert info_of(call("Element.get", object=first, property="system:id"), catalog) == (
        f"{FOLDER}/a_20200101"
    )
    assert "system:id" in info_of(call("Element.propertyNames", element=first), catalog)
    assert info_of(call("Element.get", object=first, property="system:version"), catalog) > 0
    # It is in the image's own place of the JSON, not among the properties.
    assert "system:id" not in info_of(first, catalog)["properties"]
    number = call("Image.constant", value=1)
    assert info_of(call("Element.get", object=number, property="system:id"), catalog) is None
    copied = call(
        "Image.copyProperties", destination=number, source=first, properties=["system:id"]
    )
    assert info_of(call("Element.get", object=copied, property="system:id"), catalog) == (
        f"{FOLDER}/a_20200101"
    )


def test_columns_of_images_with_and_without_ids(catalog):
    two = call("Reducer.repeat", reducer=call("Reducer.toList"), count=2)
    selectors = ["system:id", "system:time_start"]
    known = call("Collection.reduceColumns", collection=series(), reducer=two, selectors=selectors)
    ids, times = info_of(known, catalog)["list"]
    assert ids == [f"{FOLDER}/a_20200101", f"{FOLDER}/a_20200102"]
    assert times[1] - times[0] == 86_400_000
    first = call("Collection.first", collection=series())
    one = call("Image.constant", value=1)
    made = call("Element.set", object=one, key=selectors[1], value=5)
    both = call("ImageCollection.fromImages", images=[first, made])
    mixed = call("Collection.reduceColumns", collection=both, reducer=two, selectors=selectors)
    assert info_of(mixed, catalog)["list"] == [ids[:1], [times[0], 5]]


def test_the_columns_of_a_table_are_known_without_its_features(catalog):
    wanted = {"name": "String", "size": "Integer", "share": "Float", "system:index": "String"}
    none = call("Collection.limit", collection=table(), limit=0)
    assert info_of(none, catalog)["columns"] == wanted
    condition = call("Filter.greaterThan", leftField="size", rightValue=1)
    some = call("Collection.filter", collection=table(), filter=condition)
    assert info_of(some, catalog)["columns"] == wanted
    # The features of another collection have other properties.
    joined = call("Collection.merge", collection1=none, collection2=none)
    assert info_of(joined, catalog)["columns"] == {}


def test_a_date_of_nothing_is_refused():
    with pytest.raises(EarthEngineError, match=r"Date: Parameter 'value' is required"):
        info_of(call("Date", value=None))
