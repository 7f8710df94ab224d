"""Image algorithms of spectra and colours: interpolation, HSV, unmixing, spectral distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from eedask.emulator.errors import EarthEngineError, NotSupported
from eedask.emulator.functions.registry import Keeps, algorithm
from eedask.emulator.pixels.bands import Array, Mask, derived, unary
from eedask.emulator.pixels.pixel_types import BYTE, DOUBLE, FLOAT, cast, floating
from eedask.emulator.pixels.position_hash import mix
from eedask.emulator.pixels.raster import Band, Grid, Image, Pixels, PixelType

_BEHAVIOURS = ("extrapolate", "clamp", "mask", "input")
_MOST_ENDMEMBERS = 12


@algorithm("Image.interpolate", keeps=Keeps.FIRST)
def interpolate(
    image: Image, x: Sequence[float], y: Sequence[float], behavior: str = "extrapolate"
) -> Image:
    """Return the first band mapped by the piecewise linear function through the points (x, y).

    https://developers.google.com/earth-engine/apidocs/ee-image-interpolate
    """
    name = "Image.interpolate"
    if len(x) != len(y) or len(x) < 2:
        raise EarthEngineError(f"{name}: x and y must have the same length, at least 2.")
    if not all(a < b for a, b in pairwise(x)):
        raise EarthEngineError(f"{name}: The x values must be strictly increasing.")
    if behavior not in _BEHAVIOURS:
        raise EarthEngineError(f"{name}: Unknown behavior '{behavior}'.")
    if not image.bands:
        raise EarthEngineError(f"{name}: The image has no bands.")
    xs, ys = np.array(x, np.float64), np.array(y, np.float64)
    band = image.bands[0]

    def read(grid: Grid) -> Pixels:
        pixels = band.read(grid)
        v = pixels.values.astype(np.float64)
        outside = (v < xs[0]) | (v > xs[-1])
        result = np.interp(v, xs, ys)
        if behavior == "extrapolate":
            i = np.where(v < xs[0], 0, len(xs) - 2)
            line = ys[i] + (v - xs[i]) * (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i])
            result = np.where(outside, line, result)
        elif behavior == "input":
            result = np.where(outside, v, result)
        mask = pixels.mask
        if behavior == "mask":
            mask = np.where(outside, np.float32(0), mask)
        return Pixels(result, mask)

    return derived(image, [replace(band, type=DOUBLE, read=read)])


@algorithm("Image.polynomial", keeps=Keeps.FIRST)
def polynomial(image: Image, coefficients: Sequence[float]) -> Image:
    """Return a polynomial of every band; the first coefficient is the constant."""
    terms = np.array(coefficients, np.float64)
    if not terms.size:
        raise EarthEngineError("Image.polynomial: There must be at least one coefficient.")

    def function(values: Array) -> Array:
        return np.polynomial.polynomial.polyval(values.astype(np.float64), terms)

    return derived(image, [unary(band, function, floating(band.type)) for band in image.bands])


def _jointly(
    bands: Sequence[Band],
    names: Sequence[str],
    kind: PixelType,
    function: Callable[[Array], Array],
) -> list[Band]:
    """Return bands that a function computes from all input bands, masked where any of them is.

    ``function`` maps an array of shape (bands, pixels) to one of shape (names, pixels).
    """

    @lru_cache(maxsize=1)  # the bands of an answer are read one after the other
    def compute(grid: Grid) -> tuple[Array, Mask]:
        pixels = [band.read(grid) for band in bands]
        mask = np.minimum.reduce([p.mask for p in pixels])
        # Masked pixels may hold any value, NaN as well.
        values = np.stack([np.where(mask > 0, p.values, 0).ravel() for p in pixels])
        with np.errstate(all="ignore"):
            result = function(values.astype(np.float64))
        good = np.isfinite(result).all(axis=0).reshape(mask.shape)
        return np.where(np.isfinite(result), result, 0), np.where(good, mask, np.float32(0))

    def band_of(index: int, name: str) -> Band:
        def read(grid: Grid) -> Pixels:
            values, mask = compute(grid)
            return Pixels(cast(values[index].reshape(grid.shape), kind.dtype), mask)

        return replace(bands[0], id=name, type=kind, read=read)

    return [band_of(i, name) for i, name in enumerate(names)]


def _three(image: Image, name: str) -> Sequence[Band]:
    if len(image.bands) != 3:
        raise EarthEngineError(f"{name}: Expects a 3-band image. Got {len(image.bands)} bands.")
    return image.bands


@algorithm("Image.rgbToHsv", keeps=Keeps.FIRST)
def rgb_to_hsv(image: Image) -> Image:
    """Return bands ``hue``, ``saturation``, ``value`` of red, green and blue, all from 0 to 1."""
    bands = _three(image, "Image.rgbToHsv")
    return derived(image, _jointly(bands, ("hue", "saturation", "value"), FLOAT, _hsv))


def _hsv(rgb: Array) -> Array:
    most, least = rgb.max(axis=0), rgb.min(axis=0)
    span = most - least
    safe = np.where(span > 0, span, 1)
    red, green, blue = (most - rgb) / safe
    hue = np.where(
        rgb[0] == most,
        blue - green,
        np.where(rgb[1] == most, 2 + red - blue, 4 + green - red),
    )
    hue = np.where(span > 0, hue / 6 % 1, 0)
    return np.stack([hue, np.where(most != 0, span / np.where(most != 0, most, 1), 0), most])


@algorithm("Image.hsvToRgb", keeps=Keeps.FIRST)
def hsv_to_rgb(image: Image) -> Image:
    """Return bands ``red``, ``green``, ``blue`` of hue, saturation and value, all from 0 to 1."""
    bands = _three(image, "Image.hsvToRgb")
    return derived(image, _jointly(bands, ("red", "green", "blue"), FLOAT, _rgb))


def _rgb(hsv: Array) -> Array:
    hue, saturation, value = hsv
    # Over the circle of hues, each channel is a trapezoid function.
    corners = np.array([5.0, 3.0, 1.0])[:, None]
    k = (corners + hue * 6) % 6
    result: Array = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return result


@algorithm("Image.unmix", keeps=Keeps.FIRST)
def unmix(
    image: Image,
    endmembers: Sequence[Sequence[float]],
    sum_to_one: bool = False,
    non_negative: bool = False,
) -> Image:
    """Return the least-squares fractions of endmembers in each pixel (``band_0``, ``band_1`` …).

    https://developers.google.com/earth-engine/guides/image_transforms
    """
    name = "Image.unmix"
    count = len(image.bands)
    if not endmembers or any(len(e) != count for e in endmembers):
        raise EarthEngineError(f"{name}: Each endmember must have {count} values, one a band.")
    if non_negative and len(endmembers) > _MOST_ENDMEMBERS:
        raise NotSupported(f"{name} of over {_MOST_ENDMEMBERS} endmembers with nonNegative")
    spectra = np.array(endmembers, np.float64).T

    def function(pixels: Array) -> Array:
        if non_negative:
            return _best(spectra, pixels, sum_to_one)
        return _fractions(spectra, pixels, sum_to_one)

    names = [f"band_{i}" for i in range(len(endmembers))]
    return derived(image, _jointly(image.bands, names, DOUBLE, function))


def _fractions(spectra: Array, pixels: Array, sum_to_one: bool) -> Array:
    """Return the least-squares fractions, shape (endmembers, pixels), with sum 1 if wanted.

    ``spectra`` has shape (bands, endmembers), ``pixels`` (bands, pixels).
    """
    result: Array = np.linalg.pinv(spectra) @ pixels
    if sum_to_one:
        # The correction to a sum of 1 that increases the squared residual least.
        inverse = np.linalg.pinv(spectra.T @ spectra)
        ones = np.ones(spectra.shape[1])
        along = inverse @ ones
        result = result + np.outer(along / (ones @ along), 1 - result.sum(axis=0))
    return result


def _best(spectra: Array, pixels: Array, sum_to_one: bool) -> Array:
    """Return the least-squares fractions with none below 0: the best fit of any set of endmembers.

    Shapes are those of :func:`_fractions`.
    """
    n = spectra.shape[1]
    best = np.zeros((n, pixels.shape[1]))
    cost = np.full(pixels.shape[1], np.inf) if sum_to_one else (pixels**2).sum(axis=0)
    for size in range(1, n + 1):
        for chosen in combinations(range(n), size):
            some = list(chosen)
            found = _fractions(spectra[:, some], pixels, sum_to_one)
            residual = ((spectra[:, some] @ found - pixels) ** 2).sum(axis=0)
            better = (found >= -1e-12).all(axis=0) & (residual < cost)
            cost = np.where(better, residual, cost)
            best[:, better] = 0
            best[np.ix_(np.array(some), np.flatnonzero(better))] = found[:, better].clip(min=0)
    return best


def _angle(a: Array, b: Array) -> Array:
    cosine = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.arccos(np.clip(cosine, -1, 1))


def _divergence(a: Array, b: Array) -> Array:
    p, q = a / a.sum(axis=0), b / b.sum(axis=0)
    return ((p - q) * np.log(p / q)).sum(axis=0)


def _squares(a: Array, b: Array) -> Array:
    return ((a - b) ** 2).sum(axis=0)


def _earth_moved(a: Array, b: Array) -> Array:
    return np.abs(np.cumsum(a - b, axis=0)).sum(axis=0)


_METRICS = {"sam": _angle, "sid": _divergence, "sed": _squares, "emd": _earth_moved}


@algorithm("Image.spectralDistance")
def spectral_distance(first: Image, second: Image, metric: str = "sam") -> Image:
    """Return a band ``distance``: that between the spectra of two images at each pixel.

    Metrics: ``sam``, the angle in radians; ``sid``, the information divergence of the spectra
    scaled to sum 1; ``sed``, the sum of squared differences; ``emd``, the sum of the absolute
    cumulative differences (of spectra not scaled to sum 1, a guess).
    https://developers.google.com/earth-engine/apidocs/ee-image-spectraldistance
    """
    if metric not in _METRICS:
        raise EarthEngineError(f"Image.spectralDistance: Unknown metric '{metric}'.")
    n = len(first.bands)
    if n != len(second.bands) or not n:
        raise EarthEngineError(
            "Image.spectralDistance: The images must have the same number of bands. "
            f"Got {n} and {len(second.bands)}."
        )

    def function(values: Array) -> Array:
        return _METRICS[metric](values[:n], values[n:])[None, :]

    bands = _jointly((*first.bands, *second.bands), ("distance",), DOUBLE, function)
    return derived(first, bands, second)


@algorithm("Image.randomVisualizer")
def random_visualizer(image: Image) -> Image:
    """Return three bands of a random colour for each value of the first band, then all bands.

    Earth Engine does not document its colours; here they are a hash of the value.
    """
    if not image.bands:
        raise EarthEngineError("Image.randomVisualizer: The image has no bands.")
    first = image.bands[0]

    def colour(name: str, shift: int) -> Band:
        def function(values: Array) -> Array:
            bits = mix(values.astype(np.float64).view(np.uint64) + np.uint64(1))
            return (bits >> np.uint64(shift)).astype(np.uint8)

        return unary(first, function, BYTE, name)

    names = ("viz-red", "viz-green", "viz-blue")
    made = [colour(name, shift) for name, shift in zip(names, (16, 32, 48), strict=True)]
    return image.with_bands((*made, *image.bands))
