"""The file that says what a dataset was asked for: plan.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from eedask.dataset.folder import Folder
from eedask.errors import DatasetError

PLAN = "plan.json"
FORMAT_VERSION = 1

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
        plan: dict[str, Any] = json.loads(folder.read(PLAN))
        version = plan["eedask"]
        if version == FORMAT_VERSION:
            _check_plan(plan)
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise DatasetError(
            f"{url}/{PLAN} is damaged ({type(error).__name__}: {error}): put a copy back,"
            " choose another folder, or begin anew with run(overwrite=True)"
        ) from error
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{url} has format {version!r} of eedask's datasets; this version reads"
            f" {FORMAT_VERSION}"
        )
    return plan


def _check_plan(plan: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError if a plan's values are not of their kinds."""
    if not isinstance(plan["asked"], dict) or not isinstance(plan["asked"]["verb"], str):
        raise TypeError("'asked' does not say what was asked")
    if not DIGEST.fullmatch(plan["items_sha256"]):
        raise ValueError(f"{plan['items_sha256']!r} is no SHA-256")
    count, partitions = plan["count"], plan["partitions"]
    if type(count) is not int or type(partitions) is not int or not 0 <= partitions <= count:
        raise ValueError(f"{partitions!r} partitions of {count!r} items")


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
