"""Regular expressions of users, and texts that a pattern of the emulator's own could stumble on.

The length of the texts is what is tested: a matcher that goes back and tries again would take
hours for each of them, and pytest-timeout ends it.
"""

import json

import pytest
from graphs import call, info_of
from hypothesis import given
from hypothesis import strategies as st

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.limits.budget import Budget, TimeLimit
from eedask.emulator.limits.metering import metered
from eedask.emulator.protocol.validation import parse_body

pytestmark = pytest.mark.timeout(30)

MANY = 300_000


def fails(item):
    with pytest.raises(EarthEngineError) as caught:
        info_of(item)
    assert caught.value.code == 400
    return caught.value.message


def image(*names):
    return call(
        "Image.rename", input=call("Image.constant", value=[1] * len(names)), names=list(names)
    )


BACKTRACKING = "(a+)+$"
LONG = "a" * MANY + "b"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (call("String.match", input=LONG, regex=BACKTRACKING), []),
        (call("String.match", input=LONG, regex="(a|aa)+$", flags="g"), []),
        (call("String.replace", input=LONG, regex="(a|aa)+$", replacement="", flags="g"), LONG),
        (call("String.split", string=LONG, regex=BACKTRACKING), [LONG]),
        (
            call(
                "Dictionary.remove",
                dictionary={LONG: 1},
                selectors=[BACKTRACKING],
                ignoreMissing=True,
            ),
            {LONG: 1},
        ),
        (
            call(
                "Image.bandNames",
                image=call(
                    "Image.regexpRename", input=image(LONG), regex=BACKTRACKING, replacement="x"
                ),
            ),
            [LONG],
        ),
    ],
)
def test_a_pattern_that_would_try_for_ever_is_answered(item, expected):
    assert info_of(item) == expected


@pytest.mark.parametrize(
    "item",
    [
        call("Image.select", input=image(LONG), bandSelectors=[BACKTRACKING]),
        call("Feature.select", input=call("Feature", geometry=None, metadata={LONG: 1}),
             propertySelectors=[BACKTRACKING]),
        call("Dictionary.select", dictionary={LONG: 1}, selectors=[BACKTRACKING]),
        call("Date.parse", format="y1M1d1H1m1s1S", date="1" * MANY + "x"),
        call("Date", value="2020-01-01T00" + " " * MANY + "x"),
        call("Number.format", number=1, pattern="%" + "0" * MANY),
        call("Number.parse", input="1" * MANY + "x"),
        call("Filter.expression", filter="a" * MANY),
        call("Filter.expression", filter='"' + r"\"" * MANY),
    ],
)  # fmt: skip
def test_a_text_that_nothing_matches_is_refused(item):
    assert fails(item)


@pytest.mark.parametrize(
    "body", ['[NaN, "' + r"\"" * MANY, '{"expression": NaN, "x": "' + r"\"" * MANY]
)
def test_a_body_that_is_no_json_is_refused(body):
    with pytest.raises(EarthEngineError, match="Invalid JSON payload"):
        parse_body(body.encode(), "ComputeValueRequest")


@pytest.mark.parametrize(
    ("text", "regex", "flags", "expected"),
    [
        # As RE2 has them, and Python's own have not.
        ("a\n", "a$", "", []),
        ("ä", r"\w", "", []),
        ("\N{ARABIC-INDIC DIGIT FOUR}", r"\d", "", []),
        ("ÄB", "äb", "i", ["ÄB"]),
        ("a-b c", "[[:alpha:][:space:]]", "g", ["a", "b", " ", "c"]),
        ("Grüße", r"\pL+", "", ["Grüße"]),
        ("aab", "a*?b", "", ["aab"]),
        ("a.b", r"\Qa.\Eb", "", ["a.b"]),
        ("🌍🌏x", "🌏(x)", "", ["🌏x", "x"]),
        ("abxd", "x*", "g", ["", "", "x", "", ""]),
    ],
)
def test_matches_are_re2s(text, regex, flags, expected):
    assert info_of(call("String.match", input=text, regex=regex, flags=flags)) == expected


@pytest.mark.parametrize("regex", ["(?=a)", "(?<!a)b", r"(a)\1", "(", "[b-a]", "a{1001}", "x**"])
def test_what_re2_has_not_is_refused_by_all(regex):
    for item in (
        call("String.match", input="a", regex=regex),
        call("String.replace", input="a", regex=regex, replacement=""),
        call("String.split", string="a", regex=regex),
        call("Dictionary.select", dictionary={"a": 1}, selectors=[regex]),
        call("Image.select", input=image("a"), bandSelectors=[regex]),
        call("Image.regexpRename", input=image("a"), regex=regex, replacement=""),
    ):
        assert fails(item).startswith(f"Invalid regular expression '{regex}': ")


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [("$2$1", "21-43"), ("[$&]", "[12]-[34]"), (r"\$1", "\\1-\\3"), ("$0", "12-34"), ("$", "$-$")],
)
def test_references_in_replacements(replacement, expected):
    arguments = {"input": "12-34", "regex": r"(\d)(\d)", "replacement": replacement, "flags": "g"}
    assert info_of(call("String.replace", **arguments)) == expected


def test_a_group_that_is_not_there_is_refused():
    item = call("String.replace", input="a", regex="(a)", replacement="$2")
    assert fails(item) == "The pattern has no group $2."


@given(st.text(max_size=30), st.text(alphabet="ab🌍\n", max_size=5))
def test_a_literal_is_found_where_python_finds_it(text, part):
    text = text + part + text
    item = call("String.replace", input=text, regex=rf"\Q{part}\E", replacement="-", flags="g")
    if text.isascii() or text.encode(errors="ignore").decode() == text:
        assert info_of(item) == text.replace(part, "-")


@pytest.mark.parametrize("regex", ["a", "\ud800"])
def test_half_of_a_pair_is_no_text(regex):
    words = fails(call("String.match", input="\udfff", regex=regex))
    assert words.startswith("Not a Unicode text: it has half of a pair, ")
    json.dumps(words).encode()


def test_what_a_pattern_does_is_counted():
    """A large pattern is slow even where no step is taken twice."""
    item = call("String.match", input="x" * MANY, regex="(?:x{0,999}y?z?)*w")
    with metered(Budget(timeout=1)), pytest.raises(TimeLimit):
        info_of(item)
