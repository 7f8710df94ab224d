"""Estimates how much time and compute a plan will take, by doing a few of its items.

In go a prepared task, its dataset, and what the requests of the pilot took and cost.
Out comes an estimate for all items; it says whether another endpoint or ``tile_scale`` is cheaper.
Only plans import it. It imports the runs, and from the results how HTML is written.
"""
