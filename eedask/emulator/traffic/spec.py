"""Settings that can be written as a string: ``"name=value,name=value"``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self


class Spec:
    """The base of frozen dataclasses of settings that a string, mapping or number can state."""

    # The field that a number without a name sets, and other names of fields.
    _bare: str = ""
    _aliases: Mapping[str, str] = {}

    @classmethod
    def parse(cls, spec: Any) -> Self:
        """Return the settings that a string, mapping, number or None describes.

        Raises
        ------
        ValueError
            A name is unknown, or a value does not fit.
        """
        if isinstance(spec, cls):
            return spec
        if spec is None or spec == "":
            return cls()
        if isinstance(spec, int | float) and cls._bare and not isinstance(spec, bool):
            spec = {cls._bare: spec}
        if not isinstance(spec, Mapping | str):
            raise ValueError(f"{cls.__name__} is a text or a mapping of settings, not {spec!r}")
        items = dict(spec) if isinstance(spec, Mapping) else cls._items(spec)
        kinds = {f.name: f.type for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        values: dict[str, Any] = {}
        for key, value in items.items():
            name = cls._aliases.get(str(key), str(key))
            if name not in kinds:
                known = ", ".join([*cls._aliases, *(k for k in kinds if k not in cls._aliases)])
                raise ValueError(f"{cls.__name__} has no {key!r}: there are {known}")
            try:
                values[name] = str(value) if kinds[name] == "str" else float(value)
            except (TypeError, OverflowError):
                raise ValueError(f"{name} is a number, not {value!r}") from None
        return cls(**values)

    def spec(self) -> str:
        """Return the string that :meth:`parse` reads these settings from."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        given = {f.name: getattr(self, f.name) for f in fields}
        default = {f.name: f.default for f in fields}
        return ",".join(f"{k}={v}" for k, v in given.items() if v != default[k])

    @classmethod
    def _items(cls, text: str) -> dict[str, str]:
        items: dict[str, str] = {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            items[name.strip() if equals else cls._bare] = value if equals else name
        return items


def check_shares(settings: Any, *names: str) -> None:
    """Raise ValueError if one of the named fields is not from 0 to 1."""
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} is a share, from 0 to 1, not {getattr(settings, name)}")


def check_not_negative(settings: Any, *names: str) -> None:
    """Raise ValueError if one of the named fields is negative or not finite."""
    for name in names:
        value = getattr(settings, name)
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be 0 or more, not {value}")
