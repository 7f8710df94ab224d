"""What came out of a run, to look at and to use.

In goes a dataset's folder.
Out come the manifest, tables, opened chips, a contact sheet and a report.
Plans import it, and the package's top; nothing that runs on a worker does.
"""
