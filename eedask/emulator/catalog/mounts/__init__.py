"""The user's own files as assets.

In go a path to a raster, a folder of rasters, or a table, and what stands beside them.
Out come an image with the file's own grid, a collection, or features.
The catalog imports ``mounts``; nothing here knows the invented world.
"""
