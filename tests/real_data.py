"""Finds the real rasters and regions that a few tests need, if this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "EEDASK_DATA"


def folder() -> Path | None:
    """The folder that the environment names, else ``shared/data`` beside the checkout."""
    named = os.environ.get(VARIABLE)
    if named:
        found = Path(named)
        if not found.is_dir():
            raise FileNotFoundError(f"{VARIABLE} is {named}, which is no folder.")
        return found
    beside = Path(__file__).parents[2] / "shared" / "data"
    return beside if beside.is_dir() else None


def report() -> str:
    """What the head of a test report says of it."""
    found = folder()
    if found is None:
        return f"real data: none, so its tests are left out ({VARIABLE} names a folder of it)"
    return f"real data: {found}"
