"""Items that have a column ``id`` beside their index: both are kept, and neither is mistaken."""

import ee
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from fields import fields
from mounted import FIELD

import eedask
from eedask.errors import ItemsError

pytestmark = pytest.mark.usefixtures("threads")


def test_a_column_id_is_a_column_and_the_index_the_ids(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 8).assign(id=np.arange(8)[::-1])
    out = tmp_path / "out"

    def plan():
        # The item's id and its column are told apart in expressions, too.
        def image(item):
            return ee.Image(FIELD).select("b1").multiply(0).add(ee.Number(item["id"]))

        return eedask.reduce_regions(items, image, "max", out=out, partition_size=4)

    result = plan().run(progress=False)
    table = result.table()
    assert list(table.columns) == ["k", "geometry", "id", "b1"]
    assert table.index.equals(items.index)
    assert table["id"].equals(items["id"])
    seen = table["b1"].notna()
    assert seen.sum() > 3
    assert (table["b1"][seen] == table["id"][seen]).all()
    assert result.manifest["id"].equals(items["id"])
    # A run that goes on takes its items from the folder.
    (out / "manifest" / "part-00001.parquet").unlink()
    pd.testing.assert_frame_equal(plan().run(progress=False).table(), table)
    pd.testing.assert_frame_equal(eedask.open_result(out).table(), table)


def test_ids_that_are_the_column_itself(earth_engine, rasters, tmp_path):
    """As ``set_index("id", drop=False)`` gives it."""
    items = fields(rasters.field, 4).assign(id=[7, 3, 11, 5]).set_index("id", drop=False)
    plan = eedask.reduce_regions(items, ee.Image(FIELD), "count", out=tmp_path / "out")
    table = plan.run(progress=False).table()
    assert table.index.tolist() == table["id"].tolist() == [7, 3, 11, 5]


def test_points_and_chips_with_a_column_id(earth_engine, rasters, tmp_path):
    with rasterio.open(rasters.field) as file:
        x, y = file.transform @ (20.5, 20.5)
        value = file.read(1)[20, 20]
        square = fields(rasters.field, 1).to_crs(file.crs)
    items = square.set_geometry([shapely.Point(x, y)], crs=square.crs).assign(id="mine")
    table = eedask.sample_points(items, ee.Image(FIELD), out=tmp_path / "p").run(progress=False)
    assert table.table()["b1"].tolist() == [pytest.approx(float(value))]
    assert table.table()["id"].tolist() == ["mine"]
    chips = eedask.chips(
        items, ee.Image(FIELD), out=tmp_path / "c", shape=(4, 4), scale=30, format="npy"
    )
    assert chips.run(progress=False).manifest["id"].tolist() == ["mine"]


def test_two_ids_that_differ_are_refused(earth_engine, rasters, tmp_path):
    items = fields(rasters.field, 3).assign(id=[1, 2, 3]).rename_axis("id")
    with pytest.raises(ItemsError, match=r"both called 'id', and differ: rename .* set_index"):
        eedask.reduce_regions(items, ee.Image(FIELD), "mean", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
