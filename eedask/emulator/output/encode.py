"""Encodes pixels as the bytes of an answer: PNG, JPEG, NPY, GeoTIFF and zips of GeoTIFFs.

None of the numeric formats has a mask. Masked pixels are 0 in NPY
(https://developers.google.com/earth-engine/reference/rest/v1/projects.assets/getPixels); a
GeoTIFF has a nodata value for them, as the integration tests of geedim found with the service.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.crs import resolve
from eedask.emulator.output.png import png
from eedask.emulator.pixels.raster import Grid, Pixels, is_opaque
from eedask.emulator.readings import reading

Plane = NDArray[np.uint8]
Picture = Callable[[list[Plane], Plane | None], tuple[bytes, str]]
"""``draw(planes, alpha)`` returns the bytes of a file and its content type.

Planes are 1 (grey) or 3 (red, green, blue) of uint8, shape (height, width). Alpha has that shape
as well, or is None if all pixels are opaque."""

_JPEG_QUALITY = 90
# GeoTIFFs with a side longer than this are tiled.
_STRIPED = 512
# Types as errors of exports name them.
_GDAL_NAMES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}


@dataclass(frozen=True)
class Layer:
    """One band's pixels on the answer's grid.

    Attributes
    ----------
    name : str
    dtype : numpy dtype
        The type of the band's pixels in NPY and GeoTIFF files.
    pixels : Pixels
    """

    name: str
    dtype: np.dtype[Any]
    pixels: Pixels

    def filled(self, dtype: np.dtype[Any] | None = None, fill: float = 0) -> NDArray[Any]:
        """Return the values in ``dtype`` (the band's own if None), ``fill`` where masked."""
        values = _cast(self.pixels.values, self.dtype)
        if dtype is not None:
            values = values.astype(dtype, copy=False)
        return _fill_masked(values, self.pixels.mask, fill)


def encode_npy(layers: Sequence[Layer]) -> bytes:
    """Return an ``.npy`` file: a structured array of (height, width), a field a band."""
    dtype = np.dtype([(layer.name, layer.dtype) for layer in layers])
    array = np.zeros(layers[0].pixels.values.shape, dtype)
    zero = reading("npy_masked") == "zero"
    for layer in layers:
        array[layer.name] = layer.filled() if zero else _noisy(layer)
    header = _npy_header(dtype, array.shape)
    if header is not None:
        return header + array.tobytes()
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


@lru_cache(maxsize=1024)
def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes | None:
    """Return the header of an array in C order, in version 1.0 of the format.

    None if that version cannot express it: for very many bands, or names beyond Latin-1.
    """
    stream = io.BytesIO()
    description = np.lib.format.dtype_to_descr(dtype)
    content = {"descr": description, "fortran_order": False, "shape": shape}
    try:
        np.lib.format.write_array_header_1_0(stream, content)
    except ValueError:
        return None
    return stream.getvalue()


def encode_geotiff(layers: Sequence[Layer], grid: Grid, has_nodata: bool = True) -> bytes:
    """Return a GeoTIFF of all bands, in the narrowest type that holds all of theirs.

    64-bit integers are written as float64 with a nodata value of minus infinity, which is what
    users report of Earth Engine. What masked pixels hold depends on the readings ``geotiff_nodata``
    and ``npy_masked``; what happens to bands of several types, on ``geotiff_types``.

    Parameters
    ----------
    layers : sequence of Layer
    grid : Grid
    has_nodata : bool
        Whether masked pixels have a nodata value, which the file states: the least value of an
        integer type, minus infinity of a float type. If False, they are 0, and no value is stated.

    Raises
    ------
    EarthEngineError
        400: the bands have several types, by the reading ``geotiff_types``.
    """
    _check_types(layers)
    dtype = np.result_type(*(layer.dtype for layer in layers))
    has_nodata = has_nodata and _states_nodata(layers)
    nodata = _nodata(dtype) if has_nodata else None
    fill = 0 if nodata is None else nodata
    if dtype in (np.int64, np.uint64):
        dtype, nodata, fill = np.dtype(np.float64), -np.inf if has_nodata else None, 0
    tiled = max(grid.width, grid.height) > _STRIPED
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(layers),
            dtype=dtype.name,
            crs=_rasterio_crs(grid.crs),
            transform=grid.transform,
            nodata=nodata,
            compress="lzw",
            interleave="pixel",
            # Otherwise GDAL takes the last of four byte bands for alpha and warns of nodata.
            photometric="MINISBLACK",
            **({"tiled": True, "blockxsize": 256, "blockysize": 256} if tiled else {}),
        ) as dataset:
            for index, layer in enumerate(layers, start=1):
                dataset.write(layer.filled(dtype, fill), index)
                dataset.set_band_description(index, layer.name)
        return bytes(memory.getbuffer())


def encode_zip(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a zip archive of named files, with the same bytes for the same content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def encode_picture(layers: Sequence[Layer], name: str, draw: Picture) -> tuple[bytes, str]:
    """Return a picture of 1 (grey) or 3 bands, and its content type.

    Values are clipped to 0-255 and truncated to whole numbers. If some pixel is not opaque, there
    is an alpha channel, the least mask of the bands. Masked pixels are 0.

    Parameters
    ----------
    layers : sequence of Layer
    name : str
        The format's name, for errors.
    draw : Picture

    Raises
    ------
    EarthEngineError
        400: another number of bands.
    """
    _check_picture(layers, name)
    alpha = _alpha(layers)
    return draw([_eight_bit(layer) for layer in layers], alpha)


def as_png(planes: list[Plane], alpha: Plane | None) -> tuple[bytes, str]:
    """Return a PNG, with alpha unless that is None: a ``Picture``.

    If the reading ``png_alpha`` is "always", it always has alpha.
    """
    if reading("png_alpha") == "always":
        planes = planes * (1 if len(planes) == 3 else 3)
        alpha = np.full_like(planes[0], 255) if alpha is None else alpha
    return png(planes if alpha is None else [*planes, alpha]), "image/png"


def as_jpeg(planes: list[Plane], alpha: Plane | None) -> tuple[bytes, str]:
    """Return a JPEG, which has no alpha: a ``Picture``."""
    del alpha
    picture = Pillow.fromarray(planes[0] if len(planes) == 1 else np.dstack(planes))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue(), "image/jpeg"


def as_jpeg_or_png(planes: list[Plane], alpha: Plane | None) -> tuple[bytes, str]:
    """Return a JPEG if all pixels are opaque, else a PNG: a ``Picture``."""
    return (as_jpeg if alpha is None else as_png)(planes, alpha)


def rgba(layers: Sequence[Layer]) -> Plane:
    """Return 1 (grey) or 3 bands as (height, width, 4): red, green, blue, alpha."""
    _check_picture(layers, "RGB")
    alpha = _alpha(layers)
    planes = [_eight_bit(layer) for layer in layers]
    red, green, blue = planes * (1 if len(planes) == 3 else 3)
    clear = np.full(red.shape, 255, np.uint8) if alpha is None else alpha
    return np.dstack([red, green, blue, clear])


def planes_of(pixels: Plane) -> tuple[list[Plane], Plane | None]:
    """Return the planes and alpha of red, green, blue and alpha, shape (height, width, 4)."""
    alpha = pixels[..., 3]
    planes = [pixels[..., index] for index in range(3)]
    return planes, None if (alpha == 255).all() else alpha


def _check_picture(layers: Sequence[Layer], name: str) -> None:
    if len(layers) not in (1, 3):
        raise EarthEngineError(
            f"{name} images must have 1 or 3 bands, but this one has {len(layers)}: "
            f"{[layer.name for layer in layers]}."
        )


def _alpha(layers: Sequence[Layer]) -> Plane | None:
    """Return the least mask as 0-255, or None where that is 255 everywhere."""
    masks = [layer.pixels.mask for layer in layers if not is_opaque(layer.pixels.mask)]
    if not masks:
        return None
    alpha = np.rint(np.clip(np.minimum.reduce(masks), 0, 1) * 255).astype(np.uint8)
    return None if (alpha == 255).all() else alpha


def _eight_bit(layer: Layer) -> Plane:
    values = _cast(layer.pixels.values, np.dtype(np.uint8))
    return _fill_masked(values, layer.pixels.mask, 0)


def _noisy(layer: Layer) -> NDArray[Any]:
    """Return the values of a band, and noise where they are masked."""
    values = layer.filled()
    noise = np.random.default_rng(values.size).bytes(values.nbytes)
    return np.where(
        layer.pixels.mask > 0, values, np.frombuffer(noise, values.dtype).reshape(values.shape)
    )


def _check_types(layers: Sequence[Layer]) -> None:
    """Raise Earth Engine's 400 for bands of several types, by the reading ``geotiff_types``."""
    types = sorted({_GDAL_NAMES.get(layer.dtype.name, layer.dtype.name) for layer in layers})
    if reading("geotiff_types") == "refused" and len(types) > 1:
        raise EarthEngineError(
            "Exported bands must have compatible data types; found inconsistent types: "
            f"{' and '.join(types)}."
        )


def _states_nodata(layers: Sequence[Layer]) -> bool:
    """Whether a GeoTIFF states a nodata value, by the reading ``geotiff_nodata``."""
    where = reading("geotiff_nodata")
    if where == "where_masked":
        return any((layer.pixels.mask <= 0).any() for layer in layers)
    return where == "always"


def _fill_masked(values: NDArray[Any], mask: NDArray[np.float32], fill: float) -> NDArray[Any]:
    return values if is_opaque(mask) else np.where(mask > 0, values, values.dtype.type(fill))


def _nodata(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)


@lru_cache(maxsize=64)
def _rasterio_crs(name: str) -> CRS:
    return CRS.from_user_input(resolve(name).to_wkt())


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values in another dtype; what an integer cannot hold is cut to its range."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    info = np.iinfo(dtype)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0)
        # The ends of the 64-bit range are not floats themselves.
        high = np.nextafter(2.0**63, 0) if info.max >= 2**63 - 1 else float(info.max)
        return np.clip(values, float(info.min), high).astype(dtype)
    return np.clip(values, info.min, info.max).astype(dtype)
