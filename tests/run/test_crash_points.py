"""Script, worker, scheduler and emulator die at random moments, and nothing is lost by it.

Each test kills one of them ten times while one dataset grows to its end, chips or a table, and
holds the log of what the server was asked against the promises. A failure is run again with the
seed that was printed, in the variable ``CRASH_SEED``: the moments are drawn alike then, as far as
a machine can repeat them.
"""

import contextlib
import math
import os
import random
import time
from collections import Counter

import pytest
from crashing import (
    LATENCY_S,
    STOPPED,
    Ledger,
    Victim,
    free_port,
    inspect_result,
    note,
    run_emulator,
    run_scheduler,
    run_script,
    run_worker,
    wait_for_port,
)
from fire import make_items, wait_until, write_noise

pytestmark = pytest.mark.slow

KILLS, ITEMS = 10, 800
# Items that are asked for between two kills: KILLS times as many are fewer than all, so that a run
# never ends before the last kill, however slowly the other processes of this test are served.
MOST_ASKED = 60
WORKERS = ("worker", "other worker")


class Playground:
    """All that a run needs, each part in a process that can be killed.

    Attributes
    ----------
    notes : list of (float, set of str)
        The ids that had a row, noted at each kill.
    """

    def __init__(self, victim, verb, folder, seed):
        self.victim, self.verb, self.folder, self.out = victim, verb, folder, folder / "out"
        self.items = make_items(ITEMS, seed=9).drop_duplicates(["row", "column"])
        self.raster = write_noise(folder / "noise.tif")
        self.random = random.Random(seed)
        self.notes = []
        self.parts = {}
        self.ports = {"emulator": free_port(), "scheduler": free_port()}
        self.ledger = Ledger(verb, self.items, self.ports["emulator"])
        self.on_cluster = victim in ("worker", "scheduler")

    @contextlib.contextmanager
    def opened(self):
        try:
            with self.ledger.serving() as self.url:
                self.start_what_is_missing()
                yield self
        finally:
            for part in self.parts.values():
                part.kill()

    def start_what_is_missing(self):
        address = f"tcp://127.0.0.1:{self.ports['scheduler']}" if self.on_cluster else None
        self._start("emulator", run_emulator, self.raster, self.ports["emulator"])
        if self.on_cluster:
            self._start("scheduler", run_scheduler, self.ports["scheduler"])
            for name in WORKERS:
                self._start(name, run_worker, address)
        self._start("script", run_script, self.verb, self.url, self.items, self.out, address)

    def _start(self, name, function, *arguments):
        if name not in self.parts:
            output = self.folder / f"{name}.txt"
            self.parts[name] = Victim(function, *arguments, output)
            if name in self.ports:
                wait_for_port(self.ports[name], self.parts[name])

    def wait_for_a_moment(self):
        """Wait until some more items were asked for, and a little longer; or just a while."""
        asked, script = len(self.ledger.asked), self.parts["script"]
        self.ledger.most = asked + MOST_ASKED
        if self.random.random() < 0.2:
            time.sleep(self.random.uniform(0, 0.5))
        else:
            asked += self.random.randint(1, MOST_ASKED)
            wait_until(lambda: len(self.ledger.asked) >= asked or script.has_ended, 60)
            time.sleep(self.random.uniform(0, 2 * LATENCY_S))
        code = script.process.exitcode
        assert not script.has_ended, f"it has ended before, with {code}: {script.output}"

    def kill(self):
        """Kill the victim, and those who end with it; note what is flushed."""
        others_go_on = self.victim in ("worker", "emulator")
        if others_go_on:
            self._note()
        name = self.random.choice(WORKERS) if self.victim == "worker" else self.victim
        self.parts.pop(name).kill()
        if self.victim == "scheduler":
            script = self.parts.pop("script")
            assert script.end(60) == STOPPED, script.output
            for worker in WORKERS:
                self.parts.pop(worker).kill()
        if not others_go_on:
            self._note()

    def _note(self):
        there = note(self.verb, self.out)
        # What was sent before may be heard of a moment later.
        self.notes.append((time.monotonic() + LATENCY_S / 2, there))

    def check(self):
        """Hold the log against the promises."""
        inspect_result(self.verb, self.out, self.items, self.raster)
        for moment, there in self.notes:
            again = {name for at, name in self.ledger.asked if at > moment} & there
            assert not again, f"flushed, and asked for again: {again}"
        asked = Counter(name for _, name in self.ledger.asked)
        assert set(asked) == set(self.items.index)
        if self.victim == "emulator":
            # The run itself lives on, and knows what it has got.
            answered = Counter(name for _, name in self.ledger.answered)
            assert answered == dict.fromkeys(self.items.index, 1)
            return
        for name, times in asked.items():
            kills = sum(name not in there for _, there in self.notes)
            assert times <= 1 + kills, f"{name} was asked for {times} times, with {kills} kills"


@pytest.mark.parametrize("verb", ["chips", "table"])
@pytest.mark.parametrize("victim", ["script", "worker", "scheduler", "emulator"])
def test_whoever_dies_nothing_is_lost_and_nothing_flushed_is_asked_again(
    tmp_path, tell, victim, verb
):
    seed = os.environ.get("CRASH_SEED") or str(random.SystemRandom().randrange(10**6))
    tell(f"{victim} killed {KILLS} times over {verb}: CRASH_SEED={seed}")
    started = time.monotonic()
    with Playground(victim, verb, tmp_path, f"{seed} {victim} {verb}").opened() as playground:
        for _ in range(KILLS):
            playground.wait_for_a_moment()
            playground.kill()
            playground.start_what_is_missing()
        playground.ledger.most = math.inf
        script = playground.parts["script"]
        assert script.end(120) == 0, script.output
    playground.check()
    rows = [len(there) for _, there in playground.notes]
    more = len(playground.ledger.asked) - len(playground.items)
    tell(f"rows at each {rows}, {more} items asked again, {time.monotonic() - started:.1f} s")
