"""The work of ``images``: for each item an image of a collection, and its chip of the region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.methods import Send
from eedask.errors import (
    NoImageError,
    OutsideError,
    PermanentError,
    RequestError,
    TooLargeError,
)
from eedask.expressions.compile import Expression
from eedask.grid import NativeProjection, PixelGrid
from eedask.items.item import WorkItem
from eedask.pixels.chip_task import ChipTask
from eedask.pixels.descriptions import Known
from eedask.pixels.image_question import ImageQuestion, Told
from eedask.pixels.tiles import TileSizes
from eedask.run.forecast import Bounds, Forecast, jobs_of
from eedask.run.request_pool import Split
from eedask.run.task import Chip, Job, Sender

# The most images that one request asks about.
MOST_IMAGES = 250


@dataclass(frozen=True)
class ImageTask:
    """Finds the images of many items by one request, and then makes the chip of each.

    Attributes
    ----------
    chips : ChipTask
        Makes the chip of an item whose geometry is the region and whose grid is known. Its layout
        is not None.
    question : ImageQuestion
        What is asked about the images before their pixels.
    region : WorkItem
        The region, in the form of an item.
    """

    chips: ChipTask
    question: ImageQuestion
    region: WorkItem

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""
        return self.chips.endpoint

    @property
    def needs_client(self) -> bool:
        """Whether expressions are built on the workers, with the ``ee`` client."""
        return self.chips.needs_client

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before running."""
        return self.chips.notes

    @property
    def expressions(self) -> Mapping[str, Expression]:
        """The user's collection, under "collection"."""
        return {"collection": self.chips.first.expression}

    @property
    def schema(self) -> None:
        """None, as chips are files, not rows of a table."""
        return None

    def sizes(self) -> dict[str | None, TileSizes]:
        """Return what the chips of a process learn of the size of tiles that work."""
        return self.chips.sizes()

    def sent_to(self, endpoint: Endpoint) -> ImageTask:
        """Return the same work with its requests sent elsewhere."""
        return replace(self, chips=self.chips.sent_to(endpoint))

    def ways(self) -> Mapping[str, ImageTask]:
        """Return nothing, as images have no choice that an estimate could compare."""
        return {}

    def before(self, samples: int) -> Bounds:
        """Return how many requests :meth:`prepare` sends: none."""
        return Bounds.exactly(0)

    def forecast(self, items: Sequence[WorkItem], size: int) -> Forecast:
        """Return what the items' files, and the questions before them, are expected to take.

        It assumes that every image is found and meets the region; others take less.
        """
        found = self.chips.forecast([self.region], 1).times(len(items))
        return found.after(jobs_of(len(items), size, MOST_IMAGES))

    def prepare(self, send: Send, items: Sequence[WorkItem]) -> ImageTask:
        """Return the task as it is: :meth:`do` asks about images, many in one request."""
        return self

    def jobs(self, items: Sequence[WorkItem]) -> Iterator[Job]:
        """Yield jobs of items that are asked about together; :meth:`do` splits them by item."""
        placed = self._placed(items)
        for start in range(0, len(placed), MOST_IMAGES):
            yield Job(tuple(placed[start : start + MOST_IMAGES]))

    def do(self, job: Job, sender: Sender) -> list[Chip] | Split:
        """Return the chip of an item whose grid is known.

        For a job of items whose images are not known yet, ask about these images, and return a job
        for each item.

        Raises
        ------
        RequestError, InputError
            If the chip cannot be made, or the question is not answered.
        """
        if job.laid_out is not None:
            return self.chips.do(job, sender)
        found = self.question.ask(self.endpoint, job.items, sender.ask)
        return Split(
            [
                Job((item,), self._laid_out(item, told))
                for item, told in zip(job.items, found, strict=True)
            ]
        )

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return two halves of a job of several items whose question failed; else nothing.

        The question may have been too large, or one of the images may be the reason.
        """
        own = isinstance(error, TooLargeError | PermanentError)
        if len(job.items) < 2 or (isinstance(error, RequestError) and not own):
            return ()
        middle = len(job.items) // 2
        halves = job.items[:middle], job.items[middle:]
        return [Job(half, elapsed_s=job.elapsed_s) for half in halves]

    def _placed(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """Return the items with the region as their geometry."""
        region = self.region
        return [
            replace(item, geometry=region.geometry, crs=region.crs, bounds=region.bounds)
            for item in items
        ]

    def _laid_out(self, item: WorkItem, told: Told | NoImageError) -> Known | Exception:
        try:
            return told if isinstance(told, NoImageError) else Known(self._grid(item, told))
        except Exception as error:
            return error

    def _grid(self, item: WorkItem, told: Told) -> PixelGrid:
        """Return the grid of an item's chip; raise an error that says why it has none."""
        task, layout = self.chips, self.chips.layout
        assert layout is not None
        # Bands come first, as missing bands are an error of the plan: if the first items of a run
        # all fail in the same way, the run is stopped.
        task.first.check(told.bands)
        if not told.meets:
            raise OutsideError(
                "the image's footprint does not meet the region, so it is left out; with"
                " outside='keep' it is a file in which all is masked"
            )
        native = None
        if layout.lattice.is_native:
            assert told.bands.projection is not None
            native = NativeProjection.from_info(told.bands.projection)
            native.check_readable()
        return layout.grid(item, native)
