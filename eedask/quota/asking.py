"""Questions before there are items to work on: what plans and builders ask, under the one quota.

A run's own requests are sent by its request threads. These come before: the bands and the grid
that a plan has to know, the features that items are made of. They count against the same quota,
and what may succeed later is tried again in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import TracebackType

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.retry import Attempts, RetryPolicy, call_with_retry
from eedask.quota import leases
from eedask.quota.messages import DEFAULT_CEILING, Ceiling


class Asking:
    """Sends questions one after the other, as a context; nothing is opened before the first.

    Parameters
    ----------
    endpoint : Endpoint
    label : str
        What asks, for the log.
    policy : RetryPolicy, optional
    ceiling : Ceiling, optional
        The quota, as the user has stated it; it then holds for all that use it. When not given,
        what was stated before counts, or else Earth Engine's default.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        label: str,
        policy: RetryPolicy | None = None,
        ceiling: Ceiling | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._label = label
        self._policy = policy or RetryPolicy()
        self._ceiling = ceiling

    def send(self, request: Request, check: Callable[[bytes], None] | None = None) -> bytes:
        """Return the body of an answer; see :class:`eedask.earthengine.methods.Send`.

        Raises
        ------
        RequestError
            If Earth Engine refuses, or the tries are used up.
        """

        def exchange() -> bytes:
            body = self._connection.send(request, self._limiter.slot)
            if check is not None:
                check(body)
            return body

        return call_with_retry(exchange, self._policy, Attempts(), self._label)

    @cached_property
    def _limiter(self) -> leases.RunLimiter:
        key = leases.key_of(self._endpoint)
        if self._ceiling is not None:
            leases.set_ceiling(leases.current_client(), key, self._ceiling)
        return leases.limiter_for(key, self._ceiling or DEFAULT_CEILING)

    @cached_property
    def _connection(self) -> Connection:
        return Connection(
            self._endpoint, connections=1, on_restricted=lambda: self._limiter.restricted()
        )

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        opened = vars(self)
        if "_limiter" in opened:
            self._limiter.release()
        if "_connection" in opened:
            self._connection.close()
