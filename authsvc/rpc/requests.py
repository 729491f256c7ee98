"""RequestService on the wire: protobuf to values and back. Decides nothing."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from authsvc.actor import Actors
from authsvc.flows.carry_out import NEW_PHONE, NEW_ROLE, NEW_STORE, RESET_TOTP
from authsvc.flows.decide import Decisions
from authsvc.flows.proof import ProofOfPhone
from authsvc.flows.submit import Ask, Submissions
from authsvc.proofs import TOLD
from authsvc.requests import Kind, Level, Request, State
from authsvc.rpc.paging import page_token, timestamp
from authsvc.store.requests import Page
from infosec import ids
from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.api.auth.v1 import requests_pb2_grpc
from infosec.api.common.v1 import revision_pb2
from infosec.errors import InvalidInput, Reason
from infosec.ids import RoleId, StoreId, TerminalId
from infosec.messages import Locale, Text
from infosec.rpc.server.identity import caller_of
from infosec.rpc.server.newest_first import position, size_of
from infosec.rpc.server.retries import Retries
from infosec.secret import Secret

KINDS = {
    pb.REQUEST_KIND_UNLOCK: Kind.UNLOCK,
    pb.REQUEST_KIND_UNBLACKLIST: Kind.UNBLACKLIST,
    pb.REQUEST_KIND_LIFT_SUSPENSION: Kind.LIFT_SUSPENSION,
    pb.REQUEST_KIND_REISSUE_PASSWORD: Kind.REISSUE_PASSWORD,
    pb.REQUEST_KIND_REBIND_PHONE: Kind.REBIND_PHONE,
    pb.REQUEST_KIND_MOVE_STORE: Kind.MOVE_STORE,
    pb.REQUEST_KIND_CHANGE_ROLE: Kind.CHANGE_ROLE,
    pb.REQUEST_KIND_CREATE_PRIVILEGED: Kind.CREATE_PRIVILEGED,
    pb.REQUEST_KIND_CHANGE_POLICY: Kind.CHANGE_POLICY,
}
STATES = {
    pb.REQUEST_STATE_PENDING: State.PENDING,
    pb.REQUEST_STATE_APPROVED: State.APPROVED,
    pb.REQUEST_STATE_CARRIED_OUT: State.CARRIED_OUT,
    pb.REQUEST_STATE_REJECTED: State.REJECTED,
    pb.REQUEST_STATE_CANCELLED: State.CANCELLED,
    pb.REQUEST_STATE_EXPIRED: State.EXPIRED,
    pb.REQUEST_STATE_LAPSED: State.LAPSED,
}
LEVELS = {
    Level.REGIONAL_MANAGER: pb.REQUEST_LEVEL_REGIONAL_MANAGER,
    Level.CARRIER_DUTY_OFFICER: pb.REQUEST_LEVEL_CARRIER_DUTY_OFFICER,
    Level.ADMINISTRATOR: pb.REQUEST_LEVEL_ADMINISTRATOR,
}
_KIND_OF = {kind: number for number, kind in KINDS.items()}
STATE_OF = {state: number for number, state in STATES.items()}

_PHONE = re.compile(r"\+?[0-9]{5,20}")
_TO_STORE = Text(zh="调至营业厅 {to}", en="to store {to}")
_TO_ROLE = Text(zh="岗位变更为 {to}", en="to role {to}")
_TO_PHONE = Text(zh="改绑手机 {to}", en="to phone {to}")
_TO_PHONE_RESET = Text(zh="改绑手机 {to}，并重设动态口令", en="to phone {to}, second factor reset")


class RequestServicer(requests_pb2_grpc.RequestServiceServicer):
    """RequestService."""

    def __init__(
        self, *, actors: Actors, proofs: ProofOfPhone, submissions: Submissions, decisions: Decisions, retries: Retries
    ) -> None:
        self._actors = actors
        self._proofs = proofs
        self._submissions = submissions
        self._decisions = decisions
        self._retries = retries

    async def ProveIdentity(self, request: pb.ProveIdentityRequest, context: Any) -> pb.ProveIdentityResponse:
        caller = caller_of(context)
        terminal, system = TerminalId(ids.node_id(request.terminal_id, "terminal_id")), caller.system
        if bool(request.challenge_id) is not bool(request.code):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="code", detail="with its challenge, or neither")
        if not request.code:
            challenge = await self._proofs.send(request.staff_id, terminal, system)
            return pb.ProveIdentityResponse(challenge_id=str(challenge))
        proved = await self._proofs.prove(
            request.staff_id, terminal, system, challenge_id=request.challenge_id, code=Secret(request.code)
        )
        text = TOLD[proved.state].in_(caller.locale)
        return pb.ProveIdentityResponse(proof=proved.proof, staff_state=proved.state.value, text=text)

    async def SubmitRequest(self, request: pb.SubmitRequestRequest, context: Any) -> pb.SubmitRequestResponse:
        caller = caller_of(context)
        if bool(request.token) is bool(request.proof):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="token", detail="either a token or a proof")
        ask = _ask(request)
        who = (
            await self._proofs.owner(request.proof, caller.system)
            if request.proof
            else await self._actors.of(request.token, caller.system)
        )
        retry = self._retries.of(
            "SubmitRequest", request, request_id=request.request_id, caller=caller.id, actor=who.staff_id
        )
        submitted = await self._submissions.submit(who, ask, retry)
        return pb.SubmitRequestResponse(request=to_wire(submitted, caller.locale))

    async def GetRequest(self, request: pb.GetRequestRequest, context: Any) -> pb.GetRequestResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        found = await self._submissions.get(actor, request.id)
        return pb.GetRequestResponse(request=to_wire(found, caller.locale))

    async def ListRequests(self, request: pb.ListRequestsRequest, context: Any) -> pb.ListRequestsResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        size = size_of(request.page_size)
        wanted = Page(
            size=size + 1,
            approvals=False,
            state=STATES.get(request.state),
            decidable=request.decidable_by_me,
            subject_id=ids.staff_id(request.staff_id) if request.staff_id else None,
            before=position(request.page_token),
        )
        found = await self._submissions.page(actor, wanted)
        return pb.ListRequestsResponse(
            requests=[to_wire(each, caller.locale) for each in found[:size]], next_page_token=page_token(found, size)
        )

    async def Approve(self, request: pb.ApproveRequest, context: Any) -> pb.ApproveResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "Approve", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.approve(actor, request.id, request.note, retry)
        revision = revision_pb2.Revision(region_id=outcome.request.region_id, number=outcome.revision)
        return pb.ApproveResponse(request=to_wire(outcome.request, caller.locale), revision=revision)

    async def Reject(self, request: pb.RejectRequest, context: Any) -> pb.RejectResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "Reject", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.reject(actor, request.id, request.reason, retry)
        return pb.RejectResponse(request=to_wire(outcome.request, caller.locale))

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "Cancel", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.cancel(actor, request.id, retry)
        return pb.CancelResponse(request=to_wire(outcome.request, caller.locale))


def _ask(request: pb.SubmitRequestRequest) -> Ask:
    change = request.WhichOneof("change")
    return Ask(
        kind=KINDS[request.kind],
        staff_id=ids.staff_id(request.staff_id),
        reason=request.reason,
        phone=Secret(_phone(request.rebind_phone.phone)) if change == "rebind_phone" else None,
        reset_totp=request.rebind_phone.reset_totp,
        store_id=StoreId(ids.node_id(request.move_store.store_id, "store_id")) if change == "move_store" else None,
        role_id=RoleId(ids.node_id(request.change_role.role_id, "role_id")) if change == "change_role" else None,
    )


def _phone(raw: str) -> str:
    """A phone in its one spelling: digits, a + may lead."""
    text = "".join(c for c in unicodedata.normalize("NFKC", raw) if c not in " -()")
    if not _PHONE.fullmatch(text):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="rebind_phone.phone", detail="5 to 20 digits, a + may lead")
    return text


def to_wire(request: Request, locale: Locale) -> pb.StaffRequest:
    """A request for who may see it."""
    wire = pb.StaffRequest(
        id=str(request.id),
        kind=_KIND_OF[request.kind],
        state=STATE_OF[request.state],
        level=LEVELS[request.level],
        staff_id=request.subject_id,
        staff_name=request.subject_name,
        store_id=request.store_id,
        region_id=request.region_id,
        submitted_by=request.submitted_by,
        submitted_at=timestamp(request.submitted_at),
        reason=request.reason,
        change=_in_words(request, locale),
        escalates_at=timestamp(request.escalates_at),
        expires_at=timestamp(request.expires_at),
        decided_by=request.decided_by or "",
        decided_at=timestamp(request.decided_at),
        decision_reason=request.decision_reason,
        execute_by=timestamp(request.execute_by),
        carried_out_at=timestamp(request.executed_at),
        flags=request.flags,
    )
    evidence = request.evidence
    wire.evidence.CopyFrom(
        pb.Evidence(
            staff_state=evidence.staff_state,
            locked_at=timestamp(evidence.locked_at),
            locked_terminal_id=evidence.locked_terminal_id or "",
            locked_store_id=evidence.locked_store_id or "",
            locks_in_90_days=evidence.locks_in_90_days,
            submitter_role_id=evidence.submitter_role_id,
            proved_by_phone=evidence.proved_by_phone,
        )
    )
    return wire


def _in_words(request: Request, locale: Locale) -> str:
    """What would change."""
    change = request.change
    if NEW_STORE in change:
        text = _TO_STORE.filled(to=change[NEW_STORE])
    elif NEW_ROLE in change:
        text = _TO_ROLE.filled(to=change[NEW_ROLE])
    elif NEW_PHONE in change:
        text = (_TO_PHONE_RESET if change.get(RESET_TOTP) else _TO_PHONE).filled(to=change[NEW_PHONE])
    else:
        return str(change.get("summary", ""))
    return text.in_(locale)
