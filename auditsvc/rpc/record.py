"""AuditService: events in, receipts out. Each event is judged for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from auditsvc.appending import Appender
from auditsvc.batch import Outcome, Receipt, Submission
from auditsvc.permits import permitted
from infosec.api.audit.v1 import record_pb2 as pb
from infosec.api.audit.v1 import record_pb2_grpc
from infosec.certificates import CallerKind
from infosec.errors import InfosecError, PermissionDenied
from infosec.events import catalogue
from infosec.rpc.event_codec import event_from_wire
from infosec.rpc.server.identity import Caller, caller_of
from infosec.rpc.server.refusals import RefusalReporter

Context = Any
RECORD_BATCH = "/infosec.api.audit.v1.AuditService/RecordBatch"


class AuditServicer(record_pb2_grpc.AuditServiceServicer):
    """AuditService."""

    def __init__(
        self, appender: Appender, *, customer_digest: Callable[[str], bytes], refusals: RefusalReporter
    ) -> None:
        """`refusals` is told of what is refused event by event: the interceptors see but an answered call (CI-1)."""
        self._appender = appender
        self._customer_digest = customer_digest
        self._refusals = refusals

    async def Record(self, request: pb.RecordRequest, context: Context) -> pb.RecordResponse:
        (outcome,) = await self._recorded([request.event], caller_of(context))
        if not isinstance(outcome, Receipt):
            raise outcome
        response = pb.RecordResponse()
        _fill_receipt(response.receipt, outcome)
        return response

    async def RecordBatch(self, request: pb.RecordBatchRequest, context: Context) -> pb.RecordBatchResponse:
        caller = caller_of(context)
        outcomes = await self._recorded(request.events, caller)
        for one in outcomes:
            if isinstance(one, PermissionDenied):
                await self._refusals.report(caller=caller.id, method=RECORD_BATCH, reason=one.reason, peer=caller.peer)
        response = pb.RecordBatchResponse()
        for one in outcomes:
            _fill(response.outcomes.add(), one)
        return response

    async def _recorded(self, events: Sequence[pb.Event], caller: Caller) -> list[Outcome]:
        name = caller.id
        judged = [self._judged(event, caller, name) for event in events]
        good = [one for one in judged if isinstance(one, Submission)]
        may_begin = caller.kind is CallerKind.SERVICE
        appended = iter(await self._appender.append(good, may_begin_log=may_begin) if good else ())
        return [next(appended) if isinstance(one, Submission) else one for one in judged]

    def _judged(self, wire: pb.Event, caller: Caller, recorded_by: str) -> Submission | InfosecError:
        try:
            digest = self._customer_digest(wire.customer).hex() if wire.customer else None
            event = permitted(event_from_wire(wire), kind=caller.kind, name=caller.name, customer_digest=digest)
            catalogue.check(event)
        except InfosecError as error:
            return error
        return Submission(event, recorded_by)


def outcome_to_wire(outcome: Outcome) -> pb.RecordOutcome:
    """The receipt, or why there is none."""
    wire = pb.RecordOutcome()
    _fill(wire, outcome)
    return wire


def _fill(wire: pb.RecordOutcome, outcome: Outcome) -> None:
    # In its place, field by field: a message that is made by itself is copied into its list.
    if isinstance(outcome, Receipt):
        _fill_receipt(wire.receipt, outcome)
    else:
        wire.reason = outcome.reason.value
        wire.detail = " ".join(filter(None, map(outcome.details.get, ("field", "detail"))))


def _fill_receipt(wire: pb.Receipt, receipt: Receipt) -> None:
    wire.log_id, wire.index, wire.leaf_hash = receipt.log_id, receipt.index, receipt.leaf_hash
