"""Array.matrix*, Array.eigen: linear algebra on arrays of two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy  # its subpackages are imported when they are first used

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
            with np.errstate(all="ignore"):
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
    """Return rows of an eigenvalue and its vector, shape (n, n + 1), greatest eigenvalue first.

    Complex eigenvalues are refused. The page names the library (EJML) but not the signs of the
    vectors. These, the order of equal eigenvalues, and that a matrix of zeros counts as asymmetric
    were chosen to agree with the samples printed there.
    https://developers.google.com/earth-engine/apidocs/ee-array-eigen
    """
    if not matrix.size:
        raise EarthEngineError("Array.eigen: The matrix is empty.")
    if matrix.any() and np.allclose(matrix, matrix.T, rtol=0, atol=1e-8 * np.abs(matrix).max()):
        values, rows = _symmetric(matrix)
        order = np.argsort(-values, kind="stable")
    else:
        values, rows = _asymmetric(matrix)
        order = np.lexsort((-np.arange(len(values)), -values))
    return np.column_stack([values, rows])[order]


def _symmetric(matrix: Any) -> tuple[Any, Any]:
    if not (matrix - np.diag(np.diag(matrix))).any():
        return np.diag(matrix), np.eye(len(matrix))
    values, vectors = np.linalg.eigh(matrix)
    sign = np.where(vectors[0] < 0, -1.0, 1.0)
    return values, (vectors * (sign if matrix[0, 0] >= matrix[-1, -1] else -sign)).T


def _asymmetric(matrix: Any) -> tuple[Any, Any]:
    """Return the eigenvalues and vectors of an asymmetric matrix, from its Schur form.

    The vectors of a repeated eigenvalue are independent, but as in EJML (and in the printed
    samples) only the first of them is sure to be an eigenvector.
    """
    upper, turn = scipy.linalg.schur(matrix, output="real")
    values = np.diag(upper)
    if np.abs(np.diag(upper, -1)).max(initial=0) > 0:
        raise EarthEngineError("Array.eigen: The matrix has complex eigenvalues.")
    if np.abs(turn - np.diag(np.diag(turn))).max() > 1e-12:
        turn = turn * -np.sign(turn[np.abs(turn).argmax(axis=0), np.arange(len(turn))])
    else:
        turn = np.eye(len(turn))
    upper = turn.T @ matrix @ turn
    scale = np.abs(values).max() or 1.0
    rows = []
    for i, value in enumerate(values):
        first = int(np.argmax(np.abs(values - value) < 1e-10 * scale))
        vector = np.zeros(len(values))
        vector[i] = 1.0
        if first:
            system = upper[:first, :first] - value * np.eye(first)
            vector[:first] = np.linalg.solve(system, -upper[:first, i])
        rows.append(turn @ vector / np.linalg.norm(vector))
    return values, np.array(rows)


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
    with np.errstate(all="ignore"):
        return one @ other


@algorithm("Array.matrixSolve")
def solve(left: Any, right: Any) -> Any:
    """Return the least-squares solution x of ``left`` times x = ``right``."""
    where = "Array.matrixSolve"
    one, other = _matrix(left, where), _matrix(right, where)
    if one.shape[0] != other.shape[0]:
        raise EarthEngineError(f"{where}: {one.shape} and {other.shape} do not fit.")
    try:
        with np.errstate(all="ignore"):
            return np.linalg.lstsq(one, other, rcond=None)[0]
    except np.linalg.LinAlgError as error:
        raise EarthEngineError(f"{where}: {error}.") from None
