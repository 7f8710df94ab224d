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
FORMAT_VERSION = 2

DIGEST = re.compile("[0-9a-f]{64}")


def read_plan(folder: Folder) -> dict[str, Any]:
    """Return the content of ``plan.json``.

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
            _check_plan(plan)
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
    """Write the content of ``plan.json``."""
    folder.write(PLAN, json.dumps(plan, indent=1).encode())


def _check_plan(plan: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError if a plan's values are not of their kinds."""
    if not isinstance(plan["asked"], dict) or not isinstance(plan["asked"]["verb"], str):
        raise TypeError("'asked' does not say what was asked")
    for name in ("items_sha256", "frame"):
        if not DIGEST.fullmatch(plan[name]):
            raise ValueError(f"{name}, {plan[name]!r}, is no SHA-256")
    if not all(isinstance(field, str) for field in plan["fields"]):
        raise TypeError("'fields' does not name fields of items")
    if not all({"template", "samples"} <= {*recipe} for recipe in plan["recipes"].values()):
        raise TypeError("'recipes' does not say what expressions are known by")
    if not float(plan.get("eecu_s", 0)) >= 0:
        raise ValueError(f"eecu_s, {plan['eecu_s']!r}, is no cost")
    count, partitions = plan["count"], plan["partitions"]
    if type(count) is not int or type(partitions) is not int or not 0 <= partitions <= count:
        raise ValueError(f"{partitions!r} partitions of {count!r} items")


def _whole(folder: Folder, plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as it is once its items are written; see :mod:`eedask.dataset.staging`."""
    after = plan.pop(NEXT, None)
    if after is None:
        return plan
    _check_plan(grown := {**plan, **after})
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
