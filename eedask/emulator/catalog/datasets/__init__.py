"""Synthetic data sets under the ids of public ones, one module each.

In go the synthetic world, an id and dates.
Out come images with the bands, grids, dates, quality bits and properties of the public data set.
``catalog.builtin`` imports them; they import the world and the tables.
"""
