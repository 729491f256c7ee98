"""Every way to decide for oneself, or to decide what one may not (RQ-2, ID-8): each is refused, and the refusal recorded."""

from __future__ import annotations

import pytest

from authsvc.flows.attempts import totp_context
from authsvc.requests import Kind
from infosec.ids import RoleId, StaffId, StoreId
from infosec.keys import SealingKind
from infosec.secret import Secret
from tests.sim.login_nodes import outcome
from tests.sim.request_desk import Desk, request_desk, retry
from tests.sim.world import Hire, World, totp_secret

EAST, WEST, OFFICER, OTHER_OFFICER = "zhao.lei", "sun.yan", "zhou.tao", "wu.fang"


@pytest.fixture
async def desk(world: World) -> Desk:
    return await request_desk(world)


@pytest.mark.rule("RQ-2", "ID-8")
@pytest.mark.parametrize("who", [EAST, OFFICER, "xu.qiang", "hu.bin", "chen.jing", "li.na"])
@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_nobody_decides_what_they_asked_for_themselves(desk: Desk, who: str, verb: str) -> None:
    own = await desk.actor(who)
    request = await desk.submit(own, who, Kind.REBIND_PHONE, phone=Secret("13912345678"))
    decide = desk.approve if verb == "approve" else desk.reject
    assert await outcome(decide(own, request)) == "SELF_DECISION"
    assert desk.state(request) == "pending"
    assert desk.world.events("decision.refused")[-1]["facts"]["reason"] == "SELF_DECISION"


@pytest.mark.rule("RQ-2")
async def test_a_sole_manager_who_is_locked_out_is_decided_for_one_level_up(desk: Desk) -> None:
    own = await desk.actor(EAST)
    request = await desk.submit(own, EAST, Kind.MOVE_STORE, store_id=StoreId("e2"))
    assert request.level == "carrier-duty-officer"
    assert await outcome(desk.approve(own, request)) == "SELF_DECISION"


@pytest.mark.rule("RQ-2")
async def test_who_submitted_as_store_manager_does_not_decide_as_regional_manager_later(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.rows("update auth.staff set role_id = 'regional-manager' where staff_id = 'chen.jing'")
    sealed = desk.world.keys.sealing[SealingKind.TOTP].seal(
        totp_secret("chen.jing"), totp_context(StaffId("chen.jing"))
    )
    desk.world.rows("insert into auth.totp (staff_id, secret_sealed, active) values ('chen.jing', %s, true)", sealed)
    assert await outcome(desk.approve(await desk.actor("chen.jing"), request)) == "SELF_DECISION"


@pytest.mark.rule("RQ-2")
async def test_who_becomes_the_manager_after_being_locked_does_not_unlock_themselves(desk: Desk) -> None:
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.REISSUE_PASSWORD)
    desk.world.hire(Hire(staff_id="he.jun", role="regional-manager"))
    desk.world.rows("update auth.requests set subject_id = 'he.jun'")
    assert await outcome(desk.approve(await desk.actor("he.jun"), request)) == "SELF_DECISION"


@pytest.mark.rule("RQ-2")
async def test_a_manager_who_moved_away_after_the_submission_does_not_decide(desk: Desk) -> None:
    desk.world.hire(Hire(staff_id="he.jun", role="regional-manager"))
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    manager = await desk.actor("he.jun")
    desk.world.rows("update auth.staff set store_id = 'w1', region_id = 'west' where staff_id = 'he.jun'")
    assert await outcome(desk.approve(manager, request)) == "NOT_FOUND"


@pytest.mark.rule("RQ-2")
async def test_a_store_that_moved_to_another_region_takes_its_requests_along(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    before, after = await desk.actor(EAST, "e2-t1"), await desk.actor(WEST)
    desk.world.rows("update auth.stores set region_id = 'west' where store_id = 'e1'")
    assert await outcome(desk.approve(before, request)) == "NOT_FOUND"
    assert await outcome(desk.approve(after, request)) == "OK"


@pytest.mark.rule("RQ-2")
@pytest.mark.parametrize("change", ["state = 'SUSPENDED'", "role_id = 'clerk'"])
async def test_who_lost_the_power_between_login_and_decision_has_lost_it(desk: Desk, change: str) -> None:
    desk.world.hire(Hire(staff_id="he.jun", role="regional-manager"))
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    manager = await desk.actor("he.jun")
    desk.world.rows(f"update auth.staff set {change} where staff_id = 'he.jun'")
    assert await outcome(desk.approve(manager, request)) in ("NOT_PERMITTED", "NOT_FOUND")
    assert desk.world.state("li.na") == "LOCKED"


@pytest.mark.rule("RQ-2", "ID-8")
@pytest.mark.parametrize("who", ["xu.qiang", "hu.bin", "liu.yang", OFFICER, WEST, "wang.wei"])
async def test_no_other_role_decides_a_clerks_unlock(desk: Desk, who: str) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    actor = await desk.actor(who)
    assert await outcome(desk.approve(actor, request)) in ("NOT_PERMITTED", "NOT_FOUND")
    assert await outcome(desk.reject(actor, request)) in ("NOT_PERMITTED", "NOT_FOUND")
    assert desk.state(request) == "pending"


@pytest.mark.rule("RQ-2", "ID-8")
async def test_two_hats_do_not_make_two_people(desk: Desk) -> None:
    """An administrator who made themselves the subject, and one who asked, both stay out of it."""
    desk.world.hire(Hire(staff_id="he.jun", role="administrator", store="hq"))
    first = await desk.actor("xu.qiang")
    request = await desk.submit(first, "ma.li", Kind.CHANGE_ROLE, role_id=RoleId("auditor"))
    assert await outcome(desk.approve(await desk.actor("ma.li"), request)) == "SELF_DECISION"
    assert await outcome(desk.approve(first, request)) == "SELF_DECISION"


@pytest.mark.rule("RQ-2", "ID-8")
async def test_a_request_does_not_keep_its_low_level_when_its_subject_rises(desk: Desk) -> None:
    desk.lock("wang.wei")
    request = await desk.submit(await desk.actor("chen.jing"), "wang.wei", Kind.UNLOCK)
    desk.world.rows("update auth.staff set role_id = 'regional-manager' where staff_id = 'wang.wei'")
    assert await outcome(desk.approve(await desk.actor(EAST), request)) == "STATE_CONFLICT"
    assert desk.world.state("wang.wei") == "LOCKED"


@pytest.mark.rule("RQ-2")
async def test_only_who_submitted_withdraws(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    for who in ("liu.yang", EAST, "xu.qiang"):
        assert await outcome(desk.decisions.cancel(await desk.actor(who), str(request.id), retry())) == "NOT_FOUND"
    assert desk.state(request) == "pending"
