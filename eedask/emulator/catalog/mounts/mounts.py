"""The user's own files as assets: a raster, a folder of rasters, a table of features."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import cast

import geopandas as gpd
import numpy as np
import shapely

from eedask.emulator.catalog.assets import Asset, CollectionAsset, ImageAsset, TableAsset
from eedask.emulator.catalog.dates import date_in_name, millis, within
from eedask.emulator.catalog.footprints import footprint, ring
from eedask.emulator.catalog.mounts.properties import properties_of, text_value, with_times
from eedask.emulator.catalog.mounts.pyramids import POLICIES, PyramidingPolicy
from eedask.emulator.catalog.mounts.raster_file import Header, RasterFile, read_header
from eedask.emulator.catalog.mounts.sidecars import Note, notes
from eedask.emulator.catalog.tables.tables import FeatureTable
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.pixels.raster import Image
from eedask.emulator.pixels.sampling import source_bands
from eedask.emulator.values.value_types import Collection, Query

_VECTORS = frozenset({".parquet", ".geoparquet", ".geojson", ".json", ".shp", ".gpkg", ".fgb"})
_RASTERS = frozenset(
    {".tif", ".tiff", ".vrt", ".img", ".jp2", ".png", ".jpg", ".nc", ".hdf", ".asc", ".bil"}
)
# The property of a raster, or of its metadata, that names its pyramiding policy.
_POLICY = "pyramidingPolicy"


class MountedImage:
    """A raster file as an image asset.

    Parameters
    ----------
    asset_id : str
    path : Path
    note : Note, optional
        Metadata from files beside the raster; its properties override the raster's own.

    Raises
    ------
    ValueError
        If the file cannot be read as a georeferenced raster, or its pyramiding policy is unknown.
    """

    def __init__(self, asset_id: str, path: Path, note: Note | None = None) -> None:
        self._id = asset_id
        self._path = path
        self._header: Header = read_header(path)
        note = note or Note()
        self._outline = note.footprint
        tags = {name: text_value(text) for name, text in self._header.tags}
        self._properties = {**with_times(tags), **note.properties}
        self._policy = self._properties.pop(_POLICY, "MEAN")
        if self._policy not in POLICIES:
            raise ValueError(f"{path}: {_POLICY} is {self._policy!r}, not one of {POLICIES}.")

    @cached_property
    def image(self) -> Image:
        """The image, with the bands and the grid of the raster."""
        header = self._header
        source = RasterFile(self._path, header, cast(PyramidingPolicy, self._policy))
        outline = footprint(header.projection, header.width, header.height)
        if self._outline is not None:
            outline = Geometry(shapely.force_2d(self._outline), geodesic=False)
        simple = isinstance(outline.shape, shapely.Polygon)
        system = {
            "system:index": self._id.rsplit("/", 1)[-1],
            "system:footprint": ring(outline) if simple else outline,
            "system:asset_size": self._path.stat().st_size,
        }
        taken = date_in_name(self._path.stem)
        if taken is not None:
            system["system:time_start"] = millis(taken)
        return Image(
            bands=source_bands(source, header.ids, header.types),
            properties={**system, **self._properties},
            footprint=outline,
            id=self._id,
            version=self._path.stat().st_mtime_ns // 1000,
        )


class MountedFolder:
    """A folder of rasters as an image collection, its images sorted by file name.

    The properties of an image are its GeoTIFF tags, overridden by metadata from other files in the
    folder (:mod:`~eedask.emulator.catalog.mounts.sidecars`).

    Raises
    ------
    ValueError
        If the folder has no raster, the first raster or a metadata file is unreadable, or two
        rasters have the same name without extension.
    """

    def __init__(self, asset_id: str, path: Path) -> None:
        self._id = asset_id
        files = sorted(f for f in path.iterdir() if f.is_file() and f.suffix.lower() in _RASTERS)
        if not files:
            raise ValueError(f"{path} has no raster in it.")
        self._files = {file.stem: file for file in files}
        if len(self._files) < len(files):
            raise ValueError(f"{path} has rasters whose names differ in their endings only.")
        read_header(files[0])
        self._notes = notes(path, files)
        self._load = lru_cache(maxsize=1024)(self._open)

    def collection(self) -> Collection:
        """Return the image collection, whose images are opened when they are asked for."""
        return Collection("ImageCollection", self._source, {}, id=self._id)

    def image(self, index: str) -> Image | None:
        """Return the image of a file name without extension; None if there is none."""
        return self._load(index) if index in self._files else None

    def _source(self, query: Query) -> Iterator[Image]:
        wanted = query.equals.get("system:index")
        for index in self._files:
            if wanted in (None, index):
                image = self._load(index)
                taken = image.properties.get("system:time_start")
                if taken is None or within(taken, query):
                    yield image

    def _open(self, index: str) -> Image:
        return MountedImage(f"{self._id}/{index}", self._files[index], self._notes[index]).image


def read_table(path: Path) -> FeatureTable:
    """Return the features of a vector file.

    Geometries are transformed to EPSG:4326, which is also assumed where a file has no crs. Nulls
    are left out, and dates become milliseconds. The whole file is read here, so that one that
    cannot be read fails when it is mounted.

    Raises
    ------
    ValueError
        If geopandas cannot read it, or it has no geometries.
    """
    frame = _read_frame(path)
    if frame.crs is not None and not frame.crs.equals("EPSG:4326"):
        frame = frame.to_crs("EPSG:4326")
    shapes = shapely.force_2d(np.array(frame.geometry, dtype=object))
    others = frame.drop(columns=frame.geometry.name)
    rows = [
        properties_of(dict(zip(others.columns, cells, strict=True)))
        for cells in others.itertuples(index=False, name=None)
    ]
    return FeatureTable.of_shapes(
        rows, [None if shape is None or shape.is_empty else shape for shape in shapes]
    )


def _read_frame(path: Path) -> gpd.GeoDataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".geoparquet"):
            return gpd.read_parquet(path)
        frame = gpd.read_file(path)
    except (ValueError, OSError, RuntimeError) as error:  # pyogrio raises RuntimeErrors
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ValueError(f"{path} has no geometries.")
    return frame


def mount(asset_id: str, path: str | Path) -> Asset:
    """Return a file or folder as an asset: an image, an image collection or a table.

    A folder is an image collection, a vector file (by its extension) a table, and any other file
    an image.

    Raises
    ------
    ValueError
        If the path does not exist, or cannot be read as the kind of asset that it should be.
    """
    path = Path(path)
    if path.is_dir():
        folder = MountedFolder(asset_id, path)
        return CollectionAsset(folder.collection, folder.image)
    if not path.is_file():
        raise ValueError(f"Cannot mount {asset_id}: {path} does not exist.")
    if path.suffix.lower() in _VECTORS:
        table = read_table(path)
        return TableAsset(partial(table.collection, asset_id, {}), table.__len__)
    image = MountedImage(asset_id, path)
    return ImageAsset(lambda: image.image)
