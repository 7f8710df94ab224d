"""Makes composites: images made of many images, such as a mosaic or a reduced collection.

In go the images of a collection, in order.
Out comes one image that reads, for each grid, only the images whose footprints touch that grid.
`functions` imports it.
"""
