"""Make the region tables and the land masses that are shipped with the package.

    python -m eedask.emulator.catalog.tables.build

This writes one GeoParquet file for each table of :data:`TABLES` into ``data/regions``, and the
land masses into ``data/land.npz``. It is run by hand after a change of the code or data that makes
them, and takes a minute.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from eedask.emulator.catalog.tables.making import (
    boundaries,
    ecoregions,
    gaul,
    protected,
)
from eedask.emulator.catalog.tables.making.made import Made
from eedask.emulator.catalog.tables.shipped import BOX, FOLDER, GEOMETRY
from eedask.emulator.catalog.world import coastline, outlines

TABLES: Mapping[str, Callable[[], Made]] = {
    "ecoregions": ecoregions.ecoregions,
    "gaul_level0": gaul.level0,
    "gaul_level1": gaul.level1,
    "gaul_level2": gaul.level2,
    "lsib": boundaries.lsib,
    "tiger_counties": boundaries.tiger_counties,
    "tiger_states": boundaries.tiger_states,
    "wdpa": protected.protected_areas,
}
"""The function that makes each table, by the name of its file without ``.parquet``."""

# Vertices in a row group: a query that meets few rows reads and decodes about as many.
_GROUP_VERTICES = 50_000
_LEVEL = 19  # of zstd's compression
_PER_DEGREE = 64  # boxes are widened to 1/64 degree: they take a quarter of the bytes of exact ones
_SIDES = ["xmin", "ymin", "xmax", "ymax"]
_ENCODINGS = {pa.float64(): "BYTE_STREAM_SPLIT", pa.int64(): "DELTA_BINARY_PACKED"}
_INDICES = ("system:index", "WDPA_PID", "GEOID")  # strings that ascend from row to row


def table_of(made: Made) -> pa.Table:
    """Return the columns of a file: the properties, the box and the shape of each row.

    Shapes are native GeoParquet multipolygons, whose coordinates compress best.
    """
    names = list(dict.fromkeys(name for row in made.rows for name in row))
    columns = {name: pa.array([row.get(name) for row in made.rows]) for name in names}
    boxes = shapely.bounds(np.array(made.shapes, dtype=object))
    outward = [np.floor(boxes[:, :2] * _PER_DEGREE), np.ceil(boxes[:, 2:] * _PER_DEGREE)]
    corners = (np.hstack(outward) / _PER_DEGREE).astype(np.float32)
    columns[BOX] = pa.StructArray.from_arrays([pa.array(side) for side in corners.T], _SIDES)
    columns[GEOMETRY] = _multipolygons(made)
    return pa.table(columns).replace_schema_metadata({"geo": json.dumps(_geo(boxes))})


def write(table: pa.Table, vertices: int, path: Path) -> None:
    """Write a table in row groups of about equal size; the same table gives the same bytes."""
    coordinates = f"{GEOMETRY}.list.element.list.element.list.element."
    encodings = dict.fromkeys((coordinates + "x", coordinates + "y"), "BYTE_STREAM_SPLIT")
    encodings |= {f"{BOX}.{side}": "BYTE_STREAM_SPLIT" for side in _SIDES}
    encodings |= {f.name: _ENCODINGS[f.type] for f in table.schema if f.type in _ENCODINGS}
    encodings |= {name: "DELTA_BYTE_ARRAY" for name in _INDICES if name in table.column_names}
    words = {f.name for f in table.schema if pa.types.is_string(f.type)} - encodings.keys()
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=sorted(words),
        column_encoding=encodings,
        row_group_size=math.ceil(len(table) / math.ceil(vertices / _GROUP_VERTICES)),
        write_statistics=False,
    )


def land_masses() -> list[shapely.Polygon]:
    """Return the polygons of all land masses in the source, in degrees."""
    found = outlines.decode(outlines.FILE, "land")
    return [part for outline in found for part in shapely.get_parts(outline.shape)]


def write_land(path: Path) -> None:
    """Write the land masses: their vertices, and the starts of rings and polygons."""
    _, vertices, (rings, polygons) = shapely.to_ragged_array(land_masses())
    np.savez_compressed(path, vertices=vertices, rings=rings, polygons=polygons)


def _multipolygons(made: Made) -> pa.Array:
    whole = [shapely.MultiPolygon(shapely.get_parts(shape)) for shape in made.shapes]
    _, xy, (rings, polygons, rows) = shapely.to_ragged_array(whole)
    column = pa.StructArray.from_arrays([xy[:, 0], xy[:, 1]], ["x", "y"])
    for offsets in (rings, polygons, rows):
        column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), column)
    return column


def _geo(boxes: Any) -> dict[str, Any]:
    """Return the file's ``geo`` metadata; see https://geoparquet.org/releases/v1.1.0."""
    column = {
        "encoding": "multipolygon",
        "geometry_types": ["MultiPolygon"],
        "bbox": [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()],
        "covering": {"bbox": {side: [BOX, side] for side in _SIDES}},
    }
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def main() -> None:
    """Write the files and print the sizes of the tables."""
    write_land(coastline.FILE)  # first, since the ecoregions are made from it
    FOLDER.mkdir(parents=True, exist_ok=True)
    total = 0
    for name, make in TABLES.items():
        made, path = make(), FOLDER / f"{name}.parquet"
        write(table_of(made), int(shapely.get_num_coordinates(made.shapes).sum()), path)
        total += path.stat().st_size
        print(f"{path.stat().st_size:>9,} bytes  {name} ({len(made.rows)} rows)")
    print(f"{total:>9,} bytes")


if __name__ == "__main__":
    main()
