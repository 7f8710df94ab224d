"""How partitions are done: the jobs of a task, on request threads, under the quota.

In go a :class:`~eedask.run.task.Task` and the numbers of partitions to do.
Out come rows, files and statistics in the dataset, and events of progress for the process that
started the run.
Tasks implement ``task``; plans call ``execute``. Nothing here knows of chips or tables.
"""
