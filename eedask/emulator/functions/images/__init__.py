"""Algorithms from images to images: arithmetic, masks, neighbourhoods, terrain, arrays.

In go images and numbers.
Out come images whose pixels are computed when an output grid asks for them.
Importing the package above registers them; nothing else imports them.
"""
