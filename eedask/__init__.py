"""eedask: sample Google Earth Engine at scale, from a GeoDataFrame, on Dask.

A GeoDataFrame of work items goes in; a folder of images and Parquet comes out, with one manifest
row for every item that went in::

    plan = eedask.chips(points, image, out="chips", shape=(256, 256), scale=1, crs="utm")
    result = plan.run()
    result.manifest
"""

from importlib.metadata import version as _version

from eedask import errors
from eedask.earthengine.retry import RetryPolicy
from eedask.expressions.symbols import Item
from eedask.items import check as items
from eedask.items.local import to_bag
from eedask.plan import Plan
from eedask.results.result import Result, open_result
from eedask.run.progress import Progress
from eedask.verbs.chips import chips
from eedask.verbs.compute import compute
from eedask.verbs.reduce_regions import reduce_regions
from eedask.verbs.sample_points import sample_points
from eedask.verbs.time_series import time_series

__version__ = _version("eedask")

__all__ = [
    "Item",
    "Plan",
    "Progress",
    "Result",
    "RetryPolicy",
    "__version__",
    "chips",
    "compute",
    "errors",
    "items",
    "open_result",
    "reduce_regions",
    "sample_points",
    "time_series",
    "to_bag",
]
