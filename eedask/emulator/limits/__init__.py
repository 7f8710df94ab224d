"""Limits what a request may compute, and accounts for what it has computed.

In go counts of work, before and while it is done: operations, bytes held, the size of answers.
Out come errors in Earth Engine's words if it is too much, and the cost in EECU-seconds.
Every wing above imports it; it imports the errors only.
"""
