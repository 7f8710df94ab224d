"""What a request may use, and what it used.

In go the work that is about to be done, as it is counted: pixels, bytes, time.
Out come errors in Earth Engine's words where it is too much, and the EECU seconds it cost.
Every wing above imports it; it imports the errors only.
"""
