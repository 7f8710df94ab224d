"""From a user's function of an item to the Earth Engine expression of each item.

In goes a function of an item, or an ``ee`` object.
Out comes an :class:`~eedask.expressions.compile.Expression`, whose ``encode(item)`` is the graph
of a request, and a digest that tells one expression from another.
The tasks of pixels and tables import it, and the verbs.
"""
