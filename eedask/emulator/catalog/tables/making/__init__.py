"""How the region tables were made: names, borders and codes of all their rows.

In go the outlines of coasts, countries and counties, and places in ecoregions.
Out come rows and shapes, the same each time.
Only the build script and its test import it: at run time the shipped files are read.
"""
