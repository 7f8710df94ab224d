"""``Image.reduceResolution`` against areas by shapely, in one system, rotated, and in others."""

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from pixel_images import TRANSFORM, UTM, image, native, run

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid, Projection

SIZE = 40


@pytest.fixture(scope="module")
def field():
    random = np.random.default_rng(0)
    values = random.uniform(0, 100, (1, SIZE, SIZE))
    mask = np.where(random.random((SIZE, SIZE)) < 0.2, 0, 1).astype(np.float32)
    return image(values, names=["v"], mask=mask), values[0], mask


def coarse(img, grid, reducer="mean", best_effort=False, most=1024, band=0):
    made = run("Image.reduceResolution", img, run(f"Reducer.{reducer}"), best_effort, most)
    pixels = made.bands[band].read(grid)
    return np.where(pixels.mask > 0, pixels.values, np.nan)


def corners(transform, col, row):
    t = transform
    c, r = np.array([0, 1, 1, 0]) + col, np.array([0, 0, 1, 1]) + row
    return t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f


def shares(grid, crs):
    """The area of each fine pixel in each coarse one, in the fine raster's system."""
    forth = pyproj.Transformer.from_crs(crs, UTM, always_xy=True)
    fine = shapely.polygons(
        [np.column_stack(corners(TRANSFORM, c, r)) for r in range(SIZE) for c in range(SIZE)]
    )
    made = []
    for r in range(grid.height):
        for c in range(grid.width):
            ring = np.column_stack(forth.transform(*corners(grid.transform, c, r)))
            made.append(shapely.area(shapely.intersection(fine, shapely.Polygon(ring))))
    return np.array(made).reshape(grid.height, grid.width, SIZE, SIZE)


GRIDS = {
    "thrice": (Grid(UTM, Affine(30, 0, 500000, 0, -30, 4400000), 10, 9), 1e-9),
    "by a fraction": (Grid(UTM, Affine(37, 0, 500011, 0, -23, 4399987), 8, 9), 1e-9),
    "south up": (Grid(UTM, Affine(37, 0, 500011, 0, 23, 4399700), 8, 9), 1e-9),
    "rotated": (Grid(UTM, Affine(40, 20, 500080, 20, -40, 4399830), 5, 4), 1e-6),
    "degrees": (Grid("EPSG:4326", Affine(5e-4, 0, -104.9996, 0, -4e-4, 39.7491), 7, 7), 1e-2),
    "sinusoidal": (Grid("SR-ORG:6974", Affine(60, 0, 0, 0, -60, 0), 5, 5), 1e-2),
}


def placed(grid):
    """A grid about the middle of the fine raster, wherever that is in its system."""
    if grid.crs != "SR-ORG:6974":
        return grid
    sphere = "+proj=sinu +R=6371007.181 +units=m"
    forth = pyproj.Transformer.from_crs(UTM, sphere, always_xy=True)
    x, y = forth.transform(500200, 4399800)
    return Grid(grid.crs, Affine(60, 0, x - 150, 0, -60, y + 150), 5, 5)


@pytest.mark.parametrize("name", GRIDS)
def test_weights_are_areas_times_masks(field, name):
    img, values, mask = field
    grid, tolerance = placed(GRIDS[name][0]), GRIDS[name][1]
    crs = "+proj=sinu +R=6371007.181 +units=m" if grid.crs == "SR-ORG:6974" else grid.crs
    weights = shares(grid, crs) * mask
    total = weights.sum(axis=(2, 3))
    assert (total > 0).mean() > 0.5
    wanted = (weights * values).sum(axis=(2, 3)) / np.where(total > 0, total, np.nan)
    got = coarse(img, grid)
    clear = total > 0.1 * total.max()
    assert np.abs(got - wanted)[clear].max() < tolerance
    counts = np.nan_to_num(coarse(img, grid, "count"))
    assert np.array_equal(counts, (weights > 1e-6).sum(axis=(2, 3)))


def test_names(field):
    img, _, _ = field
    two = run("Image.addBands", img, run("Image.rename", img, ["w"]))
    reducer = run("Reducer.combine", run("Reducer.mean"), run("Reducer.stdDev"), "", True)
    made = run("Image.reduceResolution", two, reducer, False, 64)
    assert made.band_names == ["v_mean", "v_stdDev", "w_mean", "w_stdDev"]
    made = run("Image.reduceResolution", two, run("Reducer.mean"), False, 64)
    assert made.band_names == ["v", "w"]
    made = run("Image.reduceResolution", two, run("Reducer.linearFit"), False, 64)
    assert made.band_names == ["scale", "offset"]
    grid = Grid(UTM, Affine(50, 0, 500000, 0, -50, 4400000), 8, 8)
    slope = made.bands[0].read(grid)
    assert np.allclose(slope.values[slope.mask > 0], 1)


def test_too_many_pixels_and_best_effort(field):
    img, values, mask = field
    grid = Grid(UTM, Affine(80, 0, 500000, 0, -80, 4400000), 5, 5)
    with pytest.raises(EarthEngineError, match="Found 64, but maxPixels allows only 60"):
        coarse(img, grid, most=60)
    assert np.isfinite(coarse(img, grid, most=64)).all()
    # From the level whose pixels are twice as large: here every second pixel of the raster.
    got = coarse(img, grid, best_effort=True, most=16)
    every = np.where(mask > 0, values, np.nan)[::2, ::2].reshape(5, 4, 5, 4)
    assert np.allclose(got, np.nanmean(every, axis=(1, 3)))


def test_at_its_own_scale_the_image_is_as_it_was(field):
    img, values, mask = field
    got = coarse(img, native(img))
    assert np.allclose(got[mask > 0], values[mask > 0])
    assert np.isnan(got[mask == 0]).all()


def test_reprojected_to_another_system(field):
    """The guide's way: reduceResolution, then reproject."""
    img, values, _ = field
    sinusoidal = Projection("SR-ORG:6974", Affine(100, 0, 0, 0, -100, 0))
    reduced = run("Image.reduceResolution", img, run("Reducer.mean"), False, 1024)
    made = run("Image.reproject", reduced, sinusoidal, None, None)
    pixels = made.bands[0].read(native(img))
    assert 40 < pixels.values[pixels.mask > 0].mean() < 60
    assert pixels.values[pixels.mask > 0].std() < values.std() / 3
