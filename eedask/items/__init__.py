"""Work items: the rows of the GeoDataFrame that the user hands over.

In go regions, a number, or a feature collection that Earth Engine has.
Out come checked GeoDataFrames, and from their rows the picklable items that workers bind.
Everything above imports it; it knows Earth Engine only where a builder asks it.
"""

from eedask.items.from_earth_engine import from_features
from eedask.items.local import random_points, to_bag

__all__ = ["from_features", "random_points", "to_bag"]


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
