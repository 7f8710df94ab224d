"""Laying values where a mask says so, against numpy's own way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eedask.emulator.catalog.world.laying import lay

SHAPE = (3, 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32])
@given(data=st.data())
def test_values_are_laid_as_copyto_does_to_the_bit(dtype, data):
    shapes = st.sampled_from([(), (5,), (3, 1), SHAPE])
    target = data.draw(arrays.arrays(dtype, SHAPE))
    values = data.draw(arrays.arrays(dtype, data.draw(shapes)))
    where = data.draw(arrays.arrays(np.bool_, data.draw(shapes)))
    expected = target.copy()
    np.copyto(expected, values, where=where)
    lay(target, where, values)
    assert target.tobytes() == expected.tobytes()


def test_a_part_of_an_array_is_written_to_and_numbers_become_its_type():
    target = np.zeros((4, 6), np.float32)
    lay(target[1:3, 2:5], np.array([[True, False, True]]), np.float64(0.1))
    expected = np.zeros((4, 6), np.float32)
    expected[1:3, [2, 4]] = np.float32(0.1)
    assert target.tobytes() == expected.tobytes()
