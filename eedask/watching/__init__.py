"""What a run is doing, for whoever looks at the Dask dashboard of its cluster.

In go the counts of the processes that send requests, once a second, and what becomes of items.
Out come a page of the dashboard, ``/eedask/status.json`` and Prometheus metrics.
The workers' side (meter, partition_counts, reporter) and the scheduler's (latency, run_state,
scheduler_plugin, and above it what shows it) meet in events of Dask, announced by the client.
Runs import it; it imports the quota and the dataset's rows, and never stops a run.
"""
