"""Answers the methods of the REST interface.

In go a method, a path, a query and a body.
Out comes an answer: a status, headers and bytes. Sockets are the business of server, which imports
it.
"""
