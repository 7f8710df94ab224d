"""Make ``data/outlines.json.gz`` from two TopoJSON files.

    python -m eedask.emulator.catalog.world.build_tables countries-50m.json counties-10m.json

The files are in the npm packages ``world-atlas`` 2 (Natural Earth 4.1, public domain) and
``us-atlas`` 3 (U.S. Census Bureau cartographic boundaries of 2017, a work of the United States
government and so in the public domain). The result has the quantised arcs, and the code, the name
and the arcs of every country, land mass, state and county.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "data" / "outlines.json.gz"


def compact(topology: dict[str, Any], objects: tuple[str, ...]) -> dict[str, Any]:
    """Return the named objects of a TopoJSON topology, without all that decoding does not need.

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
    """Write the file ``data/outlines.json.gz`` of the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("world", type=Path, help="countries-50m.json of world-atlas")
    parser.add_argument("states", type=Path, help="counties-10m.json of us-atlas")
    arguments = parser.parse_args()
    outlines = {
        "world": compact(json.loads(arguments.world.read_text()), ("countries", "land")),
        "us": compact(json.loads(arguments.states.read_text()), ("states", "counties")),
    }
    text = json.dumps(outlines, separators=(",", ":"), ensure_ascii=False)
    # A fixed time stamp: the same input gives the same file.
    OUTPUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
