"""How other services reach the audit service: through the SDK, like everybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from infosec.client.audit import AuditClient, faults_of
from infosec.errors import InfosecError
from infosec.events.event import Event


class AuditOverRpc:
    """authsvc's port AuditLog on AuditClient. `reached` is asked at every call: certificates are renewed under us."""

    def __init__(self, reached: Callable[[], AuditClient]) -> None:
        self._reached = reached

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        return faults_of(await self._reached().record_batch(events))
