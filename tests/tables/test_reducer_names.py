"""Reducers as users name them: what they are to Earth Engine, and the columns that they fill."""

import ee
import pyarrow as pa
import pytest

from eedask.errors import InputError
from eedask.expressions.digest import digest
from eedask.tables.columns import columns
from eedask.tables.reducers import NAMES, reducer

BYTE = {"type": "PixelType", "precision": "int", "min": 0, "max": 255}
FLOAT = {"type": "PixelType", "precision": "float"}


def same(made, wanted):
    return digest(made.expression) == digest(ee.serializer.encode(wanted, for_cloud_api=True))


def test_names_are_the_clients_own(earth_engine):
    for name in NAMES:
        made = reducer(name)
        assert made.outputs == (name,)
        assert same(made, getattr(ee.Reducer, name)())


def test_lists_are_combined_over_the_same_pixels(earth_engine):
    made = reducer(["mean", "stdDev", "p5"])
    wanted = (
        ee.Reducer.mean()
        .combine(ee.Reducer.stdDev(), sharedInputs=True)
        .combine(ee.Reducer.percentile([5], ["p5"]), sharedInputs=True)
    )
    assert made.outputs == ("mean", "stdDev", "p5")
    assert same(made, wanted)


@pytest.mark.parametrize(
    ("name", "percentile"), [("p0", 0), ("p95", 95), ("p2.5", 2.5), ("p100", 100)]
)
def test_percentiles(earth_engine, name, percentile):
    assert same(reducer(name), ee.Reducer.percentile([percentile], [name]))


def test_weights_are_left_out_when_asked(earth_engine):
    assert same(reducer("mean", weighted=False), ee.Reducer.mean().unweighted())


def test_an_own_reducer_is_taken_as_it_is(earth_engine):
    made = reducer(ee.Reducer.frequencyHistogram())
    assert not made.is_named
    assert same(made, ee.Reducer.frequencyHistogram())


@pytest.mark.parametrize(
    "what", ["average", "p101", "p-1", "px", [], ["mean", "p"], 3, None, ["mean", 1]]
)
def test_unknown_reducers_are_refused_with_those_that_there_are(earth_engine, what):
    with pytest.raises(InputError, match=r"a name or a list of names, of count, .*; got "):
        reducer(what)


def test_a_reducer_twice_is_refused(earth_engine):
    with pytest.raises(InputError, match="stands twice"):
        reducer(["mean", "mean"])


@pytest.mark.parametrize("bands", [{"a": BYTE}, {"a": BYTE, "b": FLOAT}])
def test_columns_are_named_alike_for_one_band_and_many(bands):
    assert [c.name for c in columns(bands, ["mean"])] == list(bands)
    named = [f"{band}_{output}" for band in bands for output in ("mean", "max")]
    assert [c.name for c in columns(bands, ["mean", "max"])] == named


def test_each_value_is_found_under_earth_engines_name():
    (only,) = columns({"a": BYTE}, ["mean"])
    assert only.pick({"mean": 1, "other": 2}) == 1
    mean, peak = columns({"a": BYTE}, ["mean", "max"])
    assert (mean.pick({"mean": 1, "max": 2}), peak.pick({"mean": 1, "max": 2})) == (1, 2)
    first, second = columns({"a": BYTE, "mean": BYTE}, ["mean"])
    assert (first.pick({"a": 1, "mean": 2}), second.pick({"a": 1, "mean": 2})) == (1, 2)
    assert first.pick({}) is None


@pytest.mark.parametrize(
    ("output", "kind", "wanted"),
    [
        ("count", FLOAT, pa.int64()),
        ("max", BYTE, pa.int64()),
        ("max", FLOAT, pa.float64()),
        ("first", BYTE, pa.int64()),
        # The mean of a bucket, where there are too many values for one each.
        ("mode", BYTE, pa.float64()),
        ("median", BYTE, pa.float64()),
        ("sum", BYTE, pa.float64()),
    ],
)
def test_types_follow_the_band_and_the_reducer(output, kind, wanted):
    assert columns({"a": kind}, [output])[0].type == wanted
