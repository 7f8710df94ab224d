"""Geometries on the sphere and on planes, and coordinate reference systems.

In go GeoJSON as requests have it, and crs codes.
Out come geometries, distances, areas, and coordinates in another crs.
Every wing above imports it; it imports the errors only.
"""
