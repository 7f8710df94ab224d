"""Algorithms on collections of features and images: filters, joins, aggregates, reductions.

In go collections, as values of an expression.
Out come collections, elements and numbers; a collection is read only as far as it is asked for.
Importing the package above registers them; nothing else imports them.
"""
