"""Parallel decisions, redemptions, retries and guesses on real PostgreSQL (RQ-1, RQ-2, RQ-4, RQ-7): one wins, exactly."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from authsvc.requests import Kind
from infosec.ids import StoreId, TerminalId
from infosec.secret import Secret
from tests.sim.login_nodes import CRM, outcome
from tests.sim.request_desk import Desk, request_desk, retry
from tests.sim.world import Hire, World

EAST, OFFICER, OTHER_OFFICER = "zhao.lei", "zhou.tao", "wu.fang"


@pytest.fixture
async def desk(world: World) -> Desk:
    return await request_desk(world)


@pytest.mark.rule("RQ-2")
async def test_of_approvals_and_rejections_in_parallel_one_wins(desk: Desk) -> None:
    desk.world.hire(Hire(staff_id="he.jun", role="regional-manager"))
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    first, second = await desk.actor(EAST, "e1-t3"), await desk.actor("he.jun", "e1-t4")
    answers = await asyncio.gather(
        *(outcome(desk.approve(first, request)) for _ in range(4)),
        *(outcome(desk.reject(second, request)) for _ in range(4)),
    )
    assert Counter(answers) == {"OK": 1, "REQUEST_CLOSED": 7}
    decided = desk.world.events("request.approved") + desk.world.events("request.rejected")
    assert len(decided) == 1
    assert len(desk.world.messages("FIRST_PASSWORD")) == len(desk.world.events("request.approved"))


@pytest.mark.rule("RQ-1")
async def test_of_submissions_in_parallel_one_is_taken(desk: Desk) -> None:
    desk.lock("li.na")
    manager, deputy = await desk.actor("chen.jing", "e1-t3"), await desk.actor("liu.yang", "e1-t4")
    answers = await asyncio.gather(
        *(outcome(desk.submit(who, "li.na", Kind.UNLOCK)) for who in (manager, deputy) for _ in range(3))
    )
    assert Counter(answers) == {"OK": 1, "ALREADY_EXISTS": 5}


async def test_one_call_sent_many_times_at_once_is_carried_out_once(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    manager, same = await desk.actor(EAST), retry()
    done = await asyncio.gather(*(desk.decisions.approve(manager, str(request.id), "", same) for _ in range(5)))
    assert len({each.request.decided_at for each in done}) == 1
    assert len(desk.world.messages("FIRST_PASSWORD")) == 1


@pytest.mark.rule("RQ-2")
async def test_two_officers_who_decide_for_each_other_at_once_do_not_wait_in_a_circle(desk: Desk) -> None:
    desk.world.hire(Hire(staff_id="he.jun", role="carrier-duty-officer", store="hq"))
    admin = await desk.actor("xu.qiang")
    requests = {who: await desk.submit(admin, who, Kind.REISSUE_PASSWORD) for who in (OFFICER, OTHER_OFFICER)}
    actors = {who: await desk.actor(who) for who in (OFFICER, OTHER_OFFICER)}
    answers = await asyncio.gather(
        outcome(desk.approve(actors[OFFICER], requests[OTHER_OFFICER])),
        outcome(desk.approve(actors[OTHER_OFFICER], requests[OFFICER])),
    )
    assert "STATE_CONFLICT" not in answers
    assert answers.count("OK") >= 1


async def granted(desk: Desk) -> str:
    desk.world.hire(Hire(staff_id="shift.boss", role="duty-manager", totp=True))
    clerk = await desk.actor("li.na")
    asked = await desk.ask_second(clerk, "1121")
    desk.world.advance(seconds=60)
    token = await desk.node.token("shift.boss", at="e1-t5", code=desk.world.code("shift.boss"))
    desk.world.advance(seconds=30)
    await desk.node.step_up(token, desk.world.code("shift.boss"))
    boss = await desk.node.actors.of(token, CRM)
    await desk.approve(boss, asked, approvals=True)
    return (await desk.approvals.get(clerk, str(asked.request.id))).grant


@pytest.mark.rule("RQ-7")
async def test_of_orders_that_redeem_one_grant_in_parallel_one_gets_it(desk: Desk) -> None:
    text = await granted(desk)
    orders = [f"order-{number % 4}" for number in range(12)]
    answers = await asyncio.gather(*(outcome(desk.approvals.redeem(CRM, text, order)) for order in orders))
    winners = {order for order, answer in zip(orders, answers, strict=True) if answer == "OK"}
    assert {f"{CRM}/{order}" for order in winners} == {desk.world.one("select order_id from auth.grants")}
    assert Counter(answers) == {"OK": 3, "GRANT_BOUND": 9}
    assert len(desk.world.events("grant.bound")) == 1


@pytest.mark.rule("RQ-7")
async def test_release_and_redemption_in_parallel_leave_one_order_or_none(desk: Desk) -> None:
    text = await granted(desk)
    await desk.approvals.redeem(CRM, text, "order-1")
    await asyncio.gather(
        outcome(desk.approvals.release(CRM, text, "order-1")),
        *(outcome(desk.approvals.redeem(CRM, text, f"order-{number}")) for number in (2, 3)),
    )
    bound = desk.world.one("select order_id from auth.grants")
    state = desk.world.one("select state from auth.requests where kind = 'approval'")
    assert state == ("approved" if bound is None else "carried-out")
    freed, taken = len(desk.world.events("grant.released")), len(desk.world.events("grant.bound"))
    assert taken - freed == (0 if bound is None else 1)


@pytest.mark.rule("RQ-4")
async def test_expiry_and_decision_in_parallel_agree(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.advance(hours=24)
    officer = await desk.actor(OFFICER)
    answers = await asyncio.gather(
        outcome(desk.approve(officer, request)), desk.sweep(), desk.sweep(), outcome(desk.approve(officer, request))
    )
    assert answers[0] == answers[3] == "REQUEST_CLOSED"
    assert desk.state(request) == "expired"
    assert len(desk.world.events("request.expired")) == 1
    assert desk.world.state("li.na") == "LOCKED"


@pytest.mark.rule("RQ-4")
async def test_delivery_and_lapse_in_parallel_end_one_way(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    await desk.approve(await desk.actor(EAST), request)
    await asyncio.gather(*(desk.delivered(request) for _ in range(4)))
    desk.world.advance(minutes=30)
    await desk.sweep()
    assert desk.state(request) == "carried-out"
    assert len(desk.world.events("request.carried-out")) == 1
    assert not desk.world.events("request.lapsed")


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize("staff", ["li.na", "no.such.one"])
async def test_parallel_requests_for_codes_do_not_pass_the_limit(desk: Desk, staff: str) -> None:
    calls = (desk.proofs.send(staff, TerminalId(f"e1-t{n % 5 + 1}"), CRM) for n in range(12))
    answers = Counter(await asyncio.gather(*(outcome(call) for call in calls)))
    assert answers == {"OK": 3, "RATE_LIMITED": 9}
    assert len(desk.world.messages("PROOF_CODE")) == (3 if staff == "li.na" else 0)


@pytest.mark.rule("RQ-1")
async def test_guessing_a_code_ends_after_five_tries_however_parallel(desk: Desk) -> None:
    challenge = await desk.proofs.send("li.na", TerminalId("e1-t1"), CRM)
    code = desk.world.messages("PROOF_CODE")[-1].text.split("\n")[1]
    wrong = [f"{(int(code) + n) % 10**6:06d}" for n in range(1, 6)]

    async def guess(text: str) -> str:
        at = TerminalId("e1-t1")
        return await outcome(desk.proofs.prove("li.na", at, CRM, challenge_id=str(challenge), code=Secret(text)))

    assert set(await asyncio.gather(*(guess(text) for text in wrong))) == {"PROOF_REFUSED"}
    assert await guess(code) == "PROOF_REFUSED"
    assert len(desk.world.events("proof.failed")) == 6


@pytest.mark.rule("RQ-1")
async def test_one_proof_used_in_parallel_carries_one_request(desk: Desk) -> None:
    desk.lock("li.na")
    proof = await desk.proof("li.na")
    answers = await asyncio.gather(*(outcome(desk.submit(proof, "li.na", Kind.UNLOCK)) for _ in range(5)))
    assert answers.count("OK") == 1
    assert desk.world.one("select count(*) from auth.requests") == 1


@pytest.mark.rule("RQ-7")
async def test_a_grant_bound_at_the_last_moment_is_not_lapsed_by_the_sweep(desk: Desk) -> None:
    text = await granted(desk)
    desk.world.advance(minutes=9, seconds=59)
    results = await asyncio.gather(outcome(desk.approvals.redeem(CRM, text, "order-1")), desk.sweep())
    assert results[0] == "OK"
    desk.world.clock.advance(timedelta(minutes=1))
    await desk.sweep()
    assert desk.world.one("select state from auth.requests where kind = 'approval'") == "carried-out"
    assert StoreId(desk.world.one("select store_id from auth.grants")) == "e1"
