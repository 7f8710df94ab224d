"""Computes statistics over regions, and paints shapes as images.

In go images, shapes, a reducer, and a grid.
Out come the statistics of each region, its pixels weighted by the fraction that it covers.
`functions` imports it.
"""
