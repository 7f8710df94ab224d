"""The file that says what a dataset was asked for: plan.json."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from eedask.dataset.folder import Folder, refusals_told
from eedask.errors import DatasetError

PLAN, ITEMS = "plan.json", "items.parquet"
# In the plan while its items are replaced: what it says once they are.
NEXT = "next"
# Of all the rest: whoever reads the plan relies on its values.
_SHA256 = "sha256"
FORMAT_VERSION = 3

DIGEST = re.compile("[0-9a-f]{64}")


def read_plan(folder: Folder) -> dict[str, Any]:
    """Return the content of ``plan.json``, but for its checksum.

    Raises
    ------
    DatasetError
        If there is none, or none that can be read.
    """
    url = folder.url
    if not folder.exists(PLAN):
        raise DatasetError(
            f"{url} is not an eedask dataset: it has no {PLAN}; choose another"
            " folder, or put a copy of that file back"
        )
    try:
        with refusals_told(folder):
            plan: dict[str, Any] = json.loads(folder.read(PLAN))
        version = plan["eedask"]
        if version == FORMAT_VERSION:
            if plan.pop(_SHA256) != _digest(plan):
                raise ValueError("its checksum is another")
            plan = _whole(folder, plan)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise DatasetError(
            f"{url}/{PLAN} is damaged ({type(error).__name__}: {error}): put a copy back,"
            " choose another folder, or begin anew with run(overwrite=True)"
        ) from error
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{url} is a dataset of format {version!r}, and this version of eedask reads"
            f" {FORMAT_VERSION}: choose another folder, begin anew with run(overwrite=True), or"
            " read it with the version that wrote it"
        )
    return plan


def write_plan(folder: Folder, plan: Mapping[str, Any]) -> None:
    """Write the content of ``plan.json``, and a checksum of it."""
    folder.write(PLAN, json.dumps({**plan, _SHA256: _digest(plan)}, indent=1).encode())


def _digest(plan: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def _whole(folder: Folder, plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as it is once its items are written; see :mod:`eedask.dataset.staging`."""
    after = plan.pop(NEXT, None)
    if after is None:
        return plan
    grown = {**plan, **after}
    with folder.open(ITEMS) as file:
        is_grown = hashlib.file_digest(file, "sha256").hexdigest() == grown["items_sha256"]
    return grown if is_grown else plan


def check_same(url: str, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise DatasetError, naming the differences, unless what is asked is what was asked there."""
    names = sorted(set(there) | set(asked))
    differing = [name for name in names if there.get(name) != asked.get(name)]
    if not differing:
        return
    details = "; ".join(_difference(name, there.get(name), asked.get(name)) for name in differing)
    raise DatasetError(
        f"out={url!r} holds a different plan ({details}); choose another folder, repeat the plan"
        " that is there to resume it, or remove it with run(overwrite=True)"
    )


def _difference(name: str, there: Any, asked: Any) -> str:
    # Two digests would say no more than that they differ.
    if all(isinstance(value, str) and DIGEST.fullmatch(value) for value in (there, asked)):
        return f"{name}: not the same as there"
    return f"{name}: there {_short(there)}, asked {_short(asked)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
