"""File formats of chips: one object for each, with all that a format can do.

In go the bytes that Earth Engine sent, and the shape that was asked for.
Out come the same bytes once they are known to be whole, tiles joined to one file, or arrays.
The rest of pixels and the results import it; ``registry`` is the door.
"""
