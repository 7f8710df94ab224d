"""Projection.*: a projection is a crs and a transform from pixels to its coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import affine

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.geometry.crs import check_requested, resolve
from eedask.emulator.pixels import projection as projections
from eedask.emulator.pixels.raster import Projection, compose


@algorithm("Projection")
def projection(
    crs: Any, transform: Sequence[Any] | None = None, wkt: str | None = None
) -> Projection:
    """Return a projection; without a transform it is the identity."""
    if wkt is not None:
        raise NotSupported("the transformWkt of a Projection")
    if isinstance(crs, Projection):
        return crs if transform is None else Projection(crs.crs, projections.affine_of(transform))
    if not isinstance(crs, str):
        raise EarthEngineError("Projection: The crs must be a string.")
    check_requested(crs)
    resolve(crs)
    if transform is None:
        return Projection(crs)
    return Projection(crs, projections.affine_of(transform))


@algorithm("Projection.crs")
def crs(value: Projection) -> str:
    """Return the name of the crs."""
    return value.crs


@algorithm("Projection.wkt")
def wkt(value: Projection) -> str:
    """Return the crs as WKT."""
    return str(resolve(value.crs).to_wkt(version="WKT1_GDAL"))


@algorithm("Projection.transform")
def transform(value: Projection) -> str:
    """Return the transform as WKT, which lists only the elements that differ from the identity."""
    t = value.transform
    terms = {
        "elt_0_0": (t.a, 1.0),
        "elt_0_1": (t.b, 0.0),
        "elt_0_2": (t.c, 0.0),
        "elt_1_0": (t.d, 0.0),
        "elt_1_1": (t.e, 1.0),
        "elt_1_2": (t.f, 0.0),
    }
    lines = ['PARAM_MT["Affine"', 'PARAMETER["num_row", 3]', 'PARAMETER["num_col", 3]']
    lines += [f'PARAMETER["{k}", {v!r}]' for k, (v, default) in terms.items() if v != default]
    return ", \n  ".join(lines) + "]"


@algorithm("Projection.nominalScale")
def nominal_scale(value: Projection) -> float:
    """Return the size of a pixel in metres at the projection's point of true scale."""
    return projections.nominal_scale(value)


@algorithm("Projection.atScale")
def at_scale(value: Projection, metres: float) -> Projection:
    """Return the projection with pixels of another size in metres."""
    return projections.at_scale(value, metres)


@algorithm("Projection.scale")
def scale(value: Projection, x: float, y: float) -> Projection:
    """Return the projection with pixels ``x`` times as wide and ``y`` times as high."""
    return Projection(value.crs, compose(value.transform, affine.Affine.scale(x, y)))


@algorithm("Projection.translate")
def translate(value: Projection, x: float, y: float) -> Projection:
    """Return the projection moved by ``x`` columns and ``y`` rows."""
    return Projection(value.crs, compose(value.transform, affine.Affine.translation(x, y)))
