"""Number, String, List, Dictionary and Date algorithms, by values of EE's reference and Joda's."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from graphs import call, function, info_of
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError


def fails(item):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item)
    assert caught.value.code == 400
    assert "Internal error" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "left", "right", "expected"),
    [
        ("add", 5, 10, 15),
        ("add", 2**63 - 1, 1, -(2**63)),
        ("subtract", 5, 0.5, 4.5),
        ("divide", 5, 10, 0.5),
        ("divide", 10, 0, 0),
        ("mod", -12, 5, -2),
        ("mod", 5.5, 2, 1.5),
        ("mod", 5, 0, 0),
        ("pow", 5, -2, 0.04),
        ("pow", -8, 0.5, "NaN"),
        ("pow", 10, 400, "Infinity"),
        ("atan2", 0, 1, math.pi / 2),
        ("atan2", -1, 0, math.pi),
        ("hypot", 3, 4, 5),
        ("firstNonZero", 0, 5, 5),
        ("and", 5, 0, 0),
        ("or", 0, 3, 1),
        ("gte", 5, 5, 1),
        ("bitwiseXor", 6, 3, 5),
        ("leftShift", 20, 2, 80),
        ("rightShift", 20, 2, 5),
        ("gammainc", 1, 1, 1 - math.exp(-1)),
    ],
)
def test_numbers_in_pairs(name, left, right, expected):
    assert info_of(call(f"Number.{name}", left=left, right=right)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("round", 10.5, 11),
        ("round", -2.5, -3),
        ("floor", -2.1, -3),
        ("ceil", -2.9, -2),
        ("log", 0, "-Infinity"),
        ("sqrt", -1, "NaN"),
        ("erfInv", 1, "Infinity"),
        ("gamma", 0.5, math.sqrt(math.pi)),
        ("gamma", 200, "Infinity"),
        ("trigamma", 1, math.pi**2 / 6),
        ("lanczos", 0, 32.946318679),
        ("lanczos", -0.9, 524.95519699),
        ("lanczos", -1, "Infinity"),
        ("toUint8", 300, 255),
        ("toInt8", -300.7, -128),
        ("toInt32", -1.9, -1),
        ("toFloat", 0.1, 0.10000000149011612),
        ("bitCount", 7, 3),
        ("bitCount", -1, 64),
        ("not", 0, 1),
        ("signum", -4.5, -1),
        ("exp", 1000, "Infinity"),
    ],
)
def test_numbers_alone(name, value, expected):
    assert info_of(call(f"Number.{name}", input=value)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pattern", "number", "expected"),
    [
        ("%s", 1, "1"),
        ("%s", 1.5, "1.5"),
        ("%03d", 7, "007"),
        ("%d", 7.0, "7"),
        ("%+d", 7, "+7"),
        ("%05d", -42, "-0042"),
        ("%-6d|", 42, "42    |"),
        ("%,d", 1234567, "1,234,567"),
        ("%.1f", 0.25, "0.3"),
        ("%.2f", 3.14159, "3.14"),
        ("%f", 1, "1.000000"),
        ("%.3e", 123476, "1.235e+05"),
        ("%x", 255, "ff"),
        ("%X", 255, "FF"),
        ("%(.1f", -2.5, "(2.5)"),
        ("a%db", 3, "a3b"),
        ("%.1f", 1e22, "10000000000000000000000.0"),
    ],
)
def test_numbers_as_text(pattern, number, expected):
    assert info_of(call("Number.format", number=number, pattern=pattern)) == expected


def test_impossible_formats_are_refused():
    assert "Invalid format" in fails(call("Number.format", number=1, pattern="%d%d"))
    assert "cannot format" in fails(call("Number.format", number=1.5, pattern="%d"))


@given(st.integers(-(2**62), 2**62), st.sampled_from([2, 8, 10, 16]))
def test_numbers_parse_in_any_base(value, radix):
    digits = {2: "b", 8: "o", 10: "d", 16: "x"}[radix]
    text = f"{value:{digits}}"
    assert info_of(call("Number.parse", input=text, radix=radix)) == value


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("split", {"string": "aBAbcD", "regex": "[bc]", "flags": "i"}, ["a", "A", "", "D"]),
        ("split", {"string": "a b", "regex": "[[:space:]]"}, ["a", "b"]),
        ("split", {"string": "abc", "regex": ""}, ["a", "b", "c"]),
        ("match", {"input": "ab12", "regex": "[a-z]([0-9])"}, ["b1", "1"]),
        ("match", {"input": "a1b2", "regex": "[0-9]", "flags": "g"}, ["1", "2"]),
        ("match", {"input": "a", "regex": "z"}, []),
        ("replace", {"input": "aXa", "regex": "a", "replacement": "b"}, "bXa"),
        ("replace", {"input": "aXa", "regex": "a", "replacement": "b", "flags": "g"}, "bXb"),
        ("replace", {"input": "k=v", "regex": r"(\w)=(\w)", "replacement": "$2:$1"}, "v:k"),
        ("slice", {"string": "abcdef", "start": -4, "end": -1}, "cde"),
        ("index", {"target": "abc", "pattern": "z"}, -1),
        ("rindex", {"target": "abab", "pattern": "ab"}, 2),
        ("compareTo", {"string1": "b", "string2": "a"}, 1),
        ("decodeJSON", {"string": '{"a":[1,null]}'}, {"a": [1, None]}),
        ("encodeJSON", {"object": {"a": [1.0, None]}}, '{"a":[1,null]}'),
        ("trim", {"string": "  a "}, "a"),
    ],
)
def test_strings(name, arguments, expected):
    assert info_of(call(f"String.{name}", **arguments)) == expected


def test_bad_patterns_are_refused():
    assert "Invalid regular expression" in fails(call("String.match", input="a", regex="("))
    assert "group" in fails(call("String.replace", input="a", regex="a", replacement="$3"))


def listed(name, items, **arguments):
    return info_of(call(f"List.{name}", list=items, **arguments))


@pytest.mark.parametrize(
    ("name", "items", "arguments", "expected"),
    [
        ("distinct", [1, "1", 1.0, True, [1], [1]], {}, [1, "1", True, [1]]),
        ("flatten", [1, [2, [3, [], [4]]]], {}, [1, 2, 3, 4]),
        ("frequency", [1, 2, 1], {"element": 1}, 2),
        ("get", [1, 2, 3], {"index": -1}, 3),
        ("indexOf", [1, 2], {"element": 3}, -1),
        ("indexOfSublist", [1, 2, 1, 2], {"target": [1, 2]}, 0),
        ("lastIndexOfSubList", [1, 2, 1, 2], {"target": [1, 2]}, 2),
        ("insert", [1, 2], {"index": 2, "element": 3}, [1, 2, 3]),
        ("join", ["a", 1, 2.5], {"separator": "-"}, "a-1-2.5"),
        ("remove", [1, 2, 1], {"element": 1}, [2, 1]),
        ("removeAll", [1, 2, 1], {"other": [1]}, [2]),
        ("replaceAll", [1, 2, 1], {"oldval": 1, "newval": 3}, [3, 2, 3]),
        ("rotate", [1, 2, 3], {"distance": 1}, [3, 1, 2]),
        ("rotate", [1, 2, 3], {"distance": -1}, [2, 3, 1]),
        ("slice", [0, 1, 2, 3], {"start": -3, "end": 9, "step": 2}, [1, 3]),
        ("sort", ["b", 2, "a", 1], {}, [1, 2, "a", "b"]),
        ("sort", ["x", "y", "z"], {"keys": [3, 1, 2]}, ["y", "z", "x"]),
        ("splice", [1, 2, 3], {"start": 1, "count": 1, "other": [8, 9]}, [1, 8, 9, 3]),
        ("swap", [1, 2, 3], {"pos1": 0, "pos2": -1}, [3, 2, 1]),
        ("unzip", [[1, 2], [3, 4, 5]], {}, [[1, 3], [2, 4]]),
        ("zip", [1, 2, 3], {"other": ["a", "b"]}, [[1, "a"], [2, "b"]]),
        ("contains", [None, 1], {"element": None}, True),
    ],
)
def test_lists(name, items, arguments, expected):
    assert listed(name, items, **arguments) == expected


def test_sequences():
    assert info_of(call("List.sequence", start=0, end=1, step=0.1)) == pytest.approx(
        [i / 10 for i in range(11)]
    )
    assert info_of(call("List.sequence", start=0, end=10, count=3)) == [0, 5, 10]
    assert info_of(call("List.sequence", start=0, step=-2, count=3)) == [0, -2, -4]
    assert "required" in fails(call("List.sequence", start=0))


def test_shuffles_keep_what_is_there_and_repeat_themselves():
    items = list(range(50))
    first, again = (listed("shuffle", items, seed=3) for _ in range(2))
    assert first == again != items
    assert sorted(first) == items
    assert listed("shuffle", items, seed=4) != first


def test_list_functions():
    total = call(
        "List.iterate",
        list=[1, 2, 3],
        function=function(lambda x, sum_: call("Number.add", left=x, right=sum_), "x", "s"),
        first=10,
    )
    assert info_of(total) == 16
    nulls = function(lambda x: call("If", condition=x, trueCase=x), "x")
    assert info_of(call("List.map", list=[0, 1], baseAlgorithm=nulls)) == [None, 1]
    dropped = call("List.map", list=[0, 1], baseAlgorithm=nulls, dropNulls=True)
    assert info_of(dropped) == [1]
    two = function(lambda x, y: x, "x", "y")
    assert "function of 2 arguments" in fails(call("List.map", list=[1], baseAlgorithm=two))


def test_positions_outside_a_list_are_refused():
    assert "List.get: List index must be" in fails(call("List.get", list=[1], index=1))
    assert "Expected a Number" in fails(call("List.getNumber", list=["a"], index=0))


def test_dictionaries():
    base = {"b": 1, "a": 2}
    assert info_of(call("Dictionary.keys", dictionary=base)) == ["a", "b"]
    assert info_of(call("Dictionary.values", dictionary=base)) == [2, 1]
    second = {"b": 5, "n": None}
    assert info_of(call("Dictionary.combine", first=base, second=second)) == {"a": 2, "b": 5}
    kept = call("Dictionary.combine", first=base, second=second, overwrite=False)
    assert info_of(kept) == {"a": 2, "b": 1}
    assert info_of(call("Dictionary.select", dictionary=base, selectors=["[ab]"])) == base
    assert info_of(call("Dictionary.remove", dictionary=base, selectors="a")) == {"b": 1}
    renamed = call("Dictionary.rename", dictionary=base, **{"from": ["a"], "to": ["c"]})
    assert info_of(renamed) == {"b": 1, "c": 2}
    assert info_of(call("Dictionary.get", dictionary=base, key="z", defaultValue=9)) == 9
    assert "'z'" in fails(call("Dictionary.getNumber", dictionary=base, key="z"))
    mapped = function(lambda k, v: call("String.cat", string1=k, string2=k), "k", "v")
    doubled = call("Dictionary.map", dictionary=base, baseAlgorithm=mapped)
    assert info_of(doubled) == {"a": "aa", "b": "bb"}
    assert info_of(call("Dictionary", input=["x", 1, "y", 2])) == {"x": 1, "y": 2}


def date(value, zone=None):
    return call("Date", value=value, timeZone=zone)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2020", None, "2020-01-01T00:00:00"),
        ("2017-6-24", None, "2017-06-24T00:00:00"),
        ("2017-175", None, "2017-06-24T00:00:00"),
        ("2017-6-24T00:14:46", None, "2017-06-24T00:14:46"),
        ("2020", "US/Mountain", "2020-01-01T07:00:00"),
        ("2020-07-01T12:00Z", "US/Mountain", "2020-07-01T12:00:00"),
        ("2020-07-01T12:00+02:00", None, "2020-07-01T10:00:00"),
    ],
)
def test_dates_are_read(text, zone, expected):
    assert info_of(call("Date.format", date=date(text, zone))) == expected


@pytest.mark.parametrize("text", ["yesterday", "2020-13-01", "2020-02-30", "2020-01-01T25:00"])
def test_what_is_no_date_is_refused(text):
    assert "Bad date/time" in fails(date(text))


@pytest.mark.parametrize(
    ("pattern", "zone", "expected"),
    [
        ("YYYY-MM-dd", None, "1975-07-23"),
        ("yy D DDD", None, "75 204 204"),
        ("xxxx ww e", None, "1975 30 3"),
        ("MMM MMMM E EEEE", None, "Jul July Wed Wednesday"),
        ("h K H k a", None, "9 9 21 21 PM"),
        ("mm:ss.SSS", None, "13:59.240"),
        ("'day' dd ''", None, "day 23 '"),
        ("z Z ZZ ZZZ", None, "UTC +0000 +00:00 UTC"),
        ("z Z ZZ ZZZ HH", "PST8PDT", "PDT -0700 -07:00 PST8PDT 14"),
        ("CC G", None, "19 AD"),
        ("zzzz", None, "Coordinated Universal Time"),
        ("zzzz", "PST8PDT", "Pacific Daylight Time"),
        ("zzzz", "Asia/Kolkata", "+05:30"),
        ("YY 'yada' MM", None, "75 yada 07"),
        ("YY ''MM'' dd", None, "75 '07' 23"),
    ],
)
def test_dates_are_written(pattern, zone, expected):
    moment = date("1975-07-23T21:13:59.24")
    assert info_of(call("Date.format", date=moment, format=pattern, timeZone=zone)) == expected


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd'T'HH:mm:ss.SSS", "yyyyDDDHHmmssSSS"])
@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(2199, 1, 1)))
def test_what_a_pattern_writes_it_reads(pattern, moment):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    millis = round(moment.replace(tzinfo=UTC).timestamp() * 1000)
    text = info_of(call("Date.format", date=millis, format=pattern))
    parsed = call("Date.millis", date=call("Date.parse", format=pattern, date=text))
    assert info_of(parsed) == millis


def test_dates_advance_by_the_calendar():
    def advanced(start, delta, unit, zone=None):
        later = call("Date.advance", date=date(start), delta=delta, unit=unit, timeZone=zone)
        return info_of(call("Date.format", date=later))

    assert advanced("2020-01-31", 1, "month") == "2020-02-29T00:00:00"
    assert advanced("2020-02-29", -1, "years") == "2019-02-28T00:00:00"
    assert advanced("2020-01-01", 1.5, "day") == "2020-01-02T12:00:00"
    assert advanced("2020-01-01", 90, "minutes") == "2020-01-01T01:30:00"
    # The clock goes back in between: a day has 25 hours, and 24 hours are no day.
    assert advanced("2020-11-01T05:00", 1, "day", "America/Denver") == "2020-11-02T06:00:00"
    assert advanced("2020-11-01T05:00", 24, "hour", "America/Denver") == "2020-11-02T05:00:00"


@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    unit=st.sampled_from(["year", "month", "week", "day", "hour", "minute", "second"]),
    zone=st.sampled_from(["UTC", "America/Denver", "Asia/Kolkata"]),
)
def test_units_hold_the_moments_in_them(moment, unit, zone):
    millis = round(moment.replace(tzinfo=UTC).timestamp() * 1000)
    dates = info_of(call("Date.getRange", date=millis, unit=unit, timeZone=zone))["dates"]
    assert dates[0] <= millis < dates[1]
    start = datetime.fromtimestamp(dates[0] / 1000, ZoneInfo(zone))
    assert start.second == 0 or unit == "second"
    if unit == "week":
        assert (start.weekday(), start.hour) == (0, 0)
    fraction = info_of(call("Date.getFraction", date=millis, unit=unit, timeZone=zone))
    assert 0 <= fraction < 1


def test_fields_of_dates():
    moment = date("2021-04-30T07:15:31.24")
    for unit, expected in [("year", 2021), ("month", 4), ("week", 17), ("day", 30), ("hour", 7)]:
        assert info_of(call("Date.get", date=moment, unit=unit)) == expected
    for unit, inside, expected in [("day", "year", 119), ("month", "year", 3), ("hour", "day", 7)]:
        relative = call("Date.getRelative", date=moment, unit=unit, inUnit=inside)
        assert info_of(relative) == expected
    assert info_of(call("Date.unitRatio", numerator="day", denominator="minute")) == 1440
    days = call("Date.difference", date=date("2020-03-01"), start=date("2020-02-01"), unit="day")
    assert info_of(days) == 29
    assert "Invalid time unit" in fails(call("Date.get", date=moment, unit="fortnight"))


def test_date_ranges():
    dates = call("DateRange", start="2020", end="2021")
    assert info_of(call("DateRange.contains", dateRange=dates, other="2020-06-01")) is True
    assert info_of(call("DateRange.contains", dateRange=dates, other="2021")) is False
    other = call("DateRange", start="2020-12-31", end="2022")
    shared = call("DateRange.intersection", dateRange=dates, other=other)
    assert info_of(call("DateRange.isEmpty", dateRange=shared)) is False
    assert info_of(call("DateRange", start=0)) == {"type": "DateRange", "dates": [0, 1]}
    assert info_of(call("DateRange.isUnbounded", dateRange=call("DateRange.unbounded"))) is True
