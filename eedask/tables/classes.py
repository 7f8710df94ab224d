"""Values by class: histograms and grouped reducers as maps, and as a column for each class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from eedask.arguments import is_list, is_number
from eedask.errors import InputError
from eedask.tables.columns import Column
from eedask.tables.values import infer

# What Earth Engine calls the list of a grouped reducer's results
# (https://developers.google.com/earth-engine/guides/reducers_grouping).
_GROUPS = "groups"


def class_label(value: Any) -> str:
    """Return a class or group as text, whole numbers without a decimal point."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
    return str(int(number)) if number.is_integer() else str(value)


def class_labels(classes: Sequence[Any] | None) -> tuple[str, ...]:
    """Return the classes that a user states.

    Raises
    ------
    InputError
        If they are no list of numbers or texts, or one stands twice.
    """
    given = [] if classes is None else classes
    listed = is_list(given) and all(isinstance(v, str) or is_number(v) for v in given)
    found = tuple(class_label(value) for value in given) if listed else ()
    if (classes is not None and not found) or len({*found}) < len(found):
        raise InputError(
            "classes is a list of the values that pixels or groups have, each once, as"
            f" [10, 20, 30]; got {classes!r}"
        )
    return found


@dataclass(frozen=True)
class GroupedColumn(Column):
    """One result of a grouped reducer, as a map from each group to its value.

    Attributes
    ----------
    group : str
        What the reducer calls the group in its dictionaries.
    """

    group: str = ""

    def pick(self, properties: Mapping[str, Any]) -> Any:
        """Return the value of each group, None where there are none.

        Raises
        ------
        InputError
            If what is there is no list of groups.
        """
        found = super().pick(properties)
        try:
            pairs = [(one[self.group], one.get(self.name)) for one in found or ()]
        except (TypeError, AttributeError, LookupError) as error:
            raise InputError(
                f"the answer {found!r} does not fit the column {self.name!r}: it is no list of"
                f" dictionaries with {self.group!r}"
            ) from error
        return None if found is None else {class_label(group): value for group, value in pairs}

    def typed_by(self, rows: Iterable[Mapping[str, Any]]) -> GroupedColumn:
        """Return the column with the type that holds the values of some rows."""
        found = [self.pick(row) or {} for row in rows]
        kind = infer(value for groups in found for value in groups.values())
        return replace(self, type=pa.map_(pa.string(), kind))


def grouped_columns(outputs: Sequence[str], group: str) -> tuple[Column, ...]:
    """Return a column for each result of the reducer that is run in each group."""
    kind = pa.map_(pa.string(), pa.float64())
    return tuple(GroupedColumn(name, (_GROUPS,), kind, group) for name in outputs)


@dataclass(frozen=True)
class ClassColumn(Column):
    """The value of one class, of a column that maps classes to values.

    Attributes
    ----------
    of : Column
    label : str
        The class.
    known : frozenset of str
        All classes that have columns.
    absent : float, optional
        The value where the item has none of this class.
    """

    of: Column
    label: str
    known: frozenset[str]
    absent: float | None

    def pick(self, properties: Mapping[str, Any]) -> Any:
        """Return the value of the class, None where the item has no values at all.

        Raises
        ------
        InputError
            If the item has a class for which there is no column.
        """
        found = self.of.pick(properties)
        if found is None:
            return None
        values = {class_label(key): value for key, value in found.items()}
        if unknown := values.keys() - self.known:
            raise InputError(
                f"{self.of.name!r} has {sorted(unknown)}, for which there is no column: add it to"
                " classes=, or leave classes= out and find all with result.table(layout='wide')"
            )
        return values.get(self.label, self.absent)


def by_class(made: Sequence[Column], labels: Sequence[str]) -> tuple[Column, ...]:
    """Replace each column that maps classes to values by a column ``NAME_CLASS`` for each class.

    A class that an item has not is 0 in a histogram, and null for a reducer: no pixels have no
    mean.

    Raises
    ------
    InputError
        If no column is a map.
    """
    if labels and not any(pa.types.is_map(one.type) for one in made):
        raise InputError(
            "classes= is for reducers that give a value for each class: 'frequencyHistogram', or a"
            " reducer with .group(…)"
        )
    known = frozenset(labels)
    spread: list[Column] = []
    for one in made:
        if not (labels and pa.types.is_map(one.type)):
            spread.append(one)
            continue
        absent = None if isinstance(one, GroupedColumn) else 0.0
        for label in labels:
            name, kind = f"{one.name}_{label}", one.type.item_type
            spread.append(ClassColumn(name, one.keys, kind, one, label, known, absent))
    return tuple(spread)
