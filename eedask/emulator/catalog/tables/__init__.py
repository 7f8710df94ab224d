"""Tables of regions under public ids: districts, ecoregions, states, protected areas.

In go the world's coasts and countries.
Out come feature collections with the public tables' columns and codes.
The catalog's list of what is built in imports them, and data sets that follow borders.
"""
