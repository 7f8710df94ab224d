"""A folder that becomes read-only, at whichever write of a run, stops it in words, resumably."""

import errno
import itertools
import os
import re

import ee
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from mounted import SCENE

import eedask
from eedask.dataset import folder as storage
from eedask.errors import DatasetError, RunStopped

pytestmark = pytest.mark.usefixtures("threads", "earth_engine")

PLANS = {
    "chips": lambda items, out: eedask.chips(
        items,
        ee.Image(SCENE),
        out=out,
        shape=(4, 4),
        scale=5,
        crs="EPSG:26914",
        format="npy",
        **TWO,
    ),
    "table": lambda items, out: eedask.sample_points(
        items, ee.Image(SCENE), out=out, scale=5, **TWO
    ),
}
TWO = {"partition_size": 3}
ITEMS = 6
WRITERS = {
    "files": (storage, "write_whole"),
    "names": (os, "replace"),
    "syncs": (os, "fsync"),
    "a store": (MemoryFileSystem, "pipe_file"),
}


def refusing(write, after, refused):
    """Return what writes until it was called so often; from then on, the system refuses."""
    calls = itertools.count()

    def wrapped(*arguments, **options):
        if next(calls) < after:
            return write(*arguments, **options)
        refused.append(arguments)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "out")

    return wrapped


def error_of(plan):
    """Return what a run says that does not come to its end."""
    try:
        plan.run(progress=False)
    except (RunStopped, DatasetError) as error:
        return str(error)
    return None


CASES = [
    # Of some writes, at one of which the table's columns are stated; of every file, when slow, and
    # of every third thing of other kinds that is done for it.
    ("files", "table", 4),
    *(
        pytest.param(w, v, 1 if w == "files" else 3, marks=pytest.mark.slow)
        for w in WRITERS
        for v in PLANS
    ),
]


@pytest.mark.parametrize(("writer", "verb", "step"), CASES)
def test_a_folder_that_becomes_read_only(points, tmp_path, monkeypatch, writer, verb, step):
    items, (owner, name) = points.iloc[:ITEMS], WRITERS[writer]
    for after in itertools.count(step=step):
        out = f"memory://{tmp_path.name}-{after}" if writer == "a store" else tmp_path / str(after)
        plan, refused = PLANS[verb](items, out), []
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, refusing(getattr(owner, name), after, refused))
            said = error_of(plan)
        assert said is None or re.search("Read-only file system.* again", said)
        result = plan.run(progress=False)
        assert result.manifest["status"].eq("ok").all()
        if not refused:
            break
    assert after > 5
