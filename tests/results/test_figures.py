"""Figures and maps show what they are given, no more and no less."""

import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from pages import dots, paths

from eedask.results.reporting import build_coast, svg
from eedask.results.reporting.chosen import chosen
from eedask.results.reporting.coast import FILE, coast
from eedask.results.reporting.columns import columns
from eedask.results.reporting.drawing import plotted
from eedask.results.reporting.figures import frequent, histogram, series_lines
from eedask.results.reporting.item_map import Dots, View, item_map, locator, places_of

OUTLINES = Path(build_coast.__file__).parents[2] / "emulator/catalog/data/outlines.json.gz"
NUMBERS = st.floats(-1e300, 1e300)


def test_the_shipped_coast_is_what_the_script_makes_of_the_outlines():
    made = build_coast.coast_of(OUTLINES)
    with np.load(FILE) as shipped:
        assert {*shipped.files} == {*made}
        for name, array in made.items():
            np.testing.assert_array_equal(shipped[name], array)
    assert FILE.stat().st_size <= 60_000
    lines = shapely.MultiLineString([line.tolist() for line in coast()])
    # The Cape of Good Hope, Land's End, Gibraltar and Cape Comorin.
    for cape in ((18.47, -34.36), (-5.71, 50.07), (-5.35, 36.11), (77.55, 8.08)):
        assert lines.distance(shapely.Point(cape)) < 0.2
    # No line runs along the edges of a world map, or across it.
    assert max(np.abs(np.diff(line[:, 0])).max() for line in coast()) < 20


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=20))
def test_every_item_is_within_its_map(places):
    view = View.around(np.array(places))
    corners = np.array([[view.west, view.north], [view.east, view.south]])
    (left, top), (right, bottom) = view.xy(corners)
    x, y = view.xy(np.array(places)).T
    assert (x >= left - 1e-6).all()
    assert (x <= right + 1e-6).all()
    assert (y >= top - 1e-6).all()
    assert (y <= bottom + 1e-6).all()


def test_a_map_has_a_dot_for_every_item_and_the_coast_around_them():
    places = np.array([[8.0, 54.0], [10.0, 55.5], [12.5, 54.5]])
    drawn = item_map([Dots("ok", "#123456", places)], "map")
    # One more is in the legend.
    assert len(dots(drawn, "#123456")) == 3 + 1
    assert any("coast" in path.get("stroke", "") for path in paths(drawn))


def test_neighbours_across_the_antimeridian_are_neighbours_on_the_map():
    places = np.array([[179.9, -17.0], [-179.9, -17.1], [np.nan, np.nan]])
    west, east, _ = dots(item_map([Dots("ok", "#123456", places)], "map"), "#123456")
    assert 0 < east[0] - west[0] < 500
    assert "180°" in item_map([Dots("ok", "#123456", places)], "map")
    assert locator(places)
    assert not locator(np.array([[-170.0, 0], [10.0, 0], [150.0, 0]]))


def test_items_of_any_kind_have_a_place():
    shapes = [shapely.Point(5e5, 0), None, shapely.Point(), shapely.box(5e5, -10, 5e5 + 20, 10)]
    places = places_of(gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32631"))
    np.testing.assert_allclose(places[[0, 3]], [[3, 0], [3, 0]], atol=1e-3)
    assert np.isnan(places[1:3]).all()


@example([1e16, 1e16 + 2])
@example([0.0, 5e-324])
@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_a_histogram_counts_every_value(values):
    counts = re.findall(r": ([\d,]+)</title>", histogram(pd.Series(values), "n"))
    assert sum(int(count.replace(",", "")) for count in counts) == len(values)


def test_a_histogram_of_times_has_dates():
    days = pd.Series(pd.date_range("2020-01-01", "2020-03-01", tz="UTC"))
    assert {"2020-01-01", "2020-03-01"} <= {
        *re.findall(r">(\d{4}-\d\d-\d\d)<", histogram(days, "t"))
    }


def test_frequent_values_are_counted_and_the_others_put_together():
    texts = pd.Series([*"aaaabbbccd", "<e>", "f", "g", "h"])
    drawn = frequent(texts, "letters")
    found = re.findall(r">([^<>]+)</text>", drawn)
    assert found[:4] == ["a", "4", "b", "3"]
    assert found[-2:] == ["2 other values", "2"]
    assert "<e>" not in drawn


@pytest.mark.parametrize("days", [1, 3, 500])
def test_a_series_is_drawn_by_its_median(days):
    when = pd.date_range("2020-01-01", periods=days, freq="D", tz="UTC")
    level = np.linspace(0, 10, days)
    values = pd.DataFrame(
        {"time": np.tile(when, 3), "b": np.concatenate([level - 1, level, level + 100])}
    )
    values.loc[0, "time"] = pd.NaT
    median = next(
        p["d"] for p in paths(series_lines(values, "b")) if p.get("stroke-width") == "1.6"
    )
    points = [tuple(map(float, xy.split())) for xy in re.findall(r"[\d.]+ [\d.]+", median)]
    assert len(points) == min(days, 160)
    # Upwards on a page is towards smaller y.
    assert sorted(points, key=lambda xy: (xy[0], -xy[1])) == points
    assert len({x for x, _ in points}) == len(points)


def test_infinite_values_are_left_out_of_figures():
    when = pd.date_range("2020-01-01", periods=4, tz="UTC")
    values = pd.DataFrame({"time": when, "b": [1.0, np.inf, np.nan, 3.0]})
    drawn = columns(values, is_series=True)
    assert "1 to 3, mean 2" in drawn
    assert "b over time" in drawn
    assert not re.search(r"[\d\"M L](nan|inf)\b", drawn)
    assert "over time" not in columns(values.assign(b=np.inf), is_series=True)


@pytest.mark.parametrize(
    ("values", "legend"),
    [
        ([np.nan] * 6, ["no value (6)"]),
        ([2.0] * 5 + [np.inf], ["no value (1)", "2 (5)"]),
        (
            [1, 2, 3, 4, 5, 6],
            ["1 to 2 (1)", "2 to 3 (1)", "3 to 4 (1)", "4 to 5 (1)", "5 to 6 (2)"],
        ),
        (["a", "b", "a", None, "c", "a"], ["no value (1)", "a (3)", "b (1)", "c (1)"]),
        (list("abcdef"), ["a (1)", "b (1)", "c (1)", "d (1)", "others (2)"]),
    ],
)
def test_a_plot_of_values_has_each_item_once(values, legend):
    items = gpd.GeoDataFrame(geometry=shapely.points(range(6), range(6)), crs="EPSG:4326")
    items["status"], items["v"] = "ok", pd.Series(values)
    texts = re.findall(r">([^<>]+)</text>", plotted(items, "v", None).svg)
    assert [text for text in texts if "(" in text] == legend


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 30))
def test_groups_share_what_is_shown(sizes, most):
    names = np.repeat([f"g{k}" for k in range(len(sizes))], sizes)
    rows = gpd.GeoDataFrame({"name": names}, geometry=[None] * len(names), crs="EPSG:4326")
    groups = chosen(rows, ["name"], most)
    shown = [len(group.rows) for group in groups]
    assert sum(shown) == min(most, len(names))
    assert all(group.rows["name"].eq(group.name).all() for group in groups)
    hungry = [n for n, group in zip(shown, groups, strict=True) if n < group.total]
    assert not hungry or max(shown) - min(hungry) <= 1


@given(st.floats(1e-6, 1e6), st.integers(1, 9))
def test_steps_of_axes_are_round_and_few(span, most):
    step = svg.round_step(span, most)
    assert span / step <= most * (1 + 1e-6)
    assert f"{step:e}"[0] in "125"
    assert len(svg.multiples(0, span, step)) <= most + 1
