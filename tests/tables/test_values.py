"""Values of Earth Engine's JSON into Arrow: what is inferred, what fits, what is refused."""

import datetime
import json
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.errors import InputError
from eedask.tables.values import TIME, fit, infer, to_time

NUMBERS = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False))
LEAVES = st.sampled_from([NUMBERS, st.one_of(st.none(), st.text()), st.booleans()])


def nested(leaf):
    """Columns of one kind: leaves, lists of them, dictionaries of them."""
    names = st.dictionaries(st.sampled_from(["a", "b"]), leaf, min_size=1)
    numerals = st.dictionaries(st.sampled_from(["1", "2.5", "-3"]), leaf, min_size=1)
    return st.one_of(
        st.lists(kind, min_size=1, max_size=6) for kind in (leaf, st.lists(leaf), names, numerals)
    )


@settings(deadline=None)
@given(LEAVES.flatmap(nested))
def test_what_is_inferred_holds_all_values(values):
    kind = infer(values)
    values = [json.loads(json.dumps(value)) for value in values]
    array = pa.array([fit(value, kind) for value in values], kind)
    for value, held in zip(values, array.to_pylist(), strict=True):
        assert same(value, held)


def same(value, held):
    if isinstance(held, list) and held and isinstance(held[0], tuple):
        held = dict(held)
    if isinstance(value, list):
        return len(value) == len(held) and all(map(same, value, held))
    if isinstance(value, dict):
        # A struct has all keys that any value has; a map of none is an empty one.
        return all(same(value.get(key), item) for key, item in dict(held).items())
    return value == held or (held is not None and math.isclose(value, held))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], pa.float64()),
        ([None], pa.float64()),
        ([1, 2.5, None], pa.float64()),
        (["NaN", 1], pa.float64()),
        ([True, None], pa.bool_()),
        (["a", None], pa.string()),
        ([[1], [], None], pa.list_(pa.float64())),
        ([{"1": 2}, {"3": 4}], pa.map_(pa.string(), pa.float64())),
        ([{}], pa.map_(pa.string(), pa.float64())),
        ([{"a": 1}, {"b": "x"}], pa.struct([("a", pa.float64()), ("b", pa.string())])),
        ([{"type": "Date", "value": 5}], TIME),
    ],
)
def test_types_are_inferred(values, kind):
    assert infer(values) == kind


@pytest.mark.parametrize("values", [[1, "a"], [True, 1], [[1], 1], [{"a": 1}, [1]]])
def test_values_of_several_kinds_are_refused(values):
    with pytest.raises(InputError, match="several kinds"):
        infer(values)


FITTING = [
    (None, pa.int64(), None),
    (3.0, pa.int64(), 3),
    (2**53, pa.int64(), 2**53),
    (1, pa.bool_(), True),
    ("x", pa.string(), "x"),
    (5, pa.float64(), 5.0),
    ("Infinity", pa.float64(), math.inf),
    ("-Infinity", pa.float64(), -math.inf),
    ([1, None], pa.list_(pa.int64()), [1, None]),
    ({"1": 2, "3": None}, pa.map_(pa.int64(), pa.float64()), [(1, 2.0), (3, None)]),
    ({"b": 1, "c": 2}, pa.struct([("a", pa.string()), ("b", pa.int64())]), {"a": None, "b": 1}),
    ({"type": "Date", "value": -1500}, pa.date32(), datetime.date(1969, 12, 31)),
    ("x", pa.large_string(), "x"),
    (
        {"type": "Date", "value": -1500},
        TIME,
        datetime.datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=datetime.UTC),
    ),
]


@pytest.mark.parametrize(("value", "kind", "held"), FITTING)
def test_what_fits_is_taken(value, kind, held):
    assert fit(value, kind) == held
    assert pa.array([fit(value, kind)], kind).to_pylist() == [held]


def test_nan_fits_a_number():
    assert math.isnan(fit("NaN", pa.float64()))


REFUSED = [
    (1.5, pa.int64()),
    ("5", pa.int64()),
    ("NaN", pa.int64()),
    (2.0**70, pa.int64()),
    (300, pa.uint8()),
    (-1, pa.uint8()),
    ("abc", pa.float64()),
    ("abc", pa.list_(pa.string())),
    ({"a": 1}, pa.list_(pa.string())),
    ([1], pa.map_(pa.string(), pa.float64())),
    (5, pa.struct([("a", pa.int64())])),
    (5, pa.string()),
    (2, pa.bool_()),
    ("yes", pa.bool_()),
    ([0], pa.bool_()),
    ({"a": 1}, pa.map_(pa.int64(), pa.float64())),
    ("2020-01-01", pa.date32()),
    ({"type": "Date", "value": 0}, pa.time32("s")),
    ("x", pa.decimal128(5)),
]


@pytest.mark.parametrize(("value", "kind"), REFUSED)
def test_what_does_not_fit_is_refused(value, kind):
    with pytest.raises((ValueError, TypeError)):
        fit(value, kind)


def test_times_are_in_utc():
    assert to_time(None) is None
    assert to_time(0) == datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
