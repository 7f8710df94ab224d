"""Partial responses: the ``fields`` parameter of Google's APIs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from eedask.emulator.errors import EarthEngineError

_TOKEN = re.compile(r"[\w*.:-]+|[,/()]")

Tree = dict[str, "Tree"]


def select_fields(value: Any, mask: str) -> Any:
    """Return the part of a JSON answer that a mask such as ``name,bands(id,grid/crsCode)`` names.

    A mask applies to each element of a list; ``*`` is every field; missing fields are left out.

    Raises
    ------
    EarthEngineError
        400: not a mask.
    """
    tokens = _TOKEN.findall(mask)
    if "".join(tokens) != re.sub(r"\s", "", mask):
        raise _invalid(mask)
    rest = iter([*tokens, ")"])
    tree = _names(rest, mask)
    if next(rest, None) is not None:
        raise _invalid(mask)
    return _select(value, tree)


def _names(tokens: Iterator[str], mask: str) -> Tree:
    """Read names up to a closing bracket."""
    tree: Tree = {}
    node, expecting_name = tree, True
    for token in tokens:
        if expecting_name:
            if token in ",/()":
                raise _invalid(mask)
            node, expecting_name = node.setdefault(token, {}), False
        elif token == "(":
            node.update(_names(tokens, mask))
        elif token == ")":
            return tree
        elif token in ",/":
            node, expecting_name = (node if token == "/" else tree), True
        else:
            raise _invalid(mask)
    raise _invalid(mask)


def _select(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_select(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in tree:
        return {key: _select(item, tree["*"]) for key, item in value.items()}
    return {key: _select(value[key], below) for key, below in tree.items() if key in value}


def _invalid(mask: str) -> EarthEngineError:
    return EarthEngineError(f"Request contains an invalid argument. Invalid field selection {mask}")
