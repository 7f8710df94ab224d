"""How a chip is fetched: its grid, its requests, and its file.

In goes an item with what the user wants to see of it: an image, a layout, a format.
Out comes one image file an item, of one request or joined from tiles.
Verbs, plans and results import it; ``chip_task`` is the door.
"""
