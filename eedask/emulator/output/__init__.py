"""From an image and a grid to the bytes of a file.

In go an image, the grid of a request, and the format it names.
Out come PNG, JPEG, NumPy, GeoTIFF and other bytes, within the limits of each.
rest imports it.
"""
