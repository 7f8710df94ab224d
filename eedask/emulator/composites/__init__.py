"""Images made of many images, as a mosaic or a reduced collection is.

In go the images of a collection, in order.
Out come images that read only those whose footprints a window meets.
Functions import it.
"""
