"""RequestService: requests about a staff ID, and the decisions on them (section B)."""

from __future__ import annotations

from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed
from infosec.rpc.deadlines import SLOW_CALL_S

_SERVICE = "/infosec.api.auth.v1.RequestService/"

PROVE_IDENTITY = Method(
    path=_SERVICE + "ProveIdentity",
    request=pb.ProveIdentityRequest,
    response=pb.ProveIdentityResponse,
    is_repeatable=False,
    deadline_s=SLOW_CALL_S,
)
SUBMIT_REQUEST = Method(
    path=_SERVICE + "SubmitRequest",
    request=pb.SubmitRequestRequest,
    response=pb.SubmitRequestResponse,
    is_repeatable=True,
)
GET_REQUEST = Method(
    path=_SERVICE + "GetRequest", request=pb.GetRequestRequest, response=pb.GetRequestResponse, is_repeatable=True
)
LIST_REQUESTS = Method(
    path=_SERVICE + "ListRequests", request=pb.ListRequestsRequest, response=pb.ListRequestsResponse, is_repeatable=True
)
APPROVE = Method(path=_SERVICE + "Approve", request=pb.ApproveRequest, response=pb.ApproveResponse, is_repeatable=True)
REJECT = Method(path=_SERVICE + "Reject", request=pb.RejectRequest, response=pb.RejectResponse, is_repeatable=True)
CANCEL = Method(path=_SERVICE + "Cancel", request=pb.CancelRequest, response=pb.CancelResponse, is_repeatable=True)

Change = pb.RebindPhone | pb.MoveStore | pb.ChangeRole
"""What RebindPhone, MoveStore and ChangeRole requests ask for."""


class RequestClient:
    """`request_id` makes a write safe to repeat; one is made where none is given."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def send_code(self, staff_id: str, *, terminal_id: str) -> str:
        """Have a one-time code sent to the bound phone; answers with the challenge, for unknown IDs too (RQ-1)."""
        request = pb.ProveIdentityRequest(staff_id=staff_id, terminal_id=terminal_id)
        return (await self._invoker.unary(PROVE_IDENTITY, request)).challenge_id

    async def prove_identity(
        self, staff_id: str, *, terminal_id: str, challenge_id: str, code: SecretText
    ) -> pb.ProveIdentityResponse:
        """Show the code: a proof for one `submit`, and why login is refused."""
        request = pb.ProveIdentityRequest(
            staff_id=staff_id, terminal_id=terminal_id, challenge_id=challenge_id, code=revealed(code)
        )
        return await self._invoker.unary(PROVE_IDENTITY, request)

    async def submit(
        self,
        kind: pb.RequestKind.ValueType,
        staff_id: str,
        *,
        reason: str,
        token: SecretText | None = None,
        proof: SecretText | None = None,
        change: Change | None = None,
        request_id: str | None = None,
    ) -> pb.StaffRequest:
        """Submit a request, with a session's token or with a proof."""
        request = pb.SubmitRequestRequest(
            request_id=retry_key(request_id),
            token=revealed(token),
            proof=revealed(proof),
            staff_id=staff_id,
            kind=kind,
            reason=reason,
            rebind_phone=change if isinstance(change, pb.RebindPhone) else None,
            move_store=change if isinstance(change, pb.MoveStore) else None,
            change_role=change if isinstance(change, pb.ChangeRole) else None,
        )
        return (await self._invoker.unary(SUBMIT_REQUEST, request)).request

    async def get(self, token: SecretText, id: str) -> pb.StaffRequest:
        """One request that the caller may see."""
        return (await self._invoker.unary(GET_REQUEST, pb.GetRequestRequest(token=revealed(token), id=id))).request

    async def list(
        self,
        token: SecretText,
        *,
        state: pb.RequestState.ValueType = pb.REQUEST_STATE_UNSPECIFIED,
        decidable_by_me: bool = False,
        staff_id: str = "",
        page_size: int = 100,
        page_token: str = "",
    ) -> pb.ListRequestsResponse:
        """One page, newest first."""
        request = pb.ListRequestsRequest(
            token=revealed(token),
            state=state,
            decidable_by_me=decidable_by_me,
            staff_id=staff_id,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._invoker.unary(LIST_REQUESTS, request)

    async def approve(
        self, token: SecretText, id: str, *, note: str = "", request_id: str | None = None
    ) -> pb.ApproveResponse:
        """Approve, after a step-up (RQ-3)."""
        request = pb.ApproveRequest(request_id=retry_key(request_id), token=revealed(token), id=id, note=note)
        return await self._invoker.unary(APPROVE, request)

    async def reject(
        self, token: SecretText, id: str, *, reason: str, request_id: str | None = None
    ) -> pb.StaffRequest:
        """Reject, saying why (RQ-5)."""
        request = pb.RejectRequest(request_id=retry_key(request_id), token=revealed(token), id=id, reason=reason)
        return (await self._invoker.unary(REJECT, request)).request

    async def cancel(self, token: SecretText, id: str, *, request_id: str | None = None) -> pb.StaffRequest:
        """Withdraw one's own open request."""
        request = pb.CancelRequest(request_id=retry_key(request_id), token=revealed(token), id=id)
        return (await self._invoker.unary(CANCEL, request)).request
