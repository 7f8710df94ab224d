"""The results of a run: read from its folder, and shown.

In goes a dataset's folder.
Out come the manifest, tables, opened chips, a contact sheet and a report.
Plans and ``eedask/__init__.py`` import it; nothing that runs on a worker does.
"""
