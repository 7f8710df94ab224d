"""One exchange with Earth Engine: from a request to a checked body, or an error of the tree.

In go an :class:`~eedask.earthengine.endpoint.Endpoint` and a request's path and JSON body.
Out come bytes, or an error that says whether it can succeed later.
Nothing here knows of items, chips or tables. Every wing above imports it; it imports errors only.
"""
