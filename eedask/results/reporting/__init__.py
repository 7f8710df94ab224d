"""The report of a run: one HTML page that holds all that it shows.

In go the plan, the manifest, the values of a table and pictures of chips.
Out come a page, its figures and maps as SVG, and short HTML for notebooks.
:mod:`eedask.results.result` imports it, and plans for their look in notebooks.
"""
