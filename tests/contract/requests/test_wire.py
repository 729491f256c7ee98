"""Both services as callers see them: protobuf in, protobuf out, the caller bound as the server binds it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from authsvc.rpc.approvals import ApprovalServicer
from authsvc.rpc.requests import KINDS, LEVELS, STATES, RequestServicer
from infosec.api.auth.v1 import approvals_pb2 as apb
from infosec.api.auth.v1 import requests_pb2 as pb
from infosec.certificates import CallerKind
from infosec.keys import MacKind
from infosec.messages import Locale
from infosec.rpc.server.identity import Caller, bind
from infosec.rpc.server.retries import Fingerprints, Retries
from tests.sim.login_nodes import outcome
from tests.sim.request_desk import Desk
from tests.sim.world import Hire

EAST = "zhao.lei"


@dataclass(kw_only=True)
class Front:
    """The two servicers, called as `crm`."""

    desk: Desk
    requests: RequestServicer
    approvals: ApprovalServicer

    def as_crm(self, locale: Locale = Locale.EN) -> object:
        context = object()
        bind(context, Caller(kind=CallerKind.SYSTEM, name="crm", locale=locale, peer="test"))
        return context

    async def token(self, staff: str, at: str) -> str:
        """A session, with a step-up for who has a second factor."""
        self.desk.world.advance(seconds=90)
        has_totp = self.desk.world.rows("select 1 from auth.totp where staff_id = %s and active", staff)
        token = await self.desk.node.token(staff, at=at, code=self.desk.world.code(staff) if has_totp else "")
        if has_totp:
            self.desk.world.advance(seconds=30)
            await self.desk.node.step_up(token, self.desk.world.code(staff))
        return token


@pytest.fixture
def front(desk: Desk) -> Front:
    retries = Retries(Fingerprints(desk.world.keys.mac[MacKind.REQUESTS]))
    actors = desk.node.actors
    return Front(
        desk=desk,
        requests=RequestServicer(
            actors=actors, proofs=desk.proofs, submissions=desk.submissions, decisions=desk.decisions, retries=retries
        ),
        approvals=ApprovalServicer(actors=actors, approvals=desk.approvals, decisions=desk.decisions, retries=retries),
    )


def test_every_value_of_the_contract_has_its_rule() -> None:
    assert set(KINDS) == set(pb.RequestKind.values()) - {0}
    assert set(STATES) == set(pb.RequestState.values()) - {0}
    assert set(LEVELS.values()) == set(pb.RequestLevel.values()) - {0}


@pytest.mark.rule("RQ-1", "RQ-5", "ID-7")
async def test_from_a_lost_login_to_an_approval_over_the_wire(front: Front) -> None:
    front.desk.lock("li.na")
    first = await front.requests.ProveIdentity(
        pb.ProveIdentityRequest(staff_id="li.na", terminal_id="e1-t1"), front.as_crm()
    )
    code = front.desk.world.messages("PROOF_CODE")[-1].text.split("\n")[1]
    second = await front.requests.ProveIdentity(
        pb.ProveIdentityRequest(staff_id="li.na", terminal_id="e1-t1", challenge_id=first.challenge_id, code=code),
        front.as_crm(),
    )
    assert second.staff_state == "LOCKED" and "unlock" in second.text
    ask = pb.SubmitRequestRequest(
        request_id=str(uuid.uuid4()), proof=second.proof, staff_id="li.na", kind=pb.REQUEST_KIND_UNLOCK, reason="forgot"
    )
    submitted = (await front.requests.SubmitRequest(ask, front.as_crm())).request
    again = (await front.requests.SubmitRequest(ask, front.as_crm())).request
    assert again == submitted
    assert (submitted.level, submitted.staff_name) == (pb.REQUEST_LEVEL_REGIONAL_MANAGER, "李娜")
    assert submitted.evidence.proved_by_phone and submitted.evidence.locked_terminal_id == "e1-t2"
    token = await front.token(EAST, "e1-t4")
    listed = await front.requests.ListRequests(
        pb.ListRequestsRequest(token=token, decidable_by_me=True, staff_id="LI.NA"), front.as_crm()
    )
    assert [each.id for each in listed.requests] == [submitted.id]
    approve = pb.ApproveRequest(request_id=str(uuid.uuid4()), token=token, id=submitted.id, note="ok")
    approved = await front.requests.Approve(approve, front.as_crm())
    assert approved.request.state == pb.REQUEST_STATE_APPROVED
    assert approved.revision.region_id == "east" and approved.revision.number > 0
    shown = await front.requests.GetRequest(pb.GetRequestRequest(token=token, id=submitted.id), front.as_crm())
    assert shown.request.execute_by.ToSeconds() - shown.request.decided_at.ToSeconds() == 1800
    other = pb.ApproveRequest(request_id=approve.request_id, token=token, id=submitted.id, note="changed")
    assert await outcome(front.requests.Approve(other, front.as_crm())) == "REQUEST_ID_REUSED"


async def test_reject_cancel_and_pages_over_the_wire(front: Front) -> None:
    token = await front.token("li.na", "e1-t1")
    made = []
    for kind, change in (
        (pb.REQUEST_KIND_MOVE_STORE, {"move_store": pb.MoveStore(store_id="e2")}),
        (pb.REQUEST_KIND_REBIND_PHONE, {"rebind_phone": pb.RebindPhone(phone="139 1234-5678", reset_totp=True)}),
        (pb.REQUEST_KIND_CHANGE_ROLE, {"change_role": pb.ChangeRole(role_id="vip-clerk")}),
    ):
        ask = pb.SubmitRequestRequest(
            request_id=str(uuid.uuid4()), token=token, staff_id="li.na", kind=kind, reason="r", **change
        )
        made.append((await front.requests.SubmitRequest(ask, front.as_crm())).request)
        front.desk.world.advance(seconds=1)
    assert [each.change for each in made] == [
        "to store e2",
        "to phone 139****5678, second factor reset",
        "to role vip-clerk",
    ]
    page = await front.requests.ListRequests(pb.ListRequestsRequest(token=token, page_size=2), front.as_crm())
    rest = await front.requests.ListRequests(
        pb.ListRequestsRequest(token=token, page_size=2, page_token=page.next_page_token), front.as_crm()
    )
    assert [each.id for each in (*page.requests, *rest.requests)] == [each.id for each in reversed(made)]
    assert not rest.next_page_token
    bad = front.requests.ListRequests(pb.ListRequestsRequest(token=token, page_token="x"), front.as_crm())
    assert await outcome(bad) == "INVALID_ARGUMENT"
    cancel = pb.CancelRequest(request_id=str(uuid.uuid4()), token=token, id=made[0].id)
    assert (await front.requests.Cancel(cancel, front.as_crm())).request.state == pb.REQUEST_STATE_CANCELLED
    reject = pb.RejectRequest(
        request_id=str(uuid.uuid4()), token=await front.token(EAST, "e1-t4"), id=made[2].id, reason="no"
    )
    assert (await front.requests.Reject(reject, front.as_crm())).request.decision_reason == "no"


@pytest.mark.parametrize(
    "ask",
    [
        pb.SubmitRequestRequest(token="t", proof="p", staff_id="li.na", kind=1),
        pb.SubmitRequestRequest(staff_id="li.na", kind=1),
        pb.SubmitRequestRequest(token="t", staff_id="li.na", kind=5),
        pb.SubmitRequestRequest(token="t", staff_id="li.na", kind=1, move_store=pb.MoveStore(store_id="e2")),
        pb.SubmitRequestRequest(token="t", staff_id="li.na", kind=8),
        pb.SubmitRequestRequest(token="t", staff_id="li.na", kind=5, rebind_phone=pb.RebindPhone(phone="none")),
    ],
)
async def test_a_submission_that_does_not_add_up_is_refused_before_anything_is_read(
    front: Front, ask: pb.SubmitRequestRequest
) -> None:
    ask.request_id = str(uuid.uuid4())
    assert await outcome(front.requests.SubmitRequest(ask, front.as_crm())) == "INVALID_ARGUMENT"


async def test_a_code_without_its_challenge_is_refused(front: Front) -> None:
    ask = pb.ProveIdentityRequest(staff_id="li.na", terminal_id="e1-t1", code="123456")
    assert await outcome(front.requests.ProveIdentity(ask, front.as_crm())) == "INVALID_ARGUMENT"


@pytest.mark.rule("RQ-7")
async def test_a_second_person_over_the_wire(front: Front) -> None:
    front.desk.world.hire(Hire(staff_id="shift.boss", role="duty-manager", totp=True))
    clerk = await front.token("li.na", "e1-t1")
    ask = apb.SubmitApprovalRequest(
        request_id=str(uuid.uuid4()), token=clerk, operation="1121", customer="13700001111", product="p1", reason="r"
    )
    asked = (await front.approvals.SubmitApproval(ask, front.as_crm())).approval
    assert list(asked.decider_roles) == ["duty-manager", "store-manager"]
    changed = apb.SubmitApprovalRequest()
    changed.CopyFrom(ask)
    changed.customer = "13700002222"
    assert await outcome(front.approvals.SubmitApproval(changed, front.as_crm())) == "REQUEST_ID_REUSED"
    boss = await front.token("shift.boss", "e1-t5")
    listed = await front.approvals.ListApprovals(
        apb.ListApprovalsRequest(token=boss, decidable_by_me=True), front.as_crm()
    )
    assert [each.id for each in listed.approvals] == [asked.id]
    approve = apb.ApproveOperationRequest(request_id=str(uuid.uuid4()), token=boss, id=asked.id)
    assert not (await front.approvals.ApproveOperation(approve, front.as_crm())).approval.grant
    mine = await front.approvals.GetApproval(apb.GetApprovalRequest(token=clerk, id=asked.id), front.as_crm())
    grant = mine.approval.grant
    bound = await front.approvals.Redeem(apb.RedeemRequest(grant=grant, order_id="o1"), front.as_crm())
    freed = await front.approvals.Release(apb.ReleaseRequest(grant=grant, order_id="o1"), front.as_crm())
    assert freed.revision.number > bound.revision.number > 0


async def test_approvals_are_rejected_and_withdrawn_over_the_wire(front: Front) -> None:
    front.desk.world.hire(Hire(staff_id="shift.boss", role="duty-manager", totp=True))
    clerk = await front.token("li.na", "e1-t1")
    asked = []
    for _ in range(2):
        ask = apb.SubmitApprovalRequest(
            request_id=str(uuid.uuid4()), token=clerk, operation="1121", customer="1", reason="r"
        )
        asked.append((await front.approvals.SubmitApproval(ask, front.as_crm())).approval)
    boss = await front.token("shift.boss", "e1-t5")
    reject = apb.RejectOperationRequest(request_id=str(uuid.uuid4()), token=boss, id=asked[0].id, reason="no")
    assert (await front.approvals.RejectOperation(reject, front.as_crm())).approval.state == pb.REQUEST_STATE_REJECTED
    cancel = apb.CancelApprovalRequest(request_id=str(uuid.uuid4()), token=clerk, id=asked[1].id)
    cancelled = (await front.approvals.CancelApproval(cancel, front.as_crm())).approval
    assert cancelled.state == pb.REQUEST_STATE_CANCELLED
