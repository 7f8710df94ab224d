"""One emulator for the session, and the core of one without HTTP."""

from collections.abc import Iterator
from pathlib import Path

import ee
import pytest
import rasterio
import real_data
from example_raster import CRS, PROJECT, RASTER_ID, SHAPE, TRANSFORM, raster_values

from eedask.emulator import Emulator
from eedask.emulator.catalog import Catalog
from eedask.emulator.rest.rest import Core
from eedask.emulator.rest.store import Store

# Left out where there is no real data; the report's head says so.
collect_ignore = [] if real_data.folder() else ["catalog/test_real_data.py"]


@pytest.fixture(scope="session")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A raster of uint16 in UTM, with a corner that is nodata."""
    path = tmp_path_factory.mktemp("mounts") / "raster.tif"
    profile = {"driver": "GTiff", "width": SHAPE[1], "height": SHAPE[0], "count": 3}
    with rasterio.open(
        path, "w", **profile, dtype="uint16", crs=CRS, transform=TRANSFORM, nodata=0
    ) as dataset:
        dataset.write(raster_values())
        for index, name in enumerate(("red", "green", "blue"), start=1):
            dataset.set_band_description(index, name)
    return {RASTER_ID: path}


@pytest.fixture(scope="session")
def emulator(mounts: dict[str, Path]) -> Iterator[Emulator]:
    """An emulator in processes of its own, one of which renders."""
    with Emulator(mounts, project=PROJECT, processes=1) as running:
        yield running


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Iterator[None]:
    """The ``ee`` client, initialised on the emulator."""
    with emulator.initialized():
        yield


@pytest.fixture
def raster(client: None) -> ee.Image:
    """The mounted raster, as the client knows it."""
    return ee.Image(RASTER_ID)


@pytest.fixture(scope="session")
def core(mounts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Core:
    """The core of an emulator, in this process."""
    store = Store(tmp_path_factory.mktemp("store"))
    return Core(Catalog(mounts), store, project=PROJECT)
