"""The results of a run: opened, as tables, and as pages to look at.

In goes a dataset's folder.
Out come the manifest, tables, opened chips, a contact sheet and a report.
Plans import it, and the package's top; nothing that runs on a worker does.
"""
