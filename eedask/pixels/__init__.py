"""How a chip is fetched: its grid, its requests, and its files.

In goes an item with what the user wants to see of it: images, a layout, formats.
Out come the image files of each item, of one request or joined from tiles.
Verbs, plans and results import it; ``chip_task`` is the door.
"""
