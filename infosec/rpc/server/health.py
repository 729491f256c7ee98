"""grpc.health.v1 for the server as a whole ("") and for each of its services; readiness is asked for at every question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from grpc_health.v1 import health_pb2, health_pb2_grpc

from infosec.errors import NotFound, Reason

SERVICE = "grpc.health.v1.Health"
WATCH_S = 1.0

Readiness = Callable[[str], Awaitable[bool]]
"""Whether a service (full name; "" for all of them) can do its work now."""


async def always_ready(_service: str) -> bool:
    """For services that need nothing."""
    return True


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers SERVING while ready, and NOT_SERVING for good once draining."""

    def __init__(self, services: frozenset[str], readiness: Readiness, draining: asyncio.Event) -> None:
        self._services = services | {""}
        self._readiness = readiness
        self._draining = draining

    async def Check(self, request: health_pb2.HealthCheckRequest, context: object) -> health_pb2.HealthCheckResponse:
        if request.service not in self._services:
            raise NotFound(Reason.NOT_FOUND, field="service")
        return health_pb2.HealthCheckResponse(status=await self._status(request.service))

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: object
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        told = None
        while True:
            status = await self._status(request.service)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
                told = status
            if self._draining.is_set():
                return
            await self._pause()

    async def _status(self, service: str) -> int:
        if service not in self._services:
            return int(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        is_ready = not self._draining.is_set() and await self._readiness(service)
        states = health_pb2.HealthCheckResponse
        return int(states.SERVING if is_ready else states.NOT_SERVING)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(WATCH_S):
                await self._draining.wait()
        except TimeoutError:
            return
