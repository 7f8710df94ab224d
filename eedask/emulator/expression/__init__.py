"""Evaluates the expression graph of a request.

In goes a graph as the client encodes it.
Out comes its value, such as a number, an image or a collection. The pixels of an image and the
elements of a collection are not computed yet.
Arguments are coerced, and defaults filled in, by the list of signatures that is installed with the
client. rest imports it. It finds the implementations of algorithms by name, in ``functions``.
"""
