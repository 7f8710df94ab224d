"""One invented world with real coasts, which all data sets show.

In go places, dates and the size of pixels.
Out come heights, land cover, fields, towns, plants, weather and the sun's position there: the
same for every data set.
`datasets` and `tables` import it; it imports `pixels`, and nothing of any data set.
"""
