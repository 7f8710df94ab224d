"""Turns a user's function of an item into the Earth Engine expression of each item.

In goes a function of an item, or an ``ee`` object that is the same for all items.
Out comes an :class:`~eedask.expressions.compile.Expression`: its ``encode(item)`` returns the
expression to send for an item. A digest shows whether two expressions compute the same.
The wings of the tasks (pixels, tables) and the verbs import it.
"""
