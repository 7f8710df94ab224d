"""What Earth Engine is asked of an image that becomes an item, and the frame of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ee
import geopandas as gpd
import numpy as np
import pandas as pd

from eedask.items.from_earth_engine import ID, Feature

# Properties under which an answer holds an image's asset id and time. No image has properties of
# these names.
_ASSET, _TIME = "eedask:asset", "eedask:time"
# Milliseconds from 1970 to the last year that Python's dates know.
_FARTHEST = 253_402_300_799_999


def described(image: ee.Image, properties: Sequence[str], geometry: bool) -> ee.Feature:
    """Return a feature that says of an image what :func:`image_frame` reads."""
    kept: dict[str, Any] = {name: image.get(name) for name in properties}
    kept |= {_ASSET: image.get("system:id"), _TIME: image.get("system:time_start")}
    kept[ID] = image.get("system:index")
    return ee.Feature(image.geometry() if geometry else None, kept)


def image_frame(found: Sequence[Feature], properties: Sequence[str]) -> gpd.GeoDataFrame:
    """Return what features of :func:`described` say, a row each.

    Columns: :data:`ID` (``system:index``), ``id``, ``time``, the properties, ``geometry``.
    """
    names = [ID, _ASSET, _TIME, *properties]
    frame = pd.DataFrame([values for values, _ in found]).reindex(columns=names)
    times = pd.to_numeric(frame[_TIME], errors="coerce").round()
    times = times.where(times.abs() <= _FARTHEST).astype("Int64")
    stamps = times.astype("object").where(times.notna(), None).to_numpy(dtype="datetime64[ms]")
    frame[_TIME] = pd.DatetimeIndex(np.asarray(stamps)).tz_localize("UTC")
    frame[_ASSET] = frame[_ASSET].astype("object").where(frame[_ASSET].notna(), None)
    named = frame.rename(columns={_ASSET: "id", _TIME: "time"})
    return gpd.GeoDataFrame(named, geometry=[shape for _, shape in found], crs="EPSG:4326")
