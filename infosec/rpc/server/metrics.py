"""What is counted about calls, in a registry that the wiring passes in; and the loopback page that shows it.

Labels are methods of the contract, codes and reasons: closed lists, no names and no input.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class InFlight:
    """Calls being served. Counted without a lock, which one event loop does not need; read when somebody looks."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def inc(self) -> None:
        self.count += 1

    def dec(self) -> None:
        self.count -= 1


class ServerMetrics:
    """Counters of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "infosec_rpc_calls", "Calls by outcome.", ("method", "grpc_code", "reason"), registry=registry
        )
        self._seconds = Histogram(
            "infosec_rpc_seconds", "Time to answer.", ("method",), buckets=_BUCKETS, registry=registry
        )
        self._unknown = Counter(
            "infosec_rpc_unknown_fields", "Messages with fields that we do not know.", ("method",), registry=registry
        )
        self._faults = Counter(
            "infosec_rpc_refusal_faults",
            "Refusals that could not be recorded in time.",
            ("is_lost",),
            registry=registry,
        )
        self.in_flight = InFlight()
        gauge = Gauge("infosec_rpc_in_flight", "Calls being served.", registry=registry)
        gauge.set_function(lambda: self.in_flight.count)
        self._answered: dict[tuple[str, str, str], Callable[[], None]] = {}
        self._timed: dict[str, Callable[[float], None]] = {}

    def answered(self, method: str, grpc_code: str, reason: str, took_s: float) -> None:
        """One call is over."""
        key = (method, grpc_code, reason)
        count = self._answered.get(key)
        if count is None:
            count = self._answered[key] = self._calls.labels(*key).inc
        count()
        observe = self._timed.get(method)
        if observe is None:
            observe = self._timed[method] = self._seconds.labels(method).observe
        observe(took_s)

    def unknown_field(self, method: str) -> None:
        """A message held something that the contract does not have."""
        self._unknown.labels(method).inc()

    def refusal_fault(self, *, is_lost: bool) -> None:
        """The sink of refusals did not take one."""
        self._faults.labels("true" if is_lost else "false").inc()


class MetricsPage:
    """The registry over HTTP, in Prometheus' text format, served by a thread."""

    def __init__(self, registry: CollectorRegistry, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop, and wait for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
