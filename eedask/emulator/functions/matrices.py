"""Array.matrix*, Array.eigen: linear algebra on arrays of two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.registry import algorithm


def _matrix(values: Any, where: str, square: bool = False) -> Any:
    if values.ndim != 2 or (square and values.shape[0] != values.shape[1]):
        kind = "square " if square else ""
        raise EarthEngineError(f"{where}: The array must be a {kind}matrix.")
    return values.astype(float)


def _register(name: str, function: Callable[[Any], Any], square: bool = False) -> None:
    where = f"Array.{name}"

    @algorithm(where)
    def call(values: Any) -> Any:
        try:
            return function(_matrix(values, where, square))
        except (np.linalg.LinAlgError, ValueError) as error:
            raise EarthEngineError(f"{where}: {error}.") from None


def _singular(matrix: Any) -> dict[str, Any]:
    u, s, vt = np.linalg.svd(matrix, full_matrices=True)
    middle = np.zeros(matrix.shape)
    np.fill_diagonal(middle, s)
    return {"U": u, "S": middle, "V": vt.T}


def _triangular(matrix: Any) -> dict[str, Any]:
    p, lower, upper = scipy.linalg.lu(matrix)
    return {"L": lower, "U": upper, "P": p.T}


def _diagonal_matrix(matrix: Any) -> Any:
    if matrix.shape[1] != 1:
        raise EarthEngineError("Array.matrixToDiag: The matrix must have a single column.")
    return np.diag(matrix[:, 0])


def _eigen(matrix: Any) -> Any:
    """Return rows of an eigenvalue and its vector, the greatest first; real ones only."""
    values, vectors = np.linalg.eig(matrix)
    if np.iscomplexobj(values) and np.abs(values.imag).max() > 0:
        raise EarthEngineError("Array.eigen: The matrix has complex eigenvalues.")
    order = np.argsort(-values.real, kind="stable")
    return np.column_stack([values.real, vectors.real.T])[order]


_register("eigen", _eigen, square=True)
_register("matrixDiagonal", lambda m: np.diag(m)[:, None])
_register("matrixToDiag", _diagonal_matrix)
_register("matrixInverse", np.linalg.inv, square=True)
_register("matrixPseudoInverse", np.linalg.pinv)
_register("matrixFnorm", lambda m: float(np.linalg.norm(m)))
_register("matrixTrace", lambda m: float(np.trace(m)), square=True)
_register("matrixDeterminant", lambda m: float(np.linalg.det(m)), square=True)
_register("matrixCholeskyDecomposition", lambda m: {"L": np.linalg.cholesky(m)}, square=True)
_register("matrixSingularValueDecomposition", _singular)
_register("matrixLUDecomposition", _triangular, square=True)
_register("matrixQRDecomposition", lambda m: dict(zip("QR", np.linalg.qr(m), strict=True)))


@algorithm("Array.matrixMultiply")
def multiply(left: Any, right: Any) -> Any:
    """Return the product of two matrices."""
    where = "Array.matrixMultiply"
    one, other = _matrix(left, where), _matrix(right, where)
    if one.shape[1] != other.shape[0]:
        raise EarthEngineError(f"{where}: {one.shape} and {other.shape} do not fit.")
    return one @ other


@algorithm("Array.matrixSolve")
def solve(left: Any, right: Any) -> Any:
    """Return the least-squares solution of ``left`` times x equal to ``right``."""
    where = "Array.matrixSolve"
    one, other = _matrix(left, where), _matrix(right, where)
    if one.shape[0] != other.shape[0]:
        raise EarthEngineError(f"{where}: {one.shape} and {other.shape} do not fit.")
    return np.linalg.lstsq(one, other, rcond=None)[0]
