"""DuckDB and pyarrow.dataset read a result's folder as it is."""

import dask
import duckdb
import ee
import pyarrow as pa
import pyarrow.dataset as pds
import shapely
from fields import fields, frame_of
from mounted import SCENE

import eedask


def test_folders_are_read_as_they_are(earth_engine, rasters, tmp_path):
    """A part whose values are all null, among others; ids are those of the items."""
    far = shapely.box([10, 11], 10, [10.001, 11.001], 10.001)
    items = frame_of(*fields(rasters.scene, 6).geometry, *far).set_axis(list("dacbhgfe"), axis=0)
    image, out = ee.Image(SCENE).select("R"), tmp_path / "out"
    with dask.config.set(scheduler="threads"):
        plan = eedask.reduce_regions(items, image, ["max", "mean"], out=out, partition_size=2)
        table = plan.run(progress=False).table()
    wanted = {
        k: (None if m is table["R_max"].dtype.na_value else m) for k, m in table.R_max.items()
    }
    assert sum(value is None for value in wanted.values()) == 2

    whole = pds.dataset(out / "table").to_table()
    assert dict(zip(whole["id"].to_pylist(), whole["R_max"].to_pylist(), strict=True)) == wanted
    assert whole.schema.field("R_max").type == pa.int64()

    with duckdb.connect() as base:
        parts = base.read_parquet(str(out / "table" / "*.parquet"))
        assert dict(zip(parts.columns, map(str, parts.types), strict=True)) == {
            "id": "VARCHAR",
            "R_max": "BIGINT",
            "R_mean": "DOUBLE",
        }
        assert dict(parts.select("id, R_max").fetchall()) == wanted
        manifest = base.read_parquet(str(out / "manifest" / "*.parquet"))
        ok = manifest.filter("status = 'ok'").aggregate("count(*)").fetchall()
    assert ok == [(8,)]
