"""What a pixel's neighbours say: kernels, gradients, connected pixels, textures, costs.

In go images and kernels.
Out come images that read a margin around the window they are asked for.
Functions import it.
"""
