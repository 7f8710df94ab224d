"""The result of a run: a manifest with one row for every item, and the files or the table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
from PIL import Image

from eedask.dataset.dataset import REPORT, Dataset
from eedask.dataset.file_names import differ_only_by_case, safe_name
from eedask.dataset.folder import folder_at, refusals_told
from eedask.dataset.rows import FAILED, OK
from eedask.dataset.values_table import is_series
from eedask.errors import DatasetError, InputError
from eedask.pixels.formats.masking import Masking
from eedask.results.chip_dataset import APART, Wanted, bands_of, chip_dataset
from eedask.results.chip_files import ChipFiles
from eedask.results.contact_sheet import Labelled, Shelf, contact_sheet
from eedask.results.csv_text import csv_of
from eedask.results.layouts import Layout
from eedask.results.reporting.chosen import Group, chosen
from eedask.results.reporting.drawing import Drawing, plotted
from eedask.results.reporting.exploring import explored
from eedask.results.reporting.markup import size
from eedask.results.reporting.notebook import result_html
from eedask.results.reporting.page import Content, report_html
from eedask.results.reporting.pictures import chip_groups
from eedask.results.values import all_values, beside_items, lazy_values, values_in
from eedask.run.progress import Listener

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import xarray

Rerun = Callable[[bool | Listener], "Result"]


class Result:
    """The folder that a run has filled; made by ``plan.run()`` and :func:`eedask.open_result`.

    Parameters
    ----------
    dataset : Dataset
        The folder's contents.
    rerun : callable, optional
        Runs the plan again, with its failed items; None for a result opened from a folder.

    Examples
    --------
    >>> result = eedask.open_result("chips")  # doctest: +SKIP
    >>> result.failed[["error_kind", "error"]]  # doctest: +SKIP
    """

    def __init__(self, dataset: Dataset, rerun: Rerun | None = None) -> None:
        self._dataset = dataset
        self._rerun = rerun

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
            Six floats in the order of ``rasterio.Affine``, from (column, row) to coordinates of
            the crs; (0, 0) is the outer corner of the first pixel.
        ``height``, ``width``
            Rows and columns.

        They are null for items that have no chip. ``crs`` and ``transform`` are null, too, where
        only Earth Engine knows them: with ``region=``, unless the chip is a GeoTIFF and rasterio
        is installed on the workers. A column of the items that has one of these four names keeps
        it, and the chip's is called ``chip_NAME`` (``chip_height``), with one more ``chip_`` for
        as long as that is taken as well. Properties of images, if the plan asked for any, are the
        last columns, named in the same way.
        """
        return self._dataset.manifest()

    @property
    def failed(self) -> gpd.GeoDataFrame:
        """The rows of :attr:`manifest` whose status is "failed"."""
        return self.manifest[self.manifest["status"] == FAILED]

    def retry_failed(self, *, progress: bool | Listener = True) -> Result:
        """Try the failed items again and return the new result.

        Parameters
        ----------
        progress : bool or callable
            As in :meth:`eedask.Plan.run`: True draws a bar; a callable gets each
            :class:`eedask.Progress`.

        Returns
        -------
        Result
            A new result; this one's manifest stays as it was.

        Raises
        ------
        DatasetError
            If this result was opened from a folder: make the same plan again and call
            ``plan.run(retry_failed=True)``.
        RunStopped
            As :meth:`eedask.Plan.run`.
        """
        if self._rerun is None:
            raise DatasetError(
                "a result opened from a folder does not know its plan's functions; make the same"
                " plan again and call plan.run(retry_failed=True)"
            )
        return self._rerun(progress)

    def table(self, layout: Layout = "maps") -> gpd.GeoDataFrame:
        """Return the table of values, with the items' own columns and geometries before them.

        Parameters
        ----------
        layout : {"maps", "wide", "long"}
            Of results that have a value for each class: histograms by value, grouped reducers.
            "maps": one column, as it is stored, with a list of pairs (class, value) for each item.
            "wide": a column ``NAME_CLASS`` (``Map_10``) for each class that any item has; where an
            item has not that class, it is 0 for a histogram and null for a grouped reducer.
            "long": a row for each item and class, with the class in the column ``class``.

        Returns
        -------
        GeoDataFrame
            Indexed by item id, in the items' own order: one row an item; of a time series, one row
            for each of its images, by time. An item without values (failed, or not done) has one
            row of nulls. Whole numbers are Int64, other numbers float64, times timestamps in UTC.
            If a column of the items has the name of a value, it is called ``NAME_item``, with more
            ``_item`` added while that name is taken as well.

        Raises
        ------
        DatasetError
            If the dataset has no table, as that of chips.
        InputError
            If ``layout`` is none of these, or the table has no value for each class.

        Examples
        --------
        >>> eedask.open_result("heights").table()["elevation"].describe()  # doctest: +SKIP
        >>> eedask.open_result("cover").table("wide").filter(like="Map_")  # doctest: +SKIP
        """
        return beside_items(self._dataset.items(), values_in(self._dataset, layout))

    def to_csv_per_item(
        self, folder: str | os.PathLike[str], *, escape_formulas: bool = False
    ) -> list[str]:
        """Write the values as one CSV file an item, named by its id.

        Parameters
        ----------
        folder : str or path
            Where the files go, local or any fsspec URL. It is made if it is missing.
        escape_formulas : bool
            Whether the files are safe to open in a spreadsheet. Texts come from Earth Engine's
            assets, which others own, and a spreadsheet runs those that begin with ``=``, ``+``,
            ``-`` or ``@``. By default they are written as they are, so that scripts read the
            values back unchanged. If True, these texts, and names of columns like them, get an
            apostrophe in front. Numbers are numbers either way, negative ones too.

        Returns
        -------
        list of str
            The files' paths, in the items' own order. An item that failed has no file. An item
            whose series has no image has a file with the header alone.

        Raises
        ------
        DatasetError
            If the dataset has no table.
        """
        target = folder_at(folder, "folder")
        unique = not differ_only_by_case(self.manifest.index)
        values = all_values(self._dataset)
        places = values.groupby(level=0, sort=False).indices
        paths = []
        for id_ in self.manifest.index[self.manifest["status"] == OK]:
            name = f"{safe_name(id_, unique_case=unique)}.csv"
            rows = values.iloc[places.get(id_, [])]
            with refusals_told(target, whatever=True):
                target.write(name, csv_of(rows, escape_formulas=escape_formulas))
            paths.append(target.path(name))
        # No other file may stay in the folder: scripts read all that is there as CSV.
        target.sweep()
        return paths

    def dataframe(self) -> dd.DataFrame:
        """Return the values as a lazy Dask DataFrame, indexed by item id.

        Each Parquet file of the table is a partition. The items' own columns are not in it; they
        are in ``items.parquet``.

        Returns
        -------
        dask.dataframe.DataFrame
            Columns and dtypes are those of the values in :meth:`table`.

        Raises
        ------
        DatasetError
            If the dataset has no table.
        """
        return lazy_values(self._dataset)

    def open(self, item_id: Any) -> Any:
        """Return an item's chip.

        Parameters
        ----------
        item_id : int or str
            The item's id, as in the index of the manifest.

        Returns
        -------
        PIL.Image.Image, numpy.ndarray or rasterio.DatasetReader
            A picture for PNG and JPEG; for NumPy files a structured masked array
            (``numpy.ma.MaskedArray``), shape (rows, columns), with a field for each band; an open
            dataset for GeoTIFFs, which needs rasterio, and whose ``read(masked=True)`` gives a
            masked array, shape (bands, rows, columns).

        Raises
        ------
        InputError
            If there is no such item, it has no file, or what reads the file is not installed.
        DatasetError
            If the file is missing or damaged.
        """
        self._check_files()
        return self._files.open(*self._file_of(item_id))

    @property
    def _files(self) -> ChipFiles:
        return ChipFiles(self._dataset, Masking.from_json(self._dataset.plan()["asked"]))

    def _check_files(self) -> None:
        if self._dataset.values.schema() is not None:
            raise InputError(f"{self.path} has no chips; its results are rows: see .table()")

    def _file_of(self, item_id: Any) -> tuple[str, int]:
        """Return the path of an item's file, relative to the folder, and its bytes."""
        if not isinstance(item_id, int | str | np.integer) or item_id not in self.manifest.index:
            raise InputError(f"there is no item {item_id!r} in {self.path}")
        row = self.manifest.loc[item_id]
        if row["status"] != OK:
            raise InputError(f"item {item_id!r} has no file: {row['error'] or 'it is not done'}")
        return str(row["path"]), int(row["nbytes"])

    @property
    def bands(self) -> dict[str, np.dtype[Any]]:
        """The types of the chips' bands, by their names, in the order that files have them in.

        No file is opened: a run notes the bands of what it writes. A picture has the bands that
        were asked for by name, if they are as many as its colours, or else "grey", or "red",
        "green" and "blue"; its alpha is a mask and no band. Empty where no item is done.

        Raises
        ------
        InputError
            If chips of different items have different bands, or the dataset is a table.
        """
        self._check_files()
        return bands_of(self._dataset)

    def to_xarray(
        self,
        *,
        dims: Sequence[str] = APART,
        items: Iterable[Any] | None = None,
        masked: Literal["nan", "fill"] = "nan",
        drop_failed: bool = False,
        files_per_chunk: int = 1,
    ) -> xarray.Dataset:
        """Return the chips as a lazy ``xarray.Dataset``: a variable a band, on Dask arrays.

        No file is opened here, only what computing needs, when it needs it; bands that are
        computed together share the reading of files. Needs xarray: ``pip install
        "eedask[xarray]"``.

        Parameters
        ----------
        dims : ("item", "y", "x") or ("y", "x") or ("time", "y", "x")
            How chips are put together.

            ``("item", "y", "x")``: one behind the other; all have one shape. Coordinates on
            ``item`` are the ids, the items' columns but their geometry, ``status``, each chip's
            ``crs``, and ``transform`` (shape (items, 6), in the order of ``rasterio.Affine``). The
            pixels of each lie elsewhere, so that ``y`` and ``x`` have no coordinates.

            ``("y", "x")``: beside each other, where all lie on the pixels of one grid, as cells of
            :func:`eedask.items.covering_grid` do. Between them, and where one failed, nothing is
            there. Where chips overlap, the first item that is not masked counts. A chunk is as
            large as the largest chip.

            ``("time", "y", "x")``: one behind the other by the items' column ``time``, as images
            of a collection have one, on one grid: that of all of them together. Dimensions and
            coordinates are named and ordered as those of Xee 0.1. The ids are the coordinate
            ``item`` on ``time``, beside the items' other columns.

            Where all chips are in one crs, a coordinate ``spatial_ref`` states it, as rioxarray
            reads it. An item's column that has the name of a band or a dimension is called
            ``NAME_item``; a band that has the name of a dimension, ``NAME_band``.
        items : iterable of ids, optional
            Those to take, in this order; all when not given.
        masked : {"nan", "fill"}
            What arrays hold where a chip is masked, missing, or where none is. "nan": NaN; whole
            numbers of up to 16 bits become float32, larger ones float64, which does not hold all
            of int64. "fill": whole numbers stay, and the attribute ``_FillValue`` says which of
            them it is: ``nodata`` of the plan, or else the least of the type; types that have no
            value to spare (uint8, int8, uint16, uint32) become the next larger signed one.
        drop_failed : bool
            Whether items without a chip, which failed or are not done, are left out. Otherwise
            all their pixels are missing, and the coordinate ``status`` tells them.
        files_per_chunk : int
            Chips in a Dask chunk along ``item`` or ``time``. More than one saves Dask's own time
            where all are read, and costs some where one is.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        InputError
            If xarray is not installed, an argument cannot be used, there are no chips, they have
            different shapes or bands, or do not lie on one grid; the message says what to do.
        DatasetError
            When it is computed: if a file is missing or damaged.

        Examples
        --------
        >>> chips = eedask.open_result("chips").to_xarray()  # doctest: +SKIP
        >>> ndvi = (chips.nir - chips.red) / (chips.nir + chips.red)  # doctest: +SKIP
        >>> ndvi.sel(item="p01").compute()  # doctest: +SKIP
        >>> city = eedask.open_result("cells").to_xarray(dims=("y", "x"))  # doctest: +SKIP
        >>> city.rio.to_raster("city.tif")  # doctest: +SKIP
        """
        self._check_files()
        wanted = Wanted(tuple(dims), items, masked, drop_failed, files_per_chunk)
        return chip_dataset(self._files, self.manifest, wanted)

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
            If a file is missing or damaged.

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


def open_result(path: str | os.PathLike[str]) -> Result:
    """Open the dataset of an earlier run.

    Parameters
    ----------
    path : str or path
        The ``out`` of the run: a folder, local or any fsspec URL.

    Returns
    -------
    Result
        With all methods but ``retry_failed``, for which the plan's functions are needed.

    Raises
    ------
    DatasetError
        If no run has filled the folder, or it is damaged.

    Examples
    --------
    >>> eedask.open_result("lst").to_csv_per_item("csv")  # doctest: +SKIP
    """
    dataset = Dataset(folder_at(path, "path"))
    dataset.plan()
    return Result(dataset)
