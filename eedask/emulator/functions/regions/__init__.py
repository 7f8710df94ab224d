"""Algorithms between rasters and regions: statistics, samples, vectors, painting.

In go images with geometries or features.
Out come tables and numbers, or images of what was painted.
Importing the package above registers them; ``emulator/regions`` does the work.
"""
