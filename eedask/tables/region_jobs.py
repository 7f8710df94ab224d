"""From items that are regions or points to jobs: outlines checked, items put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eedask.arguments import is_positive
from eedask.errors import InputError
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.run.task import Job
from eedask.tables.batches import TOO_LONG, Batch
from eedask.tables.grouping import Batching, PointBatching
from eedask.tables.outlines import Outlines, vertices

# The largest that helps, by https://developers.google.com/earth-engine/apidocs/
# ee-image-reduceregions.
MOST_TILE_SCALE = 16.0
# The one that is compared with the default.
_LARGER = 4.0


@dataclass(frozen=True)
class RegionJobs:
    """How jobs are made of items that are regions or points.

    Attributes
    ----------
    batching : Batching
    outlines : Outlines, optional
        What is done to the items' geometries; None where it is Earth Engine that knows the
        regions.
    tile_scale : float
        From 1 to 16: Earth Engine computes in tiles that are so much smaller, with less memory.
    of_run : int
        Items of the run.

    Raises
    ------
    InputError
        If ``tile_scale`` is outside of its bounds.
    """

    batching: Batching
    outlines: Outlines | None
    tile_scale: float
    of_run: int

    def __post_init__(self) -> None:
        if not (is_positive(self.tile_scale) and 1 <= self.tile_scale <= MOST_TILE_SCALE):
            raise InputError(
                f"tile_scale is a number from 1 to {MOST_TILE_SCALE:g}; got {self.tile_scale!r}"
            )
        # NumPy's numbers are not written as JSON.
        object.__setattr__(self, "tile_scale", float(self.tile_scale))

    @property
    def presumed(self) -> float:
        """The weight that a request may have before any request has shown what works."""
        return self.batching.presumed

    @property
    def total(self) -> float:
        """A lower bound of the weight of all items of the run."""
        return self.of_run * self.batching.least

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield jobs of items that share input tiles, or lie next to each other."""
        usable: list[WorkItem] = []
        for item, found in zip(items, self._usable(items), strict=True):
            if isinstance(found, InputError):
                yield Job((item,), found)
            else:
                usable.append(found)
        if usable:
            batches, weights = self.batching.batches(usable)
            for batch in batches:
                chosen = tuple(usable[k] for k in batch)
                yield Job(chosen, Batch(tuple(weights[k] for k in batch), self.tile_scale))

    def eased(self) -> tuple[str, RegionJobs] | None:
        """Return the jobs with a larger tile scale, and what it is; None where it is stated.

        Points need no tiles.
        """
        if self.tile_scale > 1 or isinstance(self.batching, PointBatching):
            return None
        return f"tile_scale={_LARGER:g}", replace(self, tile_scale=_LARGER)

    def on(self, native: NativeProjection | None) -> RegionJobs:
        """Return the same for an image whose grid is known; ``native`` is None if it has none."""
        return replace(self, batching=self.batching.on(native))

    def usable(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """Return the items that have an outline that can be sent, with that outline."""
        return [found for found in self._usable(items) if not isinstance(found, InputError)]

    def _usable(self, items: Sequence[WorkItem]) -> Iterator[WorkItem | InputError]:
        return iter(items) if self.outlines is None else self.outlines.usable(items)

    def mended(self, item: WorkItem) -> WorkItem:
        """Return an item as it can be sent.

        Raises
        ------
        ItemsError
            If it has no outline that can be.
        """
        return item if self.outlines is None else self.outlines.mended(item)

    def lighter(self, job: Job) -> Sequence[Job]:
        """Return the job with a ``tileScale`` four times as large; empty if that is 16 already."""
        batch: Batch = job.laid_out
        if batch.tile_scale >= MOST_TILE_SCALE:
            return ()
        larger = min(MOST_TILE_SCALE, 4 * batch.tile_scale)
        return (replace(job, laid_out=replace(batch, tile_scale=larger, eased=True)),)

    def too_long(self, item: WorkItem) -> str:
        """Return what to do about an item whose request alone is longer than Earth Engine takes."""
        if self.outlines is None:
            return TOO_LONG
        return (
            f"the outline has {vertices(item):,} vertices, some 40 bytes each: simplify it"
            " (simplify=METRES), or let Earth Engine take the region from an asset by its id"
            " (region=)"
        )
