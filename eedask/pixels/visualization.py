"""Reads ``vis_params``, Earth Engine's usual dictionary that says how bands become a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eedask.arguments import is_positive
from eedask.errors import InputError

VIS_KEYS = ("bands", "min", "max", "palette", "gamma", "opacity")


@dataclass(frozen=True)
class Visualization:
    """How bands become an 8-bit picture; the parameters of ``ee.Image.visualize``.

    Attributes
    ----------
    ranges : tuple of (float, float)
        (min, max) of each band, or one for all.
    palette : tuple of str
        CSS colours, for a single band.
    gamma, opacity : float, optional
    """

    ranges: tuple[tuple[float, float], ...] = ()
    palette: tuple[str, ...] = ()
    gamma: float | None = None
    opacity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return ``VisualizationOptions`` of the REST API."""
        options: dict[str, Any] = {}
        if self.ranges:
            options["ranges"] = [{"min": low, "max": high} for low, high in self.ranges]
        if self.palette:
            options["paletteColors"] = list(self.palette)
        if self.gamma is not None:
            options["gamma"] = self.gamma
        if self.opacity is not None:
            options["opacity"] = self.opacity
        return options


def visualization(params: Mapping[str, Any]) -> tuple[tuple[str, ...], Visualization]:
    """Return the bands and the options that a ``vis_params`` dictionary states.

    Parameters
    ----------
    params : mapping
        ``bands`` (list or comma-separated), ``min``, ``max`` (numbers, or lists with one value
        a band), ``palette`` (list or comma-separated colours), ``gamma``, ``opacity``.

    Raises
    ------
    InputError
        For unknown keys and combinations that Earth Engine refuses.
    """
    if not isinstance(params, Mapping):
        raise InputError(f"vis_params is a dictionary, such as {{'max': 3000}}; got {params!r}")
    if unknown := sorted(set(map(str, params)) - set(VIS_KEYS)):
        raise InputError(f"vis_params has unknown keys {unknown}; it takes {', '.join(VIS_KEYS)}")
    bands = tuple(_listed(params.get("bands"), str))
    palette = tuple(color.lstrip("#") for color in _listed(params.get("palette"), str))
    if palette and len(bands) > 1:
        raise InputError(f"a palette colours a single band; bands is {list(bands)}")
    if len(bands) not in (0, 1, 3):
        raise InputError(f"a picture has 1 or 3 bands; vis_params has {list(bands)}")
    gamma, opacity = params.get("gamma"), params.get("opacity")
    if gamma is not None and not is_positive(gamma):
        raise InputError(f"gamma is one positive number, for all bands; got {gamma!r}")
    if opacity is not None and not (opacity == 0 or (is_positive(opacity) and opacity <= 1)):
        raise InputError(f"opacity is a number from 0 to 1; got {opacity!r}")
    return bands, Visualization(_ranges(params, len(bands)), palette, gamma, opacity)


def _ranges(params: Mapping[str, Any], bands: int) -> tuple[tuple[float, float], ...]:
    lows, highs = (_listed(params.get(key), float) for key in ("min", "max"))
    if not lows and not highs:
        return ()
    lows, highs = lows or [0.0], highs or [255.0]
    count = max(len(lows), len(highs))
    if {len(lows), len(highs)} - {1, count} or (bands and count not in (1, bands)):
        raise InputError(
            f"min and max take one value, or one a band; got min={params.get('min')!r},"
            f" max={params.get('max')!r}"
        )
    pairs = zip(lows * (count // len(lows)), highs * (count // len(highs)), strict=True)
    return tuple(pairs)


def _listed(value: Any, kind: type) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        value = [value]
    try:
        return [kind(part.strip() if isinstance(part, str) else part) for part in value]
    except (TypeError, ValueError) as error:
        raise InputError(f"vis_params has {value!r} where numbers are to stand") from error
