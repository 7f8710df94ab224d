"""Region tables under public ids: districts, ecoregions, states, protected areas.

In go queries, and the GeoParquet files that come with the package.
Out come feature collections with the public tables' columns and codes.
``catalog.builtin`` imports them, and data sets that follow borders.
``build`` makes the files from ``making``; nothing imports either at run time.
"""
