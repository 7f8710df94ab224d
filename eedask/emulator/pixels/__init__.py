"""Images that are still to be drawn: bands, grids, masks, and how they are read.

In go sources of pixels and an output grid.
Out come arrays with masks, resampled as Earth Engine documents it, read once where shared.
All that makes or reads images imports it; it imports geometry, limits and protocol.
"""
