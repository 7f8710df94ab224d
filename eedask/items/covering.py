"""Cells of an image's own pixels, over regions."""

from __future__ import annotations

from typing import Any

import ee
import geopandas as gpd
from ee import serializer

from eedask.arguments import is_count
from eedask.crs import as_pyproj
from eedask.earthengine.endpoint import EndpointName, endpoint_of_client
from eedask.earthengine.methods import ask, compute_value, projection_of
from eedask.errors import InputError
from eedask.grid import NativeProjection, Transform
from eedask.items.grids import cells_over
from eedask.items.regions import check_region, polygons_in
from eedask.quota.asking import Asking


def covering_grid(
    region: Any,
    shape: tuple[int, int] = (256, 256),
    *,
    align: ee.Image,
    endpoint: EndpointName = "auto",
) -> gpd.GeoDataFrame:
    """Cut a region into cells that are blocks of an image's own pixels. One request.

    The request asks for the image's projection. Chips of such cells with ``crs="native"`` have
    the given shape, hold the image's pixels unchanged, and lie edge to edge. For square cells in
    any crs, without an image, see :func:`grid`.

    Parameters
    ----------
    region : GeoDataFrame, GeoSeries or shapely geometry
        Polygons in any crs; a bare geometry is in EPSG:4326. It is not sent to Earth Engine.
    shape : (int, int)
        Rows and columns of pixels in a cell.
    align : ee.Image
        The image. The pixels are those of its first band, which needs a grid of its own: scenes
        have one, composites do not.
    endpoint : {"auto", "high-volume", "standard"}
        Which of Earth Engine's addresses requests go to; see :func:`eedask.chips`.

    Returns
    -------
    GeoDataFrame
        The cells that the region meets, whole ones, row by row, in the image's crs. Columns:
        ``row`` and ``column`` (int64), counted from the image's first pixel in the direction of
        its rows and columns, negative before it. The index, named "id", holds
        ``"rROWcCOLUMN"``. Cells may lie beyond the image. In a geographic crs they end at the
        antimeridian and the poles.

    Raises
    ------
    InputError
        If an argument cannot be used, ``ee`` is not initialised, the image's crs cannot hold the
        region, or there would be millions of cells.
    ItemsError
        If the region has no area, or no crs.
    PermanentError
        If the image has no grid of its own.
    RequestError
        If Earth Engine refuses, or the tries are used up.

    Examples
    --------
    >>> scene = ee.Image("LANDSAT/LC08/C02/T1_L2/LC08_044034_20140318")  # doctest: +SKIP
    >>> cells = eedask.items.covering_grid(city, (512, 512), align=scene)  # doctest: +SKIP
    >>> eedask.chips(cells, scene, out="city", crs="native", bands=["SR_B4"])  # doctest: +SKIP
    """
    if not isinstance(shape, tuple | list) or len(shape) != 2 or not all(map(is_count, shape)):
        raise InputError(f"shape is (rows, columns) of pixels in a cell; got {shape!r}")
    if not isinstance(align, ee.Image):
        raise InputError(f"align is an ee.Image with a grid of its own; got {type(align).__name__}")
    checked = check_region(region)
    native = _native(align, endpoint)
    crs = as_pyproj(native.crs)
    return cells_over(polygons_in(checked, crs), crs, _of_cells(native.transform, *shape))


def _of_cells(pixels: Transform, rows: int, columns: int) -> Transform:
    """Return the transform of cells of so many pixels."""
    a, b, c, d, e, f = pixels
    return (a * columns, b * rows, c, d * columns, e * rows, f)


def _native(image: ee.Image, endpoint_name: EndpointName) -> NativeProjection:
    """Ask for the grid of an image's first band."""
    endpoint = endpoint_of_client(name=endpoint_name)
    projection = serializer.encode(image.select(0).projection(), for_cloud_api=True)
    with Asking(endpoint, "projection") as asking:
        info = ask(asking.send, compute_value(endpoint, projection), projection_of)
    native = NativeProjection.from_info(info)
    native.check_readable()
    return native
