"""The doctor: what this machine, this project and Earth Engine do, before the first large run.

In go a project and, at will, a url and a Dask client.
Out comes a checkup, one check a question, as a table and as JSON.
The package's front door and the command import it; nothing below does.
"""
