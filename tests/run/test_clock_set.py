"""The machine's clock is set, by hours, while a run is under way, and no span of time is wrong."""

import contextlib
import re
import sys
import time
from datetime import datetime, timedelta

import ee
import pytest
import tqdm.std
from google.oauth2.credentials import Credentials
from mounted import SCENE
from watching import Terminal

import eedask
from eedask.earthengine.tokens import Bearer, utcnow
from eedask.errors import RunStopped
from eedask.results.runs import runs_of
from eedask.run import run_limits
from eedask.run.progress import Told
from eedask.watching.messages import Beginning
from eedask.watching.run_state import RunState

# More seconds than any of this takes, and far fewer than the clock is set by.
MINUTES = 600
BOTH_WAYS = pytest.mark.parametrize("hours", [-5, 5])


class _OfAllDatetimes(type):
    def __instancecheck__(cls, one):
        return isinstance(one, datetime)


class _Set(datetime, metaclass=_OfAllDatetimes):
    """The time of day by a clock that can be set."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead


@pytest.fixture
def set_clock(monkeypatch):
    """Return a function that sets the wall clock of this process ahead by so many hours."""
    monkeypatch.setattr(_Set, "ahead", timedelta())
    plain = time.time

    def now():
        return plain() + _Set.ahead.total_seconds()

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(tqdm.std, "time", now)
    for name, module in list(sys.modules.items()):
        if name.startswith("eedask.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", _Set)
    return lambda hours: setattr(_Set, "ahead", timedelta(hours=hours))


@BOTH_WAYS
def test_no_figure_of_a_run_tells_of_it(
    earth_engine, points, tmp_path, threads, set_clock, monkeypatch, hours
):
    heard, tell = [], Told.__call__

    def hear(self, now):
        heard.append(now)
        if now.done >= 10:
            set_clock(hours)
        tell(self, now)

    monkeypatch.setattr(Told, "__call__", hear)
    plan = eedask.chips(
        points, ee.Image(SCENE).select("R"), out=tmp_path, shape=(8, 8), scale=5, format="npy",
        partition_size=5, concurrency=2, rate=40,
    )  # fmt: skip
    with contextlib.redirect_stderr(Terminal()) as terminal:
        result = plan.run()
    assert _Set.ahead == timedelta(hours=hours)
    assert result.manifest["status"].eq("ok").all()
    assert result.manifest["elapsed_s"].between(0, MINUTES).all()
    spans = (result.stats["ended"] - result.stats["started"]).dt.total_seconds()
    assert spans.between(0, MINUTES).all()
    (run,) = runs_of(result.stats)
    assert 0 < run.wall_s < MINUTES
    assert all(0 <= now.eta_s < MINUTES for now in heard if now.eta_s is not None)
    drawn = re.findall(r"\[(.+?)[,\]]", terminal.getvalue())
    assert drawn
    assert all(re.fullmatch(r"0\d:\d\d", one) for one in drawn), drawn


@BOTH_WAYS
def test_the_dashboard_tells_how_long_a_run_took(set_clock, hours):
    run = RunState(Beginning("r", "chips", "/out", "quota", total=4))
    set_clock(hours)
    run.end(None)
    assert 0 <= run.took_s < MINUTES


def test_a_run_ends_when_the_clock_as_it_is_then_shows_the_time(
    earth_engine, points, tmp_path, threads, set_clock, monkeypatch
):
    monkeypatch.setattr(run_limits, "_LOOK_S", 0.05)
    plan = eedask.chips(
        points, ee.Image(SCENE).select("R"), out=tmp_path, shape=(8, 8), scale=5, format="npy",
        rate=10, concurrency=2,
    )  # fmt: skip
    later = datetime.now().astimezone() + timedelta(hours=1)
    with pytest.raises(RunStopped, match=r"until=.* has come"):
        plan.run(progress=lambda now: set_clock(2 if now.done else 0), until=later)
    assert not eedask.open_result(tmp_path).manifest["status"].eq("ok").all()


@BOTH_WAYS
def test_a_token_is_valid_for_as_long_as_before(set_clock, hours):
    bearer = Bearer(lambda: Credentials("a-token", expiry=utcnow() + timedelta(hours=1)))
    assert bearer.token() == "a-token"
    set_clock(hours)
    assert 3540 < bearer.left() <= 3600
    assert bearer.token() == "a-token"
    bearer.close()
