"""Work items: the rows of the GeoDataFrame that a user gives to a verb.

In go regions, dates, files, or a collection of Earth Engine.
Out come GeoDataFrames that are checked, and a picklable ``WorkItem`` for each of their rows.
All wings above import it. Only the builders that fetch items send requests to Earth Engine.
"""

from eedask.items.bag import to_bag
from eedask.items.covering import covering_grid
from eedask.items.crossing import cross
from eedask.items.dates import date_ranges
from eedask.items.from_earth_engine import from_features
from eedask.items.grids import grid, points_on_grid
from eedask.items.images import image_ids
from eedask.items.random_points import random_points
from eedask.items.reading import read
from eedask.items.samples import stratified_sample
from eedask.items.splitting import split

__all__ = [
    "covering_grid",
    "cross",
    "date_ranges",
    "from_features",
    "grid",
    "image_ids",
    "points_on_grid",
    "random_points",
    "read",
    "split",
    "stratified_sample",
    "to_bag",
]


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
