"""ApprovalService: second-person approval of one operation (RQ-7), and binding grants to an order."""

from __future__ import annotations

from collections.abc import Sequence

from infosec.api.auth.v1 import approvals_pb2 as pb
from infosec.api.auth.v1 import requests_pb2
from infosec.api.common.v1 import revision_pb2
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed
from infosec.errors import InfosecError

_SERVICE = "/infosec.api.auth.v1.ApprovalService/"

SUBMIT_APPROVAL = Method(
    path=_SERVICE + "SubmitApproval",
    request=pb.SubmitApprovalRequest,
    response=pb.SubmitApprovalResponse,
    is_repeatable=True,
)
GET_APPROVAL = Method(
    path=_SERVICE + "GetApproval", request=pb.GetApprovalRequest, response=pb.GetApprovalResponse, is_repeatable=True
)
LIST_APPROVALS = Method(
    path=_SERVICE + "ListApprovals",
    request=pb.ListApprovalsRequest,
    response=pb.ListApprovalsResponse,
    is_repeatable=True,
)
APPROVE_OPERATION = Method(
    path=_SERVICE + "ApproveOperation",
    request=pb.ApproveOperationRequest,
    response=pb.ApproveOperationResponse,
    is_repeatable=True,
)
REJECT_OPERATION = Method(
    path=_SERVICE + "RejectOperation",
    request=pb.RejectOperationRequest,
    response=pb.RejectOperationResponse,
    is_repeatable=True,
)
CANCEL_APPROVAL = Method(
    path=_SERVICE + "CancelApproval",
    request=pb.CancelApprovalRequest,
    response=pb.CancelApprovalResponse,
    is_repeatable=True,
)
REDEEM = Method(path=_SERVICE + "Redeem", request=pb.RedeemRequest, response=pb.RedeemResponse, is_repeatable=True)
RELEASE = Method(path=_SERVICE + "Release", request=pb.ReleaseRequest, response=pb.ReleaseResponse, is_repeatable=True)


class ApprovalClient:
    """`request_id` makes a write safe to repeat; one is made where none is given."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def submit(
        self,
        token: SecretText,
        operation: str,
        *,
        reason: str,
        customer: SecretText | None = None,
        product: str = "",
        order_id: str = "",
        request_id: str | None = None,
    ) -> pb.Approval:
        """Ask for a second person."""
        request = pb.SubmitApprovalRequest(
            request_id=retry_key(request_id),
            token=revealed(token),
            operation=operation,
            customer=revealed(customer),
            product=product,
            order_id=order_id,
            reason=reason,
        )
        return (await self._invoker.unary(SUBMIT_APPROVAL, request)).approval

    async def get(self, token: SecretText, id: str) -> pb.Approval:
        """One approval; with its grant for the person who asked, while it can be used."""
        return (await self._invoker.unary(GET_APPROVAL, pb.GetApprovalRequest(token=revealed(token), id=id))).approval

    async def list(
        self,
        token: SecretText,
        *,
        state: requests_pb2.RequestState.ValueType = requests_pb2.REQUEST_STATE_UNSPECIFIED,
        decidable_by_me: bool = False,
        page_size: int = 100,
        page_token: str = "",
    ) -> pb.ListApprovalsResponse:
        """One page, newest first."""
        request = pb.ListApprovalsRequest(
            token=revealed(token),
            state=state,
            decidable_by_me=decidable_by_me,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._invoker.unary(LIST_APPROVALS, request)

    async def approve(
        self, token: SecretText, id: str, *, note: str = "", request_id: str | None = None
    ) -> pb.Approval:
        """Approve from one's own session, after a step-up."""
        request = pb.ApproveOperationRequest(request_id=retry_key(request_id), token=revealed(token), id=id, note=note)
        return (await self._invoker.unary(APPROVE_OPERATION, request)).approval

    async def reject(self, token: SecretText, id: str, *, reason: str, request_id: str | None = None) -> pb.Approval:
        """Reject, saying why."""
        request = pb.RejectOperationRequest(
            request_id=retry_key(request_id), token=revealed(token), id=id, reason=reason
        )
        return (await self._invoker.unary(REJECT_OPERATION, request)).approval

    async def cancel(self, token: SecretText, id: str, *, request_id: str | None = None) -> pb.Approval:
        """Withdraw one's own."""
        request = pb.CancelApprovalRequest(request_id=retry_key(request_id), token=revealed(token), id=id)
        return (await self._invoker.unary(CANCEL_APPROVAL, request)).approval

    async def redeem(self, grant: SecretText, *, order_id: str) -> revision_pb2.Revision:
        """Bind a grant to an order; the same order may do so again, another is refused (GRANT_BOUND)."""
        request = pb.RedeemRequest(grant=revealed(grant), order_id=order_id)
        return (await self._invoker.unary(REDEEM, request)).revision

    async def release(self, grant: SecretText, *, order_id: str) -> revision_pb2.Revision:
        """Free a grant from an order that was not completed."""
        request = pb.ReleaseRequest(grant=revealed(grant), order_id=order_id)
        return (await self._invoker.unary(RELEASE, request)).revision

    async def redeem_all(self, order_id: str, grants: Sequence[SecretText]) -> Sequence[revision_pb2.Revision]:
        """Bind all before the service is enabled, or none: where one is refused, those bound here are freed again."""
        revisions = []
        for grant in grants:
            try:
                revisions.append(await self.redeem(grant, order_id=order_id))
            except InfosecError as refused:
                await self._free(grants[: len(revisions)], order_id, refused)
                raise
        return revisions

    async def _free(self, grants: Sequence[SecretText], order_id: str, refused: InfosecError) -> None:
        for grant in grants:
            try:
                await self.release(grant, order_id=order_id)
            except InfosecError as failed:
                # The first refusal is what the caller must hear; a grant that stays bound runs out by itself.
                refused.add_note(f"a grant stays bound to this order: {failed}")
