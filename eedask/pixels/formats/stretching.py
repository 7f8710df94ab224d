"""Makes a picture to look at from data of any range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def stretched(bands: NDArray[Any]) -> Image.Image:
    """Return the first three bands, or the first if there are fewer, as an RGB picture.

    Values from the 2nd to the 98th percentile of all that are not 0 become 0 to 255.

    Parameters
    ----------
    bands : ndarray, shape (bands, rows, columns)
        0 where masked; NaN counts as 0.
    """
    shown = np.nan_to_num(bands[: 3 if len(bands) >= 3 else 1].astype(float))
    valid = shown[shown != 0]
    low, high = np.percentile(valid, [2, 98]) if valid.size else (0.0, 1.0)
    scaled = np.clip((shown - low) / max(high - low, 1e-12), 0, 1) * 255
    gray_or_color = scaled[0] if len(scaled) == 1 else np.moveaxis(scaled, 0, -1)
    return Image.fromarray(gray_or_color.astype(np.uint8)).convert("RGB")
