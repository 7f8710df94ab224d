"""The verbs: public functions such as ``eedask.chips``, each in a module of its own.

In go the arguments of a verb, as the user wrote them.
Out comes a :class:`~eedask.plan.Plan`, whose arguments are checked. Nothing has been sent yet.
Only ``eedask/__init__.py`` imports it.
"""
