"""Lazy images: bands, grids, masks, and how their pixels are read.

In go sources of pixels and an output grid.
Out come arrays with masks, resampled as Earth Engine documents; shared pixels are read once.
All that makes or reads images imports it; it imports geometry, limits and protocol.
"""
