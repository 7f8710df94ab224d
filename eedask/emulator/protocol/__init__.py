"""The REST interface as data: methods, schemas, enums, and the discovery document.

In goes the JSON of a request.
Out come checked values, or an error that names the field as Earth Engine does.
rest imports it, and whatever reads JSON; it imports the errors only.
"""
