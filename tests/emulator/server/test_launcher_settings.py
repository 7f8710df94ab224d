"""Settings of another kind are a ValueError, before any process starts."""

import inspect
import subprocess

import numpy as np
import pandas as pd
import pytest

from eedask.emulator import Emulator
from eedask.emulator.server.options import parse_options

OTHERS = [
    *(True, -0.5, float("nan"), 1j, b"x", object(), lambda: 1),
    *([1], {1: object()}, {"x": None}, np.array([1, 2]), pd.DataFrame({"a": [1]})),
]


@pytest.mark.parametrize("name", inspect.signature(Emulator).parameters)
def test_a_setting_of_another_kind_is_refused(name, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process starts"))
    for value in OTHERS:
        with pytest.raises(ValueError, match=r"\w"):
            Emulator(**{name: value})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
        ({"concurrency": 1.5}, "argument --concurrency: expected a whole number, not 1.5"),
        ({"memory": float("inf")}, "argument --memory: expected a finite number, not inf"),
        ({"memory": 0}, "memory must be positive, not 0"),
        ({"timeout": -1}, "timeout must be positive, not -1"),
        ({"token_seconds": 0}, "token_seconds must be positive, not 0"),
        ({"monthly_eecu_hours": -1}, "monthly_eecu_hours must be 0 or more, not -1"),
        ({"rate": 10**400}, "argument --rate: expected a finite number"),
        ({"rate": 0}, "rate must be positive, not 0"),
        ({"processes": 257}, "argument --processes: expected 0 to 256, not 257"),
        ({"mounts": {"dem": 5}}, "'dem' is mounted as 5"),
        ({"mounts": "dem.tif"}, "paths by asset ids, .*, not 'dem.tif'"),
        ({"faults": 0.1}, "Faults is a text or a mapping of settings, not 0.1"),
        ({"latency": {"median": [1]}}, r"median is a number, not \[1\]"),
        ({"readings": 5}, "readings are a text, or a mapping .*, not 5"),
        ({"project": ""}, "project is the id of a project, not ''"),
    ],
)
def test_the_message_says_what_the_setting_is(setting, words):
    with pytest.raises(ValueError, match=words):
        Emulator(**setting)


@pytest.mark.parametrize("argument", ["--memory=inf", "--rate=nan", "--processes=257"])
def test_the_command_refuses_what_is_no_use(argument, capsys):
    with pytest.raises(SystemExit):
        parse_options([argument])
    name, value = argument.split("=")
    assert f"argument {name}: " in (told := capsys.readouterr().err)
    assert f"not {value}" in told
