"""Statistics over regions, and images painted from shapes.

In go images, shapes, a reducer, and a grid.
Out come the statistics of each region, its pixels weighted by the fraction that it covers.
`functions` imports it.
"""
