"""What a staff ID is bound to changes by request alone: phone, store, role, and what takes a second administrator (ID-8)."""

from __future__ import annotations

import pytest

from authsvc.requests import Kind
from authsvc.work import Work
from infosec.ids import RegionId, RoleId, StoreId
from infosec.secret import Secret
from tests.sim.login_nodes import outcome
from tests.sim.request_desk import Desk
from tests.sim.world import Hire, first_password_in

EAST, WEST, OFFICER = "zhao.lei", "sun.yan", "zhou.tao"
NEW = Secret("13912345678")


@pytest.mark.rule("ID-8", "RQ-1")
async def test_a_lost_phone_is_rebound_by_the_store_manager_and_the_old_phone_is_told(desk: Desk) -> None:
    assert (
        await outcome(desk.submit(await desk.actor("liu.yang"), "li.na", Kind.REBIND_PHONE, phone=NEW))
        == "NOT_PERMITTED"
    )
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.REBIND_PHONE, phone=NEW)
    assert request.change["phone"] == "139****5678"
    await desk.approve(await desk.actor(EAST), request)
    assert [each.phone for each in desk.world.messages("PHONE_CHANGED")] == ["13800000001"]
    first = desk.world.messages("FIRST_PASSWORD")[-1]
    assert first.phone == NEW.reveal()
    assert desk.world.state("li.na") == "ISSUED"
    assert await desk.node.try_login("li.na", first_password_in(first.text)) == "OK"


@pytest.mark.rule("ID-8", "ID-5")
async def test_rebinding_is_no_way_around_an_unlock(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.REBIND_PHONE, phone=NEW)
    await desk.approve(await desk.actor(EAST), request)
    assert (desk.world.state("li.na"), desk.state(request)) == ("LOCKED", "carried-out")
    assert not desk.world.messages("FIRST_PASSWORD")
    assert desk.world.messages("REQUEST_DECIDED")[-1].phone == NEW.reveal()
    await desk.submit(await desk.proof("li.na"), "li.na", Kind.UNLOCK)


@pytest.mark.rule("ID-8")
async def test_a_person_rebinds_their_own_phone_from_a_live_session(desk: Desk) -> None:
    own = await desk.actor("li.na")
    assert await outcome(desk.submit(own, "li.na", Kind.REBIND_PHONE, phone=Secret("13800000001"))) == "STATE_CONFLICT"
    assert (await desk.submit(own, "li.na", Kind.REBIND_PHONE, phone=NEW)).submitted_by == "li.na"


@pytest.mark.rule("ID-8")
async def test_with_the_old_device_gone_the_second_factor_is_enrolled_anew(desk: Desk) -> None:
    request = await desk.submit(await desk.actor("xu.qiang"), EAST, Kind.REBIND_PHONE, phone=NEW, reset_totp=True)
    assert request.level == "carrier-duty-officer"
    await desk.approve(await desk.actor(OFFICER), request)
    assert desk.world.rows("select active, secret_sealed from auth.totp where staff_id = %s", EAST) == [(False, None)]


async def test_a_phone_that_changed_while_the_password_was_made_gets_no_password(desk: Desk) -> None:
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.REISSUE_PASSWORD)
    manager = await desk.actor(EAST)
    prepare = desk.node.firsts.prepare

    async def slow(*args: object, **more: object) -> object:
        made = await prepare(*args, **more)  # type: ignore[arg-type]
        desk.world.rows("update auth.staff set phone_sealed = '\\x00' where staff_id = 'li.na'")
        return made

    desk.node.firsts.prepare = slow  # type: ignore[method-assign, assignment]
    assert await outcome(desk.approve(manager, request)) == "STATE_CONFLICT"
    assert not desk.world.messages("FIRST_PASSWORD")


@pytest.mark.rule("ID-8", "RQ-2")
async def test_a_move_between_regions_is_decided_where_the_person_is_now(desk: Desk) -> None:
    request = await desk.submit(await desk.actor("li.na"), "li.na", Kind.MOVE_STORE, store_id=StoreId("w1"))
    assert await outcome(desk.approve(await desk.actor(WEST), request)) == "NOT_FOUND"
    await desk.approve(await desk.actor(EAST), request)
    query = "select store_id, region_id, epoch from auth.staff where staff_id = 'li.na'"
    assert desk.world.rows(query) == [("w1", "west", 2)]
    assert desk.state(request) == "carried-out"
    assert desk.world.live_sessions("li.na") == []
    changes = desk.world.rows("select region_id from auth.changes where kind = 'staff' and entity_id = 'li.na'")
    assert {"east", "west"} <= {row[0] for row in changes}


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize(("store", "answer"), [("e1", "STATE_CONFLICT"), ("nowhere", "INVALID_ARGUMENT")])
async def test_a_move_must_lead_somewhere_else(desk: Desk, store: str, answer: str) -> None:
    move = desk.submit(await desk.actor("chen.jing"), "li.na", Kind.MOVE_STORE, store_id=StoreId(store))
    assert await outcome(move) == answer


@pytest.mark.rule("ID-8")
async def test_a_store_that_closed_in_the_meantime_takes_nobody(desk: Desk) -> None:
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.MOVE_STORE, store_id=StoreId("e2"))
    desk.world.rows("update auth.stores set is_closed = true where store_id = 'e2'")
    assert await outcome(desk.approve(await desk.actor(EAST), request)) == "STATE_CONFLICT"
    assert desk.state(request) == "pending"


@pytest.mark.rule("ID-8")
async def test_a_change_of_role_is_decided_by_the_region_and_flags_a_partner(desk: Desk) -> None:
    manager = await desk.actor("chen.jing")
    assert (
        await outcome(desk.submit(manager, "li.na", Kind.CHANGE_ROLE, role_id=RoleId("wizard"))) == "INVALID_ARGUMENT"
    )
    assert await outcome(desk.submit(manager, "li.na", Kind.CHANGE_ROLE, role_id=RoleId("clerk"))) == "STATE_CONFLICT"
    request = await desk.submit(manager, "li.na", Kind.CHANGE_ROLE, role_id=RoleId("partner-agent"))
    await desk.approve(await desk.actor(EAST), request)
    assert desk.world.rows("select role_id, is_partner from auth.staff where staff_id = 'li.na'") == [
        ("partner-agent", True)
    ]


@pytest.mark.rule("ID-8")
@pytest.mark.parametrize("role", ["regional-manager", "carrier-duty-officer", "auditor", "administrator"])
async def test_a_change_to_a_privileged_role_takes_two_administrators(desk: Desk, role: str) -> None:
    change = {"role_id": RoleId(role)}
    for who in ("li.na", "chen.jing", "liu.yang"):
        assert await outcome(desk.submit(await desk.actor(who), "li.na", Kind.CHANGE_ROLE, **change)) == "NOT_PERMITTED"
    first = await desk.actor("xu.qiang")
    request = await desk.submit(first, "li.na", Kind.CHANGE_ROLE, **change)
    assert request.level == "administrator"
    assert await outcome(desk.approve(first, request)) == "SELF_DECISION"
    assert await outcome(desk.approve(await desk.actor(EAST), request)) == "NOT_FOUND"
    await desk.approve(await desk.actor("ma.li"), request)
    assert desk.world.one("select role_id from auth.staff where staff_id = 'li.na'") == role


@pytest.mark.rule("ID-8")
async def test_with_one_administrator_there_is_nobody_to_approve(desk: Desk) -> None:
    desk.world.rows("update auth.staff set state = 'LOCKED' where staff_id = 'ma.li'")
    actor = await desk.actor("xu.qiang")
    assert await outcome(desk.submit(actor, "li.na", Kind.CHANGE_ROLE, role_id=RoleId("auditor"))) == "NO_APPROVER"


@pytest.mark.rule("ID-8", "CI-2")
@pytest.mark.parametrize("kind", [Kind.CREATE_PRIVILEGED, Kind.CHANGE_POLICY])
async def test_what_a_second_administrator_approves_is_done_in_the_approving_transaction(
    desk: Desk, kind: Kind
) -> None:
    first = await desk.actor("xu.qiang")

    async def ask(work: Work) -> object:
        return await desk.submissions.submit_to_administrators(
            work,
            first,
            kind=kind,
            subject_id="new.one" if kind is Kind.CREATE_PRIVILEGED else "role:trainer",
            region_id=RegionId("east"),
            store_id=StoreId("e1"),
            reason="新任",
            change={"summary": "新建片区经理"},
        )

    async with desk.node.works.begin() as work:
        request = await ask(work)
    assert await outcome(desk.approve(first, request)) == "SELF_DECISION"  # type: ignore[arg-type]
    await desk.approve(await desk.actor("ma.li"), request)  # type: ignore[arg-type]
    assert [each.kind for each in desk.effect.done] == [kind]
    assert desk.state(request) == "carried-out"  # type: ignore[arg-type]


@pytest.mark.rule("RQ-2")
@pytest.mark.parametrize(
    ("whom", "level"), [(EAST, OFFICER), (OFFICER, "wu.fang"), ("xu.qiang", OFFICER), ("hu.bin", OFFICER)]
)
async def test_requests_about_privileged_people_go_to_a_carrier_duty_officer(desk: Desk, whom: str, level: str) -> None:
    submitter = await desk.actor("ma.li")
    decider = await desk.actor(level)
    desk.lock(whom)
    request = await desk.submit(submitter, whom, Kind.UNLOCK)
    assert request.level == "carrier-duty-officer"
    await desk.approve(decider, request)
    assert desk.world.state(whom) == "ISSUED"


@pytest.mark.rule("RQ-2")
async def test_without_an_able_manager_in_the_region_it_goes_one_level_up_at_once(desk: Desk) -> None:
    desk.world.rows("update auth.staff set state = 'SUSPENDED' where staff_id = %s", EAST)
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    assert request.level == "carrier-duty-officer"


@pytest.mark.rule("RQ-2")
async def test_a_region_that_loses_its_manager_later_is_helped_one_level_up(desk: Desk) -> None:
    desk.lock("li.na")
    request = await desk.submit(await desk.actor("chen.jing"), "li.na", Kind.UNLOCK)
    desk.world.rows("update auth.staff set state = 'CLOSED' where staff_id = %s", EAST)
    await desk.sweep()
    assert desk.level(request) == "carrier-duty-officer"
    assert await outcome(desk.approve(await desk.actor(OFFICER), request)) == "OK"


@pytest.mark.rule("RQ-2")
async def test_nobody_at_all_is_said_at_submission(desk: Desk) -> None:
    manager = await desk.actor("chen.jing")
    desk.world.rows(
        "update auth.staff set state = 'SUSPENDED' where role_id in ('regional-manager', 'carrier-duty-officer')"
    )
    desk.lock("li.na")
    assert await outcome(desk.submit(manager, "li.na", Kind.UNLOCK)) == "NO_APPROVER"


@pytest.mark.rule("RQ-2")
async def test_two_who_decide_for_each_other_within_thirty_days_are_flagged(desk: Desk) -> None:
    desk.world.hire(Hire(staff_id="he.jun", role="carrier-duty-officer", store="hq"))
    officers = [await desk.actor(who) for who in (OFFICER, "wu.fang")]
    requests = [
        await desk.submit(officers[n], officers[n].staff_id, Kind.MOVE_STORE, store_id=StoreId("e1")) for n in (0, 1)
    ]
    desk.world.advance(seconds=60)
    first = await desk.approve(await desk.actor("wu.fang"), requests[0])
    assert first.request.flags == ()
    desk.world.rows("update auth.staff set store_id = 'hq', region_id = 'carrier' where staff_id = %s", OFFICER)
    second = await desk.approve(await desk.actor(OFFICER), requests[1])
    assert second.request.flags == ("RECIPROCAL",)
    assert desk.world.events("request.approved")[-1]["facts"]["flags"] == "RECIPROCAL"
