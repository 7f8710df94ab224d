"""Reducers: from many values, weighted or not, to few.

In go values and weights, pixel by pixel or all at once.
Out come statistics under the names that Earth Engine gives them.
regions, composites and functions import it.
"""
