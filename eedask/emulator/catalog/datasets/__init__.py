"""Data sets under public ids, one module each.

In go the world, and an id and dates as the public data set has them.
Out come images and collections with its bands, grids, dates, quality bits and properties.
The catalog's list of what is built in imports them; they import the world and the tables.
"""
