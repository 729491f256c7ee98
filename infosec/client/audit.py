"""The audit service: events go on record, and what is on record is read and proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, revealed
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
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


_FOR_NOW = frozenset({Reason.RECORD_UNAVAILABLE.value, Reason.OVERLOADED.value, Reason.STORAGE_UNAVAILABLE.value})
_NO_LOG_YET = "region_id "
"""The log of a region begins with the first thing that the suite itself records there, and that may be on its way."""


def faults_of(outcomes: Sequence[pb.RecordOutcome]) -> list[InfosecError | None]:
    """Why an event is not on record, None for those that are. An Unavailable may be taken later, the others never will."""
    return [None if outcome.HasField("receipt") else _fault(outcome) for outcome in outcomes]


def _fault(outcome: pb.RecordOutcome) -> InfosecError:
    if outcome.reason in _FOR_NOW or outcome.detail.startswith(_NO_LOG_YET):
        return Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")
    try:
        reason = Reason(outcome.reason)
    except ValueError:
        reason = Reason.INTERNAL  # a newer server's word
    return InvalidInput(reason, detail=outcome.detail)
