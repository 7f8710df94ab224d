"""Statistics of a dataset's partitions: what was sent for them, how long that took, what failed.

They are no results: nothing depends on them, and a run goes on where they cannot be written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa

from eedask.dataset.folder import Folder
from eedask.dataset.parts import Parts
from eedask.errors import DatasetError

logger = logging.getLogger(__name__)

STATS = "stats"

_COUNTS = pa.map_(pa.string(), pa.int64())
_TIME = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("partition", pa.int64()),
        ("worker", pa.string()),
        ("started", _TIME),
        ("ended", _TIME),
        ("items", pa.int64()),
        ("failures", _COUNTS),
        ("requests", pa.int64()),
        ("retries", pa.int64()),
        ("throttled", pa.int64()),
        ("errors", _COUNTS),
        ("nbytes", pa.int64()),
        ("mean_s", pa.float64()),
        ("p50_s", pa.float64()),
        ("p95_s", pa.float64()),
        ("p99_s", pa.float64()),
        ("eecu_s", pa.float64()),
        ("concurrency", pa.int64()),
        ("rate", pa.float64()),
    ]
)


@dataclass(frozen=True)
class PartitionStats:
    """One time that a partition was worked on; see :attr:`eedask.Result.stats` for the fields."""

    run: str
    partition: int
    worker: str | None
    started: datetime
    ended: datetime
    items: int
    failures: Mapping[str, int]
    requests: int
    retries: int
    throttled: int
    errors: Mapping[str, int]
    nbytes: int
    mean_s: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    eecu_s: float | None
    concurrency: int
    rate: float | None


@dataclass(frozen=True)
class Stats:
    """The statistics in a dataset's folder, a part for each partition.

    A part has a row for each time that the partition was worked on, in their order.

    Parameters
    ----------
    folder : Folder
        Of the dataset.
    """

    folder: Folder

    @property
    def _parts(self) -> Parts:
        return Parts(self.folder, STATS, _check, "remove it; no result is lost with it")

    def rows(self, number: int) -> pa.Table:
        """Return the rows of a partition; none where its part is damaged, which is logged."""
        try:
            part = self._parts.read(number)
        except (DatasetError, OSError) as error:
            logger.warning("earlier statistics are lost: %s", error)
            part = None
        return _SCHEMA.empty_table() if part is None else part

    def write(self, number: int, earlier: pa.Table, row: PartitionStats) -> None:
        """Write the part of a partition in place of the one before; log it if that is impossible.

        Parameters
        ----------
        number : int
            Of the partition.
        earlier : Table
            Its rows of earlier work.
        row : PartitionStats
        """
        fresh = pa.Table.from_pylist([asdict(row)], schema=_SCHEMA)
        try:
            self._parts.write(number, pa.concat_tables([earlier, fresh]))
        except OSError as error:
            logger.warning("statistics cannot be written to %s (%s)", self.folder.url, error)

    def frame(self, partitions: int) -> pd.DataFrame:
        """Return the rows of all partitions, in the order of those.

        Parameters
        ----------
        partitions : int
            Of the dataset.

        Raises
        ------
        DatasetError
            If a part is damaged.
        """
        return _frame(self._parts.read_all(partitions).values())

    def frame_of(self, numbers: Iterable[int]) -> pd.DataFrame:
        """Return the rows of some partitions, as :meth:`rows` finds them."""
        return _frame(map(self.rows, numbers))


def _frame(parts: Iterable[pa.Table]) -> pd.DataFrame:
    table = pa.concat_tables([_SCHEMA.empty_table(), *parts])
    frame: pd.DataFrame = table.to_pandas(maps_as_pydicts="strict")
    return frame


def _check(part: pa.Table) -> None:
    if not part.schema.equals(_SCHEMA):
        raise ValueError(f"its columns are {', '.join(part.column_names)}")
