"""Properties of elements that are computed when they are first needed.

The cloudiness of a scene takes a hundred times as long to compute as its name and time, and most
requests need only the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any


class LateProperties(Mapping[str, Any]):
    """Properties of which some are computed late: all at once, when the first one is needed.

    Parameters
    ----------
    known : mapping
        The properties whose values are given.
    names : tuple of str
        The names of the others.
    make : callable
        Returns the others by name.
    """

    def __init__(
        self,
        known: Mapping[str, Any],
        names: tuple[str, ...],
        make: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._known = dict(known)
        self._names = tuple(name for name in names if name not in self._known)
        self._make = make if hasattr(make, "cache_info") else cache(make)

    def __getitem__(self, name: str) -> Any:
        if name in self._known:
            return self._known[name]
        if name in self._names:
            return self._make()[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in self._names

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from self._names

    def __len__(self) -> int:
        return len(self._known) + len(self._names)

    def __repr__(self) -> str:
        return f"LateProperties({self._known!r}, {self._names!r})"

    def changed(self, changes: Mapping[str, Any], keep: bool = False) -> LateProperties:
        """Return a copy with properties replaced or added; None removes one, unless ``keep``."""
        known = dict(changed(self._known, changes, keep))
        names = tuple(name for name in self._names if name not in changes)
        return LateProperties(known, names, self._make)


def changed(
    properties: Mapping[str, Any], changes: Mapping[str, Any], keep: bool = False
) -> Mapping[str, Any]:
    """Return properties with some replaced or added; None removes one, unless ``keep``.

    Late properties are not computed for it.
    """
    if isinstance(properties, LateProperties):
        return properties.changed(changes, keep)
    merged = {**properties, **changes}
    return {k: v for k, v in merged.items() if v is not None or keep or k not in changes}
