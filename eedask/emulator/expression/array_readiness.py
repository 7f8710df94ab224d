"""Which algorithms take images whose pixels are arrays; all others refuse them.

An algorithm that works on numbers would fail on arrays in the middle of an answer, in NumPy's
words. What is not named here is refused beforehand, in words of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.pixels.raster import Image

_PREFIXES = ("Image.array", "Image.matrix", "Image.to", "Reducer.")
_NAMES = frozenset(
    f"Image.{name}"
    # Pairs of bands, element by element.
    for name in (
        *("add", "subtract", "multiply", "divide", "mod", "pow", "atan2", "hypot", "gammainc"),
        *("max", "min", "first", "firstNonZero", "first_nonzero", "and", "or"),
        *("lt", "lte", "gt", "gte", "eq", "neq", "bitwiseAnd", "bitwiseOr", "bitwiseXor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "leftShift", "left_shift"),
        *("rightShift", "right_shift"),
        # Bands alone, element by element.
        *("not", "bitwiseNot", "bitwise_not", "bitCount", "abs", "signum", "floor", "ceil"),
        *("round", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sqrt"),
        *("cbrt", "exp", "log", "log10", "gamma", "digamma", "trigamma", "erf", "erfc"),
        *("erfInv", "erfcInv", "lanczos", "clamp", "unitScale", "parseExpression"),
        *("byte", "short", "int", "long", "float", "double"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "cast"),
        # Bands, masks, places and properties, whatever the values are.
        *("select", "rename", "regexpRename", "addBands", "cat", "slice", "bandNames"),
        *("bandTypes", "id", "date", "updateMask", "mask", "unmask", "where", "clip"),
        *("clipToCollection", "clipToBoundsAndScale", "setDefaultProjection", "reproject"),
        *("projection", "geometry", "copyProperties", "linkCollection", "metadata"),
        # What reads them.
        *(
            "reduceRegion",
            "reduceRegions",
            "sample",
            "sampleRegions",
            "stratifiedSample",
            "sampleRectangle",
        ),
        *("visualize", "reduce"),
    )
)


def check(algorithm: str, images: Iterable[Any]) -> None:
    """Raise Earth Engine's 400 if an image of arrays is given to what takes numbers only."""
    for image in images:
        if not isinstance(image, Image):
            continue
        for band in image.bands:
            if band.type.dimensions and not _takes_arrays(algorithm):
                raise EarthEngineError(
                    f"{algorithm}: Band '{band.id}' has pixels of arrays "
                    f"({band.type.dimensions} dimensions), but must have numbers. "
                    "See Image.arrayFlatten and Image.arrayGet."
                )


def _takes_arrays(algorithm: str) -> bool:
    return algorithm in _NAMES or algorithm.startswith(_PREFIXES)
