"""Parquet files of one kind, one for each partition: of the manifest, the table, statistics."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from eedask.dataset.folder import Folder, refusals_told
from eedask.errors import DatasetError

# In a part's metadata: the name under which it was written. A part that was copied over another
# one is found by it.
_NAME = b"eedask:part"
_FETCH_ANEW = "remove it and run the same plan again to fetch its items anew"
_NUMBERED = re.compile(r"part-([0-9]{5,})\.parquet")


def part_name(kind: str, number: int) -> str:
    """Return the name of a partition's part, relative to the dataset, whether or not it is there.

    Parameters
    ----------
    kind : str
        The subfolder of the parts.
    number : int
        Of the partition.
    """
    return f"{kind}/part-{number:05d}.parquet"


@dataclass(frozen=True)
class Parts:
    """The parts of a dataset's manifest, of its table, or of its statistics.

    Parameters
    ----------
    folder : Folder
        Of the dataset.
    kind : str
        The subfolder that they are in.
    check : callable
        Raises ValueError, with the reason, for rows that no run writes.
    remedy : str
        What to do about a part that is damaged.
    """

    folder: Folder
    kind: str
    check: Callable[[pa.Table], None]
    remedy: str = _FETCH_ANEW

    def name(self, number: int) -> str:
        """Return the name of a partition's part, relative to the dataset."""
        return part_name(self.kind, number)

    def names(self, partitions: int) -> dict[int, str]:
        """Return the parts that there are: their names by partition, in the order of those.

        Parameters
        ----------
        partitions : int
            Of the dataset.

        Raises
        ------
        DatasetError
            If a file is called as a part is, and belongs to no partition.
        """
        found = {}
        for name in self.folder.list(self.kind, "part-*"):
            numbered = _NUMBERED.fullmatch(name.rpartition("/")[2])
            number = int(numbered[1]) if numbered else partitions
            if number >= partitions or name != self.name(number):
                raise DatasetError(
                    f"{self.folder.path(name)} is no part of this dataset, which has {partitions}"
                    " partitions: move it elsewhere"
                )
            found[number] = name
        return dict(sorted(found.items()))

    def exists(self, number: int) -> bool:
        """Whether a partition has its part."""
        return self.folder.exists(self.name(number))

    def write(self, number: int, table: pa.Table) -> None:
        """Write all rows of a partition that there are, in place of those written before."""
        buffer = io.BytesIO()
        about = {**(table.schema.metadata or {}), _NAME: self.name(number).encode()}
        named = table.replace_schema_metadata(about)
        pq.write_table(named, buffer, write_page_checksum=True)
        self.folder.write(self.name(number), buffer.getvalue())

    def read(self, number: int, columns: list[str] | None = None) -> pa.Table | None:
        """Return a partition's rows; None where it has no part.

        Parameters
        ----------
        number : int
        columns : list of str, optional
            Those to read; all when not given.

        Raises
        ------
        DatasetError
            If the part is damaged.
        """
        name = self.name(number)
        if not self.exists(number):
            return None
        with or_damaged(self.folder, name, self.remedy):
            return self._decoded(name, self.folder.read(name), columns)

    def read_all(self, partitions: int, columns: list[str] | None = None) -> dict[int, pa.Table]:
        """Return all parts by partition, in the order of those.

        Raises
        ------
        DatasetError
            If one is damaged or cannot be read, or belongs to no partition.
        """
        with refusals_told(self.folder, whatever=True):
            names = self.names(partitions)
            parts = {}
            files = self.folder.read_many([*names.values()])
            for (number, name), data in zip(names.items(), files, strict=True):
                with or_damaged(self.folder, name, self.remedy):
                    parts[number] = self._decoded(name, data, columns)
        return parts

    def _decoded(self, name: str, data: bytes, columns: list[str] | None) -> pa.Table:
        # pq.read_table would load the whole of pyarrow.dataset, for one small file.
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        part = file.read(columns=columns, use_threads=False)
        written = (part.schema.metadata or {}).get(_NAME, name.encode())
        if written != name.encode():
            raise ValueError(f"it was written as {written.decode()}")
        if missing := [column for column in columns or () if column not in part.column_names]:
            raise ValueError(f"it has no column {missing[0]!r}")
        part.validate(full=True)
        self.check(part)
        return part


@contextlib.contextmanager
def or_damaged(folder: Folder, name: str, remedy: str = _FETCH_ANEW) -> Iterator[None]:
    """Turn whatever reading a part raises into a DatasetError that says what to do."""
    try:
        with refusals_told(folder):
            yield
    except DatasetError:
        raise
    # Arrow's errors for files that are no Parquet are of many kinds, KeyError and OSError included.
    except Exception as error:
        raise DatasetError(f"{folder.path(name)} is damaged ({error}); {remedy}") from error
