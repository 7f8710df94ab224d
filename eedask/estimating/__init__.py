"""What a plan will take in time and compute, measured on a few of its items.

In go a prepared task, its dataset, and what the requests of a pilot run took and cost.
Out comes an estimate for all items, with the ways in which they could be had for less.
Plans import it, and nothing else does; it imports runs, and how results are shown.
"""
