"""Sends one request to Earth Engine and gets the body of its answer, or an error.

In go a :class:`~eedask.earthengine.endpoint.Request`, and the endpoint that it is sent to.
Out come the bytes of the answer, or an exception of :mod:`eedask.errors`, whose class says
whether the same request may succeed later.
Nothing here knows of items, chips or tables. Every wing above imports it; it imports errors and
arguments only.
"""
