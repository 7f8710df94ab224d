"""Images by role that cannot be used get a clear error before any request."""

import ee
import geopandas as gpd
import pytest
import shapely
from mounted import FIELD, SCENE
from watching import requests_since

import eedask
from eedask.errors import InputError, ItemsError, SizeError


@pytest.fixture(autouse=True)
def no_requests(earth_engine):
    before = earth_engine.stats()
    yield
    assert requests_since(earth_engine, before) == 0


def chips(images=None, **more):
    shapes = [shapely.Point(-99, 42.4), shapely.Point(-99.001, 42.41)]
    items = gpd.GeoDataFrame(more.pop("columns", {}), geometry=shapes, crs="EPSG:4326")
    if images is None:
        images = {"image": ee.Image(SCENE), "label": ee.Image(FIELD)}
    options = {"out": "nowhere", "shape": (8, 8), "scale": 5, "format": "npy", **more}
    return eedask.chips(items, images, **options)


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [""],
        ["a b"],
        ["a/b"],
        ["../up"],
        ["1st"],
        ["étiquette"],
        [5],
        [None],
        ["CON"],
        ["a" * 181],
    ],
)
def test_roles_name_folders_columns_and_variables(roles):
    with pytest.raises(InputError, match=r"names of letters, digits and _, .* got \["):
        chips({role: ee.Image(SCENE) for role in roles})


def test_roles_differ_by_more_than_case():
    with pytest.raises(InputError, match=r"by more than case; got \['label', 'Label'\]"):
        chips({"label": ee.Image(SCENE), "Label": ee.Image(SCENE)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "tif"),
        ("bands", ["R"]),
        ("vis_params", {"min": 0}),
        ("method", "compute_pixels"),
        ("nodata", 0),
        ("mask", "band"),
        ("empty", "nodata"),
        ("resampling", "nearest"),
    ],
)
def test_arguments_by_role_name_roles_that_there_are(name, value):
    with pytest.raises(InputError, match=rf"{name}= names the roles \['lable'\], and the images"):
        chips(**{name: {"image": value, "lable": value}})
    with pytest.raises(
        InputError, match=f"{name}=.* is a dictionary by role, but there is only one image"
    ):
        chips(ee.Image(SCENE), **{name: {"image": value}})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"format": {"label": "bmp"}}, InputError, "role 'label': format='bmp' is not known"),
        ({"format": "png", "bands": {"label": ["a", "b"]}}, InputError, "'label': a png picture"),
        ({"nodata": {"image": "x"}}, InputError, "role 'image': nodata is a number"),
        ({"format": {"image": "png", "label": "npy"}, "nodata": 0}, InputError, "'image': nodata="),
        ({"mask": {"label": "bit"}}, InputError, "role 'label': mask is 'band' or None"),
        ({"empty": {"label": None}}, InputError, "role 'label': empty is 'fail' or 'nodata'; got"),
        ({"vis_params": {"min": 0}}, InputError, "role 'image': vis_params makes pictures"),
        ({"vis_params": {"label": {"min": 0}}}, InputError, "role 'label': vis_params makes"),
        ({"resampling": {"label": "cubic"}}, InputError, "role 'label': resampling='cubic'"),
        ({"method": {"image": "thumb_url"}}, InputError, "role 'image': method='thumb_url' does"),
        ({"shape": None, "region": 90.0}, InputError, "get the same grid only if a crs is stated"),
        ({"properties": {"image": ["A"]}}, InputError, "properties is a list of names"),
        ({"properties": "A"}, InputError, "properties is a list of names"),
        ({"columns": {"path_label": [1, 2]}}, ItemsError, r"columns \['path_label'\] are the"),
        ({"columns": {"nbytes_image": [1, 2]}}, ItemsError, r"\['nbytes_image'\] are the"),
        (
            {"shape": (30_000, 30_000), "bands": {"label": list("abcd")}},
            SizeError,
            "role 'label': 30000 rows",
        ),
    ],
)
def test_options_that_cannot_work(options, error, words):
    with pytest.raises(error, match=words):
        chips(**options)


def test_images_that_are_none():
    with pytest.raises(InputError, match=r"^an ee\.Image is needed here"):
        chips(5)
    with pytest.raises(InputError, match=r"role 'label': an ee\.Image is needed here"):
        chips({"image": ee.Image(SCENE), "label": 5})
    with pytest.raises(InputError, match=r"role 'label': the function .* fails on item 0"):
        chips({"image": ee.Image(SCENE), "label": lambda item: item.nope})


def test_columns_of_other_roles_are_the_items_own():
    plan = chips({"a": ee.Image(SCENE)}, columns={"path_label": [1, 2]})
    assert plan.task.first.role == "a"


def test_a_plan_shows_what_is_asked_of_each_role():
    formats = {"image": "png", "label": "npy"}
    plan = chips(format=formats, bands={"image": "R"}, nodata={"label": 0})
    shown = repr(plan)
    assert "roles: ['image', 'label']" in shown
    assert "'image': 'png'" in shown
    assert "resampling" not in shown
