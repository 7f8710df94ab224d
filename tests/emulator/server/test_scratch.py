"""An emulator leaves no folder behind, and one that was killed leaves it to the next to remove."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from eedask.emulator.server.scratch import LOCK, scratch_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such locks")

HOLD = """
from eedask.emulator.server.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "thumbnail").write_text("x")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The system's folder of temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def held():
    return subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_folder_is_there_while_it_is_used(temporary):
    with scratch_folder() as folder:
        assert [folder] == list(temporary.iterdir())
        (folder / "thumbnails").mkdir()
    assert not list(temporary.iterdir())


def test_the_next_removes_what_a_killed_one_has_left_and_nothing_else(temporary):
    others = temporary / "eedask-emulator-of-another-kind"
    (others / "kept").mkdir(parents=True)
    with held() as killed, held() as running:
        left, used = (Path(one.stdout.readline().strip()) for one in (killed, running))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.exists()
        with scratch_folder():
            assert not left.exists()
            assert sorted(file.name for file in used.iterdir()) == [LOCK, "thumbnail"]
        running.communicate("\n")
    assert [others] == list(temporary.iterdir())
