"""Shows a result: its manifest, a summary, contact sheets of chips, maps, the report."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

import geopandas as gpd
from PIL import Image

from eedask.arguments import is_count
from eedask.dataset.dataset import REPORT, Dataset
from eedask.dataset.folder import refusals_told
from eedask.dataset.roles import columns_for, roles_in, terms_of
from eedask.dataset.rows import FAILED, OK
from eedask.dataset.values_table import is_series
from eedask.errors import DatasetError, InputError
from eedask.pixels.formats.masking import Masking
from eedask.results.chip_files import ChipFiles
from eedask.results.contact_sheet import Labelled, Shelf, contact_sheet
from eedask.results.reporting.chosen import Group, chosen
from eedask.results.reporting.drawing import Drawing, plotted
from eedask.results.reporting.exploring import explored
from eedask.results.reporting.notebook import result_html
from eedask.results.reporting.page import Content, report_html
from eedask.results.reporting.pictures import chip_groups
from eedask.results.runs import RunFigures, runs_of
from eedask.results.summary import pace, summary_text
from eedask.results.values import all_values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

# Pixels of a side of a chip on a contact sheet.
_LONGEST = 10_000


class Shown:
    """The part of :class:`eedask.Result` that shows the results of a run.

    Parameters
    ----------
    dataset : Dataset
        The folder's contents.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    @property
    def path(self) -> str:
        """The folder: the path, or URL, that was given as ``out``."""
        return self._dataset.folder.url

    @cached_property
    def manifest(self) -> gpd.GeoDataFrame:
        """A GeoDataFrame of the items in their own order, with one row for each.

        The index holds the ids. The items' own columns are followed by:

        ``status`` : str
            "ok", "failed", or null for an item that no run has done yet.
        ``path`` : str
            Path of the item's file, or of the table's file with its rows, relative to the folder.
        ``nbytes`` : int
            Bytes of the file, or of the item's part of the answer with its rows.
        ``attempts`` : int
            How many requests were sent for the item, alone or together with others.
        ``elapsed_s`` : float
            Seconds that these requests took, with waiting and retries. Items that share requests
            get equal parts of their seconds, so that the seconds of all items add up.
        ``error_kind``, ``error`` : str
            For a failed item: the kind of the error (see :mod:`eedask.errors`), and its message,
            which is Earth Engine's own if it answered. With ``empty="nodata"``, an item without an
            image is "ok", and has the ``error_kind`` "no_image" and the reason here.
        ``finished`` : timestamp, UTC
            When the item was done, or failed.

        The manifest of chips has four more columns, which say where a chip's pixels lie:

        ``crs``
            ``EPSG:n``, another authority code that Earth Engine knows, or WKT.
        ``transform``
            A tuple of six floats in the order of ``rasterio.Affine``, from (column, row) to
            coordinates of the crs; (0, 0) is the outer corner of the first pixel. The manifest's
            Parquet files have it as a list.
        ``height``, ``width``
            Number of rows and of columns.

        They are null for items that have no chip. ``crs`` and ``transform`` are also null if only
        Earth Engine knows them, which is so with ``region=`` unless the chip is a GeoTIFF and
        rasterio is installed on the workers. If the items have a column with one of these four
        names, the chip's column is called ``chip_NAME`` (``chip_height``), with further ``chip_``
        in front until the name is free. If images have roles, ``path`` is the first role's file and
        ``nbytes`` the sum of all; ``path_ROLE`` and ``nbytes_ROLE`` of each role follow these four
        columns. Properties of images, if the plan asked for any, are the last columns. If the items
        have a column of a property's name, it is called ``chip_NAME`` for chips, and
        ``image_NAME`` for tables.
        """
        return self._dataset.manifest()

    @cached_property
    def stats(self) -> pd.DataFrame:
        """The requests of all runs in numbers: a row for each time that a partition was worked on.

        A partition is a group of items that one worker does. A partition that is worked on again,
        in a later run or in the same run because its worker died, has one more row each time. The
        row of a worker that died may lack its last few seconds. Requests that are sent before the
        first item of a run, about bands and grids, are not counted. The rows are in the order of
        the partitions.

        ``run`` : str
            Identifies the run.
        ``partition`` : int64
        ``worker`` : str
            The name of the Dask worker, as the dashboard has it; null on threads without a cluster.
        ``started``, ``ended`` : timestamp, UTC
            By the worker's clock as it was when the run began there; ``ended`` is when the row was
            last written.
        ``items`` : int64
            Items that were done, failed ones included.
        ``failures`` : dict of str to int
            Items that failed, by kind of error (see :mod:`eedask.errors`).
        ``requests`` : int64
            Requests that were sent, with each try counted.
        ``retries`` : int64
            Requests that were sent because an earlier try had failed.
        ``throttled`` : int64
            Requests that Earth Engine refused because the quota was used up.
        ``errors`` : dict of str to int
            Requests that failed, by kind; "quota" are those that were throttled.
        ``nbytes`` : int64
            Bytes of the answers, unpacked.
        ``mean_s``, ``p50_s``, ``p95_s``, ``p99_s`` : float64
            Latency in seconds of the requests that succeeded, from sending to the last byte of the
            answer: the mean, and the 50th, 95th and 99th percentiles, which are exact to about 10
            %. NaN if no request succeeded.
        ``eecu_s`` : float64
            EECU-seconds that the requests took, as far as Earth Engine told; NaN where it did not.
        ``concurrency`` : int64
        ``rate`` : float64
            The plan's own limits: requests at once, and a second (NaN: not limited).

        Returns
        -------
        DataFrame

        Raises
        ------
        DatasetError
            If a file of the statistics is damaged. Manifest, table and files do not depend on it.

        Examples
        --------
        >>> result.stats.groupby("worker")[["requests", "nbytes"]].sum()  # doctest: +SKIP
        """
        return self._dataset.stats.frame(self._dataset.plan()["partitions"])

    @property
    def failed(self) -> gpd.GeoDataFrame:
        """The rows of :attr:`manifest` whose status is "failed"."""
        return self.manifest[self.manifest["status"] == FAILED]

    @cached_property
    def _files(self) -> dict[str | None, ChipFiles]:
        """What opens the chips' files, by role; None is the role of items with one file."""
        asked = self._dataset.plan()["asked"]
        return {
            role: ChipFiles(self._dataset, Masking.from_json(terms_of(asked, role)))
            for role in roles_in(asked) or (None,)
        }

    def _check_files(self) -> None:
        if self._dataset.values.schema() is not None:
            raise InputError(f"{self.path} has no chips, but rows of a table: see .table()")

    def contact_sheet(self, n: int = 48, *, columns: int = 8, side: int = 160) -> Image.Image:
        """Return one picture with ``n`` chips, of items that are spread evenly over all.

        If the plan has ``folder_by``, chips stand in groups by the values of its columns, with the
        same number of chips in each group as far as it has them. If images have roles, the
        pictures of an item stand beside each other; the first is labelled with the item's id, the
        others with their role.

        Parameters
        ----------
        n : int
            Number of pictures on the sheet; all if there are fewer.
        columns : int
            Number of pictures in a row. If images have roles, it is reduced to a multiple of their
            number.
        side : int
            Length of a chip's longer side on the sheet, in pixels, at most 10,000.

        Returns
        -------
        PIL.Image.Image

        Raises
        ------
        InputError
            If there are no chips, the package that reads them is not installed, or a number is not
            a whole one of 1 or more.
        DatasetError
            If a file is missing or damaged.
        """
        for name, value in (("n", n), ("columns", columns), ("side", side)):
            if not is_count(value):
                raise InputError(f"{name} is a whole number, 1 or more; got {value!r}")
        if side > _LONGEST:
            raise InputError(f"side is at most {_LONGEST:,} pixels; got {side}")
        self._check_files()
        groups = self._chips_to_show(n)
        if not groups:
            raise InputError(
                f"{self.path} has no chips to show: no item is done; see status and error in the"
                " manifest"
            )
        # The pictures of an item stand in one row.
        each = len(self._files)
        shelves = [Shelf(group.name, self._pictures(group.rows)) for group in groups]
        return contact_sheet(shelves, max(each, columns // each * each), side)

    def _chips_to_show(self, n: int) -> list[Group]:
        done = self.manifest[self.manifest["status"] == OK]
        items = -(-n // len(self._files))
        return chosen(done, self._dataset.plan()["asked"].get("folder_by") or (), items)

    def _pictures(self, rows: gpd.GeoDataFrame) -> list[Labelled]:
        """Return the pictures of items; those of all roles of an item follow each other.

        The first has the item's id, and the others their role.
        """
        found = []
        for item_id, row in rows.iterrows():
            for number, (role, files) in enumerate(self._files.items()):
                path, nbytes = columns_for(role)
                label = str(role if number else item_id)
                found.append(Labelled(files.picture(row[path], row[nbytes]), label))
        return found

    def summary(self) -> str:
        """Return a few lines of text: what was done and what failed, how fast, what to do next.

        Of each kind of failure it shows one item and Earth Engine's message. Of the last run it
        shows the number and rate of requests, and how close the run came to the ideal duration that
        the plan's limits allow. That is ``max(n / rate, n * latency / concurrency, latency)``
        seconds, for ``n`` requests without retries and the mean latency of a request.
        """
        # Not read from the manifest, which also holds the items: there may be millions of them.
        total, is_table = self._dataset.plan()["count"], self._dataset.values.exists
        return summary_text(self.path, total, self._outcomes, self._runs, is_table=is_table)

    @cached_property
    def _outcomes(self) -> pa.Table:
        return self._dataset.outcomes()

    @cached_property
    def _runs(self) -> list[RunFigures]:
        """The runs so far; none, and a warning, where their statistics are damaged."""
        try:
            return runs_of(self.stats)
        except DatasetError as error:
            logger.warning("the runs' statistics cannot be read: %s", error)
            return []

    def report(self) -> str:
        """Write the page ``report.html`` into the folder.

        It is a single file that loads no other and runs no script, so it can be sent by mail. It
        shows how many items are done and failed and where they lie, up to 48 chips (grouped by
        ``folder_by``) or the columns of the table, the seconds that items took, the runs, failures
        by kind with what to do about them, the plan's arguments, and versions of packages.

        Returns
        -------
        str
            The page's path.

        Raises
        ------
        InputError
            If the package that reads the chips is not installed.
        DatasetError
            If a file is missing or damaged, or the folder cannot be written to.

        Examples
        --------
        >>> webbrowser.open(result.report())  # doctest: +SKIP
        """
        schema, chips, values = self._dataset.values.schema(), "", None
        if schema is None:
            chips = chip_groups(self._chips_to_show(48), self._pictures)
        else:
            values = all_values(self._dataset)
        content = Content(
            plan=self._dataset.plan(),
            url=self.path,
            manifest=self.manifest,
            chips=chips,
            values=values,
            is_series=schema is not None and is_series(schema),
            runs=self._runs,
        )
        folder = self._dataset.folder
        with refusals_told(folder, whatever=True):
            folder.write(REPORT, report_html(content).encode())
        return folder.path(REPORT)

    def plot(self, column: str | None = None) -> Drawing:
        """Return a map of the items, as a drawing that notebooks show and ``save`` writes.

        Parameters
        ----------
        column : str, optional
            A column of the table or of the manifest whose values give the colours. For a time
            series, an item has the mean of its numbers, or else its first value. None: colours show
            which items are done, failed or left.

        Returns
        -------
        Drawing
            SVG, which needs no other package.

        Raises
        ------
        InputError
            If there is no such column, or no item has a geometry.

        Examples
        --------
        >>> result.plot("elevation").save("elevation.svg")  # doctest: +SKIP
        """
        return plotted(self.manifest, column, self._values_or_none())

    def explore(self, column: str | None = None, **options: Any) -> Any:
        """Return a map to zoom and point at, by :meth:`geopandas.GeoDataFrame.explore`.

        Parameters
        ----------
        column : str, optional
            As for :meth:`plot`.
        **options
            Further arguments for geopandas, such as ``tiles=`` and ``cmap=``.

        Returns
        -------
        folium.Map
            The background is loaded from a server of map tiles; ``tiles=None`` leaves it out. Texts
            of the items are escaped, as folium would take them for HTML.

        Raises
        ------
        InputError
            If there is no such column, no item has a geometry, or folium, matplotlib or mapclassify
            is not installed.
        """
        return explored(self.manifest, column, self._values_or_none(), options)

    def _values_or_none(self) -> pd.DataFrame | None:
        return None if self._dataset.values.schema() is None else all_values(self._dataset)

    def _repr_html_(self) -> str:
        return result_html(self.path, self.manifest, "; ".join(pace(self._runs)))

    def __repr__(self) -> str:
        return f"eedask result: {self.summary().splitlines()[0]}"
