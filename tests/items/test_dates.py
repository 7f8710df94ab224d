"""Ranges of time follow one another without gap or overlap; crossed with items, ids stay unique."""

import datetime
import itertools

import ee
import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from mounted import SERIES

import eedask
from eedask.errors import InputError, ItemsError
from eedask.items import cross, date_ranges
from eedask.tables.composites import spans

times = st.datetimes(datetime.datetime(1960, 1, 1), datetime.datetime(2090, 1, 1))
freqs = st.sampled_from(["D", "8D", "W", "MS", "2MS", "QS", "YS", "36h", "17min"])


@given(times, st.timedeltas(datetime.timedelta(minutes=1), datetime.timedelta(days=40)), freqs)
def test_ranges_cover_the_span_half_open_and_meet(start, length, freq):
    start = start.replace(microsecond=0)
    found = date_ranges(start, start + length, freq)
    first, last = (pd.Timestamp(t, tz="UTC").floor("ms") for t in (start, start + length))
    assert found["start"].iloc[0] == first
    assert found["end"].iloc[-1] == last
    assert (found["start"] < found["end"]).all()
    assert (found["end"].iloc[:-1].array == found["start"].iloc[1:].array).all()
    assert [str(dtype) for dtype in found.dtypes] == ["datetime64[ms, UTC]"] * 2
    assert found.index.is_unique
    assert pd.to_datetime(found.index, utc=True, format="ISO8601").tolist() == list(found["start"])


@given(times, st.timedeltas(datetime.timedelta(days=70), datetime.timedelta(days=400)), freqs)
def test_spans_of_composites_are_the_ranges_that_begin_at_borders(start, length, freq):
    start = start.replace(microsecond=0)
    try:
        laid = spans(freq, start, start + length)
    except InputError:
        assert freq == "YS"
        return
    ranges = date_ranges(start, start + length, freq)
    begins = [int(t.timestamp() * 1000) for t in ranges["start"]]
    assert [begin for begin, _ in laid] == begins[begins[0] != laid[0][0] :]
    assert [end for _, end in laid[:-1]] == [begin for begin, _ in laid[1:]]
    # The last is whole.
    assert laid[-1][1] >= int(ranges["end"].iloc[-1].timestamp() * 1000)


@pytest.mark.parametrize(
    ("start", "end", "freq", "ids"),
    [
        ("2019", "2019-04", "MS", ["2019-01-01", "2019-02-01", "2019-03-01"]),
        ("2019-01-15", "2019-03-10", "MS", ["2019-01-15", "2019-02-01", "2019-03-01"]),
        ("2019-01-15T06:00", "2019-02-02", "MS", ["2019-01-15T06:00:00", "2019-02-01T00:00:00"]),
        ("2020-02-20", "2020-03-07", "8D", ["2020-02-20", "2020-02-28"]),
        (datetime.date(2019, 1, 1), "2019-01-02T01:00+02:00", "D", ["2019-01-01"]),
        ("2019", "2019-01-01T02", "1h", ["2019-01-01T00:00:00", "2019-01-01T01:00:00"]),
    ],
)
def test_ids_are_iso_dates(start, end, freq, ids):
    assert date_ranges(start, end, freq).index.tolist() == ids


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2019", "2019", "MS"), "end is after start"),
        (("2020", "2019", "MS"), "end is after start"),
        (("soon", "2019", "MS"), "start is a date .* got 'soon'"),
        (("2019", None, "MS"), "end is a date .* got None"),
        ((2019, 2020, "MS"), "start is a date such as '2019-01-01'; got 2019: a number is no date"),
        (("2019", "2020", "month"), "freq is .* got 'month'"),
        (("2019", "2020", "-1D"), "does not lead forward"),
        (("2019", "2020", None), "got None"),
        (("2019", "2020", "1ns"), "more than 1,000,000: state a longer one"),
        (("2019-01-01", "2019-01-01T00:00:01", "1500us"), "counts milliseconds"),
    ],
)
def test_ranges_that_cannot_be_laid_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        date_ranges(*arguments)


def places(*ids, crs="EPSG:32614", **columns):
    shapes = [shapely.Point(500_000 + 100 * k, 4_700_000) for k in range(len(ids))]
    return gpd.GeoDataFrame(columns, geometry=shapes, index=list(ids), crs=crs)


def test_every_item_meets_every_row():
    dates = date_ranges("2019", "2019-03", "MS")
    found = cross(places("a", "b", name=["x", "y"]), dates, ids=("place", "month"))
    assert found.index.tolist() == ["a_2019-01-01", "a_2019-02-01", "b_2019-01-01", "b_2019-02-01"]
    assert found.index.name == "id"
    assert found.columns.tolist() == ["name", "place", "start", "end", "month", "geometry"]
    assert found["place"].tolist() == ["a", "a", "b", "b"]
    assert found["start"].tolist() == dates["start"].tolist() * 2
    assert found.crs == "EPSG:32614"
    assert found.geometry.x.tolist() == [500_000, 500_000, 500_100, 500_100]


def test_the_geometry_is_the_items_or_else_the_others():
    footprints = places("f", "g", crs="EPSG:4326")[["geometry"]].assign(id=[1, 2])
    found = cross(places(1, 2), footprints)
    assert found.crs == "EPSG:32614"
    # An index "id" beside a column "id" would be taken for it.
    assert (found.index.name, found["id"].tolist()) == (None, [1, 2, 1, 2])
    found = cross(date_ranges("2019", "2021", "YS"), places("a"))
    assert found.crs == "EPSG:32614"
    assert found.index.tolist() == ["2019-01-01_a", "2020-01-01_a"]
    assert cross(pd.DataFrame({"k": [1]}), pd.DataFrame({"m": [2]})).geometry.isna().all()


names = st.lists(st.text("a_", min_size=1), min_size=1, max_size=4, unique=True)


@given(names, names)
def test_ids_are_unique_or_refused(left, right):
    made = [f"{a}_{b}" for a, b in itertools.product(left, right)]
    frames = pd.DataFrame(index=left), pd.DataFrame(index=right)
    if len(set(made)) == len(made):
        assert cross(*frames).index.tolist() == made
    else:
        with pytest.raises(ItemsError, match="several pairs of ids make one"):
            cross(*frames)


def test_products_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ItemsError, match=r"columns named \['k'\]: .*'other_k'"):
        cross(places("a", k=[1]), places("b", k=[1]))
    shapes = places("b").rename_geometry("footprint").assign(geometry=1)
    with pytest.raises(ItemsError, match=r"columns named \['geometry'\]"):
        cross(places("a"), shapes)
    with pytest.raises(ItemsError, match="a column 'geometry' that geopandas does not take"):
        cross(places("a"), pd.DataFrame({"geometry": [1]}))
    with pytest.raises(ItemsError, match="stand twice"):
        cross(places("a", "a"), places("b"))
    with pytest.raises(ItemsError, match="no items"):
        cross(places("a"), pd.DataFrame({"k": []}))
    for ids in ("xy", ("a",), ("a", "a"), ("k", "m"), ("id", "m"), (1, 2)):
        with pytest.raises(InputError, match="ids is a pair of names"):
            cross(places("a", k=[1]), pd.DataFrame(index=["b"]), ids=ids)


@pytest.mark.usefixtures("threads", "earth_engine")
def test_items_with_dates_are_traced_and_get_the_images_of_their_own(tmp_path):
    dates = date_ranges("2016-01-01", "2016-03-01", "16D")
    jobs = cross(places("a"), dates)

    def images(item):
        return ee.ImageCollection(SERIES).filterDate(item["start"], item["end"]).size()

    plan = eedask.compute(jobs, images, out=tmp_path / "out")
    assert not plan.notes
    starts = pd.to_datetime(["2016-01-01", "2016-01-17", "2016-02-02"], utc=True)
    wanted = [((starts >= s) & (starts < e)).sum() for s, e in dates.to_numpy()]
    assert plan.run(progress=False).table()["value"].tolist() == wanted
