"""The catalogue: ids, errors in Earth Engine's words, and descriptions for the REST API."""

import pickle

import pytest

from eedask.emulator.catalog import Catalog
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.values.value_types import Query

CATALOG = Catalog()
IMAGE = "MODIS/061/MOD11A2/2019_01_01"


@pytest.mark.parametrize(
    ("load", "asset_id", "message"),
    [
        ("load_image", "a/b", "Image.load: Image asset 'a/b' not found (does not exist or "),
        ("load_image", "TIGER/2018/States", "Image.load: Asset 'TIGER/2018/States' is not an Ima"),
        ("load_collection", "a/b", "ImageCollection.load: ImageCollection asset 'a/b' not found"),
        ("load_collection", IMAGE, f"ImageCollection.load: Asset '{IMAGE}' is not an ImageColl"),
        ("load_table", "a/b", "Collection.loadTable: Collection asset 'a/b' not found (does "),
        ("load_table", "USDA/NAIP/DOQQ", "Collection.loadTable: Asset 'USDA/NAIP/DOQQ' is not a "),
    ],
)
def test_errors_inside_expressions_are_400(load, asset_id, message):
    with pytest.raises(EarthEngineError) as caught:
        getattr(CATALOG, load)(asset_id)
    assert caught.value.message.startswith(message)
    assert caught.value.code == 400


def test_an_unknown_asset_is_404():
    for call in (CATALOG.asset, CATALOG.list_assets):
        with pytest.raises(EarthEngineError, match="not found") as caught:
            call("projects/p/assets/none")
        assert caught.value.code == 404


@pytest.mark.parametrize("prefix", ["", "projects/earthengine-public/assets/"])
def test_public_ids_may_be_long_or_short(prefix):
    assert CATALOG.load_image(prefix + IMAGE).id == IMAGE
    assert CATALOG.load_collection(prefix + "USDA/NAIP/DOQQ").id == "USDA/NAIP/DOQQ"
    assert CATALOG.load_table(prefix + "FAO/GAUL/2015/level1").id == "FAO/GAUL/2015/level1"


def test_an_image_is_described_as_the_rest_api_does():
    asset = CATALOG.asset(IMAGE)
    assert asset["type"] == "IMAGE"
    assert asset["name"] == f"projects/earthengine-public/assets/{IMAGE}"
    assert asset["id"] == IMAGE
    assert asset["startTime"] == "2019-01-01T00:00:00Z"
    assert asset["endTime"] == "2019-01-09T00:00:00Z"
    assert asset["properties"]["eedask:synthetic"] == 1
    day = asset["bands"][0]
    assert day["id"] == "LST_Day_1km"
    assert day["dataType"] == {"precision": "INT", "range": {"max": 65535}}
    assert day["grid"] == {
        "crsCode": "SR-ORG:6974",
        "dimensions": {"width": 43200, "height": 21600},
        "affineTransform": {
            "scaleX": 926.625433055833,
            "translateX": -20015109.354,
            "scaleY": -926.625433055833,
            "translateY": 10007554.677003,
        },
    }
    west, south, east, north = (-180, -90, 180, 90)
    corners = {tuple(point) for point in asset["geometry"]["coordinates"][0]}
    assert corners == {(west, south), (west, north), (east, south), (east, north)}


def test_listing():
    assert [a["id"] for a in CATALOG.list_assets("FAO")] == ["FAO/GAUL", "FAO/GAUL_SIMPLIFIED_500m"]
    assert {a["type"] for a in CATALOG.list_assets("FAO/GAUL/2015")} == {"TABLE"}
    january = Query(start=1546300800000, end=1548979200000)
    listed = [a["id"].rsplit("/", 1)[1] for a in CATALOG.list_assets("MODIS/061/MOD11A2", january)]
    assert listed == ["2019_01_01", "2019_01_09", "2019_01_17", "2019_01_25"]
    assert list(CATALOG.list_assets("projects/mine/assets")) == []
    with pytest.raises(EarthEngineError, match="not a folder"):
        CATALOG.list_assets("TIGER/2018/States")


def test_a_catalogue_is_pickled_as_its_mounts():
    again = pickle.loads(pickle.dumps(CATALOG))
    assert again.load_image(IMAGE).id == IMAGE
