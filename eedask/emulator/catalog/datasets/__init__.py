"""Synthetic data sets under the ids of public ones, one module each.

In go the synthetic world, an id and dates.
Out come images with the bands, grids, dates, quality bits and properties of the public data set.
The catalog's list of what is built in imports them; they import the world and the tables.
"""
