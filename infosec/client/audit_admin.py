"""AuditAdminService: what is kept. Erasure, release of a hold and retention are proposed here and confirmed by another."""

from __future__ import annotations

from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.client.calls import Invoker, Method, SecretText, retry_key, revealed

_SERVICE = "/infosec.api.audit.v1.AuditAdminService/"

ERASE_SUBJECT = Method(
    path=_SERVICE + "EraseSubject",
    request=pb.EraseSubjectRequest,
    response=pb.EraseSubjectResponse,
    is_repeatable=True,
)
PLACE_HOLD = Method(
    path=_SERVICE + "PlaceHold", request=pb.PlaceHoldRequest, response=pb.PlaceHoldResponse, is_repeatable=True
)
RELEASE_HOLD = Method(
    path=_SERVICE + "ReleaseHold", request=pb.ReleaseHoldRequest, response=pb.ReleaseHoldResponse, is_repeatable=True
)
LIST_HOLDS = Method(
    path=_SERVICE + "ListHolds", request=pb.ListHoldsRequest, response=pb.ListHoldsResponse, is_repeatable=True
)
APPLY_RETENTION = Method(
    path=_SERVICE + "ApplyRetention",
    request=pb.ApplyRetentionRequest,
    response=pb.ApplyRetentionResponse,
    is_repeatable=True,
)
CONFIRM_ACT = Method(
    path=_SERVICE + "ConfirmAct", request=pb.ConfirmActRequest, response=pb.ConfirmActResponse, is_repeatable=True
)
WITHDRAW_ACT = Method(
    path=_SERVICE + "WithdrawAct", request=pb.WithdrawActRequest, response=pb.WithdrawActResponse, is_repeatable=True
)
LIST_ACTS = Method(
    path=_SERVICE + "ListActs", request=pb.ListActsRequest, response=pb.ListActsResponse, is_repeatable=True
)
RECORD_FINDING = Method(
    path=_SERVICE + "RecordFinding",
    request=pb.RecordFindingRequest,
    response=pb.RecordFindingResponse,
    is_repeatable=True,
)


class AuditAdminClient:
    """For auditors, with an assertion of a session that has stepped up. `request_id` makes a write safe to repeat; one is
    made where none is given.
    """

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def erase_subject(
        self, assertion: SecretText, customer: SecretText, *, reason: str, request_id: str | None = None
    ) -> pb.Act:
        """Propose to make a customer's identifying data unreadable for ever (CI-8)."""
        request = pb.EraseSubjectRequest(
            request_id=retry_key(request_id), assertion=revealed(assertion), customer=revealed(customer), reason=reason
        )
        return (await self._invoker.unary(ERASE_SUBJECT, request)).act

    async def place_hold(
        self, assertion: SecretText, customer: SecretText, *, reason: str, request_id: str | None = None
    ) -> pb.Hold:
        """Keep a customer's data from erasure and retention, at once."""
        request = pb.PlaceHoldRequest(
            request_id=retry_key(request_id), assertion=revealed(assertion), customer=revealed(customer), reason=reason
        )
        return (await self._invoker.unary(PLACE_HOLD, request)).hold

    async def release_hold(
        self, assertion: SecretText, hold_id: str, *, reason: str, request_id: str | None = None
    ) -> pb.Act:
        """Propose to lift a hold."""
        request = pb.ReleaseHoldRequest(
            request_id=retry_key(request_id), assertion=revealed(assertion), hold_id=hold_id, reason=reason
        )
        return (await self._invoker.unary(RELEASE_HOLD, request)).act

    async def holds(
        self, assertion: SecretText, *, active_only: bool = False, page_size: int = 100, page_token: str = ""
    ) -> pb.ListHoldsResponse:
        """One page of holds, newest first."""
        request = pb.ListHoldsRequest(
            assertion=revealed(assertion), active_only=active_only, page_size=page_size, page_token=page_token
        )
        return await self._invoker.unary(LIST_HOLDS, request)

    async def apply_retention(
        self, assertion: SecretText, *, reason: str, dry_run: bool = False, request_id: str | None = None
    ) -> pb.ApplyRetentionResponse:
        """Propose to let go of what is past its term; a dry run only counts."""
        request = pb.ApplyRetentionRequest(
            request_id=retry_key(request_id), assertion=revealed(assertion), reason=reason, dry_run=dry_run
        )
        return await self._invoker.unary(APPLY_RETENTION, request)

    async def confirm_act(self, assertion: SecretText, act_id: str, *, request_id: str | None = None) -> pb.Act:
        """Do what another person proposed."""
        request = pb.ConfirmActRequest(request_id=retry_key(request_id), assertion=revealed(assertion), act_id=act_id)
        return (await self._invoker.unary(CONFIRM_ACT, request)).act

    async def withdraw_act(
        self, assertion: SecretText, act_id: str, *, reason: str, request_id: str | None = None
    ) -> pb.Act:
        """Take back what one proposed, or refuse what another did."""
        request = pb.WithdrawActRequest(
            request_id=retry_key(request_id), assertion=revealed(assertion), act_id=act_id, reason=reason
        )
        return (await self._invoker.unary(WITHDRAW_ACT, request)).act

    async def acts(
        self, assertion: SecretText, *, open_only: bool = False, page_size: int = 100, page_token: str = ""
    ) -> pb.ListActsResponse:
        """One page of acts, newest first."""
        request = pb.ListActsRequest(
            assertion=revealed(assertion), open_only=open_only, page_size=page_size, page_token=page_token
        )
        return await self._invoker.unary(LIST_ACTS, request)

    async def record_finding(
        self,
        assertion: SecretText,
        *,
        log_id: str,
        index: int,
        verdict: pb.Verdict.ValueType,
        note: str = "",
        request_id: str | None = None,
    ) -> str:
        """Record what a spot check found (CI-6); answers with the event's ID."""
        request = pb.RecordFindingRequest(
            request_id=retry_key(request_id),
            assertion=revealed(assertion),
            log_id=log_id,
            index=index,
            verdict=verdict,
            note=note,
        )
        return (await self._invoker.unary(RECORD_FINDING, request)).event_id
