"""The values that expressions compute, apart from images: features, collections, dates, filters.

In go the arguments of algorithms, as a graph has them.
Out come values of the declared types, comparisons between them, and their JSON.
Every wing that evaluates expressions imports it; it imports `geometry`, `limits` and `pixels`.
"""
