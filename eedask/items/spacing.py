"""Chooses points of which no two lie closer together than a least distance."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pyproj
from numpy.typing import NDArray

_AROUND = tuple(itertools.product((-1, 0, 1), repeat=3))

Cell = tuple[int, int, int]
Place = tuple[float, float, float]


class Spacing:
    """Is given points one after the other, and keeps each that is far enough from those kept.

    Distances are straight lines between places on the WGS84 ellipsoid, through its inside. They
    are never longer than those over the ground, and neither the antimeridian nor a pole matters.
    Places are kept in cubes as wide as the least distance, so that a place is compared with those
    in its own and in the 26 cubes around it alone.

    Parameters
    ----------
    metres : float
        The least distance.

    Attributes
    ----------
    refused_in_a_row : int
        How many points were too near since the last that was taken.
    """

    def __init__(self, metres: float) -> None:
        self._metres = metres
        self._near: dict[Cell, list[Place]] = {}
        self.refused_in_a_row = 0

    def keep(self, points: NDArray[np.float64], most: int) -> NDArray[np.float64]:
        """Return those of some points that are taken, ``most`` of them at most.

        Parameters
        ----------
        points : ndarray of float, shape (n, 2)
            Longitude and latitude.
        most : int
        """
        longitude, latitude = points.T
        xyz = _to_space().transform(longitude, latitude, np.zeros(len(points)))
        places = np.stack(xyz, axis=1)
        cells = np.floor(places / self._metres).astype(np.int64)
        taken: list[int] = []
        for k, (cell, place) in enumerate(zip(cells.tolist(), places.tolist(), strict=True)):
            if len(taken) == most:
                break
            if self._takes(tuple(cell), tuple(place)):
                taken.append(k)
                self.refused_in_a_row = 0
            else:
                self.refused_in_a_row += 1
        return points[taken]

    def _takes(self, cell: Cell, place: Place) -> bool:
        x, y, z = place
        least = self._metres**2
        for other in self._near.get(cell, ()):
            if (x - other[0]) ** 2 + (y - other[1]) ** 2 + (z - other[2]) ** 2 < least:
                return False
        for step in _AROUND:
            around = (cell[0] + step[0], cell[1] + step[1], cell[2] + step[2])
            self._near.setdefault(around, []).append(place)
        return True


@cache
def _to_space() -> pyproj.Transformer:
    """Return the transformer from longitude, latitude and height to metres from the Earth's centre.

    EPSG:4979 and EPSG:4978 are WGS84 in these two forms.
    """
    return pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
