"""Fetches chips: works out an item's grid, sends the requests for its pixels, makes its files.

In go an item and what the user wants of it: images, a layout of the pixels, file formats.
Out come the image files of each item, each from one request or joined from tiles.
Verbs, tables' forecasts, results and the checkup import it. Begin reading at ``chip_task``, the
work of ``chips``, and ``image_task``, that of ``images``.
"""
