"""Statistics over regions, and images painted from shapes.

In go images, shapes, a reducer, and a grid.
Out come a row of statistics a region, weighted by how far the region covers each pixel.
Functions import it.
"""
