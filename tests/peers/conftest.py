"""Rasters and tables that the tests made themselves, mounted on the emulator of eedask's plugin.

What is tested here is other people's packages, as they are, on the emulator. They run in a tox
environment of their own (``tox -e peers``): nothing here is collected otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from grid import (
    BANDS,
    CRS,
    DAYS,
    NODATA,
    SCENE,
    SERIES,
    SERIES_BANDS,
    SHAPE,
    SITES,
    TRANSFORM,
    ZONES,
    place,
)

# The plugin's own, in place of what the tests one folder up have under this name.
from pytest_eedask import earth_engine  # noqa: F401


@dataclass(frozen=True)
class Files:
    """What is mounted."""

    scene: Path
    series: Path
    zones: Path
    sites: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Rasters whose pixels differ, so that a shift by one is seen; some are nodata."""
    folder = tmp_path_factory.mktemp("peers")
    made = Files(
        folder / "scene.tif", folder / "series", folder / "zones.parquet", folder / "sites.parquet"
    )
    rng = np.random.default_rng(11)
    scene = rng.integers(-2000, 10000, (len(BANDS), *SHAPE), dtype=np.int16)
    scene[:, 60:80, 90:120] = NODATA
    write(made.scene, scene, BANDS, NODATA)
    made.series.mkdir()
    for day in DAYS:
        layer = rng.normal(280, 10, (len(SERIES_BANDS), *SHAPE)).astype(np.float32)
        layer[:, :10, :15] = np.nan
        write(made.series / f"LST_{day.replace('-', '')}.tif", layer, SERIES_BANDS, np.nan)
    zones().to_parquet(made.zones)
    sites(rng).to_parquet(made.sites)
    return made


@pytest.fixture(scope="session")
def earth_engine_options(files: Files) -> dict[str, Any]:
    """Mount them."""
    mounts = {SCENE: files.scene, SERIES: files.series, ZONES: files.zones, SITES: files.sites}
    return {"mounts": mounts, "project": "peers"}


def write(path: Path, bands: np.ndarray, names: tuple[str, ...], nodata: float) -> None:
    """Write bands, shape (bands, rows, columns), as a GeoTIFF on the tests' grid."""
    profile = {"driver": "GTiff", "dtype": bands.dtype, "count": len(bands), "nodata": nodata}
    profile |= {"crs": CRS, "transform": TRANSFORM, "width": SHAPE[1], "height": SHAPE[0]}
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
        target.descriptions = names


def zones() -> gpd.GeoDataFrame:
    """Return polygons across pixels: a disc, one with a hole, one in two parts, one on nodata."""
    disc = shapely.Point(place(40, 50)).buffer(700)
    middle = shapely.Point(place(100, 60))
    ring = middle.buffer(900).difference(middle.buffer(300))
    upper = shapely.box(*place(30, 130), *place(10.4, 150.7))
    lower = shapely.box(*place(120, 150), *place(99.3, 170.2))
    across = shapely.box(*place(90.3, 80.6), *place(50.3, 100.2))
    shapes = {
        "disc": disc,
        "ring": ring,
        "parts": shapely.MultiPolygon([upper, lower]),
        "across": across,
    }
    names = {"name": list(shapes)}
    return gpd.GeoDataFrame(names, geometry=list(shapes.values()), crs=CRS).to_crs("EPSG:4326")


def sites(rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Return points in the middles of pixels; their rows and columns are in the table."""
    count = 23
    rows, columns = rng.integers(0, SHAPE[0], count), rng.integers(0, SHAPE[1], count)
    rows[7], columns[7] = 70, 100  # nodata
    x, y = TRANSFORM @ (columns + 0.5, rows + 0.5)
    table = {"site": [f"s{n}" for n in range(count)], "row": rows, "column": columns}
    points = gpd.points_from_xy(x, y)
    return gpd.GeoDataFrame(table, geometry=points, crs=CRS).to_crs("EPSG:4326")
