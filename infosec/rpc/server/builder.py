"""Puts a gRPC server together from servicers: mutual TLS, the chain around every call, health, reflection, drain.

Everything comes in as an argument; nothing here is global.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from infosec.certificates import CertificateFiles
from infosec.clock import Clock, SystemClock
from infosec.config import Address
from infosec.errors import Misconfigured, Reason
from infosec.rpc.credentials import server_credentials, server_options
from infosec.rpc.deadlines import ServerDeadlines
from infosec.rpc.limits import Limits
from infosec.rpc.server import health
from infosec.rpc.server.calls import Bound, Calls
from infosec.rpc.server.health import Health, Readiness, always_ready
from infosec.rpc.server.identity import ANY, AllowList, Identify, always, by_certificate
from infosec.rpc.server.methods import Recorder, methods_of
from infosec.rpc.server.metrics import ServerMetrics
from infosec.rpc.server.refusals import RefusalReporter, RefusalSink

Registration = tuple[Callable[[Any, Any], None], object]
"""A generated `add_XServicer_to_server`, and the servicer for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How much one server takes on."""

    max_calls: int = 512
    """Of each RPC service."""
    max_streams: int = 1024
    max_caller_calls: int = 256
    """Of one caller at each RPC service."""
    deadlines: ServerDeadlines = field(default_factory=ServerDeadlines)
    max_connection_age_s: int = 3600
    max_connection_grace_s: int = 30


class Server:
    """One listening gRPC server. Make it, `start()`, `stop()`; it is not started twice."""

    def __init__(
        self,
        registrations: Sequence[Registration],
        *,
        address: Address,
        tls: CertificateFiles | None,
        carrier: str,
        allow: AllowList,
        refusals: RefusalSink,
        registry: CollectorRegistry,
        log: FilteringBoundLogger,
        clock: Clock | None = None,
        readiness: Readiness = always_ready,
        limits: ServerLimits | None = None,
        quiet: frozenset[str] = frozenset(),
        plaintext_caller: Identify | None = None,
        shares_port: bool = False,
    ) -> None:
        """Raises Misconfigured for plaintext beyond loopback, or a service that the contract does not have.

        Without `tls` there must be a `plaintext_caller` (see identity.always): who everybody is taken for.
        `quiet` names paths whose good answers leave no log line. `shares_port` lets other processes, and servers, of the
        same account that say so too listen at the address: each connection goes to one of them.
        """
        self.address = address
        self.port = 0
        self.draining = asyncio.Event()
        """Set when the server is about to stop: long streams end themselves then."""
        self._tls = tls
        self._shares_port = shares_port
        self._limits = limits or ServerLimits()
        self._log = log
        self._metrics = ServerMetrics(registry)
        self._refusals = RefusalReporter(refusals, clock=clock or SystemClock(), on_fault=self._refusal_fault)
        self._server: grpc.aio.Server | None = None
        calls = self._calls(_identify(tls, carrier, address, plaintext_caller), allow, quiet)
        self._dispatcher = _Dispatcher(calls)
        self._register(registrations, readiness)

    async def start(self) -> None:
        """Listen; `port` says where. Raises Misconfigured when the address is taken."""
        options = server_options(
            max_connection_age_s=self._limits.max_connection_age_s,
            max_connection_grace_s=self._limits.max_connection_grace_s,
            shares_port=self._shares_port,
        )
        server = grpc.aio.server(handlers=(self._dispatcher,), options=options)
        try:
            if self._tls is None:
                self.port = server.add_insecure_port(str(self.address))
            else:
                self.port = server.add_secure_port(str(self.address), server_credentials(self._tls))
        except RuntimeError:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="server.listen",
                detail=f"cannot listen on {self.address}",
                hint="choose a free port",
            ) from None
        await server.start()
        self._server = server
        self._refusals.start()
        self._log.info("serving", listen_address=f"{self.address.host}:{self.port}", services=self.services)

    async def stop(self, *, grace_s: float = 10.0, notice_s: float = 0.0) -> None:
        """Drain: say NOT_SERVING, wait `notice_s` for balancers to look, refuse new calls, let running ones finish."""
        self.draining.set()
        if notice_s:
            await asyncio.sleep(notice_s)
        if self._server is not None:
            await self._server.stop(grace_s)
        await self._refusals.close()
        self._log.info("stopped", listen_address=f"{self.address.host}:{self.port}")

    @property
    def services(self) -> list[str]:
        """Full names of what is served, health and reflection included."""
        return sorted(self._dispatcher.services)

    def _calls(self, identify: Identify, allow: AllowList, quiet: frozenset[str]) -> Calls:
        public = {health.SERVICE: ANY, reflection.SERVICE_NAME: ANY}
        return Calls(
            identify=identify,
            allow={**public, **allow},
            unary_bound=Bound(most=self._limits.max_calls),
            stream_bound=Bound(most=self._limits.max_streams),
            caller_bound=Bound(most=self._limits.max_caller_calls),
            deadlines=self._limits.deadlines,
            metrics=self._metrics,
            refusals=self._refusals,
            log=self._log,
            quiet=quiet | {f"/{health.SERVICE}/Check", f"/{health.SERVICE}/Watch"},
        )

    def _register(self, registrations: Sequence[Registration], readiness: Readiness) -> None:
        recorder = Recorder()
        for add, servicer in registrations:
            add(servicer, recorder)
        names = frozenset(recorder.services)
        health_pb2_grpc.add_HealthServicer_to_server(Health(names, readiness, self.draining), recorder)
        shown = [*names, health.SERVICE, reflection.SERVICE_NAME]
        servicer = reflection.aio.ReflectionServicer(service_names=shown, pool=Default())
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, recorder)
        limits = Limits()
        for service, handlers in recorder.services.items():
            self._dispatcher.add(service, methods_of(service, handlers, limits, self._metrics.unknown_field))

    def _refusal_fault(self, error: Exception, is_lost: bool) -> None:
        self._metrics.refusal_fault(is_lost=is_lost)
        self._log.error("a refusal could not be recorded", is_lost=is_lost, exc_info=error)


class _Dispatcher(grpc.GenericRpcHandler):
    """Finds the handler of a path; a path that nobody serves is answered, and recorded, by us too."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self.services: set[str] = set()

    def add(self, service: str, methods: Sequence[Any]) -> None:
        self.services.add(service)
        for method in methods:
            self._handlers[method.path] = self._calls.handler(method)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        path = handler_call_details.method
        return self._handlers.get(path) or self._calls.unimplemented(path)


def _identify(
    tls: CertificateFiles | None, carrier: str, address: Address, plaintext_caller: Identify | None
) -> Identify:
    if tls is not None:
        return by_certificate(carrier)
    if plaintext_caller is None or not address.is_loopback:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="tls",
            detail="plaintext is for measurements on loopback only",
            hint="give certificates",
        )
    return plaintext_caller


__all__ = ["ANY", "Registration", "Server", "ServerLimits", "always"]
