"""Bands, keys and columns of items that are called like a column of the table itself.

Each is kept under a name of its own or refused by name; none takes another's place.
"""

import ee
import pandas as pd
import pyarrow as pa
import pytest
from fields import fields
from mounted import FIELD, SCENE

import eedask
from eedask.errors import InputError
from eedask.items.item import sample_items

pytestmark = pytest.mark.usefixtures("threads")


def run(verb, items, what, out):
    more = () if verb == "sample_points" else ("max",)
    return getattr(eedask, verb)(items, what, *more, out=out).run(progress=False)


def of(verb, image):
    return ee.ImageCollection([image]) if verb == "time_series" else image


VERBS = ["reduce_regions", "sample_points", "time_series"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["id", "system:index", "eedask:item"])
@pytest.mark.parametrize("bands", [["R"], ["R", "G"]])
def test_a_band_that_would_hide_something_is_refused_by_name(
    earth_engine, rasters, tmp_path, verb, name, bands
):
    items = fields(rasters.scene, 3)
    if verb == "sample_points":
        items = items.set_geometry(items.representative_point())
    image = ee.Image(SCENE).select(bands).rename([name, *bands[1:]])
    with pytest.raises(InputError, match=f"no column '{name}'.*rename the band"):
        run(verb, items, of(verb, image), tmp_path / "out")
    assert not list(tmp_path.glob("out/table/part-*"))


@pytest.mark.parametrize("name", ["image", "time"])
def test_bands_named_like_a_series_own_columns_are_refused_there_alone(
    earth_engine, rasters, tmp_path, name
):
    items, image = fields(rasters.scene, 3), ee.Image(SCENE).select(["R"], [name])
    with pytest.raises(InputError, match=f"no column '{name}'"):
        run("time_series", items, of("time_series", image), tmp_path / "series")
    plain = run("reduce_regions", items, ee.Image(SCENE).select("R"), tmp_path / "plain").table()
    named = run("reduce_regions", items, image, tmp_path / "named").table()
    assert named[name].equals(plain["R"].rename(name))


@pytest.mark.parametrize("verb", VERBS)
def test_a_band_geometry_and_a_column_like_a_band_are_kept_beside_each_other(
    earth_engine, rasters, tmp_path, verb
):
    items = fields(rasters.scene, 8).assign(R=list("abcdefgh"), R_item=range(8), R_item_item="x")
    if verb == "sample_points":
        items = items.set_geometry(items.representative_point())
    wanted = run(verb, items[["geometry"]], of(verb, ee.Image(SCENE)), tmp_path / "plain").table()
    image = ee.Image(SCENE).select(["R", "G"], ["R", "geometry"])
    result = run(verb, items, of(verb, image), tmp_path / "out")
    table = result.table()
    assert table.columns.is_unique
    assert table.geometry.name == "geometry_item"
    assert table.geometry.geom_equals(items.geometry).all()
    kept = {"R_item": "R_item", "R_item_item": "R_item_item", "R_item_item_item": "R"}
    for name, own in kept.items():
        assert table[name].tolist() == items[own].tolist()
    assert table["R"].equals(wanted["R"])
    assert table["geometry"].equals(wanted["G"].rename("geometry"))
    assert wanted["R"].notna().any()
    files = result.to_csv_per_item(tmp_path / "csv")
    assert len(files) == 8
    some = wanted.index[wanted["R"].notna()][0]
    csv = pd.read_csv(tmp_path / "csv" / f"{some}.csv")
    assert csv["geometry"].tolist() == [wanted.loc[some, "G"]]


def test_a_masked_band_has_not_the_value_of_a_namesake(earth_engine, rasters, tmp_path):
    """As Earth Engine leaves out what is null, and another band may be called BAND_REDUCER."""
    items = fields(rasters.field, 6)
    band = ee.Image(FIELD).select("b1")
    image = ee.Image.cat([band.updateMask(0).rename("a"), band.rename("a_max")])
    table = run("reduce_regions", items, image, tmp_path / "out").table()
    assert table["a"].isna().all()
    assert table["a_max"].notna().any()


@pytest.mark.parametrize("bands", [["R", "N"], ["G"]])
def test_bands_that_only_some_items_have_are_told(earth_engine, rasters, tmp_path, bands):
    items = fields(rasters.scene, 12).assign(bands=[["R", "G"]] * 12)
    plain = run("reduce_regions", items, ee.Image(SCENE), tmp_path / "plain").table()
    looked_at = {item.id for item in sample_items(items)}
    odd = next(k for k in items.index if k not in looked_at and pd.notna(plain.loc[k, "N"]))
    items.at[odd, "bands"] = bands

    def image(item):
        return ee.Image(SCENE).select(item["bands"])

    result = run("reduce_regions", items, image, tmp_path / "out")
    assert result.failed.index.tolist() == [odd]
    assert f"the image has the bands {bands}," in result.failed["error"][odd]
    assert "those of other items' images, ['R', 'G']" in result.failed["error"][odd]


@pytest.mark.parametrize("given", ["inferred", "stated", "arrow"])
def test_a_key_id_of_compute_is_refused(earth_engine, tmp_path, given):
    items = pd.DataFrame({"n": range(4)})
    schema = {"stated": {"id": int}, "arrow": pa.schema([("id", pa.int64())])}.get(given)
    with pytest.raises(InputError, match="no column 'id'"):
        eedask.compute(
            items, lambda item: ee.Dictionary({"id": item["n"]}), out=tmp_path, schema=schema
        ).run(progress=False)


def test_outputs_that_make_the_same_name_are_refused(earth_engine, rasters, tmp_path):
    items = fields(rasters.scene, 3)
    image = ee.Image(SCENE).select(["R", "G"], ["a", "a_x"])
    reducer = (
        ee.Reducer.max()
        .setOutputs(["x_y"])
        .combine(ee.Reducer.min().setOutputs(["y"]), sharedInputs=True)
    )
    with pytest.raises(InputError, match="no column 'a_x_y': there are two of that name"):
        eedask.reduce_regions(items, image, reducer, out=tmp_path / "out").run(progress=False)
