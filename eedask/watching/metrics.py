"""Serves the runs of this process's schedulers as Prometheus metrics, together with Dask's own."""

from __future__ import annotations

import importlib.util
import weakref
from collections.abc import Iterator
from typing import Any, Protocol

# Name, what it is, and the key in the status of a run. Counters only grow while a run lasts.
_GAUGES = (
    ("eedask_items", "Items of the run", "total"),
    ("eedask_items_done", "Items that have a row, failed ones included", "done"),
    ("eedask_items_failed", "Items that failed", "failed"),
    ("eedask_requests_per_second", "Requests sent a second, of the last seconds", "requests_per_s"),
    ("eedask_requests_in_flight", "Requests sent and not answered", "in_flight"),
    ("eedask_requests_limit", "Requests at once that the quota allows now", "limit"),
    # Not a counter, as an estimate from a sample may fall.
    ("eedask_eecu_seconds", "EECU-seconds used, by a sample of the requests", "eecu_s"),
    ("eedask_eta_seconds", "Seconds until the run ends at its present rate", "eta_s"),
)
_COUNTERS = (
    ("eedask_requests_throttled", "Requests refused because of the quota", "throttled"),
    ("eedask_requests_retried", "Requests sent because an earlier try failed", "retries"),
    ("eedask_received_bytes", "Bytes of the answers, unpacked", "bytes"),
)
_FAILURES = ("eedask_failures", "Items that failed, by the kind of their error")


class Runs(Protocol):
    """Knows of runs; see :class:`eedask.watching.scheduler_plugin.WatchingPlugin`."""

    def status(self) -> list[dict[str, Any]]:
        """Return all runs as ``/eedask/status.json`` has them."""


class _Collector:
    """Gives the metrics of all schedulers of this process to ``prometheus_client``."""

    def __init__(self) -> None:
        self.plugins: weakref.WeakSet[Any] = weakref.WeakSet()
        self.registered = False

    def describe(self) -> Iterator[Any]:
        """Return no descriptions. Without this method, the registry would call ``collect``."""
        return iter(())

    def collect(self) -> Iterator[Any]:
        """Yield the metrics of all runs."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        runs = [run for plugin in list(self.plugins) for run in plugin.status()]
        labels = ("run", "verb", "out")
        for family, rows in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, what, key in rows:
                metric = family(name, what, labels=labels)
                for run in runs:
                    if run[key] is not None:
                        metric.add_metric([run["id"], run["verb"], run["out"]], run[key])
                yield metric
        metric = CounterMetricFamily(*_FAILURES, labels=(*labels, "kind"))
        for run in runs:
            for kind, count in run["failures"].items():
                metric.add_metric([run["id"], run["verb"], run["out"], kind], count)
        yield metric


_COLLECTOR = _Collector()


def add(plugin: Runs) -> None:
    """Begin to serve the metrics of a scheduler's runs, if ``prometheus_client`` is installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        return
    import prometheus_client

    _COLLECTOR.plugins.add(plugin)
    if not _COLLECTOR.registered:
        prometheus_client.REGISTRY.register(_COLLECTOR)
        _COLLECTOR.registered = True


def remove(plugin: Runs) -> None:
    """Stop serving the metrics of a scheduler's runs."""
    _COLLECTOR.plugins.discard(plugin)
