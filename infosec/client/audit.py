"""The audit service: events go on record, and what is on record is read and proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, revealed
from infosec.events.event import Event
from infosec.rpc.event_codec import event_to_wire, events_to_wire

_SERVICE = "/infosec.api.audit.v1.AuditService/"

RECORD = Method(path=_SERVICE + "Record", request=pb.RecordRequest, response=pb.RecordResponse, is_repeatable=True)
RECORD_BATCH = Method(
    path=_SERVICE + "RecordBatch", request=pb.RecordBatchRequest, response=pb.RecordBatchResponse, is_repeatable=True
)


class AuditClient:
    """Events in, receipts out. The event ID makes every call safe to repeat."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def record(self, event: Event, *, customer: SecretText = "") -> pb.Receipt:
        """The receipt: the event is durable and in its log. `customer` is a customer's number, from store systems."""
        request = pb.RecordRequest(event=event_to_wire(event, customer=revealed(customer)))
        return (await self._invoker.unary(RECORD, request)).receipt

    async def record_batch(
        self, events: Sequence[Event], *, customers: Mapping[UUID, SecretText] | None = None
    ) -> Sequence[pb.RecordOutcome]:
        """Up to 1000, each judged for itself: a receipt or a reason for each, in their order.

        `customers`: event ID -> a customer's number, from store systems.
        """
        numbers = {event_id: revealed(customer) for event_id, customer in (customers or {}).items()}
        return await self.record_wire(events_to_wire(events, customers=numbers))

    async def record_wire(self, request: pb.RecordBatchRequest) -> Sequence[pb.RecordOutcome]:
        """As `record_batch`, for events that are put together already."""
        return (await self._invoker.unary(RECORD_BATCH, request)).outcomes
