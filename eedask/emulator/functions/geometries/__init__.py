"""Algorithms on geometries and on tables made of geometry: buffers, grids, random points.

In go geometries, geodesic or planar.
Out come geometries, measures and features.
Importing the package above registers them; nothing else imports them.
"""
