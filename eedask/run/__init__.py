"""Working through partitions: a task's jobs, on request threads, under the quota.

In go a :class:`~eedask.run.task.Task` and the numbers of partitions to do.
Out come rows and files in the dataset, and word of the progress to whoever started the run.
Tasks implement ``task``; plans call ``execute``. Nothing here knows of chips or tables.
"""
