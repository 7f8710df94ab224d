"""File names stay inside the folder, are legal everywhere, and never collide."""

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eedask.dataset.file_names import differ_only_by_case, safe_name

AWKWARD = [
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "CON",
    "con.txt",
    "lpt1",
    "a" * 300,
    "🌍" * 100,
    "a/b",
    "a\\b",
    "",
    ".",
    "..",
    ".hidden",
    " x ",
    "x.",
    "nul",
    "a\x00b",
    "a:b*c?",
    "~",
    "\ud800",
]


def is_legal(name: str) -> bool:
    windows = PureWindowsPath(name)
    return (
        0 < len(name.encode()) <= 200
        and name == Path(name).name == windows.name
        and not windows.is_reserved()
        and name[-1] not in ". "
        and not any(ord(c) < 32 or c in '<>:"/\\|?*' for c in name)
    )


@pytest.mark.parametrize("value", AWKWARD)
def test_awkward_values_become_legal_names(value, tmp_path):
    name = safe_name(value)
    assert is_legal(name)
    (tmp_path / f"{name}.png").write_bytes(b"x")
    assert [p.name for p in tmp_path.iterdir()] == [f"{name}.png"]


def test_awkward_values_do_not_collide():
    values = [*AWKWARD, *map(safe_name, AWKWARD)]
    assert len({safe_name(v) for v in values}) == len(set(values))


def test_ordinary_names_stay_as_they_are():
    for name in (
        "12",
        "Colorado Rockies forests",
        "m_3910501_nw_13_1_20190815",
        "São-1".replace("ã", "a"),
    ):
        assert safe_name(name) == name


@given(st.text(), st.text())
def test_distinct_values_have_distinct_legal_names(a, b):
    assert is_legal(safe_name(a))
    assert (safe_name(a) == safe_name(b)) == (a == b)


@given(st.text(min_size=150), st.text(min_size=150))
def test_long_values_have_distinct_names(a, b):
    assert (safe_name(a) == safe_name(b)) == (a == b)


@given(st.lists(st.sampled_from(["a", "A", "ß", "SS", "b"]), min_size=1))
def test_names_differ_in_more_than_case_when_asked(values):
    distinct = set(values)
    names = {safe_name(v, unique_case=not differ_only_by_case(values)).casefold() for v in distinct}
    assert len(names) == len(distinct)


def test_numbers_are_named_by_their_text():
    assert safe_name(17) == "17"
    assert safe_name(-1) == "-1"
