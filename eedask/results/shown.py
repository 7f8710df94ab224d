"""What a result shows people: its manifest, a summary, sheets of chips, maps, the report."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import geopandas as gpd
from PIL import Image

from eedask.dataset.dataset import REPORT, Dataset
from eedask.dataset.folder import refusals_told
from eedask.dataset.rows import FAILED, OK
from eedask.dataset.values_table import is_series
from eedask.errors import InputError
from eedask.pixels.formats.masking import Masking
from eedask.results.chip_files import ChipFiles
from eedask.results.contact_sheet import Labelled, Shelf, contact_sheet
from eedask.results.reporting.chosen import Group, chosen
from eedask.results.reporting.drawing import Drawing, plotted
from eedask.results.reporting.exploring import explored
from eedask.results.reporting.markup import size
from eedask.results.reporting.notebook import result_html
from eedask.results.reporting.page import Content, report_html
from eedask.results.reporting.pictures import chip_groups
from eedask.results.values import all_values

if TYPE_CHECKING:
    import pandas as pd


class Shown:
    """The folder that a run has filled, as it is looked at.

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
        """The items in their own order, with what became of each.

        The index holds the ids. After the items' own columns stand:

        ``status`` : str
            "ok", "failed", or null for an item that no run has come to yet.
        ``path`` : str
            The item's file, or the part of the table with its rows, relative to the folder.
        ``nbytes`` : int
            Bytes of the file, or the item's share of the answer with its rows.
        ``attempts`` : int
            Requests that were sent for the item, alone or with others.
        ``elapsed_s`` : float
            Seconds that they took, waiting and retries included.
        ``error_kind``, ``error`` : str
            Of a failed item: the kind of the error (see :mod:`eedask.errors`), and its message,
            in Earth Engine's own words if it answered.
        ``finished`` : timestamp, UTC
            When the item was done, or failed.

        The manifest of chips has four more, which say where a chip's pixels lie:

        ``crs``
            ``EPSG:n``, another authority code that Earth Engine knows, or WKT.
        ``transform``
            A tuple of six floats in the order of ``rasterio.Affine``, from (column, row) to
            coordinates of the crs; (0, 0) is the outer corner of the first pixel. The manifest's
            files have it as a list.
        ``height``, ``width``
            Rows and columns.

        They are null for items that have no chip. ``crs`` and ``transform`` are null, too, where
        only Earth Engine knows them: with ``region=``, unless the chip is a GeoTIFF and rasterio
        is installed on the workers. A column of the items that has one of these four names keeps
        it, and the chip's is called ``chip_NAME`` (``chip_height``), with one more ``chip_`` for
        as long as that is taken as well. Properties of images, if the plan asked for any, are the
        last columns, named in the same way; those of a table give way as ``image_NAME``.
        """
        return self._dataset.manifest()

    @property
    def failed(self) -> gpd.GeoDataFrame:
        """The rows of :attr:`manifest` whose status is "failed"."""
        return self.manifest[self.manifest["status"] == FAILED]

    @cached_property
    def _files(self) -> ChipFiles:
        return ChipFiles(self._dataset, Masking.from_json(self._dataset.plan()["asked"]))

    def _check_files(self) -> None:
        if self._dataset.values.schema() is not None:
            raise InputError(f"{self.path} has no chips; its results are rows: see .table()")

    def contact_sheet(self, n: int = 48, *, columns: int = 8, side: int = 160) -> Image.Image:
        """Return a sheet with ``n`` chips, spread evenly over the items that have one.

        Where the plan has ``folder_by``, chips stand in groups under the values of that column;
        each group has as many as every other, as far as it has them.

        Parameters
        ----------
        n : int
            Chips on the sheet; all if there are fewer.
        columns : int
            Chips in a row.
        side : int
            Pixels of a chip's longer side on the sheet.

        Returns
        -------
        PIL.Image.Image

        Raises
        ------
        InputError
            If there are no chips, or what reads them is not installed.
        DatasetError
            If a file is missing or damaged.
        """
        self._check_files()
        groups = self._chips_to_show(n)
        if not groups:
            raise InputError(f"{self.path} has no chips to show")
        return contact_sheet([self._shelf(group) for group in groups], columns, side)

    def _chips_to_show(self, n: int) -> list[Group]:
        done = self.manifest[self.manifest["status"] == OK]
        return chosen(done, self._dataset.plan()["asked"].get("folder_by") or (), n)

    def _shelf(self, group: Group) -> Shelf:
        files = zip(group.rows.index, group.rows["path"], group.rows["nbytes"], strict=True)
        pictures = [
            Labelled(self._files.picture(path, n), str(item_id)) for item_id, path, n in files
        ]
        return Shelf(group.name, pictures)

    def summary(self) -> str:
        """Return a few lines of text: items done and failed, bytes, seconds, kinds of errors."""
        manifest = self.manifest
        counts = manifest["status"].value_counts()
        done, failed = int(counts.get(OK, 0)), int(counts.get(FAILED, 0))
        received = size(manifest["nbytes"].sum())
        lines = [f"{len(manifest)} items: {done} ok, {failed} failed, {received} in {self.path}"]
        if (left := len(manifest) - done - failed) > 0:
            lines.append(f"{left} items are not done; run the plan again to go on")
        if done:
            elapsed = manifest["elapsed_s"]
            words = f"median {elapsed.median():.2f}, slowest {elapsed.max():.2f}"
            # Not for tables, whose items share requests: the sum would count them several times.
            if self._dataset.values.schema() is None:
                words += f"; requests: {int(manifest['attempts'].sum())}"
            lines.append(f"seconds an item: {words}")
        causes = self.failed.groupby("error_kind")["error"].agg(["size", "first"])
        lines += [f"{int(n)} x {kind}: {words}" for kind, (n, words) in causes.iterrows()]
        return "\n".join(lines)

    def report(self) -> str:
        """Write the page ``report.html`` into the folder.

        It is one file that needs no other, and runs no script: a mail can carry it. It shows what
        became of the items and where they lie, up to 48 chips (grouped by ``folder_by``) or the
        columns of the table, seconds an item, failures by kind and what to do about them, what was
        asked, and versions.

        Returns
        -------
        str
            The page's path.

        Raises
        ------
        InputError
            If what reads the chips is not installed.
        DatasetError
            If a file is missing or damaged, or the folder cannot be written to.

        Examples
        --------
        >>> webbrowser.open(result.report())  # doctest: +SKIP
        """
        schema, chips, values = self._dataset.values.schema(), "", None
        if schema is None:
            chips = chip_groups(self._chips_to_show(48), self._files.picture)
        else:
            values = all_values(self._dataset)
        content = Content(
            plan=self._dataset.plan(),
            url=self.path,
            manifest=self.manifest,
            chips=chips,
            values=values,
            is_series=schema is not None and is_series(schema),
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
            A column of the manifest, or of the table, whose values give the colours: of a series,
            the mean of its numbers, or else the first value. None: what became of the items.

        Returns
        -------
        Drawing
            SVG, which needs no other package.

        Raises
        ------
        InputError
            If there is no such column, or no item has a place.

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
            As for :meth:`plot`; None: what became of the items.
        **options
            For geopandas, such as ``tiles=`` and ``cmap=``.

        Returns
        -------
        folium.Map
            Its background comes from a server of tiles; ``tiles=None`` leaves it out. Texts are
            escaped: in a map, they would be HTML.

        Raises
        ------
        InputError
            If there is no such column, no item has a place, or folium, matplotlib or mapclassify
            is not installed.
        """
        return explored(self.manifest, column, self._values_or_none(), options)

    def _values_or_none(self) -> pd.DataFrame | None:
        return None if self._dataset.values.schema() is None else all_values(self._dataset)

    def _repr_html_(self) -> str:
        return result_html(self.path, self.manifest)

    def __repr__(self) -> str:
        return f"eedask result: {self.summary()}"
