"""The dataset's folder: what a run writes and a later run reads.

In go the items, what was asked, and rows with their files as partitions finish.
Out come items by partition, rows by partition, and tables; files appear whole or not at all.
Nothing here knows how anything is fetched. Runs, results, plans and verbs import it.
"""
