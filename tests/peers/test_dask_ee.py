"""dask-ee: a feature collection as a Dask DataFrame.

What it needs: ``ee.Initialize(..., url=...)`` before ``dask_ee.read_ee``. It calls no other host.
Its release 0.0.4 gives partitions one fewer than there are when ``chunksize`` divides the number
of features; sizes here do not divide.
"""

import dask
import dask_ee
import ee
import geopandas as gpd
import numpy as np
import pytest
from grid import SITES


@pytest.fixture(scope="module")
def table(files):
    return gpd.read_parquet(files.sites)


@pytest.mark.parametrize("chunksize", [10, 5000])
def test_a_table_as_a_dask_dataframe(earth_engine, table, chunksize):
    # Else Dask makes strings of the geometries.
    with dask.config.set({"dataframe.convert-string": False}):
        frame = dask_ee.read_ee(SITES, chunksize=chunksize)
        assert set(frame.columns) == {"geo", "site", "row", "column"}
        assert frame.npartitions == -(-len(table) // chunksize)
        got = frame.compute()
    assert got["site"].tolist() == table["site"].tolist()
    for name in ("row", "column"):
        np.testing.assert_array_equal(got[name], table[name])
    corners = np.array([point["coordinates"] for point in got["geo"]])
    np.testing.assert_allclose(corners, np.c_[table.geometry.x, table.geometry.y], atol=1e-9)


def test_a_filtered_table(earth_engine, table):
    some = ee.FeatureCollection(SITES).filter(ee.Filter.gt("row", 60))
    got = dask_ee.read_ee(some, chunksize=4).compute()
    assert got["site"].tolist() == table.loc[table["row"] > 60, "site"].tolist()
    assert len(got) % 4
