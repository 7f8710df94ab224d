"""wxee: a collection as an xarray dataset, an image as GeoTIFF.

What it needs: ``ee.Initialize(..., url=...)`` before it is used. Its own ``wxee.Initialize`` takes
Google's high-volume endpoint and no other. It calls no other host.
"""

import warnings

import ee
import numpy as np
import pandas as pd
import pytest
import rasterio
from grid import CRS, DAYS, SCENE, SERIES, SERIES_BANDS, place
from oracle import nearest

with warnings.catch_warnings():
    # Some of what it imports is deprecated.
    warnings.simplefilter("ignore")
    import wxee


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_collection_as_a_dataset(earth_engine, files):
    images = ee.ImageCollection(SERIES)
    dataset = images.wx.to_xarray(scale=30, crs=CRS, progress=False)
    assert pd.to_datetime(dataset["time"].values).tolist() == pd.to_datetime(DAYS).tolist()
    x, y = dataset["x"].values, dataset["y"].values
    # A scale and a crs alone: a grid at multiples of the scale, not the images' own.
    transform = rasterio.Affine(30, 0, x[0] - 15, 0, -30, y[0] + 15)
    assert transform.c % 30 == transform.f % 30 == 0
    for number, path in enumerate(sorted(files.series.iterdir())):
        wanted = nearest(path, CRS, transform, (len(y), len(x)))
        for band, name in enumerate(SERIES_BANDS):
            got = np.nan_to_num(dataset[name].values[number])
            np.testing.assert_array_equal(got, np.nan_to_num(wanted[band]))
            assert got.any()


def test_a_window_to_geotiff(earth_engine, files, tmp_path):
    left, top = place(55, 80)
    right, bottom = place(85, 120)
    region = ee.Geometry.Rectangle([left, bottom, right, top], CRS, geodesic=False)
    options = {"region": region, "scale": 30, "crs": CRS, "progress": False}
    image = ee.Image(SCENE)
    with pytest.raises(wxee.exceptions.MissingPropertyError, match="system:time_start"):
        image.wx.to_tif(str(tmp_path), "scene", **options)
    (path,) = image.set("system:time_start", 0).wx.to_tif(str(tmp_path), "scene", **options)
    with rasterio.open(path) as file:
        wanted = nearest(files.scene, CRS, file.transform, file.shape)
        got = file.read(masked=True)
        assert file.descriptions == ("red", "nir")
    assert got.mask.any()
    assert path.rpartition("/")[2].startswith("scene.")
    np.testing.assert_array_equal(got.filled(0), wanted)
