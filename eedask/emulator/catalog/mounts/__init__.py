"""The user's own files as assets.

In goes the path of a raster, of a folder of rasters with metadata files, or of a table.
Out comes an image with the file's own grid, an image collection, or a feature collection.
`catalog.py` imports ``mounts``; nothing here knows the invented world.
"""
