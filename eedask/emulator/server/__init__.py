"""The processes of the emulator: a server that speaks HTTP, and renderers that compute answers.

In go options, and requests on a socket.
Out come answers, with the quotas, latency and faults that the options state.
The command ``python -m eedask.emulator`` and :class:`~eedask.emulator.Emulator` import it.
"""
