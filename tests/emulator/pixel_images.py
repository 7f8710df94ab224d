"""Rasters in memory, and calling algorithms without expressions."""

import math

import numpy as np
import shapely
from affine import Affine

import eedask.emulator.functions  # noqa: F401  (registers the algorithms)
from eedask.emulator.functions.registry import IMPLEMENTATIONS
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.native_sources import NativeSource
from eedask.emulator.pixels.raster import Grid, Image, Pixels, PixelType, Projection, apply, compose
from eedask.emulator.pixels.sampling import source_bands

UTM = "EPSG:32613"
TRANSFORM = Affine(10, 0, 500000, 0, -10, 4400000)


class Raster:
    """Bands in an array, and which windows of them were read; no raster equals another."""

    def __init__(self, values, projection, mask=None):
        self.values = np.asarray(values)
        self.mask = np.ones(self.values.shape[1:], np.float32) if mask is None else mask
        self.projection = projection
        self.reads = []


class ArraySource(NativeSource):
    """A raster in memory; coarser levels take every second pixel, and so on."""

    raster: Raster

    projection = property(lambda self: self.raster.projection)
    height = property(lambda self: self.raster.values.shape[1])
    width = property(lambda self: self.raster.values.shape[2])
    reads = property(lambda self: self.raster.reads)

    def draw(self, band, level, window):
        step = 2**level
        values = self.raster.values[band, ::step, ::step]
        mask = self.raster.mask[::step, ::step]
        height, width = math.ceil(self.height / step), math.ceil(self.width / step)
        assert 0 <= window.col < window.col + window.width <= width
        assert 0 <= window.row < window.row + window.height <= height
        self.reads.append((band, level, window))
        rows = slice(window.row, window.row + window.height)
        cols = slice(window.col, window.col + window.width)
        return Pixels(values[rows, cols], mask[rows, cols].astype(np.float32))


def array_source(values, projection, mask=None):
    return ArraySource(Raster(values, projection, mask))


def image(values, transform=TRANSFORM, crs=UTM, names=None, mask=None, **properties):
    """Return an image of an array (bands, rows, columns), its footprint the array's edge."""
    values = np.asarray(values)
    values = values[None] if values.ndim == 2 else values
    source = array_source(values, Projection(crs, transform), mask)
    names = names or [f"b{i}" for i in range(len(values))]
    bands = source_bands(source, names, [PixelType.of(values.dtype)] * len(values))
    frame = shapely.box(*Grid(crs, transform, source.width, source.height).bounds)
    footprint = Geometry(Geometry(frame, crs, False).lonlat, geodesic=False)
    return Image(bands, properties, footprint)


def run(name, *arguments):
    """Call an algorithm with arguments by position."""
    return IMPLEMENTATIONS[name].function(*arguments)


def native(img, width=None, height=None, col=0, row=0):
    """Return a grid of an image's own pixels."""
    band = img.bands[0]
    width, height = width or band.dimensions[0], height or band.dimensions[1]
    transform = compose(band.projection.transform, Affine.translation(col, row))
    return Grid(band.projection.crs, transform, width, height)


def values(img, grid=None, band=0):
    """Return the values of a band, NaN where masked."""
    pixels = img.bands[band].read(grid or native(img))
    assert pixels.values.dtype == img.bands[band].type.dtype
    assert pixels.values.shape == pixels.mask.shape
    assert pixels.mask.dtype == np.float32
    return np.where(pixels.mask > 0, pixels.values.astype(float), np.nan)


def planar(shape, crs=UTM):
    """Return a planar geometry."""
    return Geometry(shape, crs, geodesic=False)


def cell(col, row, width=1, height=1, transform=TRANSFORM):
    """Return the box of some pixels."""
    x0, y0 = apply(transform, col, row)
    x1, y1 = apply(transform, col + width, row + height)
    return shapely.box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
