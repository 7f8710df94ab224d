"""The verbs: public functions that check their arguments and make a plan, one module each.

In go the arguments of ``eedask.chips`` and the others, as the user wrote them.
Out comes a :class:`~eedask.plan.Plan`; nothing has been sent.
Only the package's top imports it, each verb from its own module.
"""
