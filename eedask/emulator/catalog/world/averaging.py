"""Averaging the points inside of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixel_means(points: NDArray[Any], parts: int) -> NDArray[np.float32]:
    """Return the mean of each pixel's points, shape (rows / parts, columns / parts).

    ``points`` has ``parts`` by ``parts`` points for each pixel.
    """
    if parts == 1:
        return points.astype(np.float32)
    total = np.zeros((points.shape[0] // parts, points.shape[1] // parts), np.float32)
    for row in range(parts):
        for col in range(parts):
            total += points[row::parts, col::parts]
    total *= np.float32(1 / parts**2)
    return total
