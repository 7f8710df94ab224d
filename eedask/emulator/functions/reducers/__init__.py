"""The algorithms that make reducers.

In go their options.
Out come the reducers of ``emulator/reducers``, with the output names Earth Engine gives them.
Importing the package above registers them; nothing else imports them.
"""
