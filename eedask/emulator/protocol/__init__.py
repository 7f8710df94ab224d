"""The REST interface: the discovery document, and checks of requests against it.

In goes the JSON of a request.
Out come checked values, or an error that names the field as Earth Engine does.
rest imports it, and whatever reads JSON; it imports the errors only.
"""
