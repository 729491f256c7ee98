"""From a locked staff ID back to a login: proof, request, decision, SMS, clocks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authsvc.requests import Kind
from authsvc.store.requests import Page
from infosec.secret import Secret
from tests.sim.login_nodes import outcome
from tests.sim.request_desk import Desk, retry
from tests.sim.world import first_password_in

EAST, WEST, OFFICER = "zhao.lei", "sun.yan", "zhou.tao"


@pytest.mark.rule("RQ-1", "RQ-5", "ID-8")
async def test_a_locked_clerk_proves_the_phone_is_approved_and_logs_in_with_a_new_first_password(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.proof("li.na"), "li.na", Kind.UNLOCK)
    approved = await desk.approve(await desk.actor(EAST), request)
    assert approved.request.state == "approved"
    message = desk.world.messages("FIRST_PASSWORD")[-1]
    assert message.phone == "13800000001"
    assert desk.world.state("li.na") == "ISSUED"
    assert desk.world.credentials("li.na")["failures"] == 0
    await desk.delivered(request)
    assert desk.state(request) == "carried-out"
    done = await desk.node.login("li.na", first_password_in(message.text))
    assert done.opened.duties
    assert await desk.node.try_login("li.na") != "OK"


@pytest.mark.rule("RQ-5")
async def test_approval_ends_the_session_and_every_token_of_it(desk: Desk) -> None:
    token = await desk.node.token("li.na")
    manager = await desk.actor("chen.jing", "e1-t3")
    request = await desk.submit(manager, "li.na", Kind.REISSUE_PASSWORD)
    await desk.approve(await desk.actor(EAST, "e1-t4"), request)
    assert desk.world.live_sessions("li.na") == []
    assert await outcome(desk.node.actors.of(token, "crm")) == "SESSION_ENDED"
    assert desk.world.events("session.ended")[-1]["facts"]["reason"] == "reissued"


@pytest.mark.rule("RQ-3")
async def test_the_decider_sees_when_and_where_it_was_locked_how_often_and_who_asks(desk: Desk) -> None:
    desk.lock("li.na", "e1-t5")
    at = desk.world.clock.now()
    desk.world.rows(
        "insert into auth.lock_history (staff_id, locked_at, terminal_id, store_id) values ('li.na', %s, 'e1-t1', 'e1')",
        at - timedelta(days=40),
    )
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    shown = (await desk.submissions.get(await desk.actor(EAST), str(request.id))).evidence
    assert (shown.locked_at, shown.locked_terminal_id, shown.locked_store_id) == (at, "e1-t5", "e1")
    assert (shown.locks_in_90_days, shown.submitter_role_id, shown.proved_by_phone) == (2, "store-manager", False)


@pytest.mark.rule("RQ-3")
async def test_deciding_needs_a_step_up_that_is_younger_than_five_minutes(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    assert await outcome(desk.approve(await desk.actor(EAST, stepped_up=False), request)) == "STEP_UP_REQUIRED"
    manager = await desk.actor(EAST)
    desk.world.advance(minutes=5, seconds=1)
    assert await outcome(desk.approve(manager, request)) == "STEP_UP_REQUIRED"
    assert await outcome(desk.reject(manager, request)) == "STEP_UP_REQUIRED"
    assert desk.state(request) == "pending"


@pytest.mark.rule("RQ-3")
async def test_one_step_up_serves_five_minutes_of_decisions(desk: Desk) -> None:
    submitter = await desk.actor("chen.jing")
    made = []
    for staff in ("li.na", "wang.wei"):
        desk.lock(staff)
        made.append(await desk.submit(submitter, staff, Kind.UNLOCK))
    manager = await desk.actor(EAST)
    await desk.approve(manager, made[0])
    desk.world.advance(minutes=4)
    await desk.approve(manager, made[1])
    assert {desk.world.state(staff) for staff in ("li.na", "wang.wei")} == {"ISSUED"}


@pytest.mark.rule("RQ-5")
async def test_a_rejection_says_why_and_tells_the_person_alone(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    rejected = await desk.reject(await desk.actor(EAST), request)
    assert (rejected.request.state, rejected.request.decision_reason) == ("rejected", "情况不符")
    told = desk.world.messages("REQUEST_DECIDED")[-1]
    assert told.phone == "13800000001" and "情况不符" in told.text
    assert desk.world.state("li.na") == "LOCKED"
    assert not desk.world.messages("FIRST_PASSWORD")


@pytest.mark.rule("RQ-5")
async def test_a_rejection_without_a_reason_is_refused(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    call = desk.decisions.reject(await desk.actor(EAST), str(request.id), "  ", retry())
    assert await outcome(call) == "INVALID_ARGUMENT"


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize(
    ("state", "kind", "answer"),
    [
        ("ACTIVE", Kind.UNLOCK, "STATE_CONFLICT"),
        ("LOCKED", Kind.UNBLACKLIST, "STATE_CONFLICT"),
        ("BLACKLISTED", Kind.UNBLACKLIST, "OK"),
        ("SUSPENDED", Kind.LIFT_SUSPENSION, "OK"),
        ("SUSPENDED", Kind.REISSUE_PASSWORD, "STATE_CONFLICT"),
        ("CLOSED", Kind.UNLOCK, "STATE_CONFLICT"),
    ],
)
async def test_a_request_must_be_one_that_the_staff_id_needs(desk: Desk, state: str, kind: Kind, answer: str) -> None:
    desk.world.rows("update auth.staff set state = %s where staff_id = 'li.na'", state)
    assert await outcome(desk.submit(await desk.actor("chen.jing"), "li.na", kind)) == answer


@pytest.mark.rule("RQ-1", "ID-4")
async def test_a_password_that_ended_today_is_unblacklisted_though_no_sweep_has_passed(desk: Desk) -> None:
    desk.world.rows("update auth.credentials set ends_at = %s where staff_id = 'li.na'", desk.world.clock.now())
    request = await desk.submit(await desk.proof("li.na"), "li.na", Kind.UNBLACKLIST)
    await desk.approve(await desk.actor(EAST), request)
    assert desk.world.state("li.na") == "ISSUED"


@pytest.mark.rule("RQ-1")
async def test_one_request_of_a_kind_is_open_at_a_time(desk: Desk) -> None:
    desk.lock("li.na")
    manager = await desk.actor("chen.jing")
    first = await desk.submit(manager, "li.na", Kind.UNLOCK)
    assert await outcome(desk.submit(manager, "li.na", Kind.UNLOCK)) == "ALREADY_EXISTS"
    await desk.decisions.cancel(manager, str(first.id), retry())
    assert await outcome(desk.submit(manager, "li.na", Kind.UNLOCK)) == "OK"


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize(
    ("who", "whom", "kind", "answer"),
    [
        ("chen.jing", "li.na", Kind.UNLOCK, "OK"),
        ("liu.yang", "li.na", Kind.UNLOCK, "OK"),
        ("wang.wei", "li.na", Kind.UNLOCK, "NOT_PERMITTED"),
        ("chen.jing", "zhang.min", Kind.UNLOCK, "NOT_PERMITTED"),
        ("zhao.lei", "li.na", Kind.UNLOCK, "NOT_PERMITTED"),
        ("xu.qiang", "li.na", Kind.UNLOCK, "NOT_PERMITTED"),
        ("chen.jing", "no.such.one", Kind.UNLOCK, "NOT_PERMITTED"),
        ("xu.qiang", "zhao.lei", Kind.UNLOCK, "OK"),
        ("xu.qiang", "chen.jing", Kind.UNLOCK, "OK"),
    ],
)
async def test_only_the_person_or_their_managers_submit(
    desk: Desk, who: str, whom: str, kind: Kind, answer: str
) -> None:
    actor = await desk.actor(who)
    if desk.world.rows("select 1 from auth.staff where staff_id = %s", whom):
        desk.lock(whom)
    assert await outcome(desk.submit(actor, whom, kind)) == answer


@pytest.mark.rule("RQ-1")
async def test_a_proof_carries_one_request_and_no_new_phone(desk: Desk) -> None:
    desk.lock("li.na")
    proof = await desk.proof("li.na")
    rebind = desk.submit(proof, "li.na", Kind.REBIND_PHONE, phone=Secret("13900000000"))
    assert await outcome(rebind) == "NOT_PERMITTED"
    assert await outcome(desk.submit(proof, "wang.wei", Kind.UNLOCK)) == "NOT_PERMITTED"
    request = await desk.submit(proof, "li.na", Kind.UNLOCK)
    assert request.evidence.proved_by_phone
    assert await outcome(desk.submit(proof, "li.na", Kind.UNLOCK)) == "PROOF_REFUSED"


@pytest.mark.rule("RQ-1")
async def test_a_proof_is_good_for_ten_minutes(desk: Desk) -> None:
    desk.lock("li.na")
    proof = await desk.proof("li.na")
    desk.world.advance(minutes=10)
    assert await outcome(desk.submit(proof, "li.na", Kind.UNLOCK)) == "PROOF_REFUSED"


@pytest.mark.rule("RQ-2")
async def test_a_manager_of_another_region_is_not_told_that_the_request_exists(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    stranger = await desk.actor(WEST)
    assert await outcome(desk.approve(stranger, request)) == "NOT_FOUND"
    assert desk.world.events("decision.refused")[-1]["facts"]["staff_id"] == WEST
    assert await outcome(desk.submissions.get(stranger, str(request.id))) == "NOT_FOUND"


@pytest.mark.rule("RQ-4")
async def test_an_undecided_request_goes_to_the_duty_officer_after_two_hours(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.advance(hours=2)
    assert await outcome(desk.approve(await desk.actor(EAST), request)) == "NOT_FOUND"
    await desk.approve(await desk.actor(OFFICER), request)
    assert desk.level(request) == "carrier-duty-officer"


@pytest.mark.rule("RQ-4")
async def test_the_sweep_writes_the_escalation_and_then_the_end(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.advance(hours=2)
    await desk.sweep()
    assert (desk.level(request), desk.state(request)) == ("carrier-duty-officer", "pending")
    assert desk.world.events("request.escalated")
    desk.world.advance(hours=22)
    assert await outcome(desk.approve(await desk.actor(OFFICER), request)) == "REQUEST_CLOSED"
    await desk.sweep()
    assert desk.state(request) == "expired"
    assert "逾期" in desk.world.messages("REQUEST_DECIDED")[-1].text
    assert desk.world.state("li.na") == "LOCKED"


@pytest.mark.rule("RQ-4")
async def test_an_expired_request_that_no_sweep_has_seen_is_in_nobodys_way(desk: Desk) -> None:
    desk.lock("li.na")
    first = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.advance(hours=24)
    assert await outcome(desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)) == "OK"
    assert desk.state(first) == "expired"


@pytest.mark.rule("RQ-4")
async def test_an_approval_whose_sms_is_not_accepted_within_thirty_minutes_is_worth_nothing(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    await desk.approve(await desk.actor(EAST), request)
    password = first_password_in(desk.world.messages("FIRST_PASSWORD")[-1].text)
    await desk.delivered(request, "FAILED")
    desk.world.advance(minutes=30)
    assert await desk.node.try_login("li.na", password) == "LOGIN_REFUSED"
    await desk.sweep()
    assert desk.state(request) == "lapsed"
    await desk.clocks.on_delivery(desk.world.one("select delivery_id from auth.requests"), "ACCEPTED")
    assert desk.state(request) == "lapsed"
    again = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.REISSUE_PASSWORD)
    assert again.state == "pending"


@pytest.mark.rule("RQ-4")
async def test_an_acceptance_that_comes_too_late_lapses_the_approval(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    await desk.approve(await desk.actor(EAST), request)
    desk.world.advance(minutes=30)
    await desk.delivered(request)
    assert desk.state(request) == "lapsed"


@pytest.mark.rule("RQ-4", "ID-1")
async def test_once_accepted_the_first_password_is_good_for_its_day(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    await desk.approve(await desk.actor(EAST), request)
    password = first_password_in(desk.world.messages("FIRST_PASSWORD")[-1].text)
    await desk.delivered(request)
    desk.world.advance(hours=23)
    assert await desk.node.try_login("li.na", password) == "OK"


@pytest.mark.rule("RQ-4")
async def test_who_logged_in_with_the_new_password_had_the_sms_whatever_the_gateway_says(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    await desk.approve(await desk.actor(EAST), request)
    await desk.node.login("li.na", first_password_in(desk.world.messages("FIRST_PASSWORD")[-1].text))
    desk.world.advance(minutes=30)
    await desk.sweep()
    assert desk.state(request) == "carried-out"


@pytest.mark.rule("RQ-6")
async def test_every_request_is_kept_and_an_auditor_pages_through_all_of_them(desk: Desk) -> None:
    for staff in ("li.na", "wang.wei"):
        desk.lock(staff)
    manager = await desk.actor("chen.jing")
    made = [await desk.submit(manager, staff, Kind.UNLOCK) for staff in ("li.na", "wang.wei")]
    await desk.reject(await desk.actor(EAST), made[0])
    auditor = await desk.actor("hu.bin")
    first = await desk.submissions.page(auditor, Page(size=1, approvals=False))
    before = (first[-1].submitted_at, first[-1].id)
    second = await desk.submissions.page(auditor, Page(size=5, approvals=False, before=before))
    assert {request.id for request in first + second} == {request.id for request in made}
    assert await desk.submissions.page(await desk.actor("ouyang.xue"), Page(size=5, approvals=False)) == []


async def test_the_list_of_what_i_may_decide_leaves_out_what_is_mine(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    wanted = Page(size=5, approvals=False, decidable=True)
    assert [each.id for each in await desk.submissions.page(await desk.actor(EAST), wanted)] == [request.id]
    assert await desk.submissions.page(await desk.actor("chen.jing"), wanted) == []
    assert await desk.submissions.page(await desk.actor(WEST), wanted) == []


async def test_a_repeated_call_is_answered_again_and_done_once(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    manager = await desk.actor(EAST)
    same = retry()
    first = await desk.decisions.approve(manager, str(request.id), "", same)
    again = await desk.decisions.approve(manager, str(request.id), "", same)
    assert first == again
    assert len(desk.world.messages("FIRST_PASSWORD")) == 1
    other = retry(same.request_id, b"other")
    assert await outcome(desk.decisions.approve(manager, str(request.id), "", other)) == "REQUEST_ID_REUSED"
