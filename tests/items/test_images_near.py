"""The best images of each place, in few requests; held against asking for each place by itself."""

import ee
import geopandas as gpd
import numpy as np
import pytest
import shapely
from mounted import SCENE
from watching import requests_since

import eedask
from eedask.errors import InputError, ItemsError
from eedask.items import image_ids

pytestmark = pytest.mark.usefixtures("earth_engine")

LANDSAT = "LANDSAT/LC08/C02/T1_L2"
DATES = ("2019-01-01", "2019-05-01")


@pytest.fixture
def asked(earth_engine):
    """How many requests the emulator has had since the test began."""
    before = earth_engine.stats()
    return lambda: requests_since(earth_engine, before)


def places(n=4):
    x, y = np.linspace(-106, -104, n), np.linspace(39, 41, n)
    index = [f"p{k}" for k in range(n)]
    return gpd.GeoDataFrame(
        {"k": range(n)}, geometry=gpd.points_from_xy(x, y), index=index, crs=4326
    )


def landsat():
    return ee.ImageCollection(LANDSAT)


def test_each_place_has_its_best_images_in_one_request(asked):
    found = image_ids(
        landsat(), ["SUN_ELEVATION"], near=places(), dates=DATES, most=3, best="CLOUD_COVER"
    )
    assert asked() == 1
    own = ["k", "place", "rank", "id", "time", "CLOUD_COVER", "SUN_ELEVATION", "geometry"]
    assert found.columns.tolist() == own
    assert found.index.name == "item"
    assert found.index.is_unique
    assert found["rank"].tolist() == [0, 1, 2] * 4
    for name, shape in places().geometry.items():
        here = landsat().filterBounds(ee.Geometry.Point([shape.x, shape.y])).filterDate(*DATES)
        wanted = image_ids(here, ["CLOUD_COVER", "SUN_ELEVATION"], geometry=False)
        wanted = wanted.sort_values(["CLOUD_COVER", "time"]).iloc[:3]
        mine = found[found["place"] == name]
        assert mine.index.tolist() == [f"{name}_{index}" for index in wanted.index]
        assert mine["id"].tolist() == wanted["id"].tolist()
        assert mine["SUN_ELEVATION"].tolist() == wanted["SUN_ELEVATION"].tolist()
        assert (mine.geometry == shape).all()


@pytest.mark.slow
def test_many_places_are_asked_for_in_batches(asked):
    found = image_ids(landsat(), near=places(101), dates=("2019-01-01", "2019-02-01"), most=1)
    assert asked() == 2
    assert found["place"].is_unique
    assert len(found) == 101
    # The earliest come first where no property is named.
    assert (found["time"] < "2019-01-17").all()


def test_a_place_without_images_has_no_row_and_its_crs_is_kept():
    spots = places(2).to_crs("EPSG:32613")
    none = image_ids(landsat(), near=spots, dates=("1900", "1901"))
    assert (len(none), none.crs) == (0, spots.crs)
    assert none.columns.tolist() == ["k", "place", "rank", "id", "time", "geometry"]
    some = image_ids(landsat().filterBounds(ee.Geometry.Point([-104, 41])), near=spots, most=1)
    assert some.geometry.isin(spots.geometry).all()


@pytest.mark.usefixtures("threads")
def test_their_chips_are_traced_and_not_built_on_workers(tmp_path, asked):
    items = image_ids(landsat(), near=places(2), dates=DATES, most=2, best="CLOUD_COVER")
    plan = eedask.chips(
        items,
        lambda item: item.image("id").select("SR_B4"),
        out=tmp_path / "out",
        shape=(4, 4),
        scale=30,
        crs="utm",
        format="npy",
    )
    assert not plan.task.needs_client
    result = plan.run(progress=False)
    assert (result.manifest["status"] == "ok").all()
    name = items.index[3]
    image = ee.Image(items["id"].iloc[3]).select("SR_B4")
    grid = {
        "dimensions": {"width": 4, "height": 4},
        "crsCode": result.manifest.loc[name, "crs"],
        "affineTransform": dict(
            zip(
                ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY"),
                result.manifest.loc[name, "transform"],
                strict=True,
            )
        ),
    }
    wanted = ee.data.computePixels(
        {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    )
    np.testing.assert_array_equal(result.open(name)["SR_B4"], wanted["SR_B4"])


@pytest.mark.usefixtures("threads")
def test_an_item_without_an_asset_fails_by_itself(tmp_path):
    items = places(3).assign(id=[SCENE, None, SCENE])
    plan = eedask.compute(items, lambda item: item.image("id").bandNames(), out=tmp_path / "out")
    manifest = plan.run(progress=False).manifest
    assert manifest["status"].tolist() == ["ok", "failed", "ok"]
    assert "the column 'id' holds None, which is not an asset's id" in manifest["error"].iloc[1]


def test_choices_that_cannot_be_made_are_refused(asked):
    spots = places()
    for arguments, words in (
        ({"most": 0}, "most is a whole number of images, 1 or more; got 0"),
        ({"best": 3}, "best is a property's name, such as 'CLOUD_COVER'; got 3"),
        ({"dates": "2019"}, r"dates is \(start, end\); got '2019'"),
        ({"dates": ("2020", "2019")}, "end is after start"),
    ):
        with pytest.raises(InputError, match=words):
            image_ids(landsat(), near=spots, **arguments)
    for arguments in ({"most": 1}, {"best": "CLOUD_COVER"}, {"dates": DATES}):
        with pytest.raises(InputError, match="go with near="):
            image_ids(landsat(), **arguments)
    with pytest.raises(ItemsError, match=r"columns \['rank', 'CLOUD_COVER'\], in which"):
        image_ids(landsat(), near=spots.assign(rank=1, CLOUD_COVER=2), best="CLOUD_COVER")
    with pytest.raises(InputError, match=r"properties named \['rank'\] would stand"):
        image_ids(landsat(), near=spots, best="rank")
    with pytest.raises(ItemsError, match="no geometry"):
        image_ids(landsat(), near=spots.set_geometry([shapely.Point()] * 4, crs=4326))
    assert asked() == 0
