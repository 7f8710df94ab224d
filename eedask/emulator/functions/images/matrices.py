"""Image.matrix*: linear algebra on per-pixel arrays of two axes.

https://developers.google.com/earth-engine/guides/arrays_transformations
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.arrays import mapped
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.array_values import Array, Made
from eedask.emulator.pixels.bands import combined, derived, pairs
from eedask.emulator.pixels.pixel_types import DOUBLE, INT64, floating, of_rank
from eedask.emulator.pixels.raster import Band, Image, PixelType

MATRIX = of_rank(DOUBLE, 2)


def _need_matrix(band: Band, where: str) -> None:
    if band.type.dimensions != 2:
        raise EarthEngineError(
            f"{where}: Band '{band.id}' must have matrices. Its arrays have "
            f"{band.type.dimensions} dimensions."
        )


def _need_square(block: Array, where: str) -> None:
    if block.shape[1] != block.shape[2]:
        raise EarthEngineError(f"{where}: Matrices must be square, not {list(block.shape[1:])}.")


def _register(
    name: str,
    function: Callable[[Array], Made],
    rank: int = 2,
    square: bool = False,
    same_type: bool = False,
) -> None:
    where = f"Image.{name}"

    def checked(block: Array) -> Made:
        if square:
            _need_square(block, where)
        return function(block if same_type else block.astype(np.float64))

    def kind(kind: PixelType) -> PixelType:
        return of_rank(kind if same_type else DOUBLE, rank)

    @algorithm(where, takes_arrays=True)
    def call(image: Image) -> Image:
        for band in image.bands:
            _need_matrix(band, where)
        return mapped(image, checked, kind)


def where_possible(function: Callable[[Array], Array]) -> Callable[[Array], Made]:
    """Return a function of a block of matrices that marks those invalid for which it fails.

    Earth Engine does not document the result for a singular matrix; here the pixel is masked.
    """

    def call(block: Array) -> Made:
        try:
            return function(block)
        except np.linalg.LinAlgError:
            values, good = np.zeros_like(block), np.zeros(len(block), bool)
            for i, matrix in enumerate(block):
                try:
                    values[i], good[i] = function(matrix), True
                except np.linalg.LinAlgError:
                    continue
            return values, good

    return call


def _diagonal(block: Array) -> Array:
    return np.diagonal(block, axis1=1, axis2=2)[..., None]


def _diagonal_matrix(block: Array) -> Array:
    if block.shape[2] != 1:
        raise EarthEngineError("Image.matrixToDiag: The matrix must have a single column.")
    return block * np.eye(block.shape[1], dtype=block.dtype)


_register("matrixDiagonal", _diagonal, same_type=True)
_register("matrixToDiag", _diagonal_matrix, same_type=True)
_register("matrixInverse", where_possible(np.linalg.inv), square=True)
_register("matrixPseudoInverse", np.linalg.pinv)
_register("matrixFnorm", lambda m: np.linalg.norm(m, axis=(1, 2)), rank=0)
_register("matrixTrace", lambda m: np.trace(m, axis1=1, axis2=2), rank=0, square=True)
_register("matrixDeterminant", np.linalg.det, rank=0, square=True)


def _product(whole: bool, left: Array, right: Array) -> Array:
    if left.shape[2] != right.shape[1]:
        raise EarthEngineError(
            f"Image.matrixMultiply: Matrices of shapes {list(left.shape[1:])} and "
            f"{list(right.shape[1:])} do not fit."
        )
    work = np.int64 if whole else np.float64
    return np.matmul(left.astype(work), right.astype(work))


@algorithm("Image.matrixMultiply", takes_arrays=True)
def multiply(first: Image, second: Image) -> Image:
    """Return the matrix products; of integers as 64-bit integers, so that they do not overflow.

    https://developers.google.com/earth-engine/apidocs/ee-image-matrixmultiply
    """
    bands = []
    for a, b, name in _matrices(first, second, "Image.matrixMultiply"):
        whole = a.type.precision == b.type.precision == "int"
        kind = of_rank(INT64 if whole else floating(a.type, b.type), 2)
        bands.append(combined([a, b], partial(_product, whole), kind, name))
    return derived(first, bands, second)


@algorithm("Image.matrixSolve", takes_arrays=True)
def solve(first: Image, second: Image) -> Image:
    """Return the least-squares solutions x of ``first`` times x = ``second``.

    If several are equally good, it is the one of the least norm (a guess).
    """
    where = "Image.matrixSolve"

    def solution(left: Array, right: Array) -> Array:
        if left.shape[1] != right.shape[1]:
            raise EarthEngineError(
                f"{where}: Matrices of shapes {list(left.shape[1:])} and "
                f"{list(right.shape[1:])} do not fit."
            )
        return np.linalg.pinv(left.astype(np.float64)) @ right

    matched = _matrices(first, second, where)
    bands = [combined([a, b], solution, MATRIX, name) for a, b, name in matched]
    return derived(first, bands, second)


def _matrices(first: Image, second: Image, where: str) -> list[tuple[Band, Band, str]]:
    for band in (*first.bands, *second.bands):
        _need_matrix(band, where)
    return pairs(first, second, where)


def _register_decomposition(
    name: str, names: Sequence[str], function: Callable[[Array], Sequence[Made]]
) -> None:
    """Register a decomposition, which makes several bands from one band of matrices."""
    where = f"Image.{name}"

    @algorithm(where, takes_arrays=True)
    def call(image: Image) -> Image:
        if len(image.bands) != 1:
            raise EarthEngineError(f"{where}: Need one band. Got {len(image.bands)}.")
        band = image.bands[0]
        _need_matrix(band, where)

        def part(index: int, block: Array) -> Made:
            return function(block.astype(np.float64))[index]

        bands = [combined([band], partial(part, i), MATRIX, n) for i, n in enumerate(names)]
        return derived(image, bands)


def _cholesky(block: Array) -> Sequence[Made]:
    _need_square(block, "Image.matrixCholeskyDecomposition")
    return [where_possible(np.linalg.cholesky)(block)]


def _triangular(block: Array) -> Sequence[Made]:
    _need_square(block, "Image.matrixLUDecomposition")
    parts = [scipy.linalg.lu(matrix) for matrix in block]
    swap, lower, upper = (np.stack(each) for each in zip(*parts, strict=True))
    return [lower, upper, np.swapaxes(swap, 1, 2)]


def _orthogonal(block: Array) -> Sequence[Made]:
    return list(np.linalg.qr(block))


def _singular(block: Array) -> Sequence[Made]:
    u, s, vt = np.linalg.svd(block, full_matrices=True)
    middle = np.zeros(block.shape)
    diagonal: Any = np.arange(s.shape[1])
    middle[:, diagonal, diagonal] = s
    return [u, middle, np.swapaxes(vt, 1, 2)]


_register_decomposition("matrixCholeskyDecomposition", ["L"], _cholesky)
_register_decomposition("matrixLUDecomposition", ["L", "U", "P"], _triangular)
_register_decomposition("matrixQRDecomposition", ["Q", "R"], _orthogonal)
_register_decomposition("matrixSingularValueDecomposition", ["U", "S", "V"], _singular)
