"""How a Guard's decisions wait for the audit service (CI-1): as they go over the wire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from google.protobuf.message import DecodeError

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.audit import faults_of
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Event
from infosec.journal import refused_for_good
from infosec.rpc.event_codec import event_to_wire
from infosec.rpc.limits import Limits

_check_limits = Limits().check_for(pb.Event.DESCRIPTOR)


class Recorder(Protocol):
    """What a Guard needs of AuditService; infosec.client.audit.AuditClient is one."""

    async def record_wire(self, request: pb.RecordBatchRequest) -> Sequence[pb.RecordOutcome]:
        """A receipt or a reason for each event. Idempotent by event ID. Raises InfosecError."""
        ...


class GuardDelivery:
    """infosec.journal.Delivery of a Guard, which names customers by their numbers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def packed(self, event: Event, customer: str) -> bytes:
        # Who we are the service knows from our certificate, and stamps; before the first snapshot we do not know it.
        facts = {name: value for name, value in event.facts.items() if name != "system_id"}
        wire = event_to_wire(replace(event, facts=facts), customer=customer)
        _check_limits(wire)
        return wire.SerializeToString()

    async def deliver(self, records: Sequence[bytes]) -> Collection[int]:
        try:
            request = pb.RecordBatchRequest(events=[pb.Event.FromString(record) for record in records])
        except DecodeError:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="event", detail="of another contract") from None
        return refused_for_good(faults_of(await self._recorder.record_wire(request)))
