"""The small parts of the shell: ids, pages, masks of fields, filters, discovery, answers."""

import json
import subprocess
import sys
from datetime import datetime
from itertools import count

import pytest
import shapely
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build_from_document
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.answers import error_answer, file_answer, json_answer
from eedask.emulator.errors import EarthEngineError
from eedask.emulator.geometry.geometry import Geometry
from eedask.emulator.output.formats import table_format
from eedask.emulator.protocol.discovery import algorithms_json, discovery_document
from eedask.emulator.rest.fields import select_fields
from eedask.emulator.rest.listing import parse_filter
from eedask.emulator.rest.listing_terms import parse_region
from eedask.emulator.rest.paging import Paged, Pager, page_size
from eedask.emulator.rest.store import LIFETIME_S, Store
from eedask.emulator.rest.tiles import tile_grid
from eedask.emulator.values.value_types import EVERYTHING, Feature

# Ids.


def test_ids_are_content_addressed_and_found_by_other_processes(tmp_path):
    mine, theirs = Store(tmp_path), Store(tmp_path)
    key = mine.put("thumbnails", {"b": 1, "a": [2]})
    assert mine.put("thumbnails", {"a": [2], "b": 1}) == key
    assert mine.put("thumbnails", {"a": [3], "b": 1}) != key
    assert theirs.get("thumbnails", key) == {"a": [2], "b": 1}


def test_ids_of_another_kind_or_none_are_404(tmp_path):
    store = Store(tmp_path)
    key = store.put("tables", {})
    for kind, name in [("thumbnails", key), ("tables", "x"), ("tables", "../" + key)]:
        with pytest.raises(EarthEngineError) as caught:
            store.get(kind, name)
        assert caught.value.code == 404


def test_ids_are_forgotten_after_hours(tmp_path):
    now = [0.0]
    store = Store(tmp_path, clock=lambda: now[0])
    key = store.put("tables", {"x": 1})
    now[0] = LIFETIME_S
    assert store.get("tables", key) == {"x": 1}
    now[0] += 1
    with pytest.raises(EarthEngineError):
        store.get("tables", key)
    # Making another one sweeps the old one's file away.
    store.put("tables", {"x": 2})
    assert len(list(tmp_path.iterdir())) == 1


# Pages.


@given(st.integers(0, 25), st.integers(1, 12), st.booleans())
def test_pages_hold_all_elements_once(length, size, by_other_process):
    pager, token, seen, sizes = Pager(), None, [], []
    while True:
        if by_other_process:
            pager = Pager()
        page = pager.page("q", size, token, Paged(lambda: iter(range(length))))
        seen += page.elements
        sizes.append(len(page.elements))
        token = page.next_token
        if token is None:
            break
    assert seen == list(range(length))
    # There is no empty page at the end, so no token leads to one.
    assert len(sizes) == max(1, -(-length // size))


def test_walking_through_pages_computes_each_element_once():
    computed = []

    def start():
        for i in range(10):
            computed.append(i)
            yield i

    pager, token = Pager(), None
    for _ in range(4):
        token = pager.page("q", 3, token, Paged(start)).next_token
    assert token is None
    assert computed == list(range(10))


def test_a_page_asked_for_twice_is_the_same():
    pager = Pager()
    token = pager.page("q", 2, None, Paged(count)).next_token
    first = pager.page("q", 2, token, Paged(count)).elements
    assert pager.page("q", 2, token, Paged(count)).elements == first == [2, 3]


def test_tokens_of_something_else_are_refused():
    pager = Pager()
    token = pager.page("q", 2, None, Paged(count)).next_token
    for query, text in [("r", token), ("q", "nonsense"), ("q", "é")]:
        with pytest.raises(EarthEngineError, match="page token"):
            pager.page(query, 2, text, Paged(count))


def test_pages_end_when_patience_does():
    """What a filter leaves little of comes in short pages, each computed once, none of it lost."""
    asked = []
    now = count()

    def keep(number):
        asked.append(number)
        return number % 10 == 9

    paged = Paged(lambda: iter(range(30)), keep, str, patience=4)
    for same in (True, False):
        asked.clear()
        pager, token, pages = Pager(lambda: next(now)), None, []
        while True:
            page = pager.page("q", 2, token, paged)
            pages.append(page.elements)
            token = page.next_token
            if token is None:
                break
            if not same:
                pager = Pager(lambda: next(now))
        assert [x for page in pages for x in page] == ["9", "19", "29"]
        assert asked == list(range(30))
        assert [] in pages
        assert 30 / 5 <= len(pages) <= 30 / 5 + 1


def test_page_sizes():
    assert [page_size(n, 1000, 50) for n in (None, 0, 7, 60)] == [50, 50, 7, 50]
    with pytest.raises(EarthEngineError, match="-1"):
        page_size(-1, 1000)


# Masks of fields.

ASSET = {
    "name": "n",
    "bands": [{"id": "a", "grid": {"crsCode": "c", "w": 1}}, {"id": "b"}],
    "properties": {"x": {"y": 1, "z": 2}, "w": {"y": 3}},
}


@pytest.mark.parametrize(
    ("mask", "part"),
    [
        ("name", {"name": "n"}),
        ("name,nothing", {"name": "n"}),
        ("bands(id)", {"bands": [{"id": "a"}, {"id": "b"}]}),
        ("bands/grid/crsCode", {"bands": [{"grid": {"crsCode": "c"}}, {}]}),
        (
            "bands(id,grid/crsCode),name",
            {"bands": [{"id": "a", "grid": {"crsCode": "c"}}, {"id": "b"}], "name": "n"},
        ),
        ("properties/*/y", {"properties": {"x": {"y": 1}, "w": {"y": 3}}}),
        ("*", ASSET),
    ],
)
def test_field_masks(mask, part):
    assert select_fields(ASSET, mask) == part


@pytest.mark.parametrize("mask", ["a(", "a)", ",a", "a,,b", "a b c!", "()", "a/"])
def test_field_masks_that_are_none(mask):
    with pytest.raises(EarthEngineError, match="Invalid field selection"):
        select_fields(ASSET, mask)


# Filters of lists.


def asset(start="2020-01-01T00:00:00Z", cloud=10, lon=0.5, **properties):
    millis = datetime.fromisoformat(start).timestamp() * 1000
    properties = {"system:time_start": millis, "CLOUD": cloud, **properties}
    return Feature(Geometry(shapely.Point(lon, 0.5)), properties, id="i7")


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        (None, True),
        ("", True),
        ('startTime >= "2020-01-01T00:00:00.000Z"', True),
        ('startTime > "2020-01-01T00:00:00.000Z"', False),
        ('startTime >= "2019-01-01" AND endTime < "2020-01-02T00:00:00Z"', True),
        ('endTime < "2020-01-01T00:00:00Z"', False),
        ("properties.CLOUD<20", True),
        ("properties.CLOUD < 10", False),
        ("properties.CLOUD = 10 AND properties.name = 'x'", True),
        ('properties.name != "x"', False),
        ("properties.gone != 3", False),
        ('properties.CLOUD < "20"', False),
        (
            "intersects(\"{'type':'Polygon','coordinates':[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}\")",
            True,
        ),
        ('intersects("POLYGON((2 0,3 0,3 1,2 1,2 0))")', False),
        ("properties.CLOUD<20 AND intersects(\"{'type':'Point','coordinates':[0.5,0.5]}\")", True),
    ],
)
def test_filters(text, keeps):
    assert parse_filter(text)(asset(name="x")) is keeps


def test_hints_leave_out_nothing_that_is_kept():
    text = 'startTime >= "2020-01-01" AND endTime < "2021-01-01" AND properties.a = "b"'
    hint = parse_filter(text + ' AND intersects("POINT(5 6)")').hint
    assert (hint.start, hint.end) == (1577836800000.0, 1609459200000.0)
    assert hint.equals == {"a": "b"}
    assert hint.bounds == (5, 6, 5, 6)


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        # OR binds closer than AND, and what only stands side by side is AND.
        ("n = 1 OR n = 2 AND n = 2", False),
        ("n = 2 AND n = 2 OR n = 1", False),
        ("n = 1 AND n = 2 OR n = 3 AND n = 3", False),
        ("n = 1 AND (n = 2 OR n = 1)", True),
        ("n = 1 OR (n = 2 AND n = 2)", True),
        ("n = 1 s = x", True),
        ("n = 1 s = y", False),
        ("n = 2 OR n = 1 s = x", True),
        ("(n=1)", True),
        ("((n=1)OR(n=2))AND(s=x)", True),
        ("NOT n = 1", False),
        ("NOT n = 1 OR n = 1", True),
        ("NOT (n = 2 OR s = y)", True),
        ("NOT NOT n = 1", True),
        ("-n = 1", False),
        ("-(n = 2)", True),
        ("not n = 2 and s = x or s = z", True),
        ("n = 1, s = y", False),
        ("n = 2 OR n = 1, s = x", True),
        # Without quotes a literal is what the property is; in quotes it is a string.
        ("version = 02.10", True),
        ("version = 2.1", False),
        ('version = "02.10"', True),
        ('n = "1"', False),
        ("n = 1.0", True),
        ("NOT gone = 1", True),
        ("name = NOT", True),
        ("OR_ELSE = 3", True),
        # Whether there is such a property, and what is in a list.
        ("properties.n:*", True),
        ("properties.gone:*", False),
        ("startTime:* AND NOT properties.gone:*", True),
        ("properties.list:b", True),
        ("list:4", True),
        ('list:"4"', False),
        ("list:c", False),
        ("n:1", True),
        ("s:y", False),
        ('properties.system:index = "i7"', True),
        ("system:index = i7", True),
    ],
)
def test_filters_joined_as_the_grammar_has_it(text, keeps):
    element = asset(n=1, s="x", version="02.10", list=["b", 4], name="NOT", OR_ELSE=3)
    assert parse_filter(text)(element) is keeps


_ATOMS = st.sampled_from(["n = 1", "n = 2", "s = x", "n:*", "gone:*"])
_FILTERS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from([" AND ", " OR ", ", "]), inner, inner).map(
            lambda t: f"({t[1]}){t[0]}({t[2]})"
        ),
        inner.map(lambda t: f"NOT ({t})"),
    ),
    max_leaves=12,
)


@given(_FILTERS)
def test_filters_are_what_python_makes_of_them(text):
    truths = {"n = 1": True, "n = 2": False, "s = x": True, "n:*": True, "gone:*": False}
    python = text
    for atom, truth in truths.items():
        python = python.replace(atom, str(truth))
    for word, operator in ((" AND ", " and "), (", ", " and "), (" OR ", " or "), ("NOT", "not")):
        python = python.replace(word, operator)
    assert parse_filter(text)(asset(n=1, s="x")) is eval(python)


def test_hints_of_or_and_not_leave_out_nothing():
    for text in ("a = 1 OR b = 2", 'NOT startTime >= "2020-01-01"', "-a = 1", "a:*"):
        assert parse_filter(text).hint == EVERYTHING
    both = parse_filter('(startTime >= "2020-01-01") AND (a = 1 OR b = 2)').hint
    assert both.start == 1577836800000.0
    assert not both.equals


@pytest.mark.parametrize(
    "text", ["a", "a = 1 OR", "(a = 1", "a = 1)", "AND a = 1", "a = 1 ,", "()"]
)
def test_filters_that_are_none_say_so(text):
    with pytest.raises(EarthEngineError, match="filter"):
        parse_filter(text)


def test_filters_nested_beyond_measure_are_refused():
    for deep in ("(" * 10_000 + "a = 1" + ")" * 10_000, "NOT " * 10_000 + "a = 1"):
        with pytest.raises(EarthEngineError, match="too deeply nested"):
            parse_filter(deep)
    assert parse_filter(" OR ".join(["n = 2"] * 900 + ["n = 1"]))(asset(n=1))


def test_regions():
    assert parse_region('{"type": "Point", "coordinates": [1, 2]}').bounds == (1, 2, 1, 2)
    for text in ["nonsense", "{", "{'type': 'Point'}"]:
        with pytest.raises(EarthEngineError, match="Invalid region"):
            parse_region(text)


# Discovery.


def test_the_discovery_document_builds_a_client():
    document = discovery_document("http://127.0.0.1:1")
    untouched = json.dumps(document)
    with build_from_document(document, credentials=AnonymousCredentials()) as service:
        projects = service.projects()
        request = projects.assets().listAssets(parent="projects/p/assets/x", pageSize=2)
        assert request.uri.endswith("/v1/projects/p/assets/x:listAssets?pageSize=2&alt=json")
        following = projects.assets().listAssets_next(request, {"nextPageToken": "t"})
        assert "pageToken=t" in following.uri
        assert projects.assets().listAssets_next(request, {}) is None
        tile = projects.maps().tiles().get(parent="projects/p/maps/m", zoom=3, x=2, y=1)
        assert tile.uri.endswith("/v1/projects/p/maps/m/tiles/3/2/1?alt=json")
    # The library adds to what it is given; the next who asks must not get that.
    assert json.dumps(discovery_document("http://127.0.0.1:1")) == untouched


def test_algorithms_are_those_of_the_client():
    names = [a["name"] for a in json.loads(algorithms_json())["algorithms"]]
    assert "algorithms/Image.reduceRegion" in names


# Tables, tiles and answers.

FEATURES = [
    {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"system:index": "0", "b": 1.5, "a": 'say "a, b"', "t": True},
    },
    {"type": "Feature", "geometry": None, "properties": {"system:index": "1", "b": None, "c": [1]}},
]


def table_answer(features, file_format, selectors, filename):
    return table_format({"fileFormat": file_format}).answer(features, selectors, filename)


def test_csv_has_the_columns_of_the_first_feature():
    answer = table_answer(iter(FEATURES), "CSV", [], "name")
    assert answer.body.decode().split("\n") == [
        "system:index,a,b,t,.geo",
        '0,"say ""a, b""",1.5,true,"{""type"": ""Point"", ""coordinates"": [1, 2]}"',
        "1,,,,",
        "",
    ]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="name.csv"'


def test_csv_of_chosen_columns_and_of_nothing():
    assert table_answer(FEATURES, "CSV", ["c", "b"], None).body == b"c,b\n,1.5\n[1],\n"
    assert table_answer([], "CSV", [], None).body == b"system:index,.geo\n"


def test_geojson_tables():
    answer = table_answer(FEATURES, "GEO_JSON", ["b"], None)
    table = json.loads(answer.body)
    assert table["type"] == "FeatureCollection"
    assert [f["properties"] for f in table["features"]] == [{"b": 1.5}, {"b": None}]
    assert json.loads(table_answer(FEATURES, "GEO_JSON", [], None).body)["features"] == FEATURES


def test_table_formats_without_support_say_so():
    with pytest.raises(EarthEngineError, match="KML"):
        table_answer(FEATURES, "KML", [], None)


def test_tiles_divide_the_world():
    whole = tile_grid(0, 0, 0)["affineTransform"]
    assert whole["translateX"] == pytest.approx(-20037508.342789244)
    assert whole["scaleX"] * 256 == pytest.approx(2 * 20037508.342789244)
    south_east = tile_grid(1, 1, 1)["affineTransform"]
    assert (south_east["translateX"], south_east["translateY"]) == (0, 0)
    for bad in [(1, 2, 0), (-1, 0, 0), (99, 0, 0), (1, 0, -1)]:
        with pytest.raises(EarthEngineError, match="tile coordinates"):
            tile_grid(*bad)


def test_json_has_no_bare_nan():
    answer = json_answer({"a": [float("nan"), float("inf"), -float("inf"), 1.5, "é"]})
    assert json.loads(answer.body, parse_constant=pytest.fail) == {
        "a": ["NaN", "Infinity", "-Infinity", 1.5, "é"]
    }


def test_errors_and_file_names():
    answer = error_answer(EarthEngineError("no", 404), {"Retry-After": "1"})
    assert answer.status == 404
    assert answer.headers["Retry-After"] == "1"
    assert json.loads(answer.body)["error"]["status"] == "NOT_FOUND"
    header = file_answer(b"", "x", 'a"b\r\n\\é').headers["Content-Disposition"]
    assert header == 'attachment; filename="a_b____"'


_MANY_OBJECTS = """
import gc
from eedask.emulator.server.render_process import settle

def looks():
    return sum(generation["collections"] for generation in gc.get_stats())

settle()
before, objects = looks(), [[] for _ in range(10_000)]
print(looks() - before, gc.get_freeze_count() > 10_000)
"""


def test_garbage_is_not_looked_for_within_an_answer():
    command = [sys.executable, "-c", _MANY_OBJECTS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "True"]
