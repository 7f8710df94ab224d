"""``Image.visualize``: 8-bit pictures of bands of any type."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from eedask.emulator.errors import EarthEngineError
from eedask.emulator.functions.images.bands import select
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.array_values import Made
from eedask.emulator.pixels.bands import Array, Mask, both, combined
from eedask.emulator.pixels.pixel_types import BYTE, of_rank
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType

_RGB = ("vis-red", "vis-green", "vis-blue")
_GRAY = "vis-gray"

Tone = Callable[[Array], NDArray[np.uint8]]


@algorithm("Image.visualize", takes_arrays=True, keeps=Keeps.FIRST)
def visualize(
    image: Image,
    bands: Any = None,
    gain: Any = None,
    bias: Any = None,
    low: Any = None,
    high: Any = None,
    gamma: Any = None,
    opacity: float | None = None,
    palette: Any = None,
    force_rgb: bool = False,
) -> Image:
    """Return an image of bands ``vis-red``, ``vis-green``, ``vis-blue``, or of ``vis-gray``.

    The range ``min`` (``low``) to ``max`` (``high``) is mapped to 0 to 255; halves are rounded up
    (a guess) and values outside clamped. By default it is the whole range of integers of up to 16
    bits, and 0 to 1 for other types. ``gain`` and ``bias`` give the mapping value * gain + bias
    instead. Colours are interpolated linearly between those of a palette.
    https://developers.google.com/earth-engine/guides/image_visualization
    """
    chosen = _chosen_bands(image, bands)
    stretches = _stretches(chosen, gain, bias, low, high, gamma)
    colors = None if palette is None else _palette(palette)
    if colors is not None and len(chosen) != 1:
        raise EarthEngineError("Image.visualize: Cannot provide a palette for multiple bands.")
    alpha = np.float32(1 if opacity is None else opacity)
    tones: list[tuple[int, Tone]]
    if colors is not None:
        tones = [(0, partial(_colored, stretches[0], colors[:, i])) for i in range(3)]
    else:
        tones = [(i, stretch.to_bytes) for i, stretch in enumerate(stretches)]
        if len(chosen) == 1 and force_rgb:
            tones = tones * 3
    return image.with_bands(_visible(chosen, tones, alpha))


def _chosen_bands(image: Image, names: Any) -> tuple[Band, ...]:
    if names is None or names == []:
        chosen = image.bands[:3]
        if len(image.bands) == 2:
            chosen = image.bands[:1]
    else:
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",")]
        chosen = select(image, names).bands
    if len(chosen) not in (1, 3):
        raise EarthEngineError(
            f"Image.visualize: Must specify 1 or 3 bands to visualize. Got {len(chosen)}."
        )
    return tuple(_first_elements(band) if band.type.dimensions else band for band in chosen)


def _first_elements(band: Band) -> Band:
    """Return a band of the first element of each array, which is what is shown of arrays.

    https://developers.google.com/earth-engine/apidocs/ee-image-toarray
    """

    def first(block: Array) -> Made:
        flat = block.reshape(len(block), -1)
        if not flat.shape[1]:
            return np.zeros(len(block), block.dtype), np.zeros(len(block), bool)
        return flat[:, 0]

    return combined([band], first, of_rank(band.type, 0), band.id)


@dataclass(frozen=True)
class _Stretch:
    """The mapping value → clamp((value - low) / (high - low), 0, 1) ** (1 / gamma)."""

    low: float
    high: float
    gamma: float

    @property
    def keeps_bytes(self) -> bool:
        return (self.low, self.high, self.gamma) == (0, 255, 1)

    def to_unit(self, values: Array) -> NDArray[np.float64]:
        span = self.high - self.low
        x = values.astype(np.float64)
        # With low equal to high, values above it are 1 and all others 0.
        x = (x - self.low) / span if span else (x > self.low).astype(np.float64)
        x = np.clip(np.nan_to_num(x), 0, 1)
        return x if self.gamma == 1 else x ** (1 / self.gamma)

    def to_bytes(self, values: Array) -> NDArray[np.uint8]:
        if values.dtype == np.uint8:
            if self.keeps_bytes:
                return values
            return self._rounded(np.arange(256))[values]
        return self._rounded(values)

    def _rounded(self, values: Array) -> NDArray[np.uint8]:
        return np.floor(self.to_unit(values) * 255 + 0.5).astype(np.uint8)


def _colored(stretch: _Stretch, channel: NDArray[np.float64], values: Array) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        table = _colored(stretch, channel, np.arange(256))
        return table[values]
    position = stretch.to_unit(values) * (len(channel) - 1)
    tone = np.interp(position, np.arange(len(channel)), channel)
    return np.floor(tone + 0.5).astype(np.uint8)


def _stretches(
    bands: Sequence[Band], gain: Any, bias: Any, low: Any, high: Any, gamma: Any
) -> list[_Stretch]:
    n = len(bands)
    if (gain is not None or bias is not None) and (low is not None or high is not None):
        raise EarthEngineError("Image.visualize: Cannot specify both min or max and gain or bias.")
    gammas = _numbers(gamma, n, "gamma", 1.0)
    if gain is not None or bias is not None:
        gains, biases = _numbers(gain, n, "gain", 1.0), _numbers(bias, n, "bias", 0.0)
        # low and high are the values for which value * gain + bias is 0 and 255.
        ends = [(-b / g, (255 - b) / g) for g, b in zip(gains, biases, strict=True)]
    else:
        defaults = [_default_range(band.type) for band in bands]
        lows, highs = _numbers(low, n, "min", None), _numbers(high, n, "max", None)
        ends = [
            (d[0] if a is None else a, d[1] if b is None else b)
            for a, b, d in zip(lows, highs, defaults, strict=True)
        ]
    return [_Stretch(a, b, g) for (a, b), g in zip(ends, gammas, strict=True)]


def _default_range(kind: PixelType) -> tuple[float, float]:
    dtype = kind.dtype
    if dtype.kind == "f":
        return (0.0, 1.0)
    if dtype.itemsize > 2:
        return (0.0, 255.0)
    info = np.iinfo(dtype)
    return (float(info.min), float(info.max))


def _numbers(value: Any, count: int, name: str, default: Any) -> list[Any]:
    if value is None:
        return [default] * count
    if isinstance(value, str):
        value = [part for part in re.split(r"[\s,]+", value.strip("[] ")) if part]
    values = list(value) if isinstance(value, list | tuple) else [value]
    try:
        numbers = [float(v) for v in values]
    except (TypeError, ValueError) as error:
        raise EarthEngineError(f"Image.visualize: '{name}' must be numbers.") from error
    if len(numbers) == 1:
        return numbers * count
    if len(numbers) != count:
        raise EarthEngineError(
            f"Image.visualize: '{name}' must have one number or one for each of {count} bands. "
            f"Got {len(numbers)}."
        )
    return numbers


def _palette(value: Any) -> NDArray[np.float64]:
    """Return the colours 0-255, shape (n, 3), of CSS names and hexadecimal strings."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not value:
        raise EarthEngineError("Image.visualize: The palette is empty.")
    return np.array([_color(str(name)) for name in value], dtype=np.float64)


def _color(name: str) -> tuple[int, ...]:
    text = f"#{name}" if re.fullmatch(r"([0-9a-fA-F]{3}){1,2}", name) else name
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise EarthEngineError(f"Image.visualize: Invalid color '{name}'.") from error


def _visible(
    bands: Sequence[Band], tones: Sequence[tuple[int, Tone]], alpha: np.float32
) -> tuple[Band, ...]:
    """Return bands of bytes, masked where any input band is; the mask is scaled by ``alpha``."""

    @lru_cache(maxsize=1)  # the colours of a picture are read one after the other
    def read_all(grid: Grid) -> tuple[list[Array], Mask]:
        pixels = [band.read(grid) for band in bands]
        mask = reduce(both, (p.mask for p in pixels))
        return [p.values for p in pixels], mask if alpha == 1 else mask * alpha

    def read(index: int, tone: Tone, grid: Grid) -> Pixels:
        values, mask = read_all(grid)
        return Pixels(tone(values[index]), mask)

    names = _RGB if len(tones) == 3 else (_GRAY,)
    return tuple(
        replace(bands[index], id=name, type=BYTE, read=partial(read, index, tone))
        for name, (index, tone) in zip(names, tones, strict=True)
    )
