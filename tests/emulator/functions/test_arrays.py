"""Arrays, matrices, pixel types, formulas of numbers, and reducers over lists and columns."""

import numpy as np
import pytest
from graphs import call, info_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eedask.emulator.errors import EarthEngineError


def array(values, **arguments):
    return call("Array", values=values, **arguments)


def run(name, values, **arguments):
    return info_of(call(f"Array.{name}", array=array(values), **arguments))


def fails(item):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item)
    assert caught.value.code == 400
    assert "Internal error" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "left", "right", "expected"),
    [
        ("add", [1, 2], [3, 4], [4, 6]),
        ("divide", [3, 4], 2, [1.5, 2]),
        ("divide", 2, [0, 1], [0, 2]),
        ("multiply", [[1, 2]], [[3, 4]], [[3, 8]]),
        ("max", [0, -3], [-1, 2], [0, 2]),
        ("gte", 1, 1, 1),
    ],
)
def test_elementwise_pairs(name, left, right, expected):
    assert info_of(call(f"Array.{name}", left=array(left), right=array(right))) == expected


def test_elementwise_on_one():
    assert info_of(call("Array.abs", input=array([[-3.1, 2]]))) == [[3.1, 2]]
    assert info_of(call("Array.byte", input=array([-1, 256, 1.9]))) == [0, 255, 1]
    empty = array([], pixelType=call("PixelType", precision=call("PixelType.int8")))
    assert info_of(call("Array.not", input=empty)) == []
    assert "do not match" in fails(call("Array.add", left=array([1]), right=array([1, 2])))


@pytest.mark.parametrize(
    ("name", "values", "arguments", "expected"),
    [
        ("accum", [[1, 3], [5, 7]], {"axis": 0}, [[1, 3], [6, 10]]),
        ("accum", [1, 3, 2], {"axis": 0, "reducer": "max"}, [1, 3, 3]),
        ("argmax", [[1, 9], [9, 2]], {}, [0, 1]),
        ("cut", [[1, 2], [3, 4]], {"position": [-1, 1]}, [[2], [4]]),
        ("get", [[1, 2], [3, 4]], {"position": [1, 0]}, 3),
        ("length", [[1, 2, 3]], {}, [1, 3]),
        ("pad", [1], {"lengths": [2, 2], "pad": 9}, [[1, 9], [9, 9]]),
        ("project", [[1], [2]], {"axes": [0]}, [1, 2]),
        ("repeat", [1, 2], {"axis": 1, "copies": 2}, [[1, 1], [2, 2]]),
        ("reshape", [1, 2, 3, 4], {"shape": [2, -1]}, [[1, 2], [3, 4]]),
        ("slice", [0, 1, 2, 3], {"start": -3, "step": 2}, [1, 3]),
        ("sort", [3, 1, 2], {"keys": [1, 3, 2]}, [3, 2, 1]),
        ("transpose", [1, 2], {}, [[1, 2]]),
        ("reduce", [[1, 2], [3, 4]], {"reducer": "sum", "axes": [0]}, [[4, 6]]),
        ("reduce", [[1, 2], [3, 4]], {"reducer": "sum", "axes": [0, 1]}, [[10]]),
        (
            "reduce",
            [[1, 5], [3, 4]],
            {"reducer": call("Reducer.minMax"), "axes": [0], "fieldAxis": 1},
            None,
        ),
    ],
)
def test_shapes(name, values, arguments, expected):
    if expected is None:
        # One input for a field axis of two.
        item = call(f"Array.{name}", array=array(values), **arguments)
        assert "field axis has length 2" in fails(item)
    else:
        assert run(name, values, **arguments) == expected


def test_fields_of_reductions_lie_along_an_axis():
    reduced = run("reduce", [[1], [5], [3]], reducer="minMax", axes=[0], fieldAxis=1)
    assert reduced == [[1, 5]]


def test_joining_masking_and_products():
    joined = call("Array.cat", arrays=[array([1, 2]), array([3, 4])], axis=1)
    assert info_of(joined) == [[1, 3], [2, 4]]
    masked = call("Array.mask", input=array([[1, 2], [3, 4]]), mask=array([[0, 1]]))
    assert info_of(masked) == [[2], [4]]
    number = call("Array", values=3)
    assert info_of(call("Array.mask", input=number, mask=call("Array", values=0))) == []
    assert info_of(call("Array.mask", input=number, mask=call("Array", values=1))) == 3
    product = call("Array.dotProduct", array1=array([1, 2]), array2=array([3, 4]))
    assert info_of(product) == 11
    assert info_of(call("Array.bitsToArray", input=5)) == [1, 0, 1]
    assert "same length" in fails(array([[1], [2, 3]]))


def test_matrices():
    values = [[4.0, 1.0], [2.0, 3.0]]
    matrix = np.array(values)
    inverse = info_of(call("Array.matrixInverse", input=array(values)))
    assert np.array(inverse) @ matrix == pytest.approx(np.eye(2))
    assert info_of(call("Array.matrixDeterminant", input=array(values))) == pytest.approx(10)
    parts = info_of(call("Array.matrixLUDecomposition", array=array(values)))
    lower, upper, swap = (np.array(parts[k]) for k in "LUP")
    assert lower @ upper == pytest.approx(swap @ matrix)
    parts = info_of(call("Array.matrixSingularValueDecomposition", array=array([[1, 2], [3, 4]])))
    u, s, v = (np.array(parts[k]) for k in "USV")
    assert u @ s @ v.T == pytest.approx(np.array([[1, 2], [3, 4]]))
    rows = np.array(info_of(call("Array.eigen", input=array(values))))
    assert rows[:, 0] == pytest.approx([5, 2])
    for value, *vector in rows:
        assert matrix @ vector == pytest.approx(value * np.array(vector))
    solved = call("Array.matrixSolve", left=array(values), right=array([[1.0], [2.0]]))
    assert matrix @ np.array(info_of(solved)) == pytest.approx(np.array([[1.0], [2.0]]))
    assert "square matrix" in fails(call("Array.matrixInverse", input=array([[1, 2]])))
    assert "ingular" in fails(call("Array.matrixInverse", input=array([[0, 0], [0, 0]])))


R = 2**-0.5


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        # EJML takes zeros for asymmetric, and completes a basis where vectors are wanting.
        ([[0, 0], [0, 0]], [[0, 0, 1], [0, 1, 0]]),
        ([[0, 1], [0, 0]], [[0, 0, 1], [0, 1, 0]]),
        ([[0, 0], [1, 0]], [[0, -1, 0], [0, 0, -1]]),
        ([[2, 0], [0, 2]], [[2, 1, 0], [2, 0, 1]]),
        ([[2, 0, 0], [0, 3, 0], [0, 0, 4]], [[4, 0, 0, 1], [3, 0, 1, 0], [2, 1, 0, 0]]),
        ([[0, 0], [1, 1]], [[1, 0, -1], [0, -R, R]]),
        ([[0, 1], [0, 1]], [[1, R, R], [0, 1, 0]]),
        ([[0, 1], [1, 0]], [[1, R, R], [-1, R, -R]]),
    ],
)
def test_eigenvectors_as_the_reference_prints_them(values, rows):
    assert np.array(info_of(call("Array.eigen", input=array(values)))) == pytest.approx(
        np.array(rows), abs=1e-12
    )


def test_eigenvectors_that_are_not_real_are_refused():
    assert "complex" in fails(call("Array.eigen", input=array([[0, -1], [1, 0]])))
    empty = call("Array.identity", size=0)
    assert "empty" in fails(call("Array.eigen", input=empty))


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.integers(1, 5).map(lambda n: (n, n)), elements=st.floats(-9, 9)))
def test_eigenvectors_of_symmetric_matrices(values):
    matrix = values + values.T
    rows = np.array(info_of(call("Array.eigen", input=array(matrix.tolist()))), float)
    assert rows[:, 0] == pytest.approx(np.sort(np.linalg.eigvalsh(matrix))[::-1], abs=1e-9)
    vectors = rows[:, 1:]
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-9
    assert matrix @ vectors.T == pytest.approx(rows[:, 0] * vectors.T, abs=1e-6)


def test_pixel_types():
    made = call("PixelType", precision="int", minValue=0, maxValue=9)
    assert info_of(made) == {"type": "PixelType", "precision": "int", "min": 0, "max": 9}
    assert info_of(call("PixelType.maxValue", pixelType=call("PixelType.uint8"))) == 255
    assert info_of(array([-5, 12], pixelType=made)) == [0, 9]
    assert "Invalid precision" in fails(call("PixelType", precision="long double"))


def test_formulas_of_numbers():
    def computed(text, **variables):
        return info_of(call("Number.expression", expression=text, vars=variables))

    assert computed("-x + 2 * y.a", x=1, y={"a": 3}) == 5
    assert computed("x > 3 ? 1 : sqrt(x)", x=2.25) == 1.5
    assert computed("2 ** 3 ^ 1") == 8
    assert computed("cos(PI)") == -1
    for text, words in [("z", "variable 'z'"), ("sqrt(1, 2)", "'sqrt' of 2"), ("y.b", "key 'b'")]:
        item = call("Number.expression", expression=text, vars={"y": {"a": 1}})
        assert words in fails(item)


def test_reducers_over_lists_and_columns():
    assert info_of(call("List.reduce", list=[1, None, 3], reducer="mean")) == 2
    both = call("List.reduce", list=[1, 3], reducer=call("Reducer.minMax"))
    assert info_of(both) == {"min": 1, "max": 3}
    rows = [call("Feature", metadata={"a": i, "w": i % 2}) for i in range(4)]
    columns = {"collection": call("Collection", features=rows), "selectors": ["a"]}
    assert info_of(call("Collection.reduceColumns", reducer="sum", **columns)) == {"sum": 6}
    weighted = call("Collection.reduceColumns", reducer="mean", weightSelectors=["w"], **columns)
    assert info_of(weighted) == {"mean": 2}
    two = {**columns, "selectors": ["a", "w"]}
    assert "takes 1 inputs" in fails(call("Collection.reduceColumns", reducer="sum", **two))


def test_dictionaries_and_features_as_arrays_and_images():
    values = {"b": 2, "a": 1.5}
    assert info_of(call("Dictionary.toArray", dictionary=values)) == [1.5, 2]
    bands = info_of(call("Dictionary.toImage", dictionary=values))["bands"]
    assert [band["id"] for band in bands] == ["a", "b"]
    feature = call("Feature", metadata=values)
    assert info_of(call("Feature.toArray", feature=feature, properties=["b", "a"])) == [2, 1.5]
    made = call("FeatureCollection.makeArray", collection=feature, properties=["a"])
    assert info_of(made)["features"][0]["properties"]["array"] == [1.5]
