"""The doctor: checks this machine, the project and Earth Engine before the first large run.

In go a project and, to ask an emulator instead of the live service, its url.
Out comes a checkup: one check for each question, which prints as a table and is written as JSON.
Only ``eedask.doctor`` and the command ``python -m eedask`` use it.
"""
