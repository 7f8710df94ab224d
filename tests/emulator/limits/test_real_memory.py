"""What a render process really holds, as the system counts it, stays near what a request may."""

import json
import re
import sys
import threading

import psutil
import pytest
import urllib3
from graphs import call, encode
from test_budgets import HEAVY, MEMORY, TIME

from eedask.emulator import Emulator
from eedask.emulator.limits.real_memory import FACTOR, ROOM

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system counts otherwise")

PROJECT, MEBIBYTE = "p", 2**20
MOST = 32 * MEBIBYTE
# What else heavy requests are refused for: sizes that are known before anything is computed.
FORESEEN = (
    r"List\.\w+: (Too many elements|Invalid count \d+)\."
    r"|Image\.reduceRegion: Too many pixels in the region\..*"
    r"|FeatureCollection\.randomPoints: Invalid number of points \d+\."
    r"|Geometry\.coveringGrid: Too many cells\."
)


@pytest.fixture(scope="module")
def small():
    """An emulator with one render process, whose requests may hold little."""
    with Emulator(processes=1, project=PROJECT, memory=MOST / MEBIBYTE, timeout=1) as running:
        yield running


def ask(emulator, graph):
    body = json.dumps({"expression": graph}).encode()
    url = f"{emulator.url}/v1/projects/{PROJECT}/value:compute"
    return urllib3.request("POST", url, body=body, retries=False, timeout=60)


def renderer_of(emulator):
    server = psutil.Process(emulator._command.process.pid)
    # A helper of multiprocessing starts it.
    (one,) = (p for p in server.children(recursive=True) if p.ppid() != server.pid)
    return one


class Watch(threading.Thread):
    """Looks at what the emulator's render process holds, until it is left or the process ends."""

    def __init__(self, emulator):
        super().__init__()
        self.process, self.over = renderer_of(emulator), threading.Event()
        self.before = self.most = self.process.memory_info().rss

    def run(self):
        while not self.over.wait(0.02):
            try:
                held = self.process.memory_info().rss
            except psutil.Error:
                return
            self.most = max(self.most, held)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    @property
    def taken(self):
        return self.most - self.before


def words_of(answer):
    assert answer.status == 400, answer.data[:200]
    return answer.json()["error"]["message"]


@pytest.mark.slow
def test_more_than_a_request_may_hold_is_not_given_to_it(small):
    wide = call("Number.format", number=1, pattern="%1000000000d")
    process = renderer_of(small)
    with Watch(small) as watch:
        assert words_of(ask(small, encode(wide))) == MEMORY
    assert watch.taken < FACTOR * MOST + ROOM
    assert ask(small, encode(call("Number.add", left=1, right=2))).json() == {"result": 3}
    assert renderer_of(small).pid == process.pid, "it can still be asked"


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_heavy_requests_end_in_earth_engines_words_and_hold_little(small, name):
    value = HEAVY[name]
    graph = value if isinstance(value, dict) and "values" in value else encode(value)
    with Watch(small) as watch:
        words = words_of(ask(small, graph))
    assert words in (MEMORY, TIME) or re.fullmatch(FORESEEN, words, re.DOTALL), words
    assert watch.taken < FACTOR * MOST + ROOM, f"{watch.taken / MEBIBYTE:.0f} MiB"
