"""Animated GIFs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

_OPAQUE = 128  # of 255: GIF knows no half transparent pixels
_CLEAR = 255  # the index of the palette that stands for a clear pixel


def encode_gif(frames: Sequence[NDArray[np.uint8]], per_second: float) -> bytes:
    """Return an animated GIF that repeats for ever.

    A GIF counts time in hundredths of a second, and a frame lasts at least one of them. Equal
    frames that follow each other become one frame that lasts longer.

    Parameters
    ----------
    frames : sequence of (height, width, 4) uint8
        Red, green, blue and alpha, all of one size.
    per_second : float
    """
    pictures = _palette_pictures(frames)
    clear = any((frame[..., 3] < _OPAQUE).any() for frame in frames)
    stream = io.BytesIO()
    pictures[0].save(
        stream,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=10 * max(1, round(100 / per_second)),
        loop=0,
        optimize=False,
        **({"transparency": _CLEAR, "disposal": 2} if clear else {}),
    )
    return stream.getvalue()


def _palette_pictures(frames: Sequence[NDArray[np.uint8]]) -> list[Pillow.Image]:
    """Return pictures with a palette of up to 255 colours each, and one more for clear pixels.

    The latter is a colour that no frame has, as Pillow crops edges that have the background's
    colour.
    """
    reduced = [
        Pillow.fromarray(np.ascontiguousarray(frame[..., :3])).quantize(_CLEAR) for frame in frames
    ]
    palettes = [(picture.getpalette() or [])[: 3 * _CLEAR] for picture in reduced]
    used = {tuple(p[i : i + 3]) for p in palettes for i in range(0, len(p), 3)}
    unused = next(c for c in product(range(256), repeat=3) if c not in used)
    result = []
    for frame, picture, palette in zip(frames, reduced, palettes, strict=True):
        codes = np.asarray(picture).copy()
        codes[frame[..., 3] < _OPAQUE] = _CLEAR
        made = Pillow.fromarray(codes)
        made.putpalette([*palette, *[0] * (3 * _CLEAR - len(palette)), *unused])
        result.append(made)
    return result
