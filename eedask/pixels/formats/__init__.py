"""File formats of chips: one object for each format, which checks, joins, writes and opens files.

In go the bytes that Earth Engine sent, and the shape that was asked for.
Out come the bytes of the file to keep, one file joined from tiles, or arrays.
The rest of pixels and the results import it; ``registry`` finds a format by its name.
"""
