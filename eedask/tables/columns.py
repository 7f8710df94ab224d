"""Columns of a table: their names, types, and the keys of Earth Engine's answers."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from eedask.dataset.rows import ITEM_ID
from eedask.errors import InputError
from eedask.tables.values import MISFITS, TIME, fit, infer

_COUNTS = ("count", "countDistinct", "countDistinctNonNull", "countEvery")

# Their results are values of the band. Not so "mode", which may be the mean of a bucket.
_PICKS = ("first", "firstNonNull", "last", "lastNonNull", "max", "min")

# The result of "frequencyHistogram": how many pixels have each value
# (https://developers.google.com/earth-engine/apidocs/ee-reducer-frequencyhistogram).
_HISTOGRAM = "histogram"

# "system:index" is a feature's id; the other tells the items of a request apart.
_OF_FEATURES = ("system:", "eedask:")

_STATE_ALL = "state schema= with all of them"

_PYTHON = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bool: pa.bool_(),
    datetime.datetime: TIME,
}


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is called, and where its values stand in the answers.

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
        """Return the column's value among the properties of a feature; None if it is missing."""
        for key in self.keys:
            if key in properties:
                return properties[key]
        return None

    def typed_by(self, rows: Iterable[Mapping[str, Any]]) -> Column:
        """Return the column with the type that holds the values of some rows."""
        return replace(self, type=infer(self.pick(row) for row in rows))


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
    """Raise InputError if two columns have one name, or one has a name that is taken.

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
    """Return whether a property is the feature's own, as its id is, and no reducer's result."""
    return key.startswith(_OF_FEATURES)


def _type_of(output: str, kind: Mapping[str, Any]) -> pa.DataType:
    whole = kind.get("precision") == "int"
    if output in _COUNTS or (whole and output in _PICKS):
        return pa.int64()
    if output == _HISTOGRAM:
        return pa.map_(pa.string(), pa.float64())
    return pa.float64()


def fitted(into: Sequence[Column], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row by column, each as the column's type.

    Raises
    ------
    InputError
        If a value does not fit its column.
    """
    row = {}
    for column in into:
        try:
            row[column.name] = fit(column.pick(properties), column.type)
        except InputError:
            raise
        except MISFITS as error:
            given = [properties[key] for key in column.keys if key in properties]
            value = given[0] if given else None
            raise InputError(
                f"the value {value!r} does not fit the column {column.name!r} ({column.type}):"
                f" {error}; choose another reducer, or give all images bands of one kind"
            ) from error
    return row


@dataclass(frozen=True)
class Table:
    """The columns of a verb's table, and how its rows are filled.

    Attributes
    ----------
    id_type : pyarrow.DataType
        Of the items' ids, the first column.
    columns : tuple of Column
        Those of values, the last; empty until they are known.
    own : mapping of str to pyarrow.DataType
        Those between, which are filled by the task itself.
    of_features : bool
        Whether values come as properties of features, which have some of their own, and to which
        Earth Engine may add others that nobody asked for.
    outputs : tuple of str
        The names of a reducer's results, by which values are told from such additions.

    Raises
    ------
    InputError
        If two columns have one name.
    """

    id_type: pa.DataType
    columns: tuple[Column, ...] = ()
    own: Mapping[str, pa.DataType] = field(default_factory=dict)
    of_features: bool = False
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_columns(self.columns, (ITEM_ID, *self.own), of_features=self.of_features)

    @property
    def schema(self) -> pa.Schema:
        """The names and types of all columns."""
        values = {column.name: column.type for column in self.columns}
        return pa.schema([(ITEM_ID, self.id_type), *self.own.items(), *values.items()])

    @cached_property
    def _keys(self) -> frozenset[str]:
        """The keys of an answer whose values go into a column."""
        return frozenset(key for column in self.columns for key in column.keys)

    @property
    def nulls(self) -> dict[str, Any]:
        """A row in which every value is null, by column."""
        return dict.fromkeys(column.name for column in self.columns)

    def values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a row, by column.

        Parameters
        ----------
        found : mapping
            From an answer: the properties of a feature, or a dictionary.

        Raises
        ------
        InputError
            If one does not fit its column, or has none. What Earth Engine adds to features is no
            value, and left out.
        """
        unknown = found.keys() - self._keys
        if self.of_features:
            unknown = {key for key in unknown if self._is_result(key)}
        if unknown:
            raise InputError(
                f"the answer has {sorted(unknown)}, for which the table has no column (it has"
                f" {[column.name for column in self.columns]}): "
                + ("give all images the same bands" if self.of_features else _STATE_ALL)
            )
        return fitted(self.columns, found)

    def _is_result(self, key: str) -> bool:
        """Whether a property is called like a result of the reducer: OUTPUT or BAND_OUTPUT."""
        return any(key == output or key.endswith(f"_{output}") for output in self.outputs)


def columns_of(kinds: Mapping[str, pa.DataType]) -> tuple[Column, ...]:
    """Return a column for each name, of the type that it is given with."""
    return tuple(Column(name, (name,), kind) for name, kind in kinds.items())


def stated_columns(schema: pa.Schema | Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns that a user states.

    Parameters
    ----------
    schema : pyarrow.Schema or mapping
        Names to Arrow types, their names ("int64", "string" …) or Python's ``int``, ``float``,
        ``str``, ``bool``, ``datetime.datetime``.

    Raises
    ------
    InputError
        For a type that is none.
    """
    if not isinstance(schema, pa.Schema | Mapping):
        raise InputError(
            f"schema is a pyarrow.Schema, or a dictionary of names and types; got {schema!r}"
        )
    if isinstance(schema, pa.Schema):
        made = tuple(Column(one.name, (one.name,), one.type) for one in schema)
    else:
        made = columns_of({name: _arrow(name, kind) for name, kind in schema.items()})
    return made


def _arrow(name: str, kind: Any) -> pa.DataType:
    if isinstance(kind, pa.DataType):
        return kind
    if kind in _PYTHON:
        return _PYTHON[kind]
    try:
        return pa.type_for_alias(str(kind))
    except ValueError:
        raise InputError(
            f"schema: {kind!r} of {name!r} is no type; give one of pyarrow's, its name, or int,"
            " float, str, bool, datetime"
        ) from None
