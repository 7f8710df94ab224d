"""The emulator as processes: a front that speaks HTTP, and processes that render behind it.

In go options, and requests on a socket.
Out come answers, within the quotas and with the faults that the options state.
The command ``python -m eedask.emulator`` and :class:`~eedask.emulator.Emulator` import it.
"""
