"""The work of a table of points: the values of the pixel that each point lies in.

Points are either sent to Earth Engine in batches, or read here from cells: windows of pixels that
hold many points (see :mod:`eedask.tables.point_cells`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from eedask.crs import is_wgs84
from eedask.earthengine.retry import Attempts
from eedask.errors import InputError, PermanentError, TooLargeError, TransientError
from eedask.expressions.graph import graphs
from eedask.grid import NativeProjection
from eedask.items.item import WorkItem
from eedask.pixels.chip_image import ChipImage
from eedask.pixels.known_pixels import KnownPixels, known_pixels
from eedask.pixels.tiles import TileSizes
from eedask.run.forecast import Bounds, Forecast
from eedask.run.task import Job, Outcome, Records, Sender
from eedask.tables.batch_sizes import BatchSizes
from eedask.tables.grouping import PointBatching
from eedask.tables.point_cells import Cell, CellGrid, fewest_of, is_dense
from eedask.tables.reduce_task import ReduceTask
from eedask.tables.region_jobs import RegionJobs
from eedask.tables.region_query import About
from eedask.tables.table_forecast import of_jobs, of_points

POINTS, CELLS, AUTO = "points", "cells", "auto"


class PointSizes(BatchSizes):
    """What one process learns in a run about which sizes of requests work.

    Of batches of points, and, in ``tiles``, of the windows that cells are fetched in.
    """

    def __init__(self, presumed: float, total: float) -> None:
        super().__init__(presumed, total)
        self.tiles = TileSizes()


@dataclass(frozen=True)
class ByCells:
    """What is needed to read points from cells of pixels, instead of asking for them as points.

    Attributes
    ----------
    image : ChipImage
        The image that all points share. Its pixels are fetched as NPY, with their masks.
    is_stated : bool
        Whether the user stated ``by="cells"``. If not, cells are used only if the points are dense
        enough for that to be cheaper, and if the grid's crs is on the datum WGS 84, where it is
        beyond doubt which pixel a point lies in.
    room : float
        Square metres for each point; see :func:`~eedask.tables.point_cells.room_of`.
    grid : CellGrid, optional
        The grid that cells are cut out of. None until Earth Engine has told the image's grid and
        bands, and cells were chosen.
    told : mapping, optional
        The image's properties that the user wants beside the values. None until Earth Engine has
        told them.
    """

    image: ChipImage
    is_stated: bool
    room: float
    grid: CellGrid | None = None
    told: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PointsTask(ReduceTask):
    """Fetches the values of the pixel that each item's point lies in.

    Attributes
    ----------
    by_cells : ByCells, optional
        None if all points are asked for as points.
    """

    by_cells: ByCells | None = None

    def prepared(self, about: About) -> PointsTask:
        """Return the task after it was decided whether points are read from cells.

        Parameters
        ----------
        about : About
            What Earth Engine has told of the image: its grid, bands and properties.

        Raises
        ------
        InputError
            If the user stated ``by="cells"``, and the image's crs cannot be read.
        """
        if self.by_cells is None:
            return self
        native, lattice = about.native, self.query.lattice
        grid = CellGrid.of(lattice, native, about.types)
        by_cells = replace(self.by_cells, told=about.properties)
        if by_cells.is_stated:
            if grid is None:
                raise InputError(
                    "by='cells' reads pixels of the image's own grid, whose crs cannot be read by"
                    " pyproj: state crs= and scale=, or by='points'"
                )
            return replace(self, by_cells=replace(by_cells, grid=grid))
        scale = lattice.scale or (native.scale if native else None)
        cheaper = (
            grid is not None
            and scale is not None
            and is_wgs84(grid.crs)
            and is_dense(by_cells.room, scale, grid.pixel_bytes)
        )
        return replace(self, by_cells=replace(by_cells, grid=grid) if cheaper else None)

    @property
    def _grid(self) -> CellGrid | None:
        """The grid that cells are cut out of; None if all points are asked for as points."""
        return None if self.by_cells is None else self.by_cells.grid

    def sizes(self) -> PointSizes:
        """Return a new record of which sizes work, for the jobs of one run in one process."""
        return PointSizes(self.presumed, self.total)

    def jobs(self, items: Sequence[WorkItem]) -> Iterable[Job]:
        """Yield a job for each cell and its points, and jobs for the points that are in no cell."""
        if self._grid is None:
            yield from super().jobs(items)
            return
        usable, taken = self.maker.usable(items), set()
        for positions, cell in self._grid.cells(usable):
            chosen = tuple(usable[k] for k in positions)
            taken |= {item.id for item in chosen}
            yield Job(chosen, cell)
        yield from super().jobs([item for item in items if item.id not in taken])

    def do(self, job: Job, sender: Sender) -> Sequence[Outcome]:
        """Do a job, and return what became of each of its points.

        The pixels of a cell may come in several requests: a window that is too large for Earth
        Engine is fetched in smaller ones.

        Raises
        ------
        Oversized, RequestError
            If the request failed; see :meth:`split`.
        """
        if not isinstance(job.laid_out, Cell):
            return super().do(job, sender)
        assert self.by_cells is not None
        cell, image, sizes = job.laid_out, self.by_cells.image, sender.sizes
        data = image.fetch(self.endpoint, job.items[0], cell.grid, sender, sizes.tiles)
        return self._read(cell, data)

    def _read(self, cell: Cell, data: bytes) -> list[Outcome]:
        """Return the row of each point, with the values of its pixel in the cell's NPY file."""
        assert self.by_cells is not None
        columns = self.table.columns
        bands = self.by_cells.image.sent_as.unpack(data, len(columns))
        if bands.names != (names := tuple(column.name for column in columns)):
            raise PermanentError(f"the pixels have the bands {bands.names}, and not {names}")
        at = (cell.rows, cell.columns)
        values = [one[at].tolist() for one in bands.values]
        valid = [one[at].tolist() for one in bands.valid]
        keys = [column.keys[0] for column in columns]
        share = len(data) // len(cell.rows)
        return [
            self._row(dict(zip(compress(keys, there), compress(found, there), strict=True)), share)
            for found, there in zip(
                zip(*values, strict=True), zip(*valid, strict=True), strict=True
            )
        ]

    def _row(self, found: Mapping[str, Any], share: int) -> Outcome:
        assert self.by_cells is not None
        try:
            return Records([self.table.values(found)], share, self.by_cells.told)
        except InputError as error:
            return error

    def split(self, job: Job, error: Exception) -> Sequence[Job]:
        """Return jobs that may succeed where one failed: of a cell, batches of its points."""
        if not isinstance(job.laid_out, Cell):
            return super().split(job, error)
        if not isinstance(error, TooLargeError | PermanentError | TransientError):
            return ()
        spent = job.attempts.count, job.elapsed_s
        return [
            Job(one.items, one.laid_out, Attempts(spent[0]), spent[1])
            for one in super().jobs(job.items)
        ]

    def _maker_on(self, native: NativeProjection | None) -> RegionJobs:
        """Return what makes the jobs of points, now that the image's own grid is known."""
        # Items that have images of their own share no grid.
        return self.maker if self.query.image.depends_on_item else self.maker.on(native)

    def _requests_and_pixels(self, items: Sequence[WorkItem]) -> Forecast:
        usable, batching = self.maker.usable(items), self.maker.batching
        if self._grid is not None or self.query.image.depends_on_item:
            return self._of_jobs(items)
        assert isinstance(batching, PointBatching)
        scale = self.query.lattice.scale
        found = of_points(items, usable, batching.limits, batching.presumed, scale)
        if not usable or not self._may_be_cells(items):
            return found
        assert found.requests.most is not None
        cells = len(usable) // fewest_of(len(usable))
        requests = Bounds(1, found.requests.most + cells)
        pixels = Bounds(len(usable), None, about=True)
        return replace(found, requests=requests, pixels=pixels, cells=frozenset())

    def _of_jobs(self, items: Sequence[WorkItem]) -> Forecast:
        """Return the requests and pixels of the jobs that these items are sure to make."""
        jobs = [*self.jobs(items)]
        cells = [job.laid_out for job in jobs if isinstance(job.laid_out, Cell)]
        found = of_jobs([job for job in jobs if not isinstance(job.laid_out, Cell)], self.presumed)
        points = found.items - found.refused
        return replace(
            found,
            items=len(items),
            requests=found.requests + Bounds.exactly(len(cells)),
            pixels=Bounds.exactly(points + sum(cell.weight for cell in cells)),
        )

    def _may_be_cells(self, items: Sequence[WorkItem]) -> bool:
        """Return True if points may be read from cells, as far as is known before any request."""
        if self.by_cells is None or self.by_cells.is_stated:
            return self.by_cells is not None
        lattice, room = self.query.lattice, self.by_cells.room
        if not lattice.is_native and not is_wgs84(lattice.crs):
            return False
        if lattice.scale is None:
            return True
        seen = graphs(self.query.image, items[:1])
        known = known_pixels(seen[0]) if seen else KnownPixels()
        return is_dense(room, lattice.scale, known.pixel_bytes.least)
