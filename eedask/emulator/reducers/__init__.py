"""Reducers: statistics of many values, weighted or not.

In go values and weights, a block at a time or all at once.
Out come statistics under the names that Earth Engine gives them.
`regions`, `neighbours`, `composites` and `functions` import it.
"""
