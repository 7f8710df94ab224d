"""Odd pixels and odd grids: always pixels of the stated type, or a 400."""

import numpy as np
import pytest
from affine import Affine
from pixel_images import TRANSFORM, UTM, image, run

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Grid, Projection


def kernel(name, *arguments):
    return run(f"Kernel.{name}", *arguments)


def images():
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(2, 9, 9))
    floats[0, 3, 3], floats[1, 4, 4], floats[0, 0, 0] = np.nan, np.inf, -np.inf
    mask = (rng.random((9, 9)) > 0.3).astype(np.float32)
    ends = np.array([[[-(2**63), 2**63 - 1], [0, 1]]], np.int64)
    return {
        "not finite": image(floats),
        "partly masked": image(floats, mask=rng.random((9, 9)).astype(np.float32)),
        "all masked": image(floats, mask=mask * 0),
        "long integers": image(ends),
        "bytes": image(rng.integers(0, 255, (3, 9, 9)).astype(np.uint8), mask=mask),
        "constant": run("Image.constant", [1.5, 2]),
        "no bands": run("Image.select", image(floats), []),
    }


IMAGES = images()
KERNELS = {
    "one pixel": kernel("square", 0.0, "pixels", True, 1.0),
    "metres": kernel("gaussian", 20.0, 10.0, "meters", True, 1.0),
    "negative": kernel("sobel", 1.0, False),
    "nothing": kernel("fixed", 2, 1, [[0, 0]], 0, 0, False),
    "distances": kernel("euclidean", 20.0, "meters", False, 1.0),
    "vast weights": kernel("fixed", 1, 1, [[1e308]], -1, -1, False),
}
WITH_KERNELS = {
    "Image.convolve": (),
    "Image.neighborhoodToBands": (),
    "Image.neighborhoodToArray": (1.0,),
    "Image.entropy": (),
    "Image.distance": (True,),
    "Image.connectedComponents": (5,),
}
OTHERS = {
    "Image.glcmTexture": (1, None, True),
    "Image.fastDistanceTransform": (3, "pixels", "manhattan"),
    "Image.gradient": (),
    "Image.derivative": (),
    "Image.zeroCrossing": (),
    "CannyEdgeDetector": (0.1, 1.0),
    "Image.connectedPixelCount": (4, True),
    "Image.reduceConnectedComponents": (run("Reducer.mean"), None, 4),
    "Image.translate": (5.0, 5.0, "meters", None),
    "Image.changeProj": (Projection(UTM, TRANSFORM), Projection("EPSG:3857")),
    "Image.displace": (IMAGES["constant"], "bicubic", None),
    "Image.interpolate": ([0.0, 1.0], [1.0, 2.0], "extrapolate"),
    "Image.polynomial": ([1.0, 1e300, 1e300],),
    "Image.unmix": ([[1.0, 1.0], [1.0, 1.0]], True, True),
    "Image.rgbToHsv": (),
    "Image.hsvToRgb": (),
    "Image.randomVisualizer": (),
    "Image.spectralDistance": (IMAGES["not finite"], "sid"),
    "Image.cumulativeCost": (IMAGES["constant"], 30.0, True),
    "Terrain.products": (),
    "HillShadow": (10.0, 10.0, 3, False),
}
REDUCERS = ("mean", "median", "stdDev", "mode", "toList", "histogram")
GRIDS = [
    Grid(UTM, TRANSFORM, 5, 5),
    Grid("EPSG:4326", Affine(1, 0, -180, 0, 1, -90), 4, 4),
    Grid("EPSG:3857", Affine(100, 10, -11690000, 10, -100, 4830000), 4, 4),
]


def check(name, img, *arguments):
    """Compute all there is; whatever it is given, errors are Earth Engine's."""
    try:
        bands = run(name, img, *arguments).bands
    except EarthEngineError:
        return
    for grid in GRIDS:
        for band in bands[:4]:
            try:
                pixels = band.read(grid)
            except EarthEngineError:
                continue
            assert pixels.mask.shape == pixels.values.shape[:2] == grid.shape
            assert pixels.values.dtype in (band.type.dtype, object)


@pytest.mark.parametrize("which", IMAGES)
@pytest.mark.parametrize("name", OTHERS)
def test_algorithms(name, which):
    check(name, IMAGES[which], *OTHERS[name])


@pytest.mark.parametrize("which", KERNELS)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_algorithms_of_kernels(name, which):
    for img in IMAGES.values():
        check(name, img, KERNELS[which], *WITH_KERNELS[name])


@pytest.mark.parametrize("which", ["metres", "negative", "vast weights"])
@pytest.mark.parametrize("reducer", REDUCERS)
def test_reducers_of_neighbourhoods(reducer, which):
    red = run(f"Reducer.{reducer}")
    for img in IMAGES.values():
        for weight in ("kernel", "min"):
            check("Image.reduceNeighborhood", img, red, KERNELS[which], weight, True, None)
