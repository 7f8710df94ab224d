"""Reads images, tables and films, and encodes them as files.

In go an image, the grid of a request, and the format that it names.
Out come the bytes of a PNG, JPEG, NPY, GeoTIFF, CSV or other file, within the limits of each.
rest imports it.
"""
