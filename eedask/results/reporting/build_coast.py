r"""Make ``coast.npz``, the coast line of the report's maps, from outlines of land masses.

    python -m eedask.results.reporting.build_coast \
        eedask/emulator/catalog/data/outlines.json.gz

This file of the repository has the land masses of Natural Earth 4.1 at 1:50 million (public domain)
as a topology: arcs of points in whole numbers, where each point is given as the difference from the
one before it, and polygons made of arcs. They are simplified here, and islands that are too small
to be seen on the page are left out.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from eedask.results.reporting.coast import FILE, STEPS

# In degrees: how far a simplified line may lie from the coast, and the extent of the smallest
# island that is kept.
_TOLERANCE, _SMALLEST = 0.08, 0.3


def coast_of(topology: Path) -> dict[str, NDArray[np.int16]]:
    """Return the arrays of ``coast.npz``.

    Returns
    -------
    dict
        ``points``, shape (n, 2): longitude and latitude of all lines in hundredths of a degree,
        one line after another. ``lengths``: how many points each line has.
    """
    lines = [np.round(line * STEPS).astype(np.int16) for line in _lines(topology)]
    return {
        "points": np.concatenate(lines),
        "lengths": np.array([len(line) for line in lines], np.int16),
    }


def _lines(topology: Path) -> Iterator[NDArray[np.float64]]:
    for ring in _rings(topology):
        extent = ring.max(axis=0) - ring.min(axis=0)
        if extent.max() < _SMALLEST:
            continue
        for piece in _shores(ring):
            yield shapely.get_coordinates(shapely.LineString(piece).simplify(_TOLERANCE))


def _rings(topology: Path) -> Iterator[NDArray[np.float64]]:
    raw = json.loads(gzip.decompress(topology.read_bytes()))
    arcs = [np.cumsum(arc, axis=0) * raw["scale"] + raw["translate"] for arc in raw["arcs"]]
    for _, _, polygons in raw["objects"]["land"]:
        for rings in polygons:
            for numbers in rings:
                yield np.concatenate([arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers])


def _shores(ring: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield a ring without the edges of the map, at 180 degrees and the south pole."""
    at_edge = (np.abs(ring[:, 0]) > 179.99) | (ring[:, 1] < -89.9)
    crosses = np.abs(np.diff(ring[:, 0])) > 180
    cuts = np.flatnonzero(at_edge[1:] & at_edge[:-1] | crosses) + 1
    yield from (piece for piece in np.split(ring, cuts) if len(piece) > 1)


if __name__ == "__main__":
    made = coast_of(Path(sys.argv[1]))
    np.savez_compressed(FILE, points=made["points"], lengths=made["lengths"])
