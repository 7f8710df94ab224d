"""The recipes of README for other people's boards run as they stand there."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import ee
import pytest
from mounted import SCENE

import eedask

README = (Path(__file__).parents[2] / "README.md").read_text()


class Board:
    """Takes what wandb and mlflow take of these recipes, and refuses what they refuse."""

    def __init__(self):
        self.rows, self.open = [], 0

    @contextmanager
    def started(self, project=None):
        self.open += 1
        yield self
        self.open -= 1

    def log(self, metrics):
        assert self.open
        assert all(isinstance(name, str) for name in metrics)
        self.rows.append(metrics)

    def log_metrics(self, metrics, step):
        assert isinstance(step, int)
        assert all(isinstance(float(number), float) for number in metrics.values())
        self.log(metrics)


@pytest.mark.parametrize("library", ["wandb", "mlflow"])
def test_a_recipe_records_the_run(
    earth_engine, threads, points, tmp_path, monkeypatch, caplog, library
):
    (recipe,) = re.findall(rf"```python\n(import dataclasses, {library}\n.*?)```", README, re.S)
    assert len([line for line in recipe.splitlines() if line.strip()]) <= 5
    board = Board()
    module = SimpleNamespace(
        init=board.started, start_run=board.started, log_metrics=board.log_metrics
    )
    monkeypatch.setitem(sys.modules, library, module)
    image = ee.Image(SCENE).select("R")
    plan = eedask.chips(points, image, out=tmp_path, shape=(8, 8), scale=5, format="npy")
    exec(recipe, {"plan": plan})
    assert board.open == 0
    assert [row["done"] for row in (board.rows[0], board.rows[-1])] == [0, 40]
    assert {"total", "failed", "requests_per_s", "in_flight", "throttled"} <= set(board.rows[-1])
    assert not caplog.records
