"""Xee: a collection as an xarray dataset, and windows of it.

What it needs: ``ee.Initialize(..., url=...)`` before ``xarray.open_dataset(..., engine="ee")``.
On other processes' workers it initialises the client itself, if ``ee_init_if_necessary`` is set,
with ``ee_init_kwargs``, among which ``url`` and ``credentials`` may be. It calls no other host.
"""

import dask
import ee
import numpy as np
import pandas as pd
import pytest
import rasterio
import rioxarray  # noqa: F401
import shapely
import xarray
import xee
from dask.distributed import Client, LocalCluster
from grid import CRS, DAYS, SCENE, SERIES, SERIES_BANDS, SHAPE, TRANSFORM, place
from oracle import nearest

import eedask


@pytest.fixture
def series(earth_engine):
    return ee.ImageCollection(SERIES)


@pytest.fixture(scope="module")
def expected(files):
    """Return every image's bands, shape (images, bands, rows, columns)."""
    images = []
    for path in sorted(files.series.iterdir()):
        with rasterio.open(path) as source:
            images.append(source.read())
    return np.stack(images)


def opened(collection, **options):
    grid = xee.helpers.extract_grid_params(collection)
    return xarray.open_dataset(collection, engine="ee", **grid, **options)


def test_a_collection_as_a_dataset(series, expected):
    with opened(series) as dataset:
        assert dict(dataset.sizes) == {"time": len(DAYS), "y": SHAPE[0], "x": SHAPE[1]}
        assert list(dataset.data_vars) == list(SERIES_BANDS)
        assert dataset["time"].values.tolist() == pd.to_datetime(DAYS).astype("M8[ns]").tolist()
        assert (dataset["x"][0], dataset["y"][0]) == place(0.5, 0.5)
        assert (dataset["x"][-1], dataset["y"][-1]) == place(SHAPE[0] - 0.5, SHAPE[1] - 0.5)
        for number, name in enumerate(SERIES_BANDS):
            np.testing.assert_array_equal(dataset[name].values, expected[:, number])


@pytest.mark.parametrize("fast", [False, True])
def test_a_window_of_some_days(series, expected, fast):
    with opened(series, fast_time_slicing=fast) as dataset:
        window = dataset["night"].isel(time=slice(1, 3), y=slice(5, 25), x=slice(7, 40))
        np.testing.assert_array_equal(window.values, expected[1:3, 1, 5:25, 7:40])
        by_day = dataset["day"].sel(time="2016-02-02").isel(y=30, x=slice(0, 9))
        np.testing.assert_array_equal(by_day.values, expected[2, 0, 30, 0:9])


def test_chunks_are_dasks(series, expected):
    chunks = {"time": 2, "y": 64, "x": 64}
    with opened(series, chunks=chunks, io_chunks=chunks) as dataset:
        mean = dataset["day"].mean("time")
        assert mean.chunks == ((64, 64, 22), (64, 64, 64, 8))
        np.testing.assert_allclose(mean.values, expected[:, 0].mean(axis=0), rtol=1e-6)


def test_small_requests_are_joined(series, expected):
    chunks = {"index": 3, "width": 90, "height": 70}
    with opened(series, io_chunks=chunks) as dataset:
        np.testing.assert_array_equal(dataset["day"].values, expected[:, 0])


@pytest.mark.filterwarnings("ignore:The 'shapely.ops.transform:DeprecationWarning")
def test_a_grid_of_its_own_by_asset_id(earth_engine, files):
    left, top = place(20, 30)
    area = shapely.box(left, top - 2000, left + 2400, top)
    grid = xee.helpers.fit_geometry(
        area, geometry_crs=CRS, grid_crs="EPSG:4326", grid_scale=(0.0004, -0.0003)
    )
    width, height = grid["shape_2d"]
    with xarray.open_dataset(f"ee://{SERIES}", engine="ee", **grid) as dataset:
        got = dataset["night"].isel(time=3).values
    path = sorted(files.series.iterdir())[3]
    transform = rasterio.Affine(*grid["crs_transform"])
    wanted = nearest(path, "EPSG:4326", transform, (height, width))[1]
    assert (height, width) == got.shape
    # Pixels whose centre is a source pixel's edge may fall to either side.
    assert (got == wanted).mean() > 0.999


def test_integers_and_masks(earth_engine, files):
    image = ee.Image(SCENE).set("system:time_start", 0)
    with opened(ee.ImageCollection([image])) as dataset:
        got = dataset["nir"].values[0]
    with rasterio.open(files.scene) as source:
        wanted = source.read(2, masked=True)
    assert np.isnan(got).sum() == wanted.mask.sum() > 0
    np.testing.assert_array_equal(got, wanted.astype(np.float32).filled(np.nan))
    assert TRANSFORM.a == 30


def test_workers_initialise_themselves(earth_engine, series, expected):
    options = {"url": earth_engine.url, "project": earth_engine.project}
    options["credentials"] = earth_engine.credentials
    chunks = {"time": 2, "y": 80, "x": 128}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster),
        opened(
            series,
            chunks=chunks,
            io_chunks=chunks,
            ee_init_if_necessary=True,
            ee_init_kwargs=options,
        ) as dataset,
    ):
        got = dataset["day"].values
    np.testing.assert_array_equal(got, expected[:, 0])


def test_eedasks_series_of_images_are_named_and_ordered_as_xees(series, tmp_path):
    """Each image of the series, fetched by eedask as a file over the whole grid."""
    images = eedask.items.image_ids(series).iloc[::-1]
    left, top, right, bottom = *place(0, 0), *place(*SHAPE)
    images = images.set_geometry([shapely.box(left, bottom, right, top)] * len(DAYS), crs=CRS)

    def image(item):
        return series.filter(ee.Filter.eq("system:index", item.id)).first()

    with dask.config.set(scheduler="threads"), opened(series) as dataset:
        plan = eedask.chips(images, image, out=tmp_path, crs="native", format="tif")
        found = plan.run(progress=False).to_xarray(dims=("time", "y", "x"))
        expected = dataset.drop_attrs()
        names = [*SERIES_BANDS, "time", "y", "x"]
        for name in names:
            xarray.testing.assert_equal(
                found[name].reset_coords(drop=True).drop_attrs(), expected[name]
            )
        assert [found[name].dims for name in names] == [expected[name].dims for name in names]
        assert list(found.sizes) == list(dataset.sizes)
        assert found.rio.crs == dataset["day"].attrs["crs"]
