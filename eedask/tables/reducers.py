"""Reducers as users name them, and the columns that they fill."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ee
import pyarrow as pa
from ee import serializer

from eedask.errors import InputError
from eedask.items.item import Encoded

# Reducers of one number that go by their own name, and percentiles
# (https://developers.google.com/earth-engine/apidocs/ee-reducer-mean and its neighbours).
NAMES = (
    "count",
    "countDistinct",
    "countDistinctNonNull",
    "countEvery",
    "first",
    "firstNonNull",
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
_COUNTS = ("count", "countDistinct", "countDistinctNonNull", "countEvery")
# Their results are values of the band. Not so "mode", which may be the mean of a bucket.
_PICKS = ("first", "firstNonNull", "last", "lastNonNull", "max", "min")
# "system:index" is a feature's id; the other tells the items of a request apart.
_OF_FEATURES = ("system:", "eedask:")


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
    """

    expression: Encoded
    outputs: tuple[str, ...]
    asked: Any

    @property
    def is_named(self) -> bool:
        """Whether it was given by names, and each result is one number a band."""
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
    names: tuple[str, ...] = ()
    if isinstance(what, ee.Reducer):
        made = what
    else:
        names = _names(what)
        made = _named(names[0])
        for name in names[1:]:
            made = made.combine(_named(name), sharedInputs=True)
    if not weighted:
        made = made.unweighted()
    encoded: Encoded = serializer.encode(made, for_cloud_api=True)
    return Reducer(encoded, names, list(names) or "ee.Reducer")


def _names(what: Any) -> tuple[str, ...]:
    names = (what,) if isinstance(what, str) else tuple(what) if _is_sequence(what) else ()
    unknown = [n for n in names if not (n in NAMES or _percentile(n) is not None)]
    if not names or unknown:
        raise InputError(
            f"reducer is an ee.Reducer, a name or a list of names, of {', '.join(NAMES)} or pN for"
            f" a percentile; got {what!r}"
        )
    if len(set(names)) < len(names):
        raise InputError(f"a reducer stands twice in {list(names)}")
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


@dataclass(frozen=True)
class Column:
    """A column of values.

    Attributes
    ----------
    name : str
    keys : tuple of str
        Under which Earth Engine may give its value, the likeliest first.
    type : pyarrow.DataType
    """

    name: str
    keys: tuple[str, ...]
    type: pa.DataType

    def pick(self, properties: Mapping[str, Any]) -> Any:
        """Return the value, None where there is none."""
        for key in self.keys:
            if key in properties:
                return properties[key]
        return None


def columns(bands: Mapping[str, Any], outputs: Sequence[str]) -> tuple[Column, ...]:
    """Return a column for each band and result.

    With one result a column is named by its band, with several ``BAND_RESULT``, whether there
    is one band or many. Earth Engine itself names them otherwise in ``reduceRegions`` of an image
    with a single band, by the result alone
    (https://developers.google.com/earth-engine/apidocs/ee-image-reduceregions).

    Parameters
    ----------
    bands : mapping of str to mapping
        The type of each band, as ``ee.PixelType.getInfo`` tells it.
    outputs : sequence of str
    """
    only_band, only_output = len(bands) == 1, len(outputs) == 1
    pairs = [(band, output) for band in bands for output in outputs]
    both = {pair: "_".join(pair) for pair in pairs}
    theirs = {
        (band, output): output if only_band else band if only_output else both[band, output]
        for band, output in pairs
    }
    # What is one column's own is no other's: a masked band has not the value of its namesake.
    own = set(theirs.values())
    made = []
    for pair in pairs:
        name = pair[0] if only_output else both[pair]
        others = (key for key in (name, both[pair]) if key not in own)
        keys = tuple(dict.fromkeys((theirs[pair], *others)))
        made.append(Column(name, keys, _type_of(pair[1], bands[pair[0]])))
    return tuple(made)


def check_columns(
    made: Sequence[Column], taken: Sequence[str], *, of_features: bool = False
) -> None:
    """Raise unless each column has a name of its own, under which its values come back.

    Parameters
    ----------
    made : sequence of Column
    taken : sequence of str
        What the table calls other columns.
    of_features : bool
        Whether the values come as properties of features, which have some of their own.

    Raises
    ------
    InputError
    """
    names = [column.name for column in made]
    for name in names:
        if name in taken:
            reason = "the table has such a column of its own"
        elif names.count(name) > 1:
            reason = "there are two of that name"
        elif of_features and is_features_own(name):
            reason = "such names are those of features' own properties"
        else:
            continue
        raise InputError(f"there can be no column {name!r}: {reason}; rename the band or the key")


def is_features_own(key: str) -> bool:
    """Whether a property of a feature is no value that a reducer gave it."""
    return key.startswith(_OF_FEATURES)


def _type_of(output: str, kind: Mapping[str, Any]) -> pa.DataType:
    whole = kind.get("precision") == "int"
    if output in _COUNTS or (whole and output in _PICKS):
        return pa.int64()
    return pa.float64()
