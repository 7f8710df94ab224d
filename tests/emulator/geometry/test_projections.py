"""Files in many systems read on many grids: rasterio, pyproj and SciPy say what should be there."""

import math

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from pixel_images import image, native, run
from rasterio.enums import ColorInterp
from scipy import ndimage

from eedask.emulator.catalog.mounts.mounts import MountedImage
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Grid, Projection, compose

SPHERE = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
NORTH_UP = Affine(30, 0, 400015, 0, -30, 8200005)
RADIUS = 6371007.180918474
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


def write(path, bands, crs="EPSG:32723", transform=NORTH_UP, **options):
    profile = {"driver": "GTiff", "count": len(bands), "dtype": bands.dtype, "crs": crs}
    profile |= {"height": bands.shape[1], "width": bands.shape[2], "transform": transform}
    with rasterio.open(path, "w", **profile, photometric="MINISBLACK", **options) as file:
        file.write(bands)
    return path


def extremes(dtype, shape=(2, 40, 50), seed=0):
    """Values over the whole range of a type."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        bits = random.integers(0, 2**32, shape).astype(np.float64)
        return (np.exp(random.uniform(-80, 80, shape)) * np.sign(bits - 2.0**31)).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def mounted(path):
    return MountedImage("raster", path).image


# Native pixels


@pytest.mark.parametrize("dtype", DTYPES)
def test_native_pixels_are_rasterios_to_the_last_bit(tmp_path, dtype):
    bands = extremes(dtype)
    nodata = bands[0, 3, 4].item()
    path = write(tmp_path / "a.tif", bands, nodata=nodata)
    img = mounted(path)
    with rasterio.open(path) as file:
        for number, band in enumerate(img.bands, start=1):
            assert band.type.dtype == np.dtype(dtype)
            for col, row, width, height in ((0, 0, 50, 40), (7, 5, 11, 3), (49, 39, 1, 1)):
                got = band.read(native(img, width, height, col, row))
                window = rasterio.windows.Window(col, row, width, height)
                wanted = file.read(number, window=window)
                assert got.values.tobytes() == wanted.tobytes()
                assert np.array_equal(got.mask > 0, file.read_masks(number, window=window) > 0)


def test_infinities_stay_and_nans_are_masked(tmp_path):
    bands = np.array([[[np.nan, np.inf, -np.inf, -0.0, 5e-324]]])
    pixels = mounted(write(tmp_path / "a.tif", bands)).bands[0]
    got = pixels.read(Grid("EPSG:32723", NORTH_UP, 5, 1))
    assert got.mask.tolist() == [[0, 1, 1, 1, 1]]
    assert got.values.tobytes() == bands[0].tobytes()


def test_alpha_of_pictures_is_a_mask_in_steps(tmp_path):
    random = np.random.default_rng(1)
    bands = random.integers(0, 256, (4, 20, 30), dtype=np.uint8)
    path = tmp_path / "a.png"
    profile = {"driver": "PNG", "count": 4, "dtype": "uint8", "height": 20, "width": 30}
    with rasterio.open(
        path, "w", **profile, crs="EPSG:32723", transform=NORTH_UP, worldfile="YES"
    ) as file:
        file.write(bands)
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    img = mounted(path)
    assert img.band_names == ["b1", "b2", "b3"]
    got = img.bands[1].read(native(img))
    assert np.array_equal(got.values, bands[1])
    assert np.array_equal(np.rint(got.mask * 255), bands[3])


@pytest.mark.parametrize(
    "transform",
    [
        Affine(30, 0, 400015, 0, 30, 8200005),  # south up
        Affine(-30, 0, 400015, 0, -30, 8200005),
        Affine(0, 30, 400015, 30, 0, 8200005),  # transposed
        Affine(24, 18, 400015, 18, -24, 8200005),  # rotated
        Affine(30, 5, 400015, 0, -20, 8200005),  # sheared, not square
    ],
)
def test_rotated_rasters(tmp_path, transform):
    bands = np.arange(2000, dtype=np.int32).reshape(1, 40, 50)
    img = mounted(write(tmp_path / "a.tif", bands, transform=transform))
    assert np.array_equal(img.bands[0].read(native(img)).values, bands[0])
    # Seen from a north-up grid: the pixel under each centre.
    left, bottom, right, top = native(img).bounds
    grid = Grid("EPSG:32723", Affine(10, 0, left - 3, 0, -10, top + 4), 180, 160)
    got = img.bands[0].read(grid)
    cols, rows = np.meshgrid(np.arange(180) + 0.5, np.arange(160) + 0.5)
    x, y = grid.transform.a * cols + grid.transform.c, grid.transform.e * rows + grid.transform.f
    inverse = ~transform
    c = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(int)
    r = np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(int)
    inside = (c >= 0) & (c < 50) & (r >= 0) & (r < 40)
    assert np.array_equal(got.mask > 0, inside)
    assert np.array_equal(got.values[inside], bands[0][r[inside], c[inside]])
    assert bottom < top
    assert left < right


# Other systems

SYSTEMS = {
    "EPSG:32723": ("EPSG:32723", NORTH_UP),
    "EPSG:4326": ("EPSG:4326", Affine(3e-4, 0, -45.95, 0, -3e-4, -16.2)),
    "EPSG:3857": ("EPSG:3857", Affine(30, 0, -5115000, 0, -30, -1826000)),
    "SR-ORG:6974": (SPHERE, Affine(30, 0, -4906000, 0, -30, -1801500)),
    "EPSG:5880": ("EPSG:5880", Affine(30, 0, 5860000, 0, -30, 8208000)),  # polyconic of Brazil
    "EPSG:3035": ("EPSG:3035", Affine(100, 0, 4321000, 0, -100, 3210000)),
}


@pytest.mark.parametrize("there", SYSTEMS)
@pytest.mark.parametrize("here", SYSTEMS)
@pytest.mark.cross(5)
def test_the_nearest_pixel_in_any_pair_of_systems(tmp_path, here, there):
    (crs, transform), (other, _) = SYSTEMS[here], SYSTEMS[there]
    bands = np.arange(1, 7201, dtype=np.int32).reshape(1, 80, 90)
    img = mounted(write(tmp_path / "a.tif", bands, crs, transform))
    assert img.bands[0].projection.crs == here
    forth = pyproj.Transformer.from_crs(crs, other, always_xy=True)
    x, y = forth.transform(*at(transform, np.array([0, 90, 90, 0]), np.array([0, 0, 80, 80])))
    step = (x.max() - x.min()) / 70
    grid = Grid(there, Affine(step, 0, x.min() - step, 0, -step, y.max() + step), 72, 72)
    cols, rows = np.meshgrid(np.arange(72) + 0.5, np.arange(72) + 0.5)
    back = forth.transform(*at(grid.transform, cols, rows), direction="INVERSE")
    c, r = at(~transform, *back)
    got = img.bands[0].read(grid)
    near = np.minimum(np.abs(c - np.rint(c)), np.abs(r - np.rint(r))) < 1e-5
    c, r = np.floor(c).astype(int), np.floor(r).astype(int)
    inside = (c >= 0) & (c < 90) & (r >= 0) & (r < 80)
    assert inside.mean() > 0.3
    wanted = np.where(inside, bands[0][r.clip(0, 79), c.clip(0, 89)], 0)
    same = np.where(got.mask > 0, got.values, 0) == wanted
    assert (same | near).all()


def at(transform, x, y):
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


@pytest.mark.parametrize(
    ("crs", "transform", "metres"),
    [
        ("EPSG:32723", [30, 0, 1, 0, -30, 2], 30),
        ("EPSG:3857", [152.8740565703525, 0, 0, 0, -152.8740565703525, 0], 152.8740565703525),
        ("SR-ORG:6974", [463.3127165, 0, 0, 0, -463.3127165, 0], 463.3127165),
        ("EPSG:4326", [0.000269494585235856472, 0, -180, 0, -0.000269494585235856472, 80], 30),
        ("EPSG:5880", [250, 0, 0, 0, -250, 0], 250),
    ],
)
def test_projections(crs, transform, metres):
    made = run("Projection", crs, transform, None)
    assert run("Projection.nominalScale", made) == pytest.approx(metres, rel=1e-9)
    assert run("Projection.crs", made) == crs
    ten = run("Projection.atScale", made, 10.0)
    assert run("Projection.nominalScale", ten) == pytest.approx(10, rel=1e-9)
    assert (ten.transform.c, ten.transform.f) == (transform[2], transform[5])
    double = run("Projection.scale", made, 2.0, 3.0).transform
    assert (double.a, double.e) == (2 * transform[0], 3 * transform[4])
    moved = run("Projection.translate", made, 5.0, 7.0).transform
    assert (moved.c, moved.f) == pytest.approx(
        (transform[2] + 5 * transform[0], transform[5] + 7 * transform[4])
    )
    # The text stands for the same system: places are where they are in it.
    named = SPHERE if crs == "SR-ORG:6974" else crs
    places = [
        pyproj.Transformer.from_crs("EPSG:4326", system, always_xy=True).transform(-44.3, -12.1)
        for system in (run("Projection.wkt", made), named)
    ]
    assert places[0] == pytest.approx(places[1], rel=1e-12)


# Pyramids


@pytest.mark.parametrize("scale", [30, 59, 60, 100, 120, 239, 240, 1000])
def test_coarser_reads_are_the_nearest_of_the_level_that_is_not_coarser(tmp_path, scale):
    bands = np.random.default_rng(5).uniform(0, 1000, (1, 512, 512))
    img = mounted(write(tmp_path / "a.tif", bands))
    level = max(0, math.floor(math.log2(scale / 30) + 1e-9))
    size = 2**level
    means = bands[0].reshape(512 // size, size, 512 // size, size).mean(axis=(1, 3))
    grid = Grid("EPSG:32723", Affine(scale, 0, 400015, 0, -scale, 8200005), 14, 14)
    centre = np.floor((np.arange(14) + 0.5) * scale / (30 * size)).astype(int)
    got = img.bands[0].read(grid)
    inside = centre < 512 // size
    assert np.array_equal(got.mask > 0, inside[:, None] & inside[None])
    wanted = means[np.ix_(centre[inside], centre[inside])]
    assert np.allclose(got.values[np.ix_(inside, inside)], wanted, rtol=1e-12)


# Interpolation


@pytest.mark.parametrize(("mode", "order"), [("bilinear", 1), ("bicubic", 3)])
def test_interpolation_of_a_raster_in_another_system(tmp_path, mode, order):
    """Against SciPy at pyproj's positions; smooth fields, for which cubics agree."""
    row, col = np.indices((90, 100))
    smooth = 500 + 100 * np.sin(row / 17) + 80 * np.cos(col / 23)
    img = mounted(write(tmp_path / "a.tif", smooth[None]))
    resampled = run("Image.resample", img, mode)
    to_degrees = pyproj.Transformer.from_crs("EPSG:32723", "EPSG:4326", always_xy=True)
    west, north = to_degrees.transform(*at(NORTH_UP, 20, 20))
    grid = Grid("EPSG:4326", Affine(2e-4, 0, west, 0, -2e-4, north), 60, 50)
    got = resampled.bands[0].read(grid)
    cols, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(50) + 0.5)
    x, y = to_degrees.transform(*at(grid.transform, cols, rows), direction="INVERSE")
    c, r = at(~NORTH_UP, x, y)
    wanted = ndimage.map_coordinates(smooth, [r - 0.5, c - 0.5], order=order, mode="nearest")
    assert (got.mask == 1).all()
    assert np.abs(got.values - wanted).max() < (0.02 if mode == "bilinear" else 0.05)
    # It is not the nearest.
    assert np.abs(img.bands[0].read(grid).values - wanted).max() > 1


def test_bilinear_between_masked_neighbours():
    """Their weights are left out and the others scaled up; the nearest pixel's mask counts."""
    values = np.array([[10.0, 20.0, 40.0]] * 3)
    mask = np.array([[1, 0, 1]] * 3, np.float32)
    img = run("Image.resample", image(values, mask=mask), "bilinear")
    transform = image(values).bands[0].projection.transform
    grid = Grid("EPSG:32613", compose(transform, Affine.translation(0.25, 0)), 2, 3)
    got = img.bands[0].read(grid)
    # 0.25 right of the first column's middle: only the first counts. Then in the masked one.
    assert got.values[:, 0].tolist() == [10.0] * 3
    assert got.mask.tolist() == [[1, 0]] * 3


# Reprojecting, default projections


def test_reproject_fixes_the_pixels_that_are_computed(tmp_path):
    bands = np.random.default_rng(6).uniform(0, 1, (1, 64, 64))
    img = mounted(write(tmp_path / "a.tif", bands))
    coarse = Projection("EPSG:32723", Affine(120, 0, 400015, 0, -120, 8200005))
    fixed = run("Image.reproject", img, coarse, None, None)
    assert fixed.bands[0].projection == coarse
    fine = fixed.bands[0].read(native(img)).values
    means = bands[0].reshape(16, 4, 16, 4).mean(axis=(1, 3))
    assert np.allclose(fine, np.kron(means, np.ones((4, 4))))
    by_scale = run("Image.reproject", img, Projection("EPSG:32723"), None, 120.0)
    assert run("Projection.nominalScale", by_scale.bands[0].projection) == 120
    again = run("Image.reproject", img, img.bands[0].projection, None, None)
    assert np.array_equal(again.bands[0].read(native(img)).values, bands[0])


def test_a_default_projection_changes_no_pixel(tmp_path):
    bands = np.random.default_rng(7).uniform(0, 1, (1, 64, 64))
    img = mounted(write(tmp_path / "a.tif", bands))
    other = run("Image.setDefaultProjection", img, Projection("EPSG:4326"), None, 1000.0)
    assert run("Projection.nominalScale", run("Image.projection", other)) == pytest.approx(1000)
    assert np.array_equal(other.bands[0].read(native(img)).values, bands[0])
    with pytest.raises(EarthEngineError, match="different projections"):
        run("Image.projection", run("Image.addBands", img, run("Image.rename", other, ["x"])))


# Positions and areas


@pytest.mark.parametrize("here", SYSTEMS)
def test_positions_of_pixels(here):
    crs, transform = SYSTEMS[here]
    grid = Grid(here, transform, 40, 30)
    cols, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5)
    x, y = at(transform, cols, rows)
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    got = run("Image.pixelLonLat")
    assert got.band_names == ["longitude", "latitude"]
    # Positions are interpolated to within a few hundredths of a pixel.
    size = 0.03 * abs(transform.a) * (1 if here == "EPSG:4326" else 1e-5)
    assert np.abs(got.bands[0].read(grid).values - lon).max() < size
    assert np.abs(got.bands[1].read(grid).values - lat).max() < size
    got = run("Image.pixelCoordinates", Projection(here))
    assert np.abs(got.bands[0].read(grid).values - x).max() < 1e-6 * abs(x).max()
    assert np.abs(got.bands[1].read(grid).values - y).max() < 1e-6 * abs(y).max()
    own = run("Image.pixelCoordinates", Projection(here, transform))
    assert np.allclose(own.bands[0].read(grid).values, cols)
    assert np.allclose(own.bands[1].read(grid).values, rows)


@pytest.mark.parametrize("here", SYSTEMS)
def test_areas_of_pixels(here):
    """Against the area of each pixel's corners on the sphere, by pyproj."""
    crs, transform = SYSTEMS[here]
    grid = Grid(here, transform, 6, 5)
    got = run("Image.pixelArea").bands[0].read(grid).values
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    sphere = pyproj.Geod(a=RADIUS, f=0)
    for row in range(5):
        for col in range(6):
            x, y = np.array([0, 1, 1, 0]) + col, np.array([0, 0, 1, 1]) + row
            lon, lat = to_degrees.transform(*at(transform, x, y))
            area = abs(sphere.polygon_area_perimeter(lon, lat)[0])
            assert got[row, col] == pytest.approx(area, rel=1e-4)


def test_areas_add_up_to_the_earths():
    grid = Grid("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), 360, 180)
    total = run("Image.pixelArea").bands[0].read(grid).values.sum(dtype=float)
    assert total == pytest.approx(4 * math.pi * RADIUS**2, rel=1e-6)
    world = Geometry(shapely.box(-180, -90, 180, 90), geodesic=False)
    assert run("Geometry.area", world, None, None) == pytest.approx(total, rel=1e-6)
