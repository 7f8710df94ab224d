"""``Image.expression``: images computed from formulas written as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import select
from eedask.emulator.functions.images.math import OPERATORS, TRANSFORMATIONS, operate, transform
from eedask.emulator.functions.images.sources import constant_image
from eedask.emulator.functions.registry import algorithm
from eedask.emulator.pixels.bands import both, constant, derived, pairs
from eedask.emulator.pixels.pixel_types import union
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels
from eedask.emulator.values.formulas import Formula, parse

# Functions whose name in a formula differs from that of the algorithm.
_RENAMED = {"ln": "log"}


@algorithm("Image.parseExpression", takes_arrays=True)
def parse_expression(
    expression: str, argument: str, variables: Sequence[str], free_are_bands: bool = False
) -> Callable[..., Image]:
    """Return a function that computes a formula from images.

    Parameters
    ----------
    expression : str
    argument : str
        Name of the variable whose bands ``b("name")`` or ``b(number)`` in the formula stands for.
    variables : sequence of str
        Names of the returned function's arguments, in order.
    free_are_bands : bool
        Whether any other name in the formula is a band of the image ``argument``.
    """
    tree = parse(expression)

    def compute(*values: Any, **named: Any) -> Image:
        images = dict(zip(variables, values, strict=False)) | named
        scope = {name: constant_image(value) for name, value in images.items()}
        return _Evaluation(scope, argument, free_are_bands).image(tree)

    return compute


class _Evaluation:
    def __init__(self, scope: Mapping[str, Image], argument: str, free_are_bands: bool) -> None:
        self._scope, self._free = scope, free_are_bands
        self._default = scope.get(argument)

    def image(self, tree: Formula) -> Image:
        """Return the image that a parsed formula computes."""
        if tree.kind == "number":
            return constant(tree.value)
        if tree.kind == "name":
            return self._named(tree.value)
        if tree.kind == "member":
            return select(self.image(tree.parts[0]), [tree.value])
        if tree.kind == "choice":
            return _choose(*(self.image(part) for part in tree.parts))
        if tree.kind == "call":
            return self._called(tree.value, tree.parts)
        raise EarthEngineError("Image.parseExpression: A string is only allowed in b('name').")

    def _named(self, name: str) -> Image:
        if name in self._scope:
            return self._scope[name]
        if self._free and self._default is not None:
            return select(self._default, [name])
        raise EarthEngineError(f"Image.parseExpression: Unknown variable '{name}'.")

    def _called(self, function: str, arguments: Sequence[Formula]) -> Image:
        if function == "b":
            return self._bands(arguments)
        name = _RENAMED.get(function, function)
        values = [self.image(argument) for argument in arguments]
        if name in TRANSFORMATIONS and len(values) == 1:
            return transform(name, values[0])
        if name in OPERATORS and len(values) == 2:
            return operate(name, *values)
        if name in ("min", "max") and values:
            return reduce(lambda a, b: operate(name, a, b), values)
        raise EarthEngineError(
            f"Image.parseExpression: The eedask emulator knows no function '{function}' of "
            f"{len(values)} arguments."
        )

    def _bands(self, arguments: Sequence[Formula]) -> Image:
        if self._default is None:
            raise EarthEngineError("Image.parseExpression: There is no image for b().")
        if not all(argument.kind in ("string", "number") for argument in arguments):
            raise EarthEngineError("Image.parseExpression: b() takes band names or numbers.")
        chosen = [argument.value for argument in arguments]
        return select(self._default, chosen) if chosen else self._default


def _choose(condition: Image, yes: Image, no: Image) -> Image:
    """Return the pixels of ``yes`` where a condition is not 0, and of ``no`` where it is 0."""
    bands = []
    tests = condition.bands
    branches = pairs(yes, no, "Image.parseExpression")
    for i, (a, b, name) in enumerate(branches):
        test = tests[i if len(tests) > 1 else 0]
        bands.append(_chosen_band(test, a, b, name))
    return derived(condition, bands, yes)


def _chosen_band(test: Band, yes: Band, no: Band, name: str) -> Band:
    kind = union([yes.type, no.type])

    def read(grid: Grid) -> Pixels:
        t, a, b = test.read(grid), yes.read(grid), no.read(grid)
        chosen = t.values != 0
        values = np.where(chosen, a.values, b.values).astype(kind.dtype, copy=False)
        return Pixels(values, both(t.mask, np.where(chosen, a.mask, b.mask)))

    base = next((x for x in (test, yes, no) if not x.has_default_projection), test)
    return replace(base, id=name, type=kind, read=read)
