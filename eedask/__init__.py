"""eedask: sample Google Earth Engine at scale, from a GeoDataFrame, on Dask.

A GeoDataFrame of work items goes in; a folder of images and Parquet comes out, with one manifest
row for every item that went in::

    plan = eedask.chips(points, image, out="chips", shape=(256, 256), scale=1, crs="utm")
    result = plan.run()
    result.manifest
"""

from importlib.metadata import version as _version

from eedask import errors, items
from eedask.items import to_bag
from eedask.plan import Plan
from eedask.progress import Progress
from eedask.result import Result, open_result
from eedask.retrying import RetryPolicy
from eedask.series_verbs import compute, time_series
from eedask.table_verbs import reduce_regions, sample_points
from eedask.verbs import chips
from eedask.workitem import Item

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
