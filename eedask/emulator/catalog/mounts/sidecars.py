"""Metadata of the rasters in a mounted folder, from other files in it.

They are STAC items, Parquet or GeoParquet tables with one row for each raster, and
``properties.csv`` or ``properties.json``. Where they differ, the later of these overrides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import geopandas as gpd
import pandas as pd
import pyarrow.parquet
import shapely
from shapely.geometry.base import BaseGeometry

from eedask.emulator.catalog.mounts.properties import (
    KEYS,
    SIDECARS,
    properties_of,
    sidecar,
    with_times,
)

_TABLES = frozenset({".parquet", ".geoparquet"})
# Members of a STAC item that are not properties, but are columns of a table of items.
_MEMBERS = frozenset({"type", "stac_version", "stac_extensions", "bbox", "links", "assets"})


@dataclass(frozen=True)
class Note:
    """The metadata of one raster.

    Attributes
    ----------
    properties : mapping
    footprint : shapely geometry, optional
        In EPSG:4326.
    """

    properties: Mapping[str, Any] = field(default_factory=dict)
    footprint: BaseGeometry | None = None

    def updated(self, other: Note) -> Note:
        """Return this note with the properties and the footprint of another one put over it."""
        footprint = self.footprint if other.footprint is None else other.footprint
        return Note({**self.properties, **other.properties}, footprint)


def notes(folder: Path, files: Sequence[Path]) -> dict[str, Note]:
    """Return the metadata of the rasters of a folder, by their names without extension.

    Parameters
    ----------
    folder : Path
    files : sequence of Path
        The rasters in it.

    Raises
    ------
    ValueError
        If a metadata file cannot be read, or a table describes none of the rasters.
    """
    found: dict[str, Note] = {file.stem: Note() for file in files}
    for stem, note in _items(folder, files):
        found[stem] = found[stem].updated(note)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _TABLES:
            for stem, note in _table(path, files):
                found[stem] = found[stem].updated(note)
    for stem, properties in sidecar(folder).items():
        if stem in found:
            found[stem] = found[stem].updated(Note(properties))
    return found


def _items(folder: Path, files: Sequence[Path]) -> Iterator[tuple[str, Note]]:
    """Yield the notes of STAC items, from files that are one or a FeatureCollection of them."""
    by_name = {file.name: file.stem for file in files}
    stems = set(by_name.values())
    for path in sorted((*folder.glob("*.json"), *folder.glob("*.geojson"))):
        if path.name in SIDECARS:
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not JSON: {error}") from error
        for item in _features(content):
            named = [by_name[n] for n in _hrefs(item) if n in by_name]
            for stem in named or {str(item.get("id")), path.stem} & stems:
                yield stem, _item_note(item)


def _features(content: Any) -> list[Mapping[str, Any]]:
    """Return the STAC items of a JSON document."""
    if not isinstance(content, dict):
        return []
    found = content.get("features") if content.get("type") == "FeatureCollection" else [content]
    return [
        item
        for item in found or []
        if isinstance(item, dict) and item.get("type") == "Feature" and "stac_version" in item
    ]


def _hrefs(item: Mapping[str, Any]) -> list[str]:
    """Return the file names that an item's assets link to."""
    links = [asset.get("href", "") for asset in (item.get("assets") or {}).values()]
    return [PurePosixPath(unquote(urlsplit(link).path)).name for link in links]


def _item_note(item: Mapping[str, Any]) -> Note:
    properties = dict(item.get("properties") or {})
    if item.get("collection") is not None:
        properties["collection"] = item["collection"]
    geometry = item.get("geometry")
    shape = None if geometry is None else shapely.from_geojson(json.dumps(geometry))
    return Note(with_times(properties_of(properties)), shape)


def _table(path: Path, files: Sequence[Path]) -> Iterator[tuple[str, Note]]:
    """Yield the notes in the rows of a table, each with the stem of the raster that it names."""
    frame = _read(path)
    key = _key(frame, files)
    if key is None:
        raise ValueError(f"{path}: no column names a raster of the folder.")
    shapes: Sequence[Any] = [None] * len(frame)
    if isinstance(frame, gpd.GeoDataFrame):
        if frame.crs is not None and not frame.crs.equals("EPSG:4326"):
            frame = frame.to_crs("EPSG:4326")
        shapes = list(frame.geometry)
        frame = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    stems = {name: file.stem for file in files for name in (file.name, file.stem)}
    columns = [c for c in frame.columns if c != key and c not in _MEMBERS]
    rows = frame[columns].itertuples(index=False, name=None)
    for name, cells, shape in zip(frame[key], rows, shapes, strict=True):
        stem = stems.get(_basename(name))
        if stem is not None:
            properties = properties_of(dict(zip(columns, cells, strict=True)))
            empty = shape is None or shape.is_empty
            yield stem, Note(with_times(properties), None if empty else shape)


def _read(path: Path) -> pd.DataFrame:
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
        if b"geo" in metadata:
            return gpd.read_parquet(path)
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow raises both
        raise ValueError(f"{path} cannot be read as a table: {error}") from error


def _key(frame: pd.DataFrame, files: Sequence[Path]) -> str | None:
    """Return a column that names rasters, preferably one of :data:`KEYS`; None if none does."""
    names = {name for file in files for name in (file.name, file.stem)}
    columns = sorted(map(str, frame.columns), key=lambda c: KEYS.index(c) if c in KEYS else 99)
    for column in columns:
        values = frame[column]
        if values.map(lambda v: isinstance(v, str)).any() and any(
            _basename(value) in names for value in values
        ):
            return column
    return None


def _basename(value: Any) -> str:
    return PurePosixPath(str(value).replace("\\", "/")).name
