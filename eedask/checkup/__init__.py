"""The doctor: what this machine, the project and Earth Engine do, before the first large run.

In go a project and, if it is not the live service that is to be asked, a url.
Out come the checks of a checkup, one a question, printed as a table and written as JSON.
The package's front door and its command import it; nothing else does.
"""
