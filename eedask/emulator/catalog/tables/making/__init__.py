"""The code that made the shipped region tables: names, borders and codes of their rows.

In go the outlines of coasts, countries and counties, and places in ecoregions.
Out come rows and shapes, the same each time.
Only the build script and its test import it: at run time the shipped files are read.
"""
