"""Corner cases of lists, dictionaries, strings, dates and filters, by the API reference's words."""

from datetime import UTC, datetime

import pytest
from graphs import call, function, info_of
from hypothesis import given, settings
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError


def fails(item):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item)
    assert caught.value.code == 400
    assert "Internal error" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "items", "arguments", "expected"),
    [
        # Positions beyond the list are cut off where that is said, and errors elsewhere.
        ("slice", [0, 1, 2, 3], {"start": -9, "end": -1}, [0, 1, 2]),
        ("slice", [0, 1], {"start": 5}, []),
        ("slice", [0, 1, 2], {"start": 2, "end": 1}, []),
        ("splice", [0, 1, 2, 3, 4], {"start": 2, "count": 1, "other": None}, [0, 1, 3, 4]),
        ("splice", [0, 1, 2, 3, 4], {"start": -2, "count": 1}, [0, 1, 2, 4]),
        ("splice", [0, 1, 2, 3, 4], {"start": 1, "count": 3}, [0, 4]),
        ("splice", [0, 1, 2], {"start": 2, "count": 0, "other": ["X", "Y"]}, [0, 1, "X", "Y", 2]),
        ("splice", [0, 1, 2], {"start": 1, "count": 1, "other": ["X", "Y"]}, [0, "X", "Y", 2]),
        ("splice", [0, 1], {"start": 2, "count": 0, "other": [9]}, [0, 1, 9]),
        ("insert", [1, 2], {"index": -1, "element": 9}, [1, 9, 2]),
        ("set", [1, 2], {"index": -1, "element": 9}, [1, 9]),
        ("rotate", [], {"distance": 3}, []),
        ("rotate", [1, 2, 3], {"distance": 7}, [3, 1, 2]),
        # The shortest inner list says how far an unzipping goes.
        ("unzip", [], {}, []),
        ("unzip", [[1, 2], []], {}, []),
        ("zip", [], {"other": [1]}, []),
        ("flatten", [[], [[]]], {}, []),
        ("sort", [3, None, 1], {}, [1, 3, None]),
        ("indexOf", [1, None], {"element": None}, 1),
        ("removeAll", [1, 2, 1, 3], {"other": [1, 9]}, [2, 3]),
        ("containsAll", [1, 2], {"other": []}, True),
        ("equals", [1, [2.0]], {"other": [1.0, [2]]}, True),
        ("indexOfSublist", [1], {"target": []}, 0),
        ("join", [], {"separator": ","}, ""),
        # A reducer of nothing gives null, but for counts.
        ("reduce", [], {"reducer": "mean"}, None),
        ("reduce", [None], {"reducer": "count"}, 0),
        ("reduce", [None, "a"], {"reducer": "countEvery"}, 2),
        ("reduce", [[1, 2], [3, 4]], {"reducer": "linearFit"}, {"scale": 1, "offset": 1}),
    ],
)
def test_lists(name, items, arguments, expected):
    if isinstance(arguments.get("reducer"), str):
        arguments = {"reducer": call(f"Reducer.{arguments['reducer']}")}
    assert info_of(call(f"List.{name}", list=items, **arguments)) == expected


@pytest.mark.parametrize(
    ("name", "items", "arguments", "words"),
    [
        ("slice", [0], {"start": 0, "step": -1}, "step must be positive"),
        ("splice", [0, 1], {"start": 5, "count": 1}, "Found 5"),
        ("insert", [1, 2], {"index": 4, "element": 9}, "Found 4"),
        ("set", [1, 2], {"index": -3, "element": 9}, "Found -3"),
        ("swap", [1, 2], {"pos1": 0, "pos2": 2}, "Found 2"),
        ("unzip", [1], {}, "must be lists"),
        ("sort", [1, 2], {"keys": [1]}, "'keys' has 1 elements"),
        ("reduce", [[1, 2], [3]], {"reducer": "linearFit"}, "takes 2 inputs, but 1"),
        ("reduce", ["a"], {"reducer": "mean"}, "mean cannot take such values"),
        ("getString", [None], {"index": 0}, "Expected a String"),
    ],
)
def test_lists_refuse(name, items, arguments, words):
    if isinstance(arguments.get("reducer"), str):
        arguments = {"reducer": call(f"Reducer.{arguments['reducer']}")}
    assert words in fails(call(f"List.{name}", list=items, **arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"start": 5, "end": 0}, []),
        ({"start": 5, "end": 0, "step": -2}, [5, 3, 1]),
        ({"start": 5, "end": 9, "count": 1}, [5]),
        ({"start": 10, "count": 3}, [10, 11, 12]),
        ({"start": 0, "end": 10, "step": 2, "count": 3}, [0, 5, 10]),
        ({"start": 0.5, "end": 2}, [0.5, 1.5]),
    ],
)
def test_sequences(arguments, expected):
    assert info_of(call("List.sequence", **arguments)) == expected


def test_sequences_and_functions_refuse():
    assert "step must not be 0" in fails(call("List.sequence", start=0, end=1, step=0))
    assert "Invalid count 0" in fails(call("List.sequence", start=0, end=1, count=0))
    one = function(lambda x: x, "x")
    assert "of 1 arguments was called with 2" in fails(
        call("List.iterate", list=[1], function=one, first=0)
    )
    broken = function(lambda x: call("Number.add", left=x, right="a"), "x")
    assert "Number.add" in fails(call("List.map", list=[1], baseAlgorithm=broken))


VALUES = {"b": 1, "a": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("get", {"key": "z", "defaultValue": 0}, 0),
        ("remove", {"selectors": ["[ab]"]}, {}),
        ("remove", {"selectors": ["z"], "ignoreMissing": True}, VALUES),
        ("select", {"selectors": ["z", "a"], "ignoreMissing": True}, {"a": 2}),
        ("rename", {"from": ["a"], "to": ["b"], "overwrite": True}, {"b": 2}),
        ("values", {"keys": ["b", "a"]}, [1, 2]),
        ("set", {"key": "c", "value": [1]}, {**VALUES, "c": [1]}),
        ("contains", {"key": "a"}, True),
        ("size", {}, 2),
        ("toArray", {"keys": ["b"]}, [1]),
    ],
)
def test_dictionaries(name, arguments, expected):
    assert info_of(call(f"Dictionary.{name}", dictionary=VALUES, **arguments)) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("get", {"key": "z"}, "does not contain key: 'z'"),
        ("values", {"keys": ["z"]}, "'z'"),
        ("select", {"selectors": ["z"]}, "Selector 'z' did not match"),
        ("rename", {"from": ["a"], "to": ["b"]}, "'b' exists already"),
        ("rename", {"from": ["a"], "to": []}, "same length"),
        ("rename", {"from": ["z"], "to": ["y"]}, "'z'"),
        ("getString", {"key": "a"}, "Expected a String"),
    ],
)
def test_dictionaries_refuse(name, arguments, words):
    assert words in fails(call(f"Dictionary.{name}", dictionary=VALUES, **arguments))


def test_dictionaries_are_made_of_pairs():
    assert "alternate" in fails(call("Dictionary", input=["a"]))
    assert "alternate" in fails(call("Dictionary", input=[1, 2]))
    assert "1 keys, but 0 values" in fails(call("Dictionary.fromLists", keys=["a"], values=[]))


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("match", {"input": "ABCabc123", "regex": ""}, [""]),
        ("match", {"input": "ABCabc123", "regex": "AB", "flags": "ig"}, ["AB", "ab"]),
        ("match", {"input": "ABCabc123", "regex": "abc[^0-9]", "flags": "i"}, ["ABCa"]),
        ("match", {"input": "ab", "regex": "a(x)?b"}, ["ab", ""]),
        ("replace", {"input": "abc-abc", "regex": "abc", "replacement": "", "flags": "g"}, "-"),
        (
            "replace",
            {"input": "aBc-Abc", "regex": "abc", "replacement": "Z", "flags": "i"},
            "Z-Abc",
        ),
        ("split", {"string": "aBAbcD", "regex": "ab", "flags": "i"}, ["", "", "cD"]),
        ("split", {"string": "aBAbcD", "regex": "(BA|c)"}, ["a", "b", "D"]),
        ("split", {"string": "a.b", "regex": "\\."}, ["a", "b"]),
        ("split", {"string": ",a,,", "regex": ","}, ["", "a"]),
        ("split", {"string": "", "regex": ","}, [""]),
        ("slice", {"string": "abc", "start": 3, "end": 3}, ""),
        ("slice", {"string": "", "start": -1}, ""),
        ("index", {"target": "abc", "pattern": ""}, 0),
        ("equals", {"reference": "1", "target": 1}, False),
        ("compareTo", {"string1": "a", "string2": "a"}, 0),
    ],
)
def test_strings(name, arguments, expected):
    assert info_of(call(f"String.{name}", **arguments)) == expected


@pytest.mark.parametrize(
    ("text", "radix", "expected"),
    [("1e3", 10, 1000), ("-0.5", 10, -0.5), ("ff", 16, 255), ("-101", 2, -5), (" 7 ", 10, 7)],
)
def test_numbers_are_read(text, radix, expected):
    assert info_of(call("Number.parse", input=text, radix=radix)) == expected


def test_numbers_that_are_none():
    assert "Cannot parse 'abc'" in fails(call("Number.parse", input="abc"))
    assert "Cannot parse '2'" in fails(call("Number.parse", input="2", radix=2))


def written(item):
    return info_of(call("Date.format", date=item))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("YYYY MM dd", "2021 4 30", "2021-04-30T00:00:00"),
        ("YYYY/MM/dd", "2021/4/30", "2021-04-30T00:00:00"),
        ("MM/dd/YY", "4/30/21", "2021-04-30T00:00:00"),
        ("MM/dd/YY", "4/30/1921", "1921-04-30T00:00:00"),
        ("MMM. dd, YYYY", "Apr. 30, 2021", "2021-04-30T00:00:00"),
        ("xxxx-'W'ww-e", "2021-W17-5", "2021-04-30T00:00:00"),
        ("D yyyy", "120 2021", "2021-04-30T00:00:00"),
        ("yyyy-MM-dd'T'HH:mmZ", "2021-04-30T01:02+0200", "2021-04-29T23:02:00"),
        ("hh:mm a", "12:30 AM", "1970-01-01T00:30:00"),
    ],
)
def test_dates_are_parsed(pattern, text, expected):
    assert written(call("Date.parse", format=pattern, date=text)) == expected


@settings(deadline=None)
@given(st.integers(0, 99))
def test_two_digits_mean_a_year_about_now(year):
    found = int(written(call("Date.parse", format="yy", date=f"{year:02d}"))[:4])
    now = datetime.now(UTC).year
    assert found % 100 == year
    assert now - 81 <= found <= now + 20


def test_dates_that_cannot_be():
    assert "Bad date/time" in fails(call("Date.fromYMD", year=2020, month=13, day=1))
    assert "out of range" in fails(
        call("Date.update", date=call("Date", value="2021-02-01"), day=29)
    )
    assert "does not match" in fails(call("Date.parse", format="yyyy-MM", date="April"))


def test_months_with_fewer_days_end_earlier():
    leap = call("Date", value="2020-02-29T06:00")
    assert written(call("Date.update", date=leap, year=2021)) == "2021-02-28T06:00:00"
    last = call("Date", value="2021-01-31")
    assert written(call("Date.update", date=last, month=4)) == "2021-04-30T00:00:00"
    assert written(call("Date.update", date=last, month=4, day=1)) == "2021-04-01T00:00:00"


@pytest.mark.parametrize(
    ("end", "start", "unit", "expected"),
    [
        ("2020-01-15", "2020-01-01", "days", 14),
        ("2020-01-01", "2020-01-15", "weeks", -2),
        ("2021-01-01", "2020-01-01", "year", 366 / 365.2425),
        ("2020-02-01", "2020-01-01", "month", 31 / (365.2425 / 12)),
        ("2020-01-01T00:00:30", "2020-01-01", "minute", 0.5),
    ],
)
def test_differences_are_in_average_units(end, start, unit, expected):
    dates = {"date": call("Date", value=end), "start": call("Date", value=start)}
    assert info_of(call("Date.difference", unit=unit, **dates)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("start", "delta", "unit", "expected"),
    [
        ("2020-01-01", 1, "week", "2020-01-08T00:00:00"),
        ("2020-01-01", -1, "second", "2019-12-31T23:59:59"),
        ("2020-01-01", -0.5, "day", "2019-12-31T12:00:00"),
        ("2020-03-31", -1, "month", "2020-02-29T00:00:00"),
        ("2020-01-31", 13, "months", "2021-02-28T00:00:00"),
    ],
)
def test_dates_advance(start, delta, unit, expected):
    item = call("Date.advance", date=call("Date", value=start), delta=delta, unit=unit)
    assert written(item) == expected


@pytest.mark.parametrize(
    ("unit", "inside", "expected"),
    [
        ("month", "year", 3),
        ("week", "year", 17),
        ("day", "year", 119),
        ("day", "month", 29),
        ("minute", "day", 435),
        ("second", "minute", 31),
        # A larger unit within a smaller one is 0.
        ("year", "month", 0),
    ],
)
def test_relative_units(unit, inside, expected):
    moment = call("Date", value="2021-4-30T07:15:31.24")
    assert info_of(call("Date.getRelative", date=moment, unit=unit, inUnit=inside)) == expected


def dates(start, end):
    return call("DateRange", start=start, end=end)


def ends(item):
    return [written(call(f"DateRange.{e}", dateRange=item)) for e in ("start", "end")]


def test_date_ranges():
    first, second = dates("2017-06-24", "2017-07-24"), dates("2017-07-01", "2018-08-24")
    shared = call("DateRange.intersection", dateRange=first, other=second)
    assert ends(shared) == ["2017-07-01T00:00:00", "2017-07-24T00:00:00"]
    apart = dates("1970-06-24", "1971-07-24")
    whole = call("DateRange.union", dateRange=first, other=apart)
    assert ends(whole) == ["1970-06-24T00:00:00", "2017-07-24T00:00:00"]
    none = call("DateRange.intersection", dateRange=first, other=apart)
    assert info_of(call("DateRange.isEmpty", dateRange=none)) is True
    assert info_of(call("DateRange.intersects", dateRange=first, other=apart)) is False
    inner = dates("2017-06-30", "2017-07-10")
    assert info_of(call("DateRange.contains", dateRange=first, other=inner)) is True
    assert info_of(call("DateRange.contains", dateRange=inner, other=first)) is False
    for start, end in [("2017-07-24", "2017-06-24"), ("2017-07-24", "2017-07-24")]:
        assert info_of(call("DateRange.isEmpty", dateRange=dates(start, end))) is True
    # Touching ranges share no moment: the end is exclusive.
    later = dates("2017-07-24", "2018")
    assert info_of(call("DateRange.intersects", dateRange=first, other=later)) is False
    zoned = call("DateRange", start="2020", end="2021", timeZone="US/Mountain")
    assert ends(zoned)[0] == "2020-01-01T07:00:00"


def rectangle(*corners):
    return call("GeometryConstructors.Rectangle", coordinates=list(corners))


FEATURES = [
    call("Feature", geometry=rectangle(0, 0, 1, 1), metadata={"x": 0, "l": [1, 2]}),
    call("Feature", geometry=rectangle(0, 0, 3, 3), metadata={"x": "foo"}),
    call(
        "Feature",
        geometry=call("GeometryConstructors.Point", coordinates=[0.5, 0.5]),
        metadata={"y": 5},
    ),
    call("Feature", geometry=None, metadata={"x": None, "y": 1}),
]


def passing(name, **arguments):
    """Which features pass a filter."""
    kept = call(
        "Collection.filter",
        collection=call("Collection", features=FEATURES),
        filter=call(f"Filter.{name}", **arguments),
    )
    return [int(f["id"]) for f in info_of(kept)["features"]]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        # A missing property passes no comparison, but the negation of one.
        ("equals", {"leftField": "x", "rightValue": 0}, [0]),
        ("notEquals", {"leftField": "x", "rightValue": 0}, [1]),
        ("not", {"filter": call("Filter.equals", leftField="x", rightValue=0)}, [1, 2, 3]),
        ("greaterThan", {"leftField": "y", "rightValue": 1}, [2]),
        ("lessThanOrEquals", {"leftField": "y", "rightValue": 1}, [3]),
        ("greaterThan", {"leftValue": 4, "rightField": "y"}, [3]),
        ("equals", {"leftField": "y", "rightField": "y"}, [2, 3]),
        ("rangeContains", {"field": "y", "minValue": 1, "maxValue": 5}, [2, 3]),
        ("maxDifference", {"difference": 1, "leftField": "y", "rightValue": 4}, [2]),
        ("listContains", {"leftField": "l", "rightValue": 2}, [0]),
        ("inList", {"leftField": "x", "rightValue": ["foo", 9]}, [1]),
        ("stringContains", {"leftField": "x", "rightValue": "oo"}, [1]),
        ("stringStartsWith", {"leftField": "x", "rightValue": "o"}, []),
        ("stringEndsWith", {"leftField": "x", "rightValue": "oo"}, [1]),
        ("notNull", {"properties": ["x"]}, [0, 1]),
        ("notNull", {"properties": ["x", "y"]}, []),
        ("notNull", {"properties": []}, [0, 1, 2, 3]),
        ("hasGeometry", {}, [0, 1, 2]),
        ("or", {"filters": []}, []),
        ("and", {"filters": []}, [0, 1, 2, 3]),
        ("calendarRange", {"start": 1, "end": 366}, []),
        # Types, and those that they are kinds of.
        ("hasType", {"leftField": ".geo", "rightValue": "Point"}, [2]),
        ("hasType", {"leftField": ".geo", "rightValue": "Polygon"}, [0, 1]),
        ("hasType", {"leftField": ".geo", "rightValue": "Geometry"}, [0, 1, 2]),
        ("hasType", {"leftField": "x", "rightValue": "Number"}, [0]),
        ("hasType", {"leftField": "x", "rightValue": "String"}, [1]),
        ("hasType", {"leftField": "x", "rightValue": "Object"}, [0, 1]),
        # Nothing holds an empty geometry.
        ("contains", {"leftField": ".geo", "rightValue": FEATURES[2]}, [0, 1, 2]),
        ("isContained", {"leftField": ".geo", "rightValue": rectangle(0, 0, 2, 2)}, [0, 2]),
        (
            "contains",
            {"leftField": ".geo", "rightValue": call("GeometryConstructors.MultiPoint",
                                                     coordinates=[])},
            [],
        ),
    ],
)  # fmt: skip
def test_filters(name, arguments, expected):
    assert passing(name, **arguments) == expected


def test_filters_refuse():
    both = {"leftField": "x", "rightField": "y", "rightValue": 1}
    with pytest.raises(EarthEngineError, match=r"Filter\.equals: Specify only one of 'rightField'"):
        passing("equals", **both)
    with pytest.raises(EarthEngineError, match="is required"):
        passing("equals")
    with pytest.raises(EarthEngineError, match="Unable to compare types: String and Integer"):
        passing("lessThan", leftField="x", rightValue=1)
    with pytest.raises(EarthEngineError, match="Invalid field 'fortnight'"):
        passing("calendarRange", start=1, field="fortnight")


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [(6, 8, [6, 7, 8]), (12, 2, [1, 2, 12]), (3, None, [3])],
)
def test_calendar_ranges_wrap(start, end, months):
    rows = []
    for month in range(1, 13):
        date = call("Date.fromYMD", year=2020, month=month, day=15)
        stamp = call("Date.millis", date=date)
        rows.append(call("Feature", geometry=None, metadata={"system:time_start": stamp}))
    kept = call(
        "Collection.filter",
        collection=call("Collection", features=rows),
        filter=call("Filter.calendarRange", start=start, end=end, field="month"),
    )
    assert [int(f["id"]) + 1 for f in info_of(kept)["features"]] == months


def test_lists_are_filtered_by_their_items():
    items = [1, 2, 3, None, 6, 7]

    def kept(name, **arguments):
        condition = call(f"Filter.{name}", **arguments)
        return info_of(call("List.filter", list=items, filter=condition))

    assert kept("equals", leftField="item", rightValue=3) == [3]
    assert kept("greaterThan", leftField="item", rightValue=4) == [6, 7]
    assert kept("notNull", properties=["item"]) == [1, 2, 3, 6, 7]
    assert kept("inList", leftField="item", rightValue=[1, 98, 99]) == [1]


HUGE = 2**40


def array(values):
    return call("Array", values=values)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Array.transpose", {"array": array([1]), "axis1": HUGE, "axis2": HUGE}),
        ("Array.transpose", {"array": array([1]), "axis1": -1}),
        ("Array.cat", {"arrays": [array([1])], "axis": HUGE}),
        ("Array.cat", {"arrays": [], "axis": 0}),
        ("Array.repeat", {"array": array([1]), "axis": -1, "copies": 2}),
        ("Array.repeat", {"array": array([[1, 2]] * 1000), "copies": 1_000_000}),
        ("Array.pad", {"array": array([1]), "lengths": [HUGE]}),
        ("Array.reshape", {"array": array([1]), "shape": [HUGE, HUGE]}),
        ("Array.project", {"array": array([[1]]), "axes": [0, 0]}),
        ("Array.reduce", {"array": array([1]), "reducer": "sum", "axes": [0, 0]}),
        ("Array.sort", {"array": array([1, 2]), "keys": array([[1, 2]])}),
        ("Array.identity", {"size": HUGE}),
        ("Dictionary.toArray", {"dictionary": {"a": 1}, "axis": HUGE}),
        ("List.repeat", {"value": 0, "count": HUGE}),
        ("List.sequence", {"start": 0, "end": 1, "step": 1e-300}),
        ("List.shuffle", {"list": [1], "seed": "a"}),
        ("List.map", {"list": ["a"], "baseAlgorithm": "Number.abs"}),
        ("List.iterate", {"list": [1], "function": "Number.abs", "first": 0}),
        ("Date.advance", {"date": 0, "delta": 1e10, "unit": "year"}),
        ("Date.update", {"date": 0, "hour": HUGE}),
        ("Filter.contains", {"leftField": "x", "rightValue": 5}),
        ("PixelType", {"precision": [1]}),
        ("Reducer.max", {"numInputs": HUGE}),
        ("Image.arrayRepeat", {"input": array([1]), "axis": HUGE, "copies": 1}),
        ("Image.arrayTranspose", {"input": array([1]), "axis1": HUGE}),
        ("Image.arrayPad", {"image": array([1]), "lengths": [1] * 40}),
        ("Image.matrixIdentity", {"size": HUGE}),
    ],
)
def test_hostile_arguments_are_refused(name, arguments):
    if isinstance(arguments.get("reducer"), str):
        arguments = {**arguments, "reducer": call("Reducer.sum")}
    fails(call(name, **arguments))


@pytest.mark.parametrize(
    ("name", "left", "right", "expected"),
    [
        ("leftShift", 63, 2**62, 0),
        ("leftShift", 1, 63, -(2**63)),
        ("rightShift", -5, 2**62, -1),
        ("rightShift", 5, -(2**62), 0),
    ],
)
def test_shifts_by_more_than_there_are_bits(name, left, right, expected):
    assert info_of(call(f"Number.{name}", left=left, right=right)) == expected


def test_named_algorithms_are_called_with_their_own_types():
    absolute = call("List.map", list=[-1, -2.5], baseAlgorithm="Number.abs")
    assert info_of(absolute) == [1, 2.5]
    dates = call("List.map", list=["2020-01-01"], baseAlgorithm="Date.millis")
    assert info_of(dates) == [1577836800000]


def test_large_numbers_are_written_whole():
    text = info_of(call("Number.format", number=1e300, pattern="%.1f"))
    assert text == "1" + "0" * 300 + ".0"
