"""ApprovalService on the wire: protobuf to values and back. Decides nothing."""

from __future__ import annotations

from typing import Any

from authsvc.actor import Actors
from authsvc.flows.approvals import OPERATION, ORDER, PRODUCT, ApprovalAsk, Approvals, Binding, Seen
from authsvc.flows.decide import Decisions
from authsvc.requests import Request
from authsvc.rpc.paging import page_token, timestamp
from authsvc.rpc.requests import STATE_OF, STATES
from authsvc.store.requests import Page
from infosec import ids
from infosec.api.auth.v1 import approvals_pb2 as pb
from infosec.api.auth.v1 import approvals_pb2_grpc
from infosec.api.common.v1 import revision_pb2
from infosec.rpc.server.identity import caller_of
from infosec.rpc.server.newest_first import position, size_of
from infosec.rpc.server.retries import Retries
from infosec.secret import Secret


class ApprovalServicer(approvals_pb2_grpc.ApprovalServiceServicer):
    """ApprovalService."""

    def __init__(self, *, actors: Actors, approvals: Approvals, decisions: Decisions, retries: Retries) -> None:
        self._actors = actors
        self._approvals = approvals
        self._decisions = decisions
        self._retries = retries

    async def SubmitApproval(self, request: pb.SubmitApprovalRequest, context: Any) -> pb.SubmitApprovalResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        ask = ApprovalAsk(
            operation=ids.operation_code(request.operation),
            customer=Secret(request.customer) if request.customer else None,
            product=request.product,
            order_id=request.order_id,
            reason=request.reason,
        )
        retry = self._retries.of(
            "SubmitApproval",
            request,
            request_id=request.request_id,
            caller=caller.id,
            actor=self._approvals.who_and_whom(actor, ask.customer),
        )
        return pb.SubmitApprovalResponse(approval=to_wire(await self._approvals.submit(actor, ask, retry)))

    async def GetApproval(self, request: pb.GetApprovalRequest, context: Any) -> pb.GetApprovalResponse:
        actor = await self._actors.of(request.token, caller_of(context).system)
        return pb.GetApprovalResponse(approval=to_wire(await self._approvals.get(actor, request.id)))

    async def ListApprovals(self, request: pb.ListApprovalsRequest, context: Any) -> pb.ListApprovalsResponse:
        actor = await self._actors.of(request.token, caller_of(context).system)
        size = size_of(request.page_size)
        wanted = Page(
            size=size + 1,
            approvals=True,
            state=STATES.get(request.state),
            decidable=request.decidable_by_me,
            before=position(request.page_token),
        )
        found = await self._approvals.page(actor, wanted)
        return pb.ListApprovalsResponse(
            approvals=[_fields(each) for each in found[:size]], next_page_token=page_token(found, size)
        )

    async def ApproveOperation(self, request: pb.ApproveOperationRequest, context: Any) -> pb.ApproveOperationResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "ApproveOperation", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.approve(actor, request.id, request.note, retry, approvals=True)
        return pb.ApproveOperationResponse(approval=_fields(outcome.request))

    async def RejectOperation(self, request: pb.RejectOperationRequest, context: Any) -> pb.RejectOperationResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "RejectOperation", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.reject(actor, request.id, request.reason, retry, approvals=True)
        return pb.RejectOperationResponse(approval=_fields(outcome.request))

    async def CancelApproval(self, request: pb.CancelApprovalRequest, context: Any) -> pb.CancelApprovalResponse:
        caller = caller_of(context)
        actor = await self._actors.of(request.token, caller.system)
        retry = self._retries.of(
            "CancelApproval", request, request_id=request.request_id, caller=caller.id, actor=actor.staff_id
        )
        outcome = await self._decisions.cancel(actor, request.id, retry, approvals=True)
        return pb.CancelApprovalResponse(approval=_fields(outcome.request))

    async def Redeem(self, request: pb.RedeemRequest, context: Any) -> pb.RedeemResponse:
        system = caller_of(context).system
        return pb.RedeemResponse(
            revision=_revision(await self._approvals.redeem(system, request.grant, request.order_id))
        )

    async def Release(self, request: pb.ReleaseRequest, context: Any) -> pb.ReleaseResponse:
        system = caller_of(context).system
        binding = await self._approvals.release(system, request.grant, request.order_id)
        return pb.ReleaseResponse(revision=_revision(binding))


def to_wire(seen: Seen) -> pb.Approval:
    """An approval as its viewer may see it."""
    wire = _fields(seen.request)
    wire.grant = seen.grant
    return wire


def _fields(request: Request) -> pb.Approval:
    return pb.Approval(
        id=str(request.id),
        state=STATE_OF[request.state],
        staff_id=request.subject_id,
        staff_name=request.subject_name,
        operation=str(request.change[OPERATION]),
        store_id=request.store_id,
        region_id=request.region_id,
        product=str(request.change.get(PRODUCT, "")),
        order_id=str(request.change.get(ORDER, "")),
        reason=request.reason,
        decider_roles=request.decider_roles,
        submitted_at=timestamp(request.submitted_at),
        expires_at=timestamp(request.expires_at),
        decided_by=request.decided_by or "",
        decided_at=timestamp(request.decided_at),
        decision_reason=request.decision_reason,
        execute_by=timestamp(request.execute_by),
        flags=request.flags,
    )


def _revision(binding: Binding) -> revision_pb2.Revision:
    return revision_pb2.Revision(region_id=binding.region_id, number=binding.revision)
