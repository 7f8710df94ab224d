"""The result of a run: its manifest, with one row for every item, and its files or its table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np

from eedask.arguments import check_flags, is_one_of
from eedask.dataset.dataset import Dataset
from eedask.dataset.file_names import differ_only_by_case, safe_name
from eedask.dataset.folder import folder_at, refusals_told
from eedask.dataset.roles import columns_for
from eedask.dataset.rows import OK
from eedask.errors import DatasetError, InputError
from eedask.results.chip_dataset import APART, Wanted, bands_of, chip_dataset
from eedask.results.csv_text import csv_of
from eedask.results.layouts import Layout
from eedask.results.shown import Shown
from eedask.results.values import all_values, beside_items, lazy_values, values_in
from eedask.run.progress import Listener

if TYPE_CHECKING:
    import dask.dataframe as dd
    import xarray

Rerun = Callable[[bool | Listener], "Result"]


class Result(Shown):
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
        super().__init__(dataset)
        self._rerun = rerun

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

        The ``properties`` of images, if the plan asked for any, stand between the two; those of a
        time series follow ``image`` and ``time``.

        Parameters
        ----------
        layout : {"maps", "wide", "long"}
            How values by class are laid out, which histograms and grouped reducers give. "maps":
            one column, as it is stored, with a list of pairs (class, value) for each item. "wide":
            a column ``NAME_CLASS`` (``Map_10``) for each class that any item has; if an item does
            not have a class, its value is 0 for a histogram and null for a grouped reducer.
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
        values = values_in(self._dataset, layout)
        return beside_items(self._dataset.items_and_properties(values.columns), values)

    def to_csv_per_item(
        self, folder: str | os.PathLike[str], *, escape_formulas: bool = False
    ) -> list[str]:
        """Write the values as one CSV file an item, named by its id.

        Parameters
        ----------
        folder : str or path
            Where the files go, local or any fsspec URL. It is made if it is missing.
        escape_formulas : bool
            Whether texts that a spreadsheet would run as formulas get an apostrophe in front, names
            of columns included: those that begin with ``=``, ``+``, ``-``, ``@``, a tab or a line
            break. Texts may come from Earth Engine's assets, which others own, so set this to True
            for files that are opened in a spreadsheet. By default texts are written unchanged, so
            that scripts read the same values back. Numbers, also negative ones, are never changed.

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
        check_flags(escape_formulas=escape_formulas)
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
            Columns and dtypes are those of the values in :meth:`table`; but ``properties`` of a
            time series are the texts in JSON that the files hold, as each part may have values of
            another type.

        Raises
        ------
        DatasetError
            If the dataset has no table.
        """
        return lazy_values(self._dataset)

    def open(self, item_id: int | str, role: str | None = None) -> Any:
        """Return an item's chip.

        Parameters
        ----------
        item_id : int or str
            The item's id, as in the index of the manifest.
        role : str, optional
            Where images have roles, whose file; the first role's when not given.

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
            If there is no such item or role, the item has no file, or what reads the file is not
            installed.
        DatasetError
            If the file is missing or damaged.
        """
        self._check_files()
        chosen = next(iter(self._files)) if role is None else role
        if not is_one_of(chosen, self._files):
            roles = [name for name in self._files if name is not None]
            known = f"roles are {roles}" if roles else "items have one image, and no roles"
            raise InputError(f"there is no role={role!r}: in {self.path}, {known}")
        return self._files[chosen].open(*self._file_of(item_id, chosen))

    def _file_of(self, item_id: Any, role: str | None) -> tuple[str, int]:
        """Return the path of an item's file, relative to the folder, and its bytes."""
        if not isinstance(item_id, int | str | np.integer) or item_id not in self.manifest.index:
            raise InputError(
                f"there is no item {item_id!r} in {self.path}: ids are the index of its manifest"
            )
        row = self.manifest.loc[item_id]
        if row["status"] != OK:
            raise InputError(f"item {item_id!r} has no file: {row['error'] or 'it is not done'}")
        path, nbytes = columns_for(role)
        return str(row[path]), int(row[nbytes])

    @property
    def bands(self) -> dict[str, Any]:
        """The NumPy types of the chips' bands by their names, in the order of the files.

        If images have roles, it is a dictionary by role of such dictionaries. It is empty if no
        item is done.

        No file is opened, as the manifest holds the bands of each file. The bands of a picture are
        those that were asked for by name, if there are as many as it has colours; otherwise "grey",
        or "red", "green" and "blue". Its alpha channel is a mask, not a band.

        Raises
        ------
        InputError
            If chips of different items have different bands, or the dataset is a table.
        """
        self._check_files()
        found: dict[Any, Any] = bands_of(self._dataset)
        return dict(found.get(None, found))

    def to_xarray(
        self,
        *,
        dims: Sequence[str] = APART,
        items: Iterable[int | str] | None = None,
        masked: Literal["nan", "fill"] = "nan",
        drop_failed: bool = False,
        files_per_chunk: int = 1,
    ) -> xarray.Dataset:
        """Return the chips as a lazy ``xarray.Dataset``: a variable a band, on Dask arrays.

        No file is opened by this call. A file is read when something that needs it is computed;
        bands that are computed together are read together. It needs xarray: ``pip install
        "eedask[xarray]"``.

        Parameters
        ----------
        dims : ("item", "y", "x") or ("y", "x") or ("time", "y", "x")
            How chips are put together.

            ``("item", "y", "x")``: stacked along ``item``. All chips must have the same shape.
            Coordinates along ``item`` are the ids, the items' columns without their geometry,
            ``status``, each chip's ``crs``, and its ``transform`` (shape (items, 6), in the order
            of ``rasterio.Affine``). As every chip lies somewhere else, ``y`` and ``x`` have no
            coordinates.

            ``("y", "x")``: beside each other on one grid. All chips must lie on its pixels, as
            those of :func:`eedask.items.covering_grid` do. Pixels between chips, and of chips that
            failed, are missing. Where chips overlap, a pixel has the value of the first item that
            is not masked there. A chunk is as large as the largest chip.

            ``("time", "y", "x")``: stacked along ``time`` by the items' column ``time``, on the
            smallest grid that holds all chips. Dimensions and coordinates have the names and the
            order of Xee 0.1. The ids, and the items' other columns, are coordinates along ``time``.

            If all chips have the same crs, the coordinate ``spatial_ref`` states it, as rioxarray
            reads it. A column of the items with the name of a band or a dimension is called
            ``NAME_item``; a band with the name of a dimension, "item", "coefficient" or
            "spatial_ref", ``NAME_band``.

            If images have roles, the bands of all roles are variables, with the attribute ``role``:
            ``chips.filter_by_attrs(role="label")``. A band whose name several roles have is called
            ``NAME_ROLE``.
        items : iterable of ids, optional
            The items to take, in this order; all when not given.
        masked : {"nan", "fill"}
            What arrays hold where a pixel is masked or missing. "nan": NaN; whole numbers of up to
            16 bits become float32, larger ones float64, which cannot hold every value of int64.
            "fill": whole numbers stay whole numbers, and the attribute ``_FillValue`` states the
            value of missing pixels: the plan's ``nodata``, or else the least value of the type.
            Types in which every value may be a real one (uint8, int8, uint16, uint32) become the
            next larger signed type.
        drop_failed : bool
            Whether items without a chip, which failed or are not done, are left out. Otherwise all
            their pixels are missing, and the coordinate ``status`` says which items these are.
        files_per_chunk : int
            How many chips a Dask chunk has along ``item`` or ``time``. A larger number saves time
            of Dask's scheduler if all chips are read, and costs time if only one is.

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
        wanted = Wanted(
            dims,
            items,
            masked,
            drop_failed,
            files_per_chunk,
        )
        return chip_dataset(self._files, self.manifest, wanted)


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
