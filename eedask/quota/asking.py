"""Requests that are sent before a run, by plans and builders of items, under the one quota.

A plan asks for bands and grids; :func:`eedask.items.from_features` asks for features. Both happen
before there are partitions and request threads. Their requests count against the same quota as
those of runs, and are retried by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType

from eedask.earthengine.connection import Connection
from eedask.earthengine.endpoint import Endpoint, Request
from eedask.earthengine.retry import Attempts, RetryPolicy, call_with_retry
from eedask.quota import leases
from eedask.quota.messages import DEFAULT_CEILING, Ceiling


class Asking:
    """A context that sends requests one after the other.

    The connection, and the membership in the quota, begin with the first request and end with the
    context.

    Parameters
    ----------
    endpoint : Endpoint
    label : str
        Names the sender in the log.
    policy : RetryPolicy, optional
        The default policy when not given.
    ceiling : Ceiling, optional
        The quota as the user states it, which then holds for all processes that share it. When
        not given, the quota stated before holds, or else Earth Engine's default.
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
        """Wait for a slot, send a request, and return the body of the answer.

        Parameters
        ----------
        request : Request
        check : callable, optional
            Raises if the body is not whole; the request is then retried.

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

        return call_with_retry(
            exchange, self._policy, Attempts(), self._label, divisible=request.divisible
        )

    def look(
        self, request: Request, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Wait for a slot, send a request once, and return the answer, whatever its status.

        See :meth:`~eedask.earthengine.connection.Connection.look`.
        """
        with self._limiter.slot():
            return self._connection.look(request, headers)

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
