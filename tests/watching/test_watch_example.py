"""The example of a run to watch runs as it is, and the page whose address it prints shows it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from watching import wait_until

EXAMPLE = Path(__file__).parents[2] / "examples/watch.py"


@pytest.mark.slow
def test_the_run_is_seen_at_the_address_that_is_printed(tmp_path):
    options = ["--out", str(tmp_path / "out"), "--dashboard", "127.0.0.1:0", "--count", "160"]
    with subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLE), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        lines = iter(run.stdout.readline, "")
        told = (re.match(r"watch the run at (\S+/eedask)$", text) for text in lines)
        address = next(found[1] for found in told if found)

        def at_work():
            answer = requests.get(f"{address}/status.json", timeout=60)
            return any(seen["retries"] and seen["done"] for seen in answer.json()["runs"])

        wait_until(at_work, 120)
        assert "Earth Engine" in requests.get(address, timeout=60).text
        told, complaints = run.communicate(timeout=120)
    assert run.returncode == 0, complaints
    assert "160 items: 158 ok, 2 failed" in told
    assert "chips: 160 of 160 items done, 2 failed" in complaints
