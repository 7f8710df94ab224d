"""Reducers as users name them, and the columns that they fill."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ee
from ee import serializer

from eedask.arguments import check_flags
from eedask.earthengine.nodes import Encoded
from eedask.errors import InputError

# Reducers that go by their own name: of one number a band, and counts by value; and percentiles
# (https://developers.google.com/earth-engine/apidocs/ee-reducer-mean and its neighbours).
NAMES = (
    "count",
    "countDistinct",
    "countDistinctNonNull",
    "countEvery",
    "first",
    "firstNonNull",
    "frequencyHistogram",
    "kurtosis",
    "last",
    "lastNonNull",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "product",
    "sampleStdDev",
    "sampleVariance",
    "skew",
    "stdDev",
    "sum",
    "variance",
)
_PERCENTILE = re.compile(r"p(100|\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True)
class Groups:
    """How a reducer with ``.group(…)`` tells its results.

    Attributes
    ----------
    name : str
        What it calls the group.
    within : dict
        The reducer that is run in each group, encoded.
    """

    name: str
    within: Encoded


@dataclass(frozen=True)
class Reducer:
    """A reducer, encoded.

    Attributes
    ----------
    expression : dict
    outputs : tuple of str
        The names of its results; empty for an ``ee.Reducer`` of the user's, until it is asked.
    asked : tuple of str or str
        What the user said, for the plan.
    groups : Groups, optional
        Where it is a grouped reducer.
    """

    expression: Encoded
    outputs: tuple[str, ...]
    asked: Any
    groups: Groups | None = None

    @property
    def is_named(self) -> bool:
        """Whether it was given by names, and the kinds of its results are known."""
        return bool(self.outputs)


def reducer(what: Any, *, weighted: bool = True) -> Reducer:
    """Return a reducer.

    Parameters
    ----------
    what : str, sequence of str or ee.Reducer
        Names as in ``ee.Reducer`` ("mean", "stdDev", "count" …), or "p95" for a percentile.
    weighted : bool
        Whether pixels count by the fraction that lies inside the region and by their mask;
        otherwise those whose centre is inside count whole. Reducers that know no weights
        ("count", "min", "max", "median", "first" …) are the same in both
        (https://developers.google.com/earth-engine/guides/reducers_weighting).

    Raises
    ------
    InputError
        For a name that is not known.
    """
    check_flags(weighted=weighted)
    names: tuple[str, ...] = ()
    groups = None
    if isinstance(what, ee.Reducer):
        made, groups = what, _groups(what)
    else:
        names = _names(what)
        made = _named(names[0])
        for name in names[1:]:
            made = made.combine(_named(name), sharedInputs=True)
    if not weighted:
        made = made.unweighted()
    encoded: Encoded = serializer.encode(made, for_cloud_api=True)
    return Reducer(encoded, names, list(names) or "ee.Reducer", groups)


def _groups(made: ee.Reducer) -> Groups | None:
    if made.func is None or made.func.getSignature()["name"] != "Reducer.group":
        return None
    within: Encoded = serializer.encode(made.args["reducer"], for_cloud_api=True)
    # Earth Engine's default (https://developers.google.com/earth-engine/apidocs/ee-reducer-group).
    name = made.args.get("groupName") or "group"
    encoded = serializer.encode(name, for_cloud_api=True)
    text = encoded["values"][encoded["result"]].get("constantValue")
    # A name that Earth Engine works out is not known here: the list of groups stays as it comes.
    return Groups(text, within) if isinstance(text, str) else None


def _names(what: Any) -> tuple[str, ...]:
    names = (what,) if isinstance(what, str) else tuple(what) if _is_sequence(what) else ()
    unknown = [n for n in names if not (n in NAMES or _percentile(n) is not None)]
    if not names or unknown:
        raise InputError(
            f"reducer is an ee.Reducer, a name or a list of names, of {', '.join(NAMES)} or pN for"
            f" a percentile; got {what!r}"
        )
    if len(set(names)) < len(names):
        raise InputError(f"a reducer stands twice in {list(names)}: name each once")
    return names


def _is_sequence(what: Any) -> bool:
    return isinstance(what, Sequence) and all(isinstance(name, str) for name in what)


def _percentile(name: str) -> float | None:
    found = _PERCENTILE.fullmatch(name)
    return None if found is None else float(found[1])


def _named(name: str) -> ee.Reducer:
    if (percentile := _percentile(name)) is not None:
        return ee.Reducer.percentile([percentile], [name])
    return getattr(ee.Reducer, name)()
