"""Algorithms on plain values: numbers, strings, lists, dates, arrays, filters, projections.

In go values of an expression.
Out come values.
Importing the package above registers them; nothing else imports them.
"""
