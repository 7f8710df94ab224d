"""Statistics of regions by exactextract and rasterstats alone, and what 8-bit weights allow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import rasterio
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from rasterstats import zonal_stats

# Pixels that are covered less than this may be left out; the rest is rounding in exactextract.
LEAST = 0.005 + 1e-5
# Half of the step of 8-bit weights.
HALF_STEP = 0.5 / 255 + 1e-5


class Raster(NamedTuple):
    """One band of a north-up raster; what is not valid is masked."""

    values: np.ndarray
    valid: np.ndarray
    transform: rasterio.Affine

    @classmethod
    def of(cls, path, number=1):
        with rasterio.open(path) as file:
            values = file.read(number)
            valid = np.ones(values.shape, bool) if file.nodata is None else values != file.nodata
            return cls(values, valid, file.transform)


class Weighted(NamedTuple):
    """Weighted statistics, and how far those by 8-bit weights may be from them.

    A weight q is off the true fraction f by no more than e: half a step of 1/255, or f itself
    where f is under 0.5 %, and nothing where a pixel is wholly covered. The sum of q·x is then
    off by at most the sum of e·|x|. The mean m' of weights q differs from the mean m of weights
    f by the sum of (q - f)(x - m) over that of q, at most the sum of e·|x - m| over that of
    f - e.
    """

    mean: float
    sum: float
    mean_bound: float
    sum_bound: float


def weighted(raster: Raster, shapes) -> list[Weighted | None]:
    """Weighted statistics of shapes in the raster's crs; None where no valid pixel is covered."""
    height, width = raster.values.shape
    left, top = raster.transform.c, raster.transform.f
    right, bottom = left + raster.transform.a * width, top + raster.transform.e * height
    ids = np.arange(height * width, dtype=np.int32).reshape(height, width)
    features = [
        {"type": "Feature", "geometry": shapely.geometry.mapping(s), "properties": {}}
        for s in shapes
    ]
    answers = exact_extract(
        NumPyRasterSource(ids, left, bottom, right, top), features, ["values", "coverage"]
    )
    found = [answer["properties"] for answer in answers]
    return [_one(raster, np.asarray(f["values"], int), np.asarray(f["coverage"])) for f in found]


def _one(raster, pixels, fractions):
    valid = raster.valid.ravel()[pixels]
    x = raster.values.ravel()[pixels][valid].astype(float)
    f = fractions[valid].astype(float)
    if not f.sum() > 0:
        return None
    e = np.where(f > 1 - 1e-5, 1e-5, np.where(f < LEAST, LEAST, HALF_STEP))
    mean, total = (f * x).sum() / f.sum(), (f * x).sum()
    least = (f - e).sum()
    bound = (e * np.abs(x - mean)).sum() / least if least > 0 else np.inf
    return Weighted(mean, total, bound, (e * np.abs(x)).sum())


def unweighted(raster: Raster, shapes, stats=("count", "min", "max", "mean", "sum")) -> list[dict]:
    """rasterstats' statistics of the pixels whose centres are in shapes in the raster's crs."""
    # A fill that no pixel has: rasterstats knows no other mask.
    fill = float(raster.values.max()) + 1
    filled = np.where(raster.valid, raster.values, fill).astype(float)
    return zonal_stats(
        list(shapes), filled, affine=raster.transform, nodata=fill, stats=list(stats)
    )


def great_circle(start, end, pieces=400):
    """Points on the great circle between two places, by vectors alone."""
    lon, lat = np.radians(np.array([start, end])).T
    a, b = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    angle = np.arccos(np.clip(a @ b, -1, 1))
    t = np.linspace(0, 1, pieces)[:, None]
    v = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return np.degrees(np.column_stack([np.arctan2(v[:, 1], v[:, 0]), np.arcsin(v[:, 2])]))
