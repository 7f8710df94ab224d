"""A partition's parts: a worker may die between any two writes, and no row is lost or doubled."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eedask.dataset.dataset import Dataset
from eedask.dataset.folder import Folder
from eedask.dataset.question import Question
from eedask.dataset.rows import FAILED, ITEM_ID, OK, Row
from eedask.dataset.staging import stage
from eedask.earthengine.endpoint import Endpoint
from eedask.earthengine.retry import RetryPolicy
from eedask.errors import BudgetError, RunStopped
from eedask.quota.messages import Ceiling
from eedask.run.lifetime import release
from eedask.run.outcomes import Done
from eedask.run.partition import PartitionRows, run_partition
from eedask.run.spec import RunSpec
from eedask.run.task import Job, Records

COUNT = 8
NOWHERE = Endpoint("http://127.0.0.1:9", "nobody", auth="anonymous")
# A table with the columns of a series has several rows an item.
SCHEMA = pa.schema(
    [
        (ITEM_ID, pa.string()),
        ("image", pa.string()),
        ("time", pa.int64()),
        ("value", pa.float64()),
    ]
)


class Died(BaseException):
    """Stands for the death of a worker."""


@dataclass(frozen=True)
class Monthly:
    """Three rows an item, at once for half the items; the others wait for a first flush.

    No request is sent.
    """

    manifest: Path
    done: list = field(default_factory=list)
    endpoint: Endpoint = NOWHERE
    schema: pa.Schema = SCHEMA
    needs_client: bool = False
    notes: tuple = ()

    def sizes(self):
        return None

    def jobs(self, items):
        return [Job((item,)) for item in items]

    def do(self, job, sender):
        (item,) = job.items
        number = int(item.id[1:])
        while number >= COUNT // 2 and not self.manifest.exists():
            time.sleep(0.01)
        self.done.append(item.id)
        return [Records([{"image": "a", "time": m, "value": number + m / 100} for m in (1, 2, 3)])]

    def split(self, job, error):
        return ()


@dataclass(frozen=True)
class Deadly(Dataset):
    """A dataset whose writer dies before it writes a partition's manifest the second time."""

    deaths: list = field(default_factory=list)

    def write_rows(self, number, rows):
        if Path(self.folder.url, "manifest").exists() and not self.deaths:
            self.deaths.append(number)
            raise Died
        super().write_rows(number, rows)


@pytest.fixture
def staged(tmp_path):
    points = gpd.points_from_xy(range(COUNT), range(COUNT), crs="EPSG:4326")
    items = gpd.GeoDataFrame(geometry=points, index=[f"i{k}" for k in range(COUNT)])
    dataset = Deadly(Folder(str(tmp_path)))
    stage(dataset, items, Question({"verb": "monthly"}), COUNT)
    dataset.values.state(SCHEMA)
    return dataset


def spec_of(dataset, run_id, **more):
    task = Monthly(Path(dataset.folder.url, "manifest", "part-00000.parquet"))
    options = {"ceiling": Ceiling(4), "policy": RetryPolicy(tries=1), **more}
    return RunSpec(run_id=run_id, dataset=dataset, task=task, **options)


def run(spec):
    try:
        return run_partition(0, spec)
    finally:
        release(spec.run_id)


def values(dataset):
    """Return the table's rows, sorted."""
    return sorted(tuple(row.values()) for row in dataset.table().to_pylist())


def test_rows_are_not_doubled_when_a_worker_dies_between_table_and_manifest(staged):
    with pytest.raises(Died):
        run(spec_of(staged, "first", flush_s=0.0))
    known = {row.id for row in staged.rows(0)}
    assert known == {f"i{k}" for k in range(COUNT // 2)}
    (part,) = Path(staged.folder.url, "table").glob("part-*.parquet")
    written = {*pq.read_table(part)[ITEM_ID].to_pylist()}
    assert known < written, "the table is ahead of the manifest"
    # Who reads the table meanwhile sees no item whose row is not there.
    assert {row[0] for row in values(staged)} == known

    spec = spec_of(staged, "second")
    rows = run(spec)
    assert sorted(spec.task.done) == sorted({f"i{k}" for k in range(COUNT)} - known)
    assert sorted(row.id for row in rows) == [f"i{k}" for k in range(COUNT)]
    assert {row.status for row in rows} == {OK}
    expected = [(f"i{k}", "a", m, k + m / 100) for k in range(COUNT) for m in (1, 2, 3)]
    assert values(staged) == expected


def test_what_a_dead_worker_has_told_stays_in_the_statistics(staged):
    """The same run works on the partition again, as where a worker has died."""
    spec = spec_of(staged, "once", flush_s=0.0)
    with pytest.raises(Died):
        run_partition(0, spec)
    before = staged.stats.rows(0)
    assert before["items"].to_pylist() == [COUNT // 2]
    run(spec)
    after = staged.stats.rows(0)
    assert after["run"].to_pylist() == ["once", "once"]
    assert after["items"].to_pylist() == [COUNT // 2] * 2
    assert after.slice(0, 1).equals(before)


@dataclass(frozen=True)
class Broke(Monthly):
    """Succeeds with one item; then the budget is used up."""

    def do(self, job, sender):
        if self.done:
            # Not before the first is written.
            while FAILED in {row.status for row in self.dataset.rows(0) if row.id == self.done[0]}:
                time.sleep(0.01)
            raise BudgetError("EECU used up")
        return super().do(job, sender)

    @property
    def dataset(self):
        return Dataset(Folder(str(self.manifest.parent.parent)))


def test_failed_rows_stay_until_others_take_their_place(staged):
    ids = [item.id for item in staged.partition(0)]
    Dataset(staged.folder).write_rows(0, [Row(id_, FAILED, error="once") for id_ in ids])
    spec = spec_of(staged, "again", ceiling=Ceiling(1), retry_failed=True, flush_s=0.0)
    spec = replace(spec, dataset=Dataset(staged.folder), task=Broke(spec.task.manifest))
    with pytest.raises(RunStopped, match="budget"):
        run(spec)
    (fine,) = spec.task.done
    rows = {row.id: row for row in staged.rows(0)}
    assert rows[fine].status == OK
    assert {id_: row.error for id_, row in rows.items() if id_ != fine} == {
        id_: "once" for id_ in ids if id_ != fine
    }


def test_a_part_keeps_the_rows_of_items_that_are_done_and_drops_all_others(staged):
    spec = spec_of(staged, "none")
    first = PartitionRows(0, spec, {})
    for name in ("i0", "i1", "i2"):
        first.add(Done(Row(name, OK), [{"time": 1, "value": 1.0}, {"time": 2, "value": None}]))
    assert first.table().equals(first.table())
    staged.write_table(0, first.table())

    rows = {"i0": Row("i0", OK), "i2": Row("i2", "failed")}
    second = PartitionRows(0, spec, rows)
    assert second.table()[ITEM_ID].to_pylist() == ["i0", "i0"]
    second.add(Done(Row("i1", OK), [{"time": 5}]))
    assert second.table().to_pylist() == [
        {"id": "i0", "image": None, "time": 1, "value": 1.0},
        {"id": "i0", "image": None, "time": 2, "value": None},
        {"id": "i1", "image": None, "time": 5, "value": None},
    ]
    assert set(second.rows) == {"i0", "i1", "i2"}


def test_table_rows_of_items_nobody_wrote_are_none(staged):
    assert staged.table_rows(0, SCHEMA, ["i0"]).num_rows == 0
    staged.write_table(0, pa.Table.from_pylist([{"id": "i0", "time": 1}], schema=SCHEMA))
    assert staged.table_rows(0, SCHEMA, []).equals(SCHEMA.empty_table())
    assert staged.table_rows(0, SCHEMA, ["i1"]).equals(SCHEMA.empty_table())
    assert staged.table_rows(0, SCHEMA, ["i1", "i0"]).num_rows == 1
