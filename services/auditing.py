"""How other services reach the audit service: through the SDK, like everybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.audit import AuditClient
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
from infosec.events.event import Event

_FOR_NOW = frozenset({Reason.RECORD_UNAVAILABLE, Reason.OVERLOADED, Reason.STORAGE_UNAVAILABLE})


class AuditOverRpc:
    """authsvc's port AuditLog on AuditClient. `reached` is asked at every call: certificates are renewed under us."""

    def __init__(self, reached: Callable[[], AuditClient]) -> None:
        self._reached = reached

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        return [_fault(outcome) for outcome in await self._reached().record_batch(events)]


def _fault(outcome: pb.RecordOutcome) -> InfosecError | None:
    if outcome.HasField("receipt"):
        return None
    try:
        reason = Reason(outcome.reason)
    except ValueError:
        reason = Reason.INTERNAL  # a newer server's word
    if reason in _FOR_NOW:
        return Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")
    return InvalidInput(reason, detail=outcome.detail)
