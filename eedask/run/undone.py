"""Which items of a partition are still to be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eedask.dataset.rows import FAILED, OK, Row
from eedask.items.item import WorkItem


def undone(
    items: Sequence[WorkItem], rows: Iterable[Row], retry_failed: bool = False
) -> list[WorkItem]:
    """Return the items of a partition that are still to be done, given the rows that it has.

    Parameters
    ----------
    items : sequence of WorkItem
    rows : iterable of Row
    retry_failed : bool
        Whether items that failed are to be done again.
    """
    final = (OK,) if retry_failed else (OK, FAILED)
    done = {row.id for row in rows if row.status in final}
    return [item for item in items if item.id not in done]
