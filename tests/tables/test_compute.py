"""Any value for every item, as typed columns."""

import csv
import datetime
from pathlib import Path

import ee
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
from mounted import SCENE

import eedask
from eedask.earthengine.nodes import value_node
from eedask.errors import InputError, RunStopped

pytestmark = pytest.mark.usefixtures("threads")


@pytest.fixture
def numbers():
    return pd.DataFrame({"n": range(50)}, index=[f"k{n}" for n in range(50)])


def run(items, function, tmp_path, **more):
    return eedask.compute(items, function, out=tmp_path / "out", **more).run(progress=False)


def test_a_number_for_each(earth_engine, numbers, tmp_path):
    before = earth_engine.stats()["requests"]
    result = run(numbers, lambda item: ee.Number(item["n"]).pow(2), tmp_path)
    table = result.table()
    assert table["value"].tolist() == [n**2 for n in range(50)]
    assert table["value"].dtype == float
    # Six to see what comes; fifty items by five at first, then by twenty.
    assert earth_engine.stats()["requests"] - before <= 6 + 10


def test_a_table_is_reported_and_has_no_chips(earth_engine, numbers, tmp_path):
    def function(item):
        n = ee.Number(item["n"])
        return ee.Algorithms.If(n.mod(2), n, None)

    result = run(numbers, function, tmp_path)
    page = Path(result.report()).read_text()
    assert "50 rows" in page
    assert "<b>value</b> <span>float64; 25 nulls; 1 to 49, mean 25</span>" in page
    for look in (result.contact_sheet, lambda: result.open("k1")):
        with pytest.raises(InputError, match=r"rows of a table: see \.table\(\)"):
            look()


@pytest.mark.parametrize("escapes", [True, False])
def test_texts_that_a_spreadsheet_would_run_are_escaped_if_asked(earth_engine, tmp_path, escapes):
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "2-1", "'=1", "", None]
    items = pd.DataFrame({"text": texts, "n": [-1.5] * len(texts)})
    columns = {"=a": str, "n": float, "m": "int64"}

    def function(item):
        text, n = item["text"], ee.Number(item["n"])
        return ee.Dictionary({"=a": text, "n": n, "m": n.toInt()})

    result = run(items, function, tmp_path, schema=columns)
    files = result.to_csv_per_item(tmp_path / "csv", escape_formulas=escapes)
    rows = []
    for file in files:
        with Path(file).open(newline="") as stream:
            rows += csv.DictReader(stream)
    mark = "'" if escapes else ""
    shown = [f"{mark}{text}" for text in texts[:7]] + ["2-1", "'=1", "", ""]
    assert [row[f"{mark}=a"] for row in rows] == shown
    assert [(row["n"], row["m"]) for row in rows] == [("-1.5", "-1")] * len(texts)
    assert result.table()["=a"].isna().tolist() == [False] * 10 + [True]


def test_a_column_may_be_called_time(earth_engine, numbers, tmp_path):
    result = run(numbers, lambda item: ee.Dictionary({"time": {"of": item["n"]}}), tmp_path)
    assert result.table()["time"].tolist() == [{"of": n} for n in range(50)]


def test_dictionaries_features_and_dates_become_columns(earth_engine, numbers, tmp_path):
    def function(item):
        n = ee.Number(item["n"])
        return ee.Feature(
            None,
            {
                "twice": n.multiply(2),
                "name": ee.String("item ").cat(n.format("%d")),
                "when": ee.Date("2020-01-01").advance(n, "day"),
                "list": ee.List.sequence(0, n),
                "nested": ee.Dictionary({"a": n, "b": ee.List([n])}),
            },
        )

    result = run(numbers, function, tmp_path)
    assert (result.manifest["status"] == "ok").all(), result.failed["error"].tolist()
    row = result.table().loc["k3"]
    assert (row["twice"], row["name"]) == (6, "item 3")
    assert row["when"] == pd.Timestamp("2020-01-04", tz="UTC")
    assert list(row["list"]) == [0, 1, 2, 3]
    assert row["nested"]["a"] == 3
    parts = pyarrow.dataset.dataset(tmp_path / "out/table")
    assert parts.schema.field("when").type == pa.timestamp("ms", tz="UTC")
    assert pa.types.is_struct(parts.schema.field("nested").type)
    assert parts.count_rows() == 50


def test_a_stated_schema_is_kept_and_what_does_not_fit_it_fails_alone(
    earth_engine, numbers, tmp_path
):
    def halves(item):
        return ee.Dictionary({"half": ee.Number(item["n"]).divide(2)})

    result = run(numbers, halves, tmp_path, schema={"half": int})
    table = result.table()
    assert table["half"].dtype == "Int64"
    assert table["half"].dropna().tolist() == list(range(25))
    assert len(result.failed) == 25
    assert "0.5 does not fit the column 'half'" in result.failed.loc["k1", "error"]


def test_a_key_that_comes_late_is_told_not_lost(earth_engine, numbers, tmp_path):
    def function(item):
        more = ee.Dictionary({"extra": 1, "n": item["n"]})
        return ee.Dictionary(ee.Algorithms.If(ee.Number(item["n"]).eq(30), more, {"n": item["n"]}))

    result = run(numbers, function, tmp_path)
    assert result.failed.index.tolist() == ["k30"]
    assert "['extra']" in result.failed.loc["k30", "error"]
    stated = eedask.compute(
        numbers, function, out=tmp_path / "two", schema={"n": float, "extra": float}
    ).run(progress=False)
    assert stated.table()["extra"].sum() == 1


def test_one_item_that_cannot_be_computed_fails_alone(earth_engine, numbers, tmp_path):
    def function(item):
        bad = ee.Number.parse("no number")
        return ee.Algorithms.If(ee.Number(item["n"]).eq(17), bad, item["n"])

    result = run(numbers, function, tmp_path)
    assert result.failed.index.tolist() == ["k17"]
    assert result.failed.loc["k17", "error_kind"] == "permanent"
    # Twenty items are cut in two five times at most.
    assert result.manifest["attempts"].max() <= 7


def test_an_object_by_geometry(earth_engine, points, tmp_path):
    def function(item):
        return ee.Image(SCENE).reduceRegion("first", item.geometry)

    result = run(points, function, tmp_path)
    assert result.table()[["R", "G", "B", "N"]].notna().all().all()


def test_nulls_stay(earth_engine, numbers, tmp_path):
    result = run(numbers, lambda item: ee.Dictionary({"a": 1}).get("a", item["n"]), tmp_path)
    assert result.table()["value"].tolist() == [1] * 50
    nothing = eedask.compute(
        numbers, lambda item: ee.Feature(None, {}).get("x"), out=tmp_path / "null"
    ).run(progress=False)
    assert (nothing.manifest["status"] == "ok").all()
    assert nothing.table()["value"].isna().all()


def test_python_types_of_a_schema(earth_engine, numbers, tmp_path):
    schema = {"f": float, "s": "string", "t": datetime.datetime, "b": bool}

    def function(item):
        return ee.Dictionary({"f": 1, "s": "x", "t": ee.Date(0), "b": True})

    table = run(numbers.iloc[:2], function, tmp_path, schema=schema).table()
    assert table.iloc[0][["f", "s", "b"]].tolist() == [1.0, "x", True]
    assert table["t"].iloc[0] == pd.Timestamp(0, tz="UTC")


def test_what_cannot_be_is_said(earth_engine, numbers, tmp_path):
    with pytest.raises(InputError, match="takes an item"):
        eedask.compute(numbers, 5, out=tmp_path)
    with pytest.raises(InputError, match="'decimal'"):
        eedask.compute(numbers, lambda i: ee.Number(1), out=tmp_path, schema={"a": "decimal"})
    plan = eedask.compute(numbers, lambda i: ee.Number.parse("x"), out=tmp_path / "o")
    with pytest.raises(RunStopped, match="Mend the plan"):
        plan.run(progress=False)


def test_what_no_expression_can_hold_fails_its_item_alone(earth_engine, tmp_path):
    items = pd.DataFrame({"x": [1.0, 2.0, np.inf, 4.0]}, index=[*"abcd"])
    result = run(items, lambda item: ee.Number(item["x"]).add(1), tmp_path)
    assert result.table()["value"].isna().tolist() == [False, False, True, False]
    assert result.failed["error_kind"].tolist() == ["input"]
    assert "holds NaN or an infinity" in result.failed["error"]["c"]


@pytest.mark.parametrize("value", [{1, 2}, 1j, datetime.date(2020, 1, 1), print])
def test_odd_values_of_items_say_what_may_stand_there(value):
    with pytest.raises(InputError, match="cannot stand in an expression of Earth Engine"):
        value_node(value)
