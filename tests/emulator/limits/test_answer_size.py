"""The 100 MiB of a computed value."""

import json
import time

import pytest
from example_raster import PROJECT
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.limits import answer_size
from eedask.emulator.limits.answer_size import TooLarge, check_json, check_value


def constant(value):
    return {"constantValue": value}


def repeated(node, count):
    arguments = {"value": node, "count": constant(count)}
    return {"functionInvocationValue": {"functionName": "List.repeat", "arguments": arguments}}


@pytest.fixture
def compute(core):
    def send(node):
        body = json.dumps({"expression": {"result": "0", "values": {"0": node}}}).encode()
        return core.answer("POST", f"/v1/projects/{PROJECT}/value:compute", body=body)

    return send


def is_too_large(answer):
    error = json.loads(answer.body).get("error", {})
    return (answer.status, error.get("message")) == (400, "Computed value is too large.")


def test_a_result_of_more_than_100_mebibytes_is_refused(compute):
    text = "a" * 2**20
    assert is_too_large(compute(repeated(constant(text), 100)))


def test_lists_of_one_list_are_refused_before_they_are_written_out(compute):
    node = constant(1)
    for _ in range(4):
        node = repeated(node, 1000)
    start = time.perf_counter()
    assert is_too_large(compute(node))
    assert time.perf_counter() - start < 5


def test_the_limit_counts_bytes_of_the_answer(compute, monkeypatch):
    node = repeated(constant(0.125), 100)
    size = len(compute(node).body)
    monkeypatch.setattr(answer_size, "MAX_RESULT", size)
    assert compute(node).status == 200
    monkeypatch.setattr(answer_size, "MAX_RESULT", size - 1)
    assert is_too_large(compute(node))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_nothing_is_refused_that_is_small_enough(value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    check_value(value, len(text))
    check_json(text.encode(errors="replace"), len(text.encode(errors="replace")))
    with pytest.raises(TooLarge):
        check_json(b"xx", 1)
