r"""Make the files of outlines of countries and of states from two TopoJSON files.

    python -m eedask.emulator.catalog.tables.making.build_outlines \
        countries-50m.json counties-10m.json

The files are in the npm packages ``world-atlas`` 2 (Natural Earth 4.1, public domain) and
``us-atlas`` 3 (U.S. Census Bureau cartographic boundaries of 2017, a work of the United States
government and so in the public domain). Each result has the quantised arcs, and the code, the name
and the arcs of every country and land mass, or of every state and county.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from eedask.emulator.catalog.tables.making import us_outlines
from eedask.emulator.catalog.world import outlines


def compact(topology: dict[str, Any], objects: tuple[str, ...]) -> dict[str, Any]:
    """Return the named objects of a TopoJSON topology with only the members that decoding needs.

    Geometries become ``[code, name, polygons]``. A polygon is a list of rings, and a ring a list of
    arc numbers (``~n`` is arc n reversed).
    """
    return {
        "scale": topology["transform"]["scale"],
        "translate": topology["transform"]["translate"],
        "arcs": topology["arcs"],
        "objects": {
            name: [_geometry(g) for g in topology["objects"][name]["geometries"]]
            for name in objects
        },
    }


def _geometry(geometry: dict[str, Any]) -> list[Any]:
    polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
    return [geometry.get("id"), geometry.get("properties", {}).get("name"), polygons]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("world", type=Path, help="countries-50m.json of world-atlas")
    parser.add_argument("states", type=Path, help="counties-10m.json of us-atlas")
    arguments = parser.parse_args()
    _write(arguments.world, ("countries", "land"), outlines.FILE)
    _write(arguments.states, ("states", "counties"), us_outlines.FILE)


def _write(source: Path, objects: tuple[str, ...], file: Path) -> None:
    topology = compact(json.loads(source.read_text()), objects)
    text = json.dumps(topology, separators=(",", ":"), ensure_ascii=False)
    # The time stamp is fixed so that the same input gives the same file.
    file.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
