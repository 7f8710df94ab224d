"""From the graph of a request to its value.

In goes a graph as the client encodes it.
Out comes a value: a number, an image not yet computed, features not yet listed.
Arguments are coerced and defaults filled in from the signatures the client carries.
rest imports it; it calls functions by name and knows none of them.
"""
