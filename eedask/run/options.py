"""How a plan runs: requests at once and a second, retries, items in a partition."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from eedask.arguments import is_count
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import InputError
from eedask.quota.messages import DEFAULT_CEILING, Ceiling

_LARGEST_PARTITION = 250
# Those that a process works on at once, four, then fill the 40 slots of the default quota.
_SMALLEST_PARTITION = 10
# Partitions at least, where there are items enough, so that all workers get some.
_FEWEST = 16


@dataclass(frozen=True)
class RunOptions:
    """How a plan runs. No option changes the result.

    Attributes
    ----------
    ceiling : Ceiling
        Requests at once and a second, over all workers.
    retry : RetryPolicy
        How often a request is tried, and the waits in between.
    partition_size : int, optional
        Items in a Dask partition; None: chosen by :meth:`partition_of`.
    endpoint_is_open : bool
        Whether the user has left it open which of Earth Engine's addresses is asked.
    """

    ceiling: Ceiling = DEFAULT_CEILING
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    partition_size: int | None = None
    endpoint_is_open: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.retry, RetryPolicy):
            raise InputError(f"retry is an eedask.RetryPolicy, or None; got {self.retry!r}")
        if self.partition_size is not None and not is_count(self.partition_size):
            raise InputError(
                f"partition_size is a whole number of items, 1 or more; got {self.partition_size!r}"
            )

    @property
    def described(self) -> list[tuple[str, Any]]:
        """Names and values of the options, as a plan shows them."""
        ceiling = self.ceiling
        return [("concurrency", ceiling.concurrency), ("rate", ceiling.rate), ("retry", self.retry)]

    def with_partition(self, size: int) -> RunOptions:
        """Return the options with this partition size, unless they have one already."""
        return self if self.partition_size else replace(self, partition_size=size)

    def partition_of(self, count: int) -> int:
        """Return how many items a partition has when there are ``count`` in all."""
        shared = max(_SMALLEST_PARTITION, -(-count // _FEWEST))
        return int(self.partition_size or min(_LARGEST_PARTITION, shared))
