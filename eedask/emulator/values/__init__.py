"""The values of expressions that are not images: elements, features, dates, filters, types.

In go the arguments of algorithms, as a graph has them.
Out come values of the declared types, comparisons, and their form as JSON.
All that evaluates expressions imports it; it imports geometry and pixels.
"""
