"""The limits on what a request may compute, and the accounts of what it did compute.

In go counts of work, before and while it is done: operations, bytes held, the size of answers.
Out come errors in Earth Engine's words where it is too much, and EECU-seconds.
Every wing above imports it; it imports the errors only.
"""
