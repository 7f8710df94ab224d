"""How rows are fetched: items share a request, and each gets its own row back.

In go items, an image or a collection, and a reducer.
Out come typed rows, one or more an item; batches that are too large are cut.
Verbs and plans import it; ``reduce_task``, ``series_task`` and ``compute_task`` are the doors.
"""
