"""AuditAdminService: what is kept, and what two people decide to let go (CI-8). Judges who may ask; the flows do the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from auditsvc.acts import CONFIRMERS, PROPOSERS, Act, ActKind, ActState, Counts
from auditsvc.flows.acting import Acting
from auditsvc.flows.finding import Finding, Findings, Verdict
from auditsvc.flows.holding import Holding
from auditsvc.flows.retaining import Retaining
from auditsvc.store.holds import Hold
from infosec import ids
from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.api.audit.v1 import admin_pb2_grpc
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import InvalidInput, Reason
from infosec.ids import RegionId, RoleId
from infosec.rpc.server.assertions import AssertedPersons, require_role, require_step_up
from infosec.rpc.server.identity import Caller, caller_of
from infosec.rpc.server.newest_first import position, size_of, token_after
from infosec.rpc.server.retries import Retries, Retry

KINDS = {
    ActKind.ERASE_SUBJECT: pb.ACT_KIND_ERASE_SUBJECT,
    ActKind.RELEASE_HOLD: pb.ACT_KIND_RELEASE_HOLD,
    ActKind.APPLY_RETENTION: pb.ACT_KIND_APPLY_RETENTION,
}
STATES = {
    ActState.PROPOSED: pb.ACT_STATE_PROPOSED,
    ActState.CONFIRMED: pb.ACT_STATE_CONFIRMED,
    ActState.DONE: pb.ACT_STATE_DONE,
    ActState.BLOCKED: pb.ACT_STATE_BLOCKED,
    ActState.WITHDRAWN: pb.ACT_STATE_WITHDRAWN,
    ActState.EXPIRED: pb.ACT_STATE_EXPIRED,
}
VERDICTS = {
    pb.VERDICT_IN_ORDER: Verdict.IN_ORDER,
    pb.VERDICT_UNCLEAR: Verdict.UNCLEAR,
    pb.VERDICT_VIOLATION: Verdict.VIOLATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    person: IdentityAssertion
    caller: Caller


class AuditAdminServicer(admin_pb2_grpc.AuditAdminServiceServicer):
    """AuditAdminService."""

    def __init__(
        self,
        *,
        persons: AssertedPersons,
        acting: Acting,
        holding: Holding,
        retaining: Retaining,
        findings: Findings,
        retries: Retries,
        customer_digests: Callable[[str], Sequence[bytes]],
        clock: Clock,
    ) -> None:
        """`customer_digests`: of a customer's number under every key, the active one first."""
        self._persons = persons
        self._acting = acting
        self._holding = holding
        self._retaining = retaining
        self._findings = findings
        self._retries = retries
        self._customer_digests = customer_digests
        self._clock = clock

    async def EraseSubject(self, request: pb.EraseSubjectRequest, context: Any) -> pb.EraseSubjectResponse:
        call = self._call(request.assertion, context, PROPOSERS, step_up=True)
        digests = self._customer_digests(request.customer)
        retry = self._retry("EraseSubject", request, request.request_id, call, customer=digests[0])
        act = await self._acting.propose_erasure(call.person, digests, request.reason, retry)
        return pb.EraseSubjectResponse(act=_act(act))

    async def PlaceHold(self, request: pb.PlaceHoldRequest, context: Any) -> pb.PlaceHoldResponse:
        call = self._call(request.assertion, context, PROPOSERS)
        digests = self._customer_digests(request.customer)
        retry = self._retry("PlaceHold", request, request.request_id, call, customer=digests[0])
        return pb.PlaceHoldResponse(hold=_hold(await self._holding.place(call.person, digests, request.reason, retry)))

    async def ReleaseHold(self, request: pb.ReleaseHoldRequest, context: Any) -> pb.ReleaseHoldResponse:
        call = self._call(request.assertion, context, PROPOSERS, step_up=True)
        retry = self._retry("ReleaseHold", request, request.request_id, call)
        hold_id = _uuid(request.hold_id, "hold_id")
        return pb.ReleaseHoldResponse(
            act=_act(await self._acting.propose_release(call.person, hold_id, request.reason, retry))
        )

    async def ListHolds(self, request: pb.ListHoldsRequest, context: Any) -> pb.ListHoldsResponse:
        self._call(request.assertion, context, CONFIRMERS)
        size = size_of(request.page_size)
        found = await self._holding.page(
            active_only=request.active_only, size=size + 1, before=position(request.page_token)
        )
        more = token_after([(each.placed_at, each.id) for each in found], size)
        return pb.ListHoldsResponse(holds=[_hold(each) for each in found[:size]], next_page_token=more)

    async def ApplyRetention(self, request: pb.ApplyRetentionRequest, context: Any) -> pb.ApplyRetentionResponse:
        call = self._call(request.assertion, context, PROPOSERS, step_up=not request.dry_run)
        retry = self._retry("ApplyRetention", request, request.request_id, call)
        counts = _counts(await self._retaining.dry_run())
        if request.dry_run:
            return pb.ApplyRetentionResponse(counts=counts)
        act = await self._acting.propose_retention(call.person, request.reason, retry)
        return pb.ApplyRetentionResponse(act=_act(act), counts=counts)

    async def ConfirmAct(self, request: pb.ConfirmActRequest, context: Any) -> pb.ConfirmActResponse:
        call = self._call(request.assertion, context, CONFIRMERS, step_up=True)
        retry = self._retry("ConfirmAct", request, request.request_id, call)
        act = await self._acting.confirm(call.person, _uuid(request.act_id, "act_id"), retry)
        return pb.ConfirmActResponse(act=_act(act))

    async def WithdrawAct(self, request: pb.WithdrawActRequest, context: Any) -> pb.WithdrawActResponse:
        call = self._call(request.assertion, context, CONFIRMERS)
        retry = self._retry("WithdrawAct", request, request.request_id, call)
        act = await self._acting.withdraw(call.person, _uuid(request.act_id, "act_id"), request.reason, retry)
        return pb.WithdrawActResponse(act=_act(act))

    async def ListActs(self, request: pb.ListActsRequest, context: Any) -> pb.ListActsResponse:
        self._call(request.assertion, context, CONFIRMERS)
        size = size_of(request.page_size)
        found = await self._acting.page(open_only=request.open_only, size=size + 1, before=position(request.page_token))
        more = token_after([(each.proposed_at, each.id) for each in found], size)
        return pb.ListActsResponse(acts=[_act(each) for each in found[:size]], next_page_token=more)

    async def RecordFinding(self, request: pb.RecordFindingRequest, context: Any) -> pb.RecordFindingResponse:
        call = self._call(request.assertion, context, PROPOSERS)
        retry = self._retry("RecordFinding", request, request.request_id, call)
        if request.verdict not in VERDICTS:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="verdict", detail="IN_ORDER, UNCLEAR or VIOLATION")
        if request.index >= 1 << 63:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="index", detail="below 2^63")
        finding = Finding(
            log_id=RegionId(ids.node_id(request.log_id, "log_id")),
            index=request.index,
            verdict=VERDICTS[request.verdict],
            note=request.note,
        )
        return pb.RecordFindingResponse(event_id=str(await self._findings.record(call.person, finding, retry)))

    def _call(self, assertion: str, context: Any, roles: AbstractSet[RoleId], *, step_up: bool = False) -> _Call:
        caller = caller_of(context)
        person = self._persons.person(assertion, caller)
        require_role(person, roles)
        if step_up:
            require_step_up(person, self._clock.now())
        return _Call(person=person, caller=caller)

    def _retry(self, method: str, request: Message, request_id: str, call: _Call, *, customer: bytes = b"") -> Retry:
        # The customer's number is a secret field: only its digest tells two customers apart.
        actor = f"{call.person.staff_id} {customer.hex()}".rstrip()
        return self._retries.of(method, request, request_id=request_id, caller=call.caller.id, actor=actor)


def _uuid(text: str, field: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail="a UUID") from None


def _act(act: Act) -> pb.Act:
    is_retention = act.kind is ActKind.APPLY_RETENTION
    return pb.Act(
        act_id=str(act.id),
        kind=KINDS[act.kind],
        state=STATES[act.state],
        reason=act.reason,
        proposed_by=act.proposed_by,
        proposed_at=_moment(act.proposed_at),
        expires_at=_moment(act.expires_at),
        decided_by=act.decided_by or "",
        decided_at=_moment(act.decided_at),
        subject_id=str(act.subject_ids[0]) if act.subject_ids else "",
        hold_id=str(act.hold_id) if act.hold_id else "",
        retention=_counts(act.counts) if is_retention else None,
    )


def _hold(hold: Hold) -> pb.Hold:
    return pb.Hold(
        hold_id=str(hold.id),
        subject_id=str(hold.subject_ids[0]),
        reason=hold.reason,
        placed_by=hold.placed_by,
        placed_at=_moment(hold.placed_at),
        released_by=hold.released_by or "",
        released_at=_moment(hold.released_at),
    )


def _counts(counts: Counts) -> pb.RetentionCounts:
    return pb.RetentionCounts(payloads=counts.payloads, entries=counts.entries, held=counts.held)


def _moment(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    wire = Timestamp()
    wire.FromDatetime(at)
    return wire
