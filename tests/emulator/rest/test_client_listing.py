"""Assets through the real client: what there is, lists of it, and what cannot be done to it."""

import json

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from example_raster import PROJECT

from eedask.emulator import Emulator

ROOT = f"projects/{PROJECT}/assets"
SERIES, TABLE = f"{ROOT}/deep/series", f"{ROOT}/deep/table"
HOME = "users/somebody/single"
COLORS = ["red", "blue", "red", "green", "red"]
BOXES = [shapely.box(10 + n, 20, 10 + n + 0.9, 21) for n in range(len(COLORS))]
DAYS = [f"2021-0{n + 1}-15" for n in range(len(COLORS))]
VALUES = np.arange(90, dtype=np.int16).reshape(9, 10) - 40
ROWS = gpd.GeoDataFrame(
    {
        "n": [0, 1, 2, 3],
        "name": ["a", "b", 'say "b"', "a"],
        "size": [0.5, 1.5, 2.5, None],
    },
    geometry=[shapely.Point(0, 0), shapely.Point(1, 1), shapely.box(2, 2, 3, 3), None],
    crs=4326,
)


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """A collection of five images a degree apart, a month apart; a table; an image of a user's."""
    folder = tmp_path_factory.mktemp("series")
    for number, box in enumerate(BOXES):
        write(folder / f"i{number}.tif", VALUES + number, box.bounds)
    properties = {"file": [f"i{n}.tif" for n in range(5)], "color": COLORS, "size": range(5)}
    pd.DataFrame({**properties, "datetime": DAYS}).to_csv(folder / "properties.csv", index=False)
    aside = tmp_path_factory.mktemp("aside")
    ROWS.to_file(aside / "table.geojson")
    write(aside / "single.tif", VALUES, (0, 0, 0.9, 1))
    return {SERIES: folder, TABLE: aside / "table.geojson", HOME: aside / "single.tif"}


def write(path, values, bounds):
    west, _, _, north = bounds
    height, width = values.shape
    profile = {"driver": "GTiff", "dtype": "int16", "count": 1, "crs": "EPSG:4326"}
    profile |= {"width": width, "height": height, "nodata": -40}
    transform = Affine(0.09, 0, west, 0, -1 / 9, north)
    with rasterio.open(path, "w", **profile, transform=transform) as dataset:
        dataset.write(values, 1)
        dataset.set_band_description(1, "b")


@pytest.fixture(scope="module", autouse=True)
def client(mounted):
    with (
        Emulator(mounted, project=PROJECT, processes=0) as emulator,
        emulator.initialized(),
    ):
        yield


def names(result):
    return [asset["id"].rpartition("/")[2] for asset in result]


def images(**parameters):
    return names(ee.data.listImages({"parent": SERIES, **parameters})["images"])


# Single assets.


@pytest.mark.parametrize(
    ("asset_id", "kind"),
    [
        ("USGS/SRTMGL1_003", "IMAGE"),
        (f"{SERIES}/i3", "IMAGE"),
        (HOME, "IMAGE"),
        ("COPERNICUS/S2_SR_HARMONIZED", "IMAGE_COLLECTION"),
        (SERIES, "IMAGE_COLLECTION"),
        ("TIGER/2018/States", "TABLE"),
        (TABLE, "TABLE"),
        ("FAO/GAUL", "FOLDER"),
        (f"{ROOT}/deep", "FOLDER"),
        (ROOT, "FOLDER"),
    ],
)
def test_assets_of_every_kind(asset_id, kind):
    asset = ee.data.getAsset(asset_id)
    assert asset["type"] == kind
    assert asset["id"] == asset_id
    assert asset["name"].startswith("projects/")
    assert asset["name"].endswith(asset_id.removeprefix("projects/"))
    assert ("bands" in asset) == (kind == "IMAGE")


def test_an_image_tells_of_its_bands_its_place_and_its_time():
    asset = ee.data.getAsset(f"{SERIES}/i3")
    (band,) = asset["bands"]
    assert (band["id"], band["grid"]["crsCode"]) == ("b", "EPSG:4326")
    assert band["grid"]["dimensions"] == {"width": 10, "height": 9}
    assert band["dataType"] == {"precision": "INT", "range": {"min": -32768, "max": 32767}}
    assert asset["startTime"] == "2021-04-15T00:00:00Z"
    assert {"color": "green", "size": 3}.items() <= asset["properties"].items()
    footprint = shapely.from_geojson(json.dumps(asset["geometry"]))
    assert footprint.symmetric_difference(BOXES[3]).area < 1e-9
    assert ee.data.getAsset(TABLE)["featureCount"] == "4"


@pytest.mark.parametrize(
    ("asset_id", "name"),
    [
        ("NO/SUCH", "projects/earthengine-public/assets/NO/SUCH"),
        (f"{ROOT}/none", f"{ROOT}/none"),
        (f"{SERIES}/i9", f"{SERIES}/i9"),
        ("users/nobody/x", "projects/earthengine-legacy/assets/users/nobody/x"),
    ],
)
def test_what_is_not_there_is_404_in_earth_engines_words(asset_id, name):
    words = f"^Asset '{name}' does not exist or doesn't allow this operation.$"
    for ask in (
        lambda: ee.data.getAsset(asset_id),
        lambda: ee.data.listAssets(asset_id),
        lambda: ee.data.listImages({"parent": asset_id, "pageSize": 1}),
        lambda: ee.data.listFeatures({"assetId": asset_id}),
        lambda: ee.data.getPixels({"assetId": asset_id}),
    ):
        with pytest.raises(ee.EEException, match=words):
            ask()
    with pytest.warns(DeprecationWarning, match="getInfo"):
        assert ee.data.getInfo(asset_id) is None  # by its 404 alone the client knows


# Lists.


def test_folders_are_listed_one_level_deep():
    assert names(ee.data.listAssets(ROOT)["assets"]) == ["deep"]
    deep = ee.data.listAssets(f"{ROOT}/deep")["assets"]
    assert [(asset["id"], asset["type"]) for asset in deep] == [
        (SERIES, "IMAGE_COLLECTION"),
        (TABLE, "TABLE"),
    ]
    assert ee.data.listBuckets()["assets"][0]["id"] == f"{ROOT}/deep"
    assert ee.data.getAssetRoots() == [{"type": "Folder", "id": f"{ROOT}/deep"}]


def test_public_folders_and_those_of_users():
    public = names(ee.data.listBuckets("projects/earthengine-public")["assets"])
    assert {"COPERNICUS", "FAO", "MODIS", "USGS"} <= set(public)
    assert "users" not in public
    assert names(ee.data.listAssets("projects/earthengine-public/assets")["assets"]) == public
    homes = ee.data.listBuckets("projects/earthengine-legacy")["assets"]
    assert [home["id"] for home in homes] == ["users/somebody"]


def test_what_holds_nothing_cannot_be_listed():
    for asset_id in (TABLE, "USGS/SRTMGL1_003"):
        with pytest.raises(ee.EEException, match="is not a folder or an image collection"):
            ee.data.listAssets(asset_id)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"startTime": "2021-03-15T00:00:00Z"}, [2, 3, 4]),
        ({"endTime": "2021-03-15T00:00:00Z"}, [0, 1]),
        ({"startTime": "2021-02-01", "endTime": "2021-04-16T00:00:00.000Z"}, [1, 2, 3]),
        ({"startTime": "2030-01-01T00:00:00Z"}, []),
        ({"properties": ["color=red"]}, [0, 2, 4]),
        ({"properties": ['color="red"', "size>=2"]}, [2, 4]),
        ({"properties": ["properties.color != 'red'"]}, [1, 3]),
        ({"properties": ["size<1.5"]}, [0, 1]),
        ({"properties": ["nothing=1"]}, []),
        ({"filter": "NOT properties.color=red"}, [1, 3]),
        ({"properties": ["color=red OR color=green", "size>=2"]}, [2, 3, 4]),
        ({"properties": ["color:red"]}, [0, 2, 4]),
        ({"properties": ["size:*", "nothing:*"]}, []),
        ({"filter": "NOT (properties.size = 1 OR properties.size = 3)"}, [0, 2, 4]),
        (
            {"filter": 'properties.size = 0 OR (startTime >= "2021-04-01" AND properties.size<4)'},
            [0, 3],
        ),
        ({"filter": "-properties.color = 'red' AND properties.size > 1"}, [3]),
        ({"filter": 'properties.system:index = "i3" OR properties.system:index = i1'}, [1, 3]),
        ({"filter": 'properties.color = "red" AND properties.size < 4'}, [0, 2]),
        ({"filter": 'startTime >= "2021-02-01" AND endTime < "2021-04-01"'}, [1, 2]),
        ({"filter": "properties.size>0", "properties": ["size<3"]}, [1, 2]),
        ({"region": {"type": "Point", "coordinates": [12.5, 20.5]}}, [2]),
        ({"region": '{"type": "Point", "coordinates": [12.5, 20.5]}'}, [2]),
        ({"region": "POLYGON ((10.5 20.2, 12.5 20.2, 12.5 20.4, 10.5 20.2))"}, [0, 1, 2]),
        ({"region": "POINT (0 0)"}, []),
        ({"region": "POINT (12.95 20.5)"}, []),
        ({"region": "POINT (14.5 20.5)", "properties": ["color=red"]}, [4]),
    ],
)
def test_filters_of_lists(parameters, expected):
    assert images(**parameters) == [f"i{number}" for number in expected]


def test_a_list_and_a_filtered_collection_agree():
    """The same question to the list and to the collection's own filters."""
    region = [11.2, 20.1, 13.2, 20.9]
    collection = (
        ee.ImageCollection(SERIES)
        .filterDate("2021-01-20", "2021-05-01")
        .filterBounds(ee.Geometry.Rectangle(region, None, False))
        .filter(ee.Filter.lt("size", 3))
    )
    listed = images(
        startTime="2021-01-20T00:00:00Z",
        endTime="2021-05-01T00:00:00Z",
        region=shapely.geometry.mapping(shapely.box(*region)),
        properties=["size<3"],
    )
    assert listed == collection.aggregate_array("system:index").getInfo() == ["i1", "i2"]


def test_filters_count_for_collections_alone():
    """The reference says that they are ignored in folders."""
    parent = f"{ROOT}/deep"
    kept = ee.data.listAssets({"parent": parent, "filter": "properties.nothing=1"})
    assert names(kept["assets"]) == ["series", "table"]


def test_pages():
    first = ee.data.listImages({"parent": SERIES, "pageSize": 2})
    second = ee.data.listImages(
        {"parent": SERIES, "pageSize": 2, "pageToken": first["nextPageToken"]}
    )
    third = ee.data.listImages(
        {"parent": SERIES, "pageSize": 2, "pageToken": second["nextPageToken"]}
    )
    assert [names(p["images"]) for p in (first, second, third)] == [
        ["i0", "i1"],
        ["i2", "i3"],
        ["i4"],
    ]
    assert "nextPageToken" not in third
    exact = ee.data.listImages({"parent": SERIES, "pageSize": 5})
    assert len(exact["images"]) == 5
    assert "nextPageToken" not in exact


def test_a_page_token_belongs_to_its_question():
    token = ee.data.listImages({"parent": SERIES, "pageSize": 2})["nextPageToken"]
    for other in ({"properties": ["color=red"]}, {"view": "BASIC"}, {"parent": f"{ROOT}/deep"}):
        question = {"parent": SERIES, "pageSize": 2, "pageToken": token, **other}
        with pytest.raises(ee.EEException, match="Invalid page token"):
            ee.data.listImages(question)
    with pytest.raises(ee.EEException, match="Invalid page token"):
        ee.data.listImages({"parent": SERIES, "pageToken": "bm9uc2Vuc2U="})
    with pytest.raises(ee.EEException, match="Invalid page size: -1"):
        ee.data.listImages({"parent": SERIES, "pageSize": -1})


@pytest.mark.slow
def test_the_client_walks_all_pages_unless_it_is_told_how_many():
    """A page of the full view holds 1,000 images; of four years' days there are more."""
    years = {"startTime": "2016-01-01T00:00:00Z", "endTime": "2020-01-01T00:00:00Z"}
    question = {"parent": "MODIS/061/MOD11A1", **years}
    everything = ee.data.listImages(question)["images"]
    # The last day of the year ends with the year: not before it.
    days = pd.date_range("2016-01-01", "2019-12-30")
    assert names(everything) == [f"{day:%Y_%m_%d}" for day in days]
    page = ee.data.listImages({**question, "pageSize": 5000})
    assert len(page["images"]) == 1000
    assert "nextPageToken" in page
    basic = ee.data.listImages({**question, "pageSize": 5000, "view": "BASIC"})
    assert len(basic["images"]) == len(everything) == 1460
    assert "nextPageToken" not in basic


def test_the_basic_view_holds_no_more_than_names():
    (basic,) = ee.data.listImages({"parent": SERIES, "view": "BASIC", "properties": ["size=3"]})[
        "images"
    ]
    assert basic == {"type": "IMAGE", "name": f"{SERIES}/i3", "id": f"{SERIES}/i3"}
    (full,) = ee.data.listImages({"parent": SERIES, "view": "FULL", "properties": ["size=3"]})[
        "images"
    ]
    assert full == ee.data.getAsset(f"{SERIES}/i3")


def test_filters_that_are_none():
    for text in ("properties.size ~ 3", "size", 'startTime >= "tomorrow"'):
        with pytest.raises(ee.EEException, match=r"filter|Invalid time"):
            ee.data.listImages({"parent": SERIES, "filter": text})
    with pytest.raises(ee.EEException, match="Invalid region"):
        images(region="nowhere")


# Features.


def features(**parameters):
    found = ee.data.listFeatures({"assetId": TABLE, **parameters})
    return [feature["properties"]["n"] for feature in found["features"]]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"filter": "n>=2"}, [2, 3]),
        ({"filter": 'properties.name = "a"'}, [0, 3]),
        ({"filter": 'name="a",n<1'}, [0]),
        ({"filter": 'name="a" AND n>0'}, [3]),
        ({"filter": 'name = "say \\"b\\""'}, [2]),
        ({"filter": "size<2"}, [0, 1]),
        ({"region": '{"type": "Point", "coordinates": [2.5, 2.5]}'}, [2]),
        ({"region": "POLYGON ((0.5 0.5, 2.5 0.5, 2.5 2.5, 0.5 2.5, 0.5 0.5))"}, [1, 2]),
        ({"region": '{"type": "Point", "coordinates": [1, 1]}', "filter": "n>1"}, []),
    ],
)
def test_features_of_a_table(parameters, expected):
    assert features(**parameters) == expected


def test_features_come_in_pages_and_as_frames():
    page = ee.data.listFeatures({"assetId": TABLE, "pageSize": 3})
    rest = ee.data.listFeatures(
        {"assetId": TABLE, "pageSize": 3, "pageToken": page["nextPageToken"]}
    )
    assert (len(page["features"]), len(rest["features"])) == (3, 1)
    assert "nextPageToken" not in rest
    frame = ee.data.listFeatures(
        {"assetId": TABLE, "pageSize": 2, "fileFormat": "GEOPANDAS_GEODATAFRAME"}
    )
    assert frame["name"].tolist() == ROWS["name"].tolist()
    assert frame["size"].isna().tolist() == [False, False, False, True]
    assert [a is None or a.equals(b) for a, b in zip(frame.geometry, ROWS.geometry, strict=True)]
    assert frame.geometry[3] is None
    plain = ee.data.listFeatures({"assetId": TABLE, "fileFormat": "PANDAS_DATAFRAME"})
    assert plain["n"].tolist() == [0, 1, 2, 3]


def test_what_is_no_table_has_no_features():
    with pytest.raises(ee.EEException, match="is not a Collection"):
        ee.data.listFeatures({"assetId": SERIES})


# Pixels of assets.


def pixels(**request):
    return ee.data.getPixels({"assetId": HOME, "fileFormat": "NUMPY_NDARRAY", **request})


def test_the_native_grid_unless_told_otherwise():
    array = pixels()
    expected = np.where(VALUES == -40, 0, VALUES)  # masked reads 0
    np.testing.assert_array_equal(array["b"], expected)
    assert array.dtype == np.dtype([("b", "<i2")])


def test_pixels_of_an_image_in_a_collection():
    array = ee.data.getPixels({"assetId": f"{SERIES}/i4", "fileFormat": "NUMPY_NDARRAY"})
    expected = np.where(VALUES == -44, 0, VALUES + 4)
    np.testing.assert_array_equal(array["b"][expected != -40], expected[expected != -40])


def test_a_region_is_its_bounds_on_the_native_grid():
    region = shapely.geometry.mapping(shapely.box(0.18, 1 / 3, 0.45, 2 / 3))
    np.testing.assert_array_equal(pixels(region=region)["b"], VALUES[3:6, 2:5])
    triangle = {"type": "Polygon", "coordinates": [[[0.18, 1 / 3], [0.45, 1 / 3], [0.45, 2 / 3]]]}
    triangle["coordinates"][0].append([0.18, 1 / 3])
    np.testing.assert_array_equal(pixels(region=triangle)["b"], VALUES[3:6, 2:5])
    # A great circle bends out of the pixels' row, if the region says that its edges are such.
    assert pixels(region={**region, "geodesic": True})["b"].shape == (4, 3)
    double = {"grid": {"dimensions": {"width": 6, "height": 6}}}
    found = pixels(region=region, **double)["b"]
    np.testing.assert_array_equal(found, VALUES[3:6, 2:5].repeat(2, 0).repeat(2, 1))


def test_what_lies_beside_the_image_reads_zero():
    grid = {
        "dimensions": {"width": 12, "height": 4},
        "affineTransform": {
            "scaleX": 0.09,
            "translateX": -0.09,
            "scaleY": -1 / 9,
            "translateY": 1 + 1 / 9,
        },
        "crsCode": "EPSG:4326",
    }
    expected = np.zeros((4, 12), np.int16)
    expected[1:, 1:11] = np.where(VALUES[:3] == -40, 0, VALUES[:3])
    np.testing.assert_array_equal(pixels(grid=grid)["b"], expected)


def test_pixels_that_cannot_be():
    with pytest.raises(ee.EEException, match="is not an Image"):
        ee.data.getPixels({"assetId": SERIES})
    with pytest.raises(ee.EEException, match="is not an Image"):
        ee.data.getPixels({"assetId": TABLE})
    with pytest.raises(ee.EEException, match="did not match any bands"):
        pixels(bandIds=["nir"])
    with pytest.raises(ee.EEException, match="Unknown name"):
        pixels(scale=30)
    with pytest.raises(ee.EEException, match="thumbnails only"):
        ee.data.getPixels({"assetId": HOME, "fileFormat": "ZIPPED_GEO_TIFF"})
    huge = r"Pixel grid dimensions \(1296001x417601\) must be less than or equal to 32768"
    with pytest.raises(ee.EEException, match=huge):
        ee.data.getPixels({"assetId": "USGS/SRTMGL1_003"})


# What there is no place for.

REGION = [0, 0, 1, 1]


def exports():
    image, table = ee.Image(1), ee.FeatureCollection([ee.Feature(None, {"a": 1})])
    square = ee.Geometry.Rectangle(REGION)
    export = ee.batch.Export
    video = ee.ImageCollection([image.visualize()])
    target = f"{ROOT}/new"
    return {
        "image to Drive": export.image.toDrive(image, region=square, scale=1000),
        "image to an asset": export.image.toAsset(image, "x", target, region=square),
        "image to the cloud": export.image.toCloudStorage(image, "x", "bucket", region=square),
        "table to Drive": export.table.toDrive(table),
        "table to an asset": export.table.toAsset(table, "x", target),
        "table to the cloud": export.table.toCloudStorage(table, "x", "bucket"),
        "video": export.video.toDrive(video, "x", dimensions=9, region=square),
        "map": export.map.toCloudStorage(image.visualize(), "x", "bucket"),
        "classifier": export.classifier.toAsset(ee.Classifier.smileCart(), "x", target),
    }


def test_exports_are_refused_at_once():
    tasks = exports()
    assert len(tasks) == 9
    for name, task in tasks.items():
        with pytest.raises(ee.EEException, match=r"has no batch system: .*:export starts no task"):
            task.start()
        assert task.state == ee.batch.Task.State.UNSUBMITTED, name


def test_imports_are_refused():
    for start in (ee.data.startIngestion, ee.data.startTableIngestion):
        with pytest.raises(ee.EEException, match=r"has no batch system: .*:import starts no task"):
            start(None, {"name": f"{ROOT}/new", "tilesets": [], "sources": []})


def test_there_are_no_tasks():
    assert ee.batch.Task.list() == []
    with pytest.warns(DeprecationWarning, match="getTaskStatus"):
        assert ee.data.getTaskStatus("X")[0]["state"] == "UNKNOWN"
    for ask in (ee.data.getOperation, ee.data.cancelOperation):
        with pytest.raises(ee.EEException, match=r"Operation '.*/operations/X' not found"):
            ask(f"projects/{PROJECT}/operations/X")


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("create", lambda: ee.data.createFolder(f"{ROOT}/new")),
        ("copy", lambda: ee.data.copyAsset(HOME, f"{ROOT}/new")),
        ("move", lambda: ee.data.renameAsset(TABLE, f"{ROOT}/new")),
        ("delete", lambda: ee.data.deleteAsset(TABLE)),
        ("patch", lambda: ee.data.updateAsset(TABLE, {"properties": {"a": 1}}, ["properties"])),
        ("getIamPolicy", lambda: ee.data.getIamPolicy(TABLE)),
        ("setIamPolicy", lambda: ee.data.setIamPolicy(TABLE, {"bindings": []})),
    ],
)
def test_assets_are_read_only(method, change):
    words = f"The eedask emulator does not support projects.assets.{method}."
    with pytest.raises(ee.EEException, match=words):
        change()
    assert ee.data.getAsset(TABLE)["type"] == "TABLE"


def test_there_are_no_feature_views():
    """The client finds the method, and hears what is not there."""
    asked = {"assetId": TABLE, "visParams": {"color": "red"}}
    with pytest.raises(ee.EEException, match=r"not a FeatureView but a TABLE.*has no FeatureView"):
        ee.data.getFeatureViewTilesKey(asked)
    with pytest.raises(ee.EEException, match="does not exist or doesn't allow"):
        ee.data.getFeatureViewTilesKey({"assetId": f"{ROOT}/none"})
