"""The methods of the REST interface: from a request to an answer.

In go a method, a path, a query and a body.
Out comes a status with headers and bytes; no socket is known here.
server imports it.
"""
