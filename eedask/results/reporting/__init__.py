"""The report of a run: one HTML page that needs no other file.

In go the plan, the manifest, the values of a table and pictures of chips.
Out come the page, figures and maps as SVG, and the short HTML that notebooks show.
:mod:`eedask.results.shown` imports it; plans and estimates use its HTML for notebooks.
"""
