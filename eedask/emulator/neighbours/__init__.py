"""Computes with neighbouring pixels: kernels, gradients, connected pixels, textures, costs.

In go images and kernels.
Out come the pixels of a grid, computed from the grid and a margin around it.
`functions` imports it.
"""
