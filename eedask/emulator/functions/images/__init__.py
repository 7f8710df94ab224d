"""Algorithms from images to images: arithmetic, masks, neighbourhoods, terrain, arrays.

In go images and numbers.
Out come images that are drawn when an output grid asks.
Importing the package above registers them; nothing else imports them.
"""
