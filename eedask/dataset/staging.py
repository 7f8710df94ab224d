"""Lays a dataset out for a plan, finds it laid out for the same plan, or lets it grow.

A dataset grows in an order in which a crash leaves it whole: plan.json says what it will be, what
was found of changed items is forgotten, items.parquet takes the place of the old one, and
plan.json says what it is. The items that a dataset has keep their partitions, whose rows and
values stay; new ones form partitions of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.dataset.dataset import MANIFEST, RESULTS, Dataset
from eedask.dataset.file_names import differ_only_by_case
from eedask.dataset.folder import Folder
from eedask.dataset.growth import Growth, item_hashes
from eedask.dataset.items_file import (
    HASH,
    ORDER,
    Positions,
    check_items,
    items_digest,
    items_file,
    neighbours,
    read_staged,
)
from eedask.dataset.plan_file import FORMAT_VERSION, ITEMS, NEXT, PLAN, check_same, write_plan
from eedask.dataset.question import Question
from eedask.errors import DatasetError
from eedask.items.item import sample_items, work_items


def stage(
    dataset: Dataset,
    items: gpd.GeoDataFrame,
    question: Question,
    partition_size: int,
    *,
    overwrite: bool = False,
    extend: bool = False,
) -> dict[str, Any]:
    """Lay a dataset out, or find it laid out already for the same plan.

    Parameters
    ----------
    dataset : Dataset
    items : GeoDataFrame
    question : Question
        What is asked about each of them.
    partition_size : int
        Items in a new partition; partitions that are there keep their own.
    overwrite : bool
        Whether a dataset that is there, of this plan or another, is removed first. Files
        that no run has written stay.
    extend : bool
        Whether new and changed items are taken into a dataset that is there.

    Returns
    -------
    dict
        The content of ``plan.json``.

    Raises
    ------
    DatasetError
        If the folder holds another plan, other items, or something else.
    """
    if not dataset.folder.exists(PLAN):
        _check_empty(dataset.folder)
    elif overwrite:
        for name in (MANIFEST, *RESULTS, ITEMS, PLAN):
            dataset.folder.remove(name)
    else:
        return _found(dataset, items, question, partition_size, extend)
    fields = question.fields(_columns(items))
    partitions = neighbours(items, partition_size)
    data = items_file(items, item_hashes(items, fields), partitions)
    dataset.folder.write(ITEMS, data)
    plan = {
        "eedask": FORMAT_VERSION,
        "asked": json.loads(json.dumps(question.terms)),
        "fields": fields,
        **_of_items(items, question, data, partitions),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # Last, so that a folder with a plan always has its items.
    write_plan(dataset.folder, plan)
    return plan


def _check_empty(folder: Folder) -> None:
    if folder.is_file:
        raise DatasetError(f"out={folder.url!r} is a file; choose a folder")
    names = folder.list() if folder.exists() else []
    # What a stage that was cut short leaves is ours.
    foreign = [n for n in names if n != ITEMS]
    if foreign:
        raise DatasetError(
            f"out={folder.url!r} already holds something else ({', '.join(foreign[:3])}"
            f"{' …' if len(foreign) > 3 else ''}); choose a new or an empty folder"
        )


def _columns(items: gpd.GeoDataFrame) -> list[str]:
    return [str(name) for name in items.columns if name != items.geometry.name]


def _of_items(
    items: gpd.GeoDataFrame, question: Question, data: bytes, partitions: Sequence[Positions]
) -> dict[str, Any]:
    """Return what ``plan.json`` says of the items and of their file."""
    return {
        "count": sum(map(len, partitions)),
        "partitions": len(partitions),
        "items_sha256": hashlib.sha256(data).hexdigest(),
        "frame": items_digest(items),
        "recipes": question.signatures(sample_items(items)),
    }


def _found(
    dataset: Dataset, items: gpd.GeoDataFrame, question: Question, size: int, extend: bool
) -> dict[str, Any]:
    """Return the plan of a dataset that is there, which has the items or grows to have them."""
    plan, url = dataset.plan(), dataset.folder.url
    # Which items there are after a crash has been worked out: that is not to be done each time.
    if NEXT in json.loads(dataset.folder.read(PLAN)):
        write_plan(dataset.folder, plan)
    check_same(url, plan["asked"], json.loads(json.dumps(question.terms)))
    check_items(dataset.folder, plan["items_sha256"], plan["count"], plan["partitions"])
    if plan["frame"] == items_digest(items):
        _check_recipes(url, plan, question, items)
        return plan
    given = {"geometry", *(f"column:{name}" for name in _columns(items))}
    if missing := sorted({*plan["fields"]} - given):
        raise DatasetError(
            f"out={url!r} holds a different plan: its results depend on the items'"
            f" {', '.join(missing)}, which these items do not have; choose another folder, or"
            " remove what is there with run(overwrite=True)"
        )
    staged, partitions = read_staged(dataset.folder, plan["items_sha256"])
    hashes = pd.Series(item_hashes(items, plan["fields"]), items.index)
    growth = Growth.between(staged[HASH], hashes)
    _check_recipes(url, plan, question, items.loc[growth.same])
    if not (extend or growth.is_none):
        raise DatasetError(
            f"out={url!r} holds this plan for other items: {growth}"
            f"{_examples(growth)}. run(extend=True) fetches those that are new or changed, and"
            " keeps those that are gone; or choose another folder, or remove what is there with"
            " run(overwrite=True)"
        )
    merged, partitions = _merged(items, staged, partitions, growth, size)
    together = pd.concat([hashes, staged[HASH].loc[growth.gone]]).to_numpy()
    data = items_file(merged, together, partitions)
    after = _of_items(items, question, data, partitions)
    write_plan(dataset.folder, {**plan, NEXT: after})
    if len(growth.changed):
        dataset.forget([*growth.changed])
    dataset.folder.write(ITEMS, data)
    write_plan(dataset.folder, plan := {**plan, **after})
    return plan


def _check_recipes(
    url: str, plan: Mapping[str, Any], question: Question, same: gpd.GeoDataFrame
) -> None:
    """Raise DatasetError if expressions are made otherwise than those of the dataset.

    Parameters
    ----------
    url : str
    plan : mapping
    question : Question
    same : GeoDataFrame
        Items that are as they are in the dataset.
    """
    wanted = {id_ for recipe in plan["recipes"].values() for id_ in recipe["samples"]}
    items = work_items(same[same.index.map(str).isin(wanted)])
    name = question.changed_recipe(plan["recipes"], {str(item.id): item for item in items})
    if name is not None:
        raise DatasetError(
            f"out={url!r} holds a different plan ({name}: not the same as there); choose another"
            " folder, repeat the plan that is there to resume it, or remove it with"
            " run(overwrite=True)"
        )


def _examples(growth: Growth) -> str:
    """Return, for a message, the first ids that are not the same."""
    named = [
        f"{name} {', '.join(map(repr, [*ids[:3]]))}{' …' if len(ids) > 3 else ''}"
        for name, ids in (("new", growth.new), ("changed", growth.changed), ("gone", growth.gone))
        if len(ids)
    ]
    return f" ({'; '.join(named)})"


def _merged(
    items: gpd.GeoDataFrame,
    staged: gpd.GeoDataFrame,
    partitions: Sequence[Positions],
    growth: Growth,
    size: int,
) -> tuple[gpd.GeoDataFrame, list[Positions]]:
    """Return the plan's items, those that are gone after them, and the partitions of all."""
    merged = items
    if len(growth.gone):
        gone = staged.loc[growth.gone].drop(columns=[ORDER, HASH])
        if gone.geometry.name != items.geometry.name:
            gone = gone.rename_geometry(items.geometry.name)
        if items.crs is not None and gone.crs != items.crs:
            gone = gone.to_crs(items.crs)
        merged = pd.concat([items, gone])
    _check_ids(merged.index, items.index)
    places = pd.Series(np.arange(len(merged)), merged.index)
    old = [places.loc[staged.index[part]].to_numpy() for part in partitions]
    fresh = neighbours(items.loc[growth.new], size) if len(growth.new) else []
    return merged, [*old, *(places.loc[growth.new[part]].to_numpy() for part in fresh)]


def _check_ids(together: pd.Index, given: pd.Index) -> None:
    """Raise DatasetError if ids of the plan and of the dataset cannot be in one dataset."""
    if pd.api.types.infer_dtype(together) not in ("integer", "string"):
        raise DatasetError(
            "the ids of the items are integers and those of the dataset strings, or the other way"
            " round: give the items ids of the same kind, or choose another folder"
        )
    if differ_only_by_case(together) and not differ_only_by_case(given):
        raise DatasetError(
            "an id of the items differs only by case from one that the dataset has, and that is"
            " gone from the items: keep that item among them, so that their files' names differ"
        )
