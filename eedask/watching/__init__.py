"""Shows what a run is doing, on the Dask dashboard of its cluster.

In go the counts of the processes that send requests, twice a second, and the states of items.
Out come a page of the dashboard, ``/eedask/status.json`` and Prometheus metrics.
The client announces a run to the scheduler. Workers (meter, partition_counts, reporter) send their
counts as events of Dask; the scheduler (run_state, scheduler_plugin) adds them up, and http, page,
plots, tables and metrics show them. Runs import it. An error in it never stops a run.
"""
