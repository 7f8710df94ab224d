"""Seeded random noise whose value at a point does not depend on what else is computed.

:func:`hashes` gives every cell of an integer lattice its own random number, from which
:mod:`~eedask.emulator.catalog.world.surface` makes smooth surfaces. :func:`field` looks up a smooth
periodic texture at arbitrary coordinates.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_TEXTURE = 512


def hashes(cols: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> NDArray[np.uint32]:
    """Return 32 random bits for every lattice cell, shape (len(rows), len(cols)).

    The bit mixer comes from Chris Wellons' "lowbias32" search. It uses integers only, so the bits
    are the same on all platforms.
    """
    return hashes_at(cols[None, :], rows[:, None], seed)


def hashes_at(cols: NDArray[np.int64], rows: NDArray[np.int64], seed: int) -> NDArray[np.uint32]:
    """Return the bits of :func:`hashes` for columns and rows that broadcast with each other."""
    x = (cols & 0xFFFFFFFF).astype(np.uint32) * np.uint32(0x9E3779B1)
    y = (rows & 0xFFFFFFFF).astype(np.uint32) * np.uint32(0x85EBCA77)
    return mixed(x ^ (y + np.uint32(seed * 0xC2B2AE3D & 0xFFFFFFFF)))


def mixed(h: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return an array of integers hashed by a bit mixer."""
    h = h ^ (h >> np.uint32(16))
    h *= np.uint32(0x21F0AAAD)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0xD35A2D97)
    h ^= h >> np.uint32(15)
    return h


def uniform(bits: NDArray[np.uint32]) -> Floats:
    """Return 32 random bits as a number from 0 to below 1, for each item of an array."""
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


@cache
def texture() -> Floats:
    """Return a smooth periodic texture, shape (512, 512), with values from -1 to 1.

    It is the sum of lattices of 64, 128 and 256 cells per period, smoothed with quadratic splines.
    """
    total = np.zeros((_TEXTURE, _TEXTURE), np.float32)
    for cells, amplitude in ((64, 1.0), (128, 0.5), (256, 0.25)):
        at = np.arange(cells)
        layer = 2 * uniform(hashes(at, at, cells)) - 1
        while layer.shape[0] < _TEXTURE:
            layer = _doubled(_doubled(layer).T).T
        total += np.float32(amplitude) * layer
    return total / np.float32(np.abs(total).max())


def _doubled(layer: Floats) -> Floats:
    """Return a periodic layer with twice as many rows, by corner cutting (a quadratic spline)."""
    out = np.empty((2 * layer.shape[0], layer.shape[1]), np.float32)
    near = np.float32(0.75) * layer
    far = np.float32(0.25) * layer
    out[::2] = near + np.roll(far, 1, axis=0)
    out[1::2] = near + np.roll(far, -1, axis=0)
    return out


@lru_cache(maxsize=4096)
def _shifts(seeds: tuple[int, ...], dimensions: int) -> NDArray[np.float64]:
    """Return by how many cells each seed shifts the texture, shape (2, seeds, 1, ...)."""
    each = [np.random.default_rng(seed).uniform(0, _TEXTURE, 2) for seed in seeds]
    shifts = np.array(each).T.reshape(2, len(seeds), *(1,) * dimensions)
    shifts.setflags(write=False)
    return shifts


def field(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Floats:
    """Return smooth noise from -1 to 1 at coordinates, with features about 1 unit wide.

    It repeats after 64 units. The seed shifts it.
    """
    return fields(x, y, (seed,))[0]


def fields(x: NDArray[np.float64], y: NDArray[np.float64], seeds: tuple[int, ...]) -> Floats:
    """Return :func:`field` for several seeds, shape (seeds, ...); coordinates broadcast."""
    east, south = _shifts(seeds, max(np.ndim(x), np.ndim(y)))
    u, v = x * (_TEXTURE / 64) + east, y * (_TEXTURE / 64) + south
    col, row = np.floor(u), np.floor(v)
    fu, fv = (u - col).astype(np.float32), (v - row).astype(np.float32)
    c0, r0 = col.astype(np.int64) % _TEXTURE, row.astype(np.int64) % _TEXTURE
    c1, r1 = (c0 + 1) % _TEXTURE, (r0 + 1) % _TEXTURE
    values = texture()
    upper = values[r0, c0] * (1 - fu) + values[r0, c1] * fu
    lower = values[r1, c0] * (1 - fu) + values[r1, c1] * fu
    result: Floats = upper * (1 - fv) + lower * fv
    return result


def fractal(x: NDArray[np.float64], y: NDArray[np.float64], seed: int, octaves: int = 3) -> Floats:
    """Return a sum of :func:`field` at halving scales and amplitudes."""
    total = field(x, y, seed)
    for octave in range(1, octaves):
        total = total + field(x * 2.0**octave, y * 2.0**octave, seed + octave) * np.float32(
            0.5**octave
        )
    return total
