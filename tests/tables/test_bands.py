"""A value is never in another band's column, and an item without an image is told as such."""

import ee
import geopandas as gpd
import pytest
import rasterio
import shapely
from mounted import FIELD, SCENE, SERIES

import eedask

pytestmark = pytest.mark.usefixtures("earth_engine", "threads")


@pytest.fixture
def squares(rasters):
    """Six squares in the middle of the scene; every third's image is another than the others'."""
    with rasterio.open(rasters.scene) as file:
        x, y = file.transform @ (200, 150)
        shapes = [shapely.box(x + k, y, x + k + 40, y + 40) for k in range(0, 360, 60)]
        frame = gpd.GeoDataFrame({"odd": [0, 0, 1] * 2}, geometry=shapes, crs=file.crs)
        return frame.to_crs("EPSG:4326")


def points_of(items, image, **more):
    return eedask.sample_points(items.set_geometry(items.representative_point()), image, **more)


def means_of(items, image, **more):
    return eedask.reduce_regions(items, image, "mean", **more)


def counts_of(items, image, **more):
    return eedask.reduce_regions(items, image, ["mean", "count"], **more)


def own_means_of(items, image, **more):
    return eedask.reduce_regions(items, image, ee.Reducer.mean().setOutputs(["m"]), **more)


VERBS = {"points": points_of, "mean": means_of, "several": counts_of, "own": own_means_of}
each_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
# The bands of the items' images, and of every third.
BANDS = {
    "one, of another name": (["R"], ["G"]),
    "one of two": (["R", "G"], ["R"]),
    "two, one of them another": (["R", "G"], ["R", "B"]),
    "one more": (["R"], ["R", "G"]),
}


@pytest.mark.parametrize(
    ("verb", "usual", "other"),
    [
        pytest.param(verb, *bands, id=f"{name}-{kind}", marks=marks)
        for k, (name, verb) in enumerate(VERBS.items())
        for j, (kind, bands) in enumerate(BANDS.items())
        # Those of one verb, and each of the others with one.
        for marks in [[] if k == 0 or j == k % len(BANDS) else [pytest.mark.slow]]
    ],
)
@pytest.mark.cross(4)
def test_an_image_with_other_bands_is_a_failure_that_names_both(
    squares, tmp_path, verb, usual, other
):
    def image(item):
        wanted = ee.List([usual, other]).get(item["odd"])
        return ee.Image(SCENE).select(ee.List(wanted))

    result = verb(squares, image, out=tmp_path / "out").run(progress=False)
    assert result.failed.index.tolist() == [2, 5]
    for error in result.failed["error"]:
        assert str(usual) in error
        assert str(other) in error
    alike = verb(squares[squares["odd"] == 0], image, out=tmp_path / "alike").run(progress=False)
    columns = list(alike.table().columns)
    assert columns == list(result.table().columns)
    assert result.table().loc[[0, 1, 3, 4], columns].equals(alike.table())
    assert result.table().loc[[2, 5], columns[2:]].isna().all(axis=None)


def test_bands_in_another_order_are_the_same_bands(squares, tmp_path):
    def image(item):
        wanted = ee.List([["R", "G"], ["G", "R"]]).get(item["odd"])
        return ee.Image(SCENE).select(ee.List(wanted))

    got = means_of(squares, image, out=tmp_path / "out").run(progress=False).table()
    plain = means_of(squares, ee.Image(SCENE), out=tmp_path / "plain").run(progress=False).table()
    assert got[["R", "G"]].equals(plain[["R", "G"]])


@pytest.mark.parametrize("own", [False, True])
def test_a_series_with_an_image_of_other_bands_is_a_failure_that_names_both(squares, tmp_path, own):
    scene = ee.Image(SCENE)
    dated = [scene.select(band).set("system:time_start", 1e12 + k) for k, band in enumerate("RRG")]

    def collection(item):
        return ee.ImageCollection(ee.List(dated).slice(0, ee.Number(item["odd"]).add(2)))

    reducer = ee.Reducer.mean().setOutputs(["m"]) if own else "mean"
    plan = eedask.time_series(squares, collection, reducer, out=tmp_path / "out")
    result = plan.run(progress=False)
    assert result.failed.index.tolist() == [2, 5]
    assert all("['G']" in error and "['R']" in error for error in result.failed["error"])
    assert result.table()["R"].notna().sum() == 8


def mosaic_of(item):
    """The scene, or a mosaic of no images."""
    found = ee.ImageCollection([ee.Image(SCENE).select(["R", "G"]).set("odd", 0)])
    return found.filter(ee.Filter.eq("odd", ee.Number(item["odd"]))).mosaic()


@each_verb
@pytest.mark.parametrize(
    "grid",
    [{"scale": 5}, {"crs": "EPSG:32614", "scale": 5}, {"crs": "utm", "scale": 5}, {}],
    ids=str,
)
@pytest.mark.cross(4)
def test_an_item_whose_collection_is_empty_is_a_row_of_nulls(squares, tmp_path, verb, grid):
    def image(item):
        projection = ee.Image(SCENE).select("R").projection()
        return mosaic_of(item).setDefaultProjection(projection)

    plan = verb(squares, mosaic_of if grid else image, out=tmp_path / "out", **grid)
    result = plan.run(progress=False)
    assert result.failed.empty
    table = result.table().drop(columns=["odd", "geometry"])
    assert table.loc[[2, 5]].isna().all(axis=None)
    assert table.loc[[0, 1, 3, 4]].notna().all(axis=None)
    assert set(result.manifest["attempts"]) == {1}, "no batch was cut for them"


def first_of(item):
    """The scene, or the first of no images."""
    found = ee.ImageCollection([ee.Image(SCENE).select("R").set("odd", 0)])
    return ee.Image(found.filter(ee.Filter.eq("odd", ee.Number(item["odd"]))).first())


@each_verb
@pytest.mark.parametrize("image", [first_of, lambda item: first_of(item).add(1)])
@pytest.mark.cross(2)
def test_the_first_of_an_empty_collection_is_said_to_be_no_image(squares, tmp_path, verb, image):
    result = verb(squares, image, out=tmp_path / "out").run(progress=False)
    assert result.failed.index.tolist() == [2, 5]
    assert set(result.failed["error_kind"]) == {"no_image"}
    for error in result.failed["error"]:
        assert "the item has no image" in error


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (first_of, {}),
        (mosaic_of, {"format": "npy"}),
        (mosaic_of, {"format": "tif", "bands": ["R"], "crs": "EPSG:32614"}),
        (mosaic_of, {"format": "png", "bands": ["R"]}),
        (mosaic_of, {"format": "jpg", "vis_params": {"max": 255}}),
        (mosaic_of, {"format": "npy", "properties": ["odd"]}),
    ],
)
def test_a_chip_of_an_empty_collection_is_said_to_be_of_no_image(squares, tmp_path, image, asked):
    points = squares.set_geometry(squares.representative_point())
    asked = {"shape": (4, 4), "scale": 5, "crs": "utm", **asked}
    result = eedask.chips(points, image, out=tmp_path / "out", **asked).run(progress=False)
    assert result.failed.index.tolist() == [2, 5]
    assert set(result.failed["error_kind"]) == {"no_image"}
    for error in result.failed["error"]:
        assert "the item has no image" in error
        # There is none that would do for a chip.
        assert "take mosaic()" not in error


def test_images_on_different_grids_keep_their_own(squares, rasters, tmp_path):
    def image(item):
        images = ee.List([ee.Image(SCENE).select("R"), ee.Image(FIELD).select(["b1"], ["R"])])
        return ee.Image(images.get(item["odd"]))

    # Away from the hole in the field.
    squares = squares.set_geometry(squares.translate(0, -0.004))
    got = means_of(squares, image, out=tmp_path / "out").run(progress=False).table()["R"]
    fine = means_of(squares, ee.Image(SCENE), out=tmp_path / "fine").run(progress=False).table()
    coarse = means_of(squares, ee.Image(FIELD), out=tmp_path / "c").run(progress=False).table()
    assert got[[0, 1, 3, 4]].equals(fine["R"][[0, 1, 3, 4]])
    assert got[[2, 5]].tolist() == coarse["b1"][[2, 5]].tolist()


def test_a_series_of_a_collection_without_images_has_no_rows(squares, tmp_path):
    def collection(item):
        found = ee.ImageCollection(SERIES).map(lambda one: one.set("odd", 0))
        return found.filter(ee.Filter.eq("odd", ee.Number(item["odd"])))

    result = eedask.time_series(squares, collection, "mean", out=tmp_path / "o").run(progress=False)
    assert result.failed.empty
    table = result.table()
    assert table[table["b1"].notna()].index.unique().tolist() == [0, 1, 3, 4]
