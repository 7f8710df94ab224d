"""One invented world with real coasts, which all data sets show.

In go places, dates and a pixel's size.
Out come heights, land, fields, towns, plants, weather and light there, the same for every asker.
Data sets and tables import it; it imports geometry and pixels only.
"""
