"""What lies beside mounted rasters: GeoParquet tables, STAC items, tags of the files themselves."""

import datetime as dt
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine

from eedask.emulator.catalog import Catalog
from eedask.emulator.catalog.dates import millis
from eedask.emulator.values.value_types import Query

STAMP = "2021-06-05T18:49:21.024Z"
TAKEN = 1622918961024
SQUARE = shapely.box(-123.0, 37.0, -122.0, 38.0)


def raster(path, **tags):
    values = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    profile = {"driver": "GTiff", "count": 1, "height": 3, "width": 4, "dtype": "uint8"}
    transform = Affine(30, 0, 500_000, 0, -30, 4_200_000)
    with rasterio.open(path, "w", **profile, crs="EPSG:32610", transform=transform) as file:
        file.write(values)
        file.update_tags(**tags)
    return path


def images(folder):
    collection = Catalog({"x": folder}).load_collection("x")
    return {image.properties["system:index"]: image for image in collection.elements()}


def item(name, href=None, **properties):
    assets = {} if href is None else {"data": {"href": href, "type": "image/tiff"}}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "bbox": list(SQUARE.bounds),
        "geometry": shapely.geometry.mapping(SQUARE),
        "properties": {"datetime": STAMP, **properties},
        "links": [],
        "assets": assets,
        "collection": "scenes",
    }


def test_a_geoparquet_table_gives_properties_dates_and_footprints(tmp_path):
    for name in ("one", "two", "three"):
        raster(tmp_path / f"{name}.tif")
    frame = gpd.GeoDataFrame(
        {
            "cloud": [3.5, 80.0, np.nan],
            "path": ["data/one.tif", "two.tif", "three"],
            "datetime": pd.to_datetime([STAMP, "2021-07-01", None], format="ISO8601", utc=True),
            "scenes": [[1, 2], [3], []],
        },
        geometry=[SQUARE, None, shapely.MultiPolygon([SQUARE])],
        crs="EPSG:4326",
    ).to_crs("EPSG:3857")
    frame.to_parquet(tmp_path / "about.parquet")
    found = images(tmp_path)
    assert found["one"].properties["cloud"] == 3.5
    assert found["one"].properties["scenes"] == [1, 2]
    assert found["one"].properties["system:time_start"] == TAKEN
    assert found["two"].properties["system:time_start"] == millis(dt.date(2021, 7, 1))
    assert "cloud" not in found["three"].properties
    assert "system:time_start" not in found["three"].properties
    assert found["one"].footprint.shape.symmetric_difference(SQUARE).area < 1e-9
    assert found["three"].footprint.shape.symmetric_difference(SQUARE).area < 1e-9
    assert found["two"].footprint.shape.area < 1e-4  # the raster's own outline
    later = Query(start=TAKEN + 1)
    collection = Catalog({"x": tmp_path}).load_collection("x")
    assert [i.properties["system:index"] for i in collection.elements(later)][-1:] == ["two"]


def test_stac_items_beside_the_rasters(tmp_path):
    raster(tmp_path / "a.tif")
    raster(tmp_path / "b.tif")
    (tmp_path / "a.json").write_text(
        json.dumps(item("S2A_one", "./a.tif", **{"eo:cloud_cover": 7}))
    )
    (tmp_path / "b.json").write_text(
        json.dumps(item("b", datetime=None, start_datetime=STAMP, end_datetime="2021-06-06"))
    )
    found = images(tmp_path)
    assert found["a"].properties["eo:cloud_cover"] == 7
    assert found["a"].properties["system:time_start"] == TAKEN
    assert found["a"].properties["collection"] == "scenes"
    assert "links" not in found["a"].properties
    assert found["a"].footprint.shape.equals(SQUARE)
    assert found["b"].properties["system:time_start"] == TAKEN
    assert found["b"].properties["system:time_end"] == millis(dt.date(2021, 6, 6))


def test_a_collection_of_stac_items(tmp_path):
    raster(tmp_path / "a.tif")
    raster(tmp_path / "b c.tif")
    items = [item("1", "s3://bucket/x/a.tif?v=1", n=1), item("2", "file:///x/b%20c.tif", n=2)]
    content = {"type": "FeatureCollection", "features": items}
    (tmp_path / "items.geojson").write_text(json.dumps(content))
    found = images(tmp_path)
    assert [found[name].properties["n"] for name in ("a", "b c")] == [1, 2]
    listed = list(Catalog({"x": tmp_path}).list_assets("x"))
    assert listed[0]["startTime"] == "2021-06-05T18:49:21.024000Z"
    assert listed[0]["geometry"]["type"] == "Polygon"


def test_json_that_is_no_item_is_let_be(tmp_path):
    raster(tmp_path / "a.tif")
    (tmp_path / "a.json").write_text('{"type": "Feature", "properties": {"n": 1}}')
    (tmp_path / "notes.json").write_text("[1, 2]")
    assert "n" not in images(tmp_path)["a"].properties


def test_tags_of_a_geotiff_are_properties(tmp_path):
    raster(tmp_path / "a.tif", CLOUD="12.5", SENSOR="OLI", ORBIT="7", datetime=STAMP,
           TIFFTAG_DATETIME="2001:01:01 00:00:00", TIFFTAG_SOFTWARE="none")  # fmt: skip
    image = images(tmp_path)["a"]
    assert image.properties["CLOUD"] == 12.5
    assert image.properties["SENSOR"] == "OLI"
    assert image.properties["ORBIT"] == 7
    assert image.properties["system:time_start"] == TAKEN
    assert not any(name.startswith(("TIFFTAG", "AREA")) for name in image.properties)
    single = Catalog({"y": tmp_path / "a.tif"}).load_image("y")
    assert single.properties["ORBIT"] == 7


def test_what_lies_beside_a_file_counts_more_than_its_tags(tmp_path):
    raster(tmp_path / "a.tif", n="1", tag="kept")
    (tmp_path / "a.json").write_text(json.dumps(item("a", n=2, item="kept")))
    pd.DataFrame({"file": ["a.tif"], "n": [3], "row": ["kept"]}).to_parquet(tmp_path / "t.parquet")
    properties = images(tmp_path)["a"].properties
    assert [properties[name] for name in ("n", "tag", "item", "row")] == [3, "kept", "kept", "kept"]
    (tmp_path / "properties.json").write_text(json.dumps({"a": {"n": 4}}))
    assert images(tmp_path)["a"].properties["n"] == 4


@pytest.mark.parametrize("content", [b"no parquet", None])
def test_a_table_that_tells_of_nothing_is_an_error_at_once(tmp_path, content):
    raster(tmp_path / "a.tif")
    if content is None:
        pd.DataFrame({"file": ["b.tif"], "n": [1]}).to_parquet(tmp_path / "t.parquet")
    else:
        (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"t\.parquet"):
        Catalog({"x": tmp_path})


def test_json_that_cannot_be_read_is_an_error_at_once(tmp_path):
    raster(tmp_path / "a.tif")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        Catalog({"x": tmp_path})
