"""eedask: sample Google Earth Engine at scale, from a GeoDataFrame, on Dask.

A GeoDataFrame of work items goes in; a folder of images and Parquet comes out, with one manifest
row for every item that went in::

    plan = eedask.chips(points, image, out="chips", shape=(256, 256), scale=1, crs="utm")
    result = plan.run()
    result.manifest
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eedask import errors, items
    from eedask.checkup.doctor import doctor
    from eedask.earthengine.retry import RetryPolicy
    from eedask.expressions.symbols import Item
    from eedask.items.bag import to_bag
    from eedask.plan import Plan
    from eedask.results.result import Result, open_result
    from eedask.run.progress import Progress
    from eedask.verbs.chips import chips
    from eedask.verbs.compute import compute
    from eedask.verbs.images import images
    from eedask.verbs.reduce_regions import reduce_regions
    from eedask.verbs.sample_points import sample_points
    from eedask.verbs.time_series import time_series

    __version__: str

__all__ = [
    "Item",
    "Plan",
    "Progress",
    "Result",
    "RetryPolicy",
    "__version__",
    "chips",
    "compute",
    "doctor",
    "errors",
    "images",
    "items",
    "open_result",
    "reduce_regions",
    "sample_points",
    "time_series",
    "to_bag",
]

_MODULES = ("errors", "items")
# The module that each other name is defined in.
_HOMES = {
    "Item": "expressions.symbols",
    "Plan": "plan",
    "Progress": "run.progress",
    "Result": "results.result",
    "RetryPolicy": "earthengine.retry",
    "chips": "verbs.chips",
    "compute": "verbs.compute",
    "doctor": "checkup.doctor",
    "images": "verbs.images",
    "open_result": "results.result",
    "reduce_regions": "verbs.reduce_regions",
    "sample_points": "verbs.sample_points",
    "time_series": "verbs.time_series",
    "to_bag": "items.bag",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: Dask, ``ee`` and geopandas take seconds."""
    if name == "__version__":
        found = _import_module("importlib.metadata").version("eedask")
    elif name in _MODULES:
        found = _import_module(f"eedask.{name}")
    elif name in _HOMES:
        found = getattr(_import_module(f"eedask.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'eedask' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
