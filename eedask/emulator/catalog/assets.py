"""The three kinds of assets in a catalogue, each with the function that loads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eedask.emulator.pixels.raster import Image
from eedask.emulator.values.value_types import Collection


@dataclass(frozen=True)
class ImageAsset:
    """A single image."""

    load: Callable[[], Image]


@dataclass(frozen=True)
class CollectionAsset:
    """An image collection; ``image`` finds one of its images by ``system:index``."""

    load: Callable[[], Collection]
    image: Callable[[str], Image | None]


@dataclass(frozen=True)
class TableAsset:
    """A table; ``size`` counts its features, and is None where counting is expensive."""

    load: Callable[[], Collection]
    size: Callable[[], int] | None = None


Asset = ImageAsset | CollectionAsset | TableAsset
