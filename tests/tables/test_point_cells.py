"""Points read out of cells of pixels have the values that Earth Engine gives for the points."""

import ee
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from fire import initialized
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import serving
from mounted import FIELD, SCENE, SERIES
from places import points_in
from proxying import Proxy
from rasterio.transform import rowcol
from watching import chips_since, requests_since

import eedask
from eedask.errors import InputError, RunStopped
from eedask.grid import Lattice, NativeProjection
from eedask.items.item import WorkItem
from eedask.tables.point_cells import BYTES_A_POINT, CellGrid, room_of

pytestmark = pytest.mark.usefixtures("threads")

BYTE = {"precision": "int", "min": 0, "max": 255}


def many(rasters):
    """Return points of every kind: close together, far away, on edges of pixels, and nowhere."""
    rng = np.random.default_rng(5)
    # A part of them where the raster has no data.
    close = rng.uniform((45, 35), (95, 65), (150, 2)).tolist()
    around = rng.uniform(-20, 170, (50, 2)).tolist()
    edges = [(x + a, y + b) for x, y in ((48, 41), (55, 45), (149, 119)) for a, b in EDGES]
    pixels = (*close, *close[:9], *around, *edges)
    with rasterio.open(rasters.field) as file:
        places = gpd.GeoSeries([shapely.Point(file.transform @ at) for at in pixels], crs=file.crs)
    far = ["POINT (180 10)", "POINT (-180 10)", "POINT (81 42.4)", "POINT (0 90)", "POINT EMPTY"]
    found = [places.to_crs(4326), gpd.GeoSeries.from_wkt(far, crs=4326)]
    geometry = pd.concat([*found, gpd.GeoSeries([None], crs=4326)], ignore_index=True)
    return gpd.GeoDataFrame(geometry=geometry, crs=4326).sample(frac=1, random_state=1)


EDGES = ((0, 0), (0.5, 0.5), (0, 0.5), (0.5, 1), (1, 1), (1 - 1e-9, 0.25), (1 - 1e-4, 0.25))


def of_all_kinds():
    """Return an image with bands of several types, projections and masks."""
    b1, b2 = (ee.Image(FIELD).select(name) for name in ("b1", "b2"))
    bands = {
        "float": b1,
        "byte": ee.Image(SCENE).select("R"),
        "short": ee.Image(SERIES + "/NDVI_2016_001"),
        "long": b2.multiply(1e12).toInt64(),
        "double": b2.toDouble().divide(3),
        "partial": b1.round().toInt16().updateMask(b2.gt(280).multiply(0.3)),
        "zero": b1.gt(280),
        "negative": b2.subtract(280).toInt8(),
    }
    return ee.Image.cat([image.rename(name) for name, image in bands.items()])


GRIDS = {
    "native": {},
    "rescaled": {"scale": 70},
    "degrees": {"crs": "EPSG:4326", "scale": 100},
    "conic": {"crs": "EPSG:5070", "scale": 30},
}


SLOW = [(name, readings) for name in GRIDS for readings in (None, "all-other")][1:]


@pytest.mark.parametrize(
    ("name", "readings"),
    [("native", None), *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)],
)
def test_values_are_those_of_points(earth_engine, rasters, tmp_path, name, readings):
    image = of_all_kinds().set("SENSOR", "s")
    if name == "degrees":
        image = ee.ImageCollection([image.updateMask(0), image]).mosaic().set("SENSOR", "s")
    asked = {**GRIDS[name], "properties": ["SENSOR", "none"]}
    items, found = many(rasters), {}
    earth_engine.set_readings(readings)
    try:
        for by in ("points", "cells"):
            before = earth_engine.stats()
            plan = eedask.sample_points(items, image, out=tmp_path / by, by=by, **asked)
            found[by] = plan.run(progress=False)
            assert (chips_since(earth_engine, before) > 0) is (by == "cells")
    finally:
        earth_engine.set_readings(None)
    wanted, table = found["points"].table(), found["cells"].table()
    pd.testing.assert_frame_equal(table, wanted)
    columns = ["status", "error_kind", "error", "SENSOR"]
    pd.testing.assert_frame_equal(
        found["cells"].manifest[columns], found["points"].manifest[columns]
    )
    assert (table["SENSOR"][found["cells"].manifest["status"] == "ok"] == "s").all()
    values = table.drop(columns=["geometry", "SENSOR", "none"])
    assert values.notna().any().all()
    assert values.isna().any().all()
    assert table["zero"].eq(0).any()


def pixels_at(path, items):
    """Return the values of a raster's pixels at points, shape (points, bands); NaN if masked."""
    with rasterio.open(path) as file:
        at = rowcol(file.transform, items.geometry.x, items.geometry.y)
        rows, columns = np.asarray(at).astype(int)
        return file.read(masked=True).astype(float).filled(np.nan)[:, rows, columns].T


def test_values_are_those_of_rasterio(earth_engine, rasters, tmp_path):
    items = gpd.GeoDataFrame(geometry=points_in(rasters.field, 2000, seed=7))
    plan = eedask.sample_points(items, ee.Image(FIELD), out=tmp_path)
    before = earth_engine.stats()
    result = plan.run(progress=False)
    # Two partitions of 1,000 points, each of which lies in one window.
    assert chips_since(earth_engine, before) == 2
    assert requests_since(earth_engine, before) == 3
    assert (result.manifest["attempts"] == 1).all()
    table = result.table()
    np.testing.assert_array_equal(table[["b1", "b2"]], pixels_at(rasters.field, items))
    assert table["b1"].isna().any()


def sparse(rasters):
    return points_in(rasters.field, 2000, seed=7, margin=-9000)


@pytest.mark.parametrize(
    ("where", "image"),
    [
        ("field", lambda: ee.Image(FIELD)),
        ("scene", lambda: ee.Image(SCENE)),
        ("sparse", lambda: ee.Image(FIELD)),
        ("own", lambda: lambda item: ee.Image(FIELD).clip(item.geometry.buffer(90))),
    ],
)
def test_only_dense_points_of_one_image_go_by_cells_by_themselves(
    earth_engine, rasters, tmp_path, where, image
):
    count = 1999 if where == "field" else 2000
    path = rasters.scene if where == "scene" else rasters.field
    places = sparse(rasters) if where == "sparse" else points_in(path, count, seed=7)
    items = gpd.GeoDataFrame(geometry=places).iloc[:: 1 if where != "own" else 100]
    before = earth_engine.stats()
    plan = eedask.sample_points(items, image(), out=tmp_path)
    with pytest.raises(RunStopped, match="max_items=15 are done"):
        plan.run(progress=False, max_items=15)
    assert eedask.open_result(tmp_path).manifest["status"].eq("ok").sum() == 15
    assert chips_since(earth_engine, before) == 0


def test_points_whose_cell_cannot_be_had_are_asked_for_as_points(earth_engine, rasters, tmp_path):
    # With their masks, these are more bands than a request for pixels may have.
    names = [f"n{k}" for k in range(520)]
    image = ee.Image.constant([*range(520)]).rename(names).addBands(ee.Image(FIELD).select("b1"))
    items = gpd.GeoDataFrame(
        geometry=points_in(rasters.field, 1, seed=8).repeat(3).reset_index(drop=True)
    )
    before = earth_engine.stats()
    plan = eedask.sample_points(items, image, out=tmp_path, by="cells", crs="EPSG:32614", scale=30)
    result = plan.run(progress=False)
    assert chips_since(earth_engine, before) == 1
    assert (result.manifest["status"] == "ok").all()
    assert (result.manifest["attempts"] == 2).all()
    assert (result.table()[names] == np.arange(520)).all(axis=None)


def test_points_whose_cell_is_answered_with_rubbish_are_asked_for_as_points(
    emulator, rasters, tmp_path
):
    items = gpd.GeoDataFrame(geometry=points_in(rasters.field, 200, seed=11))
    proxy = Proxy(emulator.url)
    proxy.spoil(b"no pixels", "fileFormat")
    with serving(proxy.answer) as url, initialized(url, emulator.project):
        quick = eedask.RetryPolicy(tries=2, delay=0.01, max_delay=0.01, jitter=(0, 0))
        plan = eedask.sample_points(items, ee.Image(FIELD), out=tmp_path, by="cells", retry=quick)
        result = plan.run(progress=False)
    proxy.http.clear()
    assert (result.manifest["status"] == "ok").all()
    assert proxy.spoilt
    # Each is asked for twice by its cell, and once as a point.
    assert (result.manifest["attempts"] == 3).all()
    np.testing.assert_array_equal(result.table()[["b1", "b2"]], pixels_at(rasters.field, items))


def test_what_cannot_be_by_cells_is_refused(earth_engine, rasters, tmp_path):
    items = gpd.GeoDataFrame(geometry=points_in(rasters.field, 9, seed=9))
    before = earth_engine.stats()
    for image, more, words in (
        (lambda item: ee.Image(FIELD).clip(item.geometry), {}, "one image for all items"),
        (ee.Image(FIELD), {"crs": "utm", "scale": 30}, "a crs other than 'utm'"),
        (ee.Image(FIELD), {"by": "tiles"}, "by='tiles' is not known"),
    ):
        with pytest.raises(InputError, match=words):
            eedask.sample_points(items, image, out=tmp_path, **{"by": "cells", **more})
    assert requests_since(earth_engine, before) == 0


@pytest.mark.parametrize("scale", [30, None])
def test_requests_of_cells_are_within_what_is_told(earth_engine, rasters, tmp_path, scale):
    items = gpd.GeoDataFrame(geometry=points_in(rasters.field, 2000, seed=7)).to_crs(4326)
    before = earth_engine.stats()
    plan = eedask.sample_points(items, ee.Image(FIELD).select("b1"), out=tmp_path, scale=scale)
    found = plan.explain()
    assert found.warnings == ()
    assert found.pixels.most is None
    assert requests_since(earth_engine, before) == 0
    told = plan.estimate(n=40)
    before = earth_engine.stats()
    plan.run(progress=False)
    sent = requests_since(earth_engine, before)
    assert chips_since(earth_engine, before) > 0
    assert found.requests.least <= sent <= found.requests.most
    assert told.requests.low <= sent <= told.requests.high + 1


coordinates = st.floats(-300, 300, allow_nan=False)
crowds = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=60)


@settings(max_examples=80, deadline=None)
@given(crowds, st.floats(0.001, 1), st.integers(1, 90))
def test_each_point_is_in_its_own_pixel_of_one_cell(places, spread, bands):
    transform = rasterio.Affine(0.01, 0.002, -1.003, 0.001, -0.013, 2.007)
    items = [
        WorkItem(k, shapely.Point(transform @ (column * spread, row * spread)))
        for k, (column, row) in enumerate(places)
    ]
    native = NativeProjection("EPSG:4326", transform[:6])
    grid = CellGrid.of(Lattice("native"), native, dict.fromkeys(range(bands), BYTE))
    cells = grid.cells(items)
    taken = [k for positions, _ in cells for k in positions]
    assert len(taken) == len({*taken})
    assert len(cells) <= 8
    for positions, cell in cells:
        most = max(2**16, BYTES_A_POINT * len(positions))
        assert cell.weight * grid.pixel_bytes <= most
        assert min(cell.rows.min(), cell.columns.min()) == 0
        assert (int(cell.rows.max()) + 1, int(cell.columns.max()) + 1) == cell.grid.shape
        at = [(items[k].geometry.x, items[k].geometry.y) for k in positions]
        wanted = rowcol(rasterio.Affine(*cell.grid.transform), *np.transpose(at))
        np.testing.assert_array_equal([cell.rows, cell.columns], wanted)
    if len(items) <= 8 and bands == 1:
        places = ~transform @ np.transpose([(i.geometry.x, i.geometry.y) for i in items])
        certain = (np.abs(places - np.round(places)) > 2e-5).all(axis=0)
        assert {*np.flatnonzero(certain)} <= {*taken}


@pytest.mark.parametrize(("count", "apart"), [(2000, 0), (210_000, 20_000)])
def test_the_room_of_a_point_is_that_of_most(count, apart):
    degrees = np.random.default_rng(0).uniform(0, 1, (count, 2))
    degrees[:apart] = degrees[:apart] * 120 - 60
    items = gpd.GeoDataFrame(geometry=shapely.points(degrees), crs=4326)
    assert 0.9 < room_of(items) * (count - apart) / 111_319.49**2 < 2
    assert room_of(items.iloc[:1999]) == np.inf
