"""Shapes on a sphere and on planes.

In go GeoJSON as requests have it, and crs codes.
Out come geometries with their edges, distances, areas, and coordinates in another crs.
Every wing above imports it; it imports the errors only.
"""
