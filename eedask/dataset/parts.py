"""Parquet files of one kind, one for each partition: those of the manifest, or of the table."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from eedask.dataset.folder import Folder
from eedask.errors import DatasetError


@dataclass(frozen=True)
class Parts:
    """The parts of a dataset's manifest, or of its table.

    Parameters
    ----------
    folder : Folder
        Of the dataset.
    kind : str
        The subfolder that they are in.
    """

    folder: Folder
    kind: str

    def name(self, number: int) -> str:
        """Return the name of a partition's part, relative to the dataset."""
        return f"{self.kind}/part-{number:05d}.parquet"

    def names(self) -> list[str]:
        """Return the names of the parts that there are, in the order of their partitions."""
        return self.folder.list(self.kind, "part-*.parquet")

    def exists(self, number: int) -> bool:
        """Whether a partition has its part."""
        return self.folder.exists(self.name(number))

    def write(self, number: int, table: pa.Table) -> None:
        """Write all rows of a partition that there are, in place of those written before."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        self.folder.write(self.name(number), buffer.getvalue())

    def read(self, number: int) -> pa.Table | None:
        """Return a partition's rows; None where it has no part.

        Raises
        ------
        DatasetError
            If the part is damaged.
        """
        return read_part(self.folder, self.name(number)) if self.exists(number) else None

    def read_all(self, columns: list[str] | None = None) -> dict[str, pa.Table]:
        """Return all parts by name, in the order of their partitions.

        Parameters
        ----------
        columns : list of str, optional
            Those to read; all when not given.

        Raises
        ------
        DatasetError
            If one is damaged.
        """
        names = self.names()
        files = zip(names, self.folder.read_many(names), strict=True)
        return {name: _decoded(self.folder, name, data, columns) for name, data in files}


def read_part(folder: Folder, name: str) -> pa.Table:
    """Return a part by its name.

    Raises
    ------
    DatasetError
        If it is damaged.
    """
    return _decoded(folder, name, folder.read(name))


def _decoded(folder: Folder, name: str, data: bytes, columns: list[str] | None = None) -> pa.Table:
    try:
        # pq.read_table would load the whole of pyarrow.dataset, for one small file.
        return pq.ParquetFile(pa.BufferReader(data)).read(columns=columns, use_threads=False)
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"{folder.path(name)} is damaged ({error}); remove it and run the same plan again to"
            " fetch its items anew"
        ) from error
