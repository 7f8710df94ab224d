"""The report is one page that needs nothing else, shows what there is, and runs nothing."""

from pathlib import Path

import ee
import geopandas as gpd
import numpy as np
import pytest
import shapely
from fields import fields
from mounted import FIELD, SCENE, SERIES
from pages import Page
from PIL import Image

import eedask
from eedask.errors import DatasetError, InputError
from eedask.results.contact_sheet import Labelled, Shelf, contact_sheet

EVIL = """<script>alert("x")</script>"""
WORDS = {"a/b": "left 'n' right", "evil": EVIL, "none": None}


@pytest.fixture
def chips(earth_engine, threads, points, tmp_path):
    """Twelve chips in three groups; one failed, with HTML in its id and in the error."""
    items = points.iloc[:12].drop(columns="half")
    items["kind"] = [WORDS["a/b"]] * 6 + [EVIL] * 4 + [None] * 2
    items["band"] = ["R"] * 11 + ["<b>nope</b>"]
    items.index = [*items.index[:11], '"><img src=x onerror=alert(1)>']
    plan = eedask.chips(
        items,
        lambda item: ee.Image(SCENE).select([item["band"]]),
        out=tmp_path / "chips",
        shape=(8, 8),
        scale=5,
        format="png",
        folder_by="kind",
        folder_missing="none",
    )
    return plan.run(progress=False)


def page_of(result):
    path = Path(result.report())
    assert path.name == "report.html"
    return Page(path.read_text(encoding="utf-8"))


def check_needs_nothing_else(page):
    assert not {"script", "link", "iframe", "a", "object", "b/"} & {*page.tags}
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert (tag, value.partition(";")[0]) in (
                ("img", "data:image/png"),
                ("img", "data:image/jpeg"),
            )
        assert "url(" not in value
    assert ("meta", "charset", "utf-8") in page.attributes


def test_a_report_of_chips(chips):
    page = page_of(chips)
    check_needs_nothing_else(page)
    assert [picture.size for picture in page.pictures()] == [(8, 8)] * 11
    # Groups are called as the column's values are, not as their folders.
    for heading in (f"{WORDS['a/b']} 6 chips", f"{EVIL} 4 chips", "no value 1 chip"):
        assert heading in page.text
    assert "permanent 1 item" in page.text
    assert '"><img src=x onerror=alert(1)>: HTTP 400: Image.select' in page.text
    assert "Band pattern '<b>nope</b>'" in page.text
    assert "plan.run(retry_failed=True)" in page.text
    assert "11 ok" in page.text
    assert "12 requests" in page.text
    assert "items failed requests" in page.text
    assert f" s 12 1 12 {chips._runs[0].requests_per_s:,.1f} 0 0 " in page.text
    assert f"earthengine-api {ee.__version__}" in page.text


def test_a_report_of_what_is_not_done(chips):
    for part in (Path(chips.path) / "manifest").iterdir():
        part.unlink()
    page = page_of(eedask.open_result(chips.path))
    check_needs_nothing_else(page)
    assert "12 not done" in page.text
    assert "not done (12)" in page.text
    assert not list(page.pictures())


def test_a_report_of_a_series(earth_engine, threads, rasters, tmp_path):
    items = fields(rasters.field, 4)
    series = ee.ImageCollection(SERIES).select(["b1"], ["a<b"])
    result = eedask.time_series(items, series, "mean", out=tmp_path / "out").run(progress=False)
    page = page_of(result)
    check_needs_nothing_else(page)
    assert "Over time a<b median of the items" in page.text
    assert f"{len(result.table())} rows" in page.text
    labels = {value for tag, name, value in page.attributes if name == "aria-label"}
    assert {"a<b over time", "histogram of a<b", "histogram of seconds an item"} <= labels


def test_results_and_plans_in_notebooks(chips, earth_engine, points, tmp_path):
    page = Page(chips._repr_html_())
    assert "11 ok, 1 failed" in page.text
    assert "; 12 requests of " in page.text
    assert "permanent (1): HTTP 400" in page.text
    assert "b" in page.tags
    assert "Band pattern '<b>nope</b>'" in page.text
    plan = eedask.chips(points, ee.Image(SCENE), out=tmp_path / EVIL, shape=(8, 8), scale=5)
    page = Page(plan._repr_html_())
    assert EVIL in page.text
    assert "script" not in page.tags


def test_a_plot_shows_a_column_or_the_state(chips, earth_engine, threads, points, tmp_path):
    assert "ok (11)" in chips.plot().svg
    assert "failed (1)" in chips.plot()._repr_svg_()
    assert "no value (2)" in chips.plot("kind").svg
    assert "<script" not in chips.plot("kind").svg
    result = eedask.sample_points(points, ee.Image(FIELD), out=tmp_path / "table")
    drawing = result.run(progress=False).plot("b1")
    drawing.save(tmp_path / "b1.svg")
    assert (tmp_path / "b1.svg").read_text(encoding="utf-8") == drawing.svg
    with pytest.raises(InputError, match="no column 'b9'; there are kind, band, status"):
        chips.plot("b9")
    with pytest.raises(InputError, match="no column 'b9'"):
        chips.explore("b9")


def test_what_has_no_place_is_not_on_a_map(earth_engine, threads, tmp_path):
    items = gpd.GeoDataFrame({"n": [1, 2]}, geometry=[None, shapely.Point()], crs="EPSG:4326")
    plan = eedask.compute(items, lambda item: ee.Number(item["n"]), out=tmp_path / "out")
    result = plan.run(progress=False)
    assert "Where" not in page_of(result).text
    for look in (result.plot, result.explore):
        with pytest.raises(InputError, match="the map would be empty"):
            look()


def test_what_draws_maps_to_explore_is_asked_for(chips, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "eedask\[explore\]"'):
        chips.explore()


def test_a_contact_sheet_has_each_group_under_its_name(chips):
    sheet = np.asarray(chips.contact_sheet(5, columns=2, side=20))
    # Two, two and one: for each group a heading of 26 pixels and a row of 20 + 18 + 6.
    assert sheet.shape == (3 * (26 + 44) + 6, 2 * 26 + 6, 3)
    for name, n in (("n", "x"), ("columns", 0), ("side", 2.5)):
        with pytest.raises(InputError, match=f"{name} is a whole number, 1 or more; got {n!r}"):
            chips.contact_sheet(**{name: n})


def test_labels_are_right_below_pictures_that_are_wider_than_high():
    wide = Labelled(Image.new("RGB", (80, 20)), "a")
    sheet = contact_sheet([Shelf(None, [wide, wide])], columns=1, side=40)
    assert sheet.size == (40 + 2 * 6, 2 * (10 + 18 + 6) + 6)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": -1}, {"columns": 2.5}, {"side": "160"}])
def test_a_contact_sheet_is_measured_in_whole_numbers(chips, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name} is a whole number, 1 or more; got {value!r}"):
        chips.contact_sheet(**wrong)


def test_a_report_that_cannot_be_written_says_so(chips):
    Path(chips.path, "report.html").mkdir()
    with pytest.raises(DatasetError, match=r"cannot be read or written .*: mend that"):
        chips.report()
