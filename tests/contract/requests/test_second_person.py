"""Second-person approval of one operation (RQ-7): asked, decided, granted, bound to one order."""

from __future__ import annotations

import json

import pytest

from authsvc.flows.approvals import Seen
from authsvc.store.requests import Page
from infosec.decision.grants import open_grant
from infosec.ids import StoreId, SystemId
from infosec.keys import SigningKind
from tests.sim.forging import altered
from tests.sim.login_nodes import CRM, outcome
from tests.sim.request_desk import Desk
from tests.sim.world import INSTALLATION, Hire


@pytest.fixture
def halls(desk: Desk) -> Desk:
    """Managers of e1 with a second factor."""
    desk.world.hire(
        Hire(staff_id="shop.boss", role="store-manager", totp=True),
        Hire(staff_id="shift.boss", role="duty-manager", totp=True),
        Hire(staff_id="other.boss", role="store-manager", store="e2", totp=True),
    )
    return desk


async def boss(desk: Desk, staff: str, at: str = "e1-t5") -> object:
    """A manager in a session with a step-up."""
    desk.world.advance(seconds=90)
    token = await desk.node.token(staff, at=at, code=desk.world.code(staff))
    desk.world.advance(seconds=30)
    await desk.node.step_up(token, desk.world.code(staff))
    return await desk.node.actors.of(token, CRM)


async def granted(desk: Desk) -> tuple[Seen, str]:
    """A clerk's reversal, approved; with the grant."""
    clerk = await desk.actor("li.na")
    asked = await desk.ask_second(clerk, "1121")
    await desk.approve(await boss(desk, "shift.boss"), asked, approvals=True)  # type: ignore[arg-type]
    seen = await desk.approvals.get(clerk, str(asked.request.id))
    return seen, seen.grant


@pytest.mark.rule("RQ-7")
async def test_the_grant_names_one_operation_one_customer_one_person_one_store_for_minutes(halls: Desk) -> None:
    seen, text = await granted(halls)
    keys = {"grant-approval": halls.world.keys.signing[SigningKind.GRANT_APPROVAL].public_keys()}
    grant = open_grant(text, keys, INSTALLATION)
    assert (grant.operation, grant.person, grant.store) == ("1121", "li.na", "e1")
    assert (grant.approver, grant.approver_role) == ("shift.boss", "duty-manager")
    assert grant.customer is not None and len(grant.customer) == 32
    assert grant.expires_s - grant.issued_s <= 900
    assert "13700001111" not in json.dumps(halls.world.rows("select row_to_json(r)::text from auth.requests r"))
    assert seen.request.state == "approved"


@pytest.mark.rule("RQ-7")
async def test_only_the_person_who_asked_is_shown_the_grant(halls: Desk) -> None:
    seen, text = await granted(halls)
    assert text
    for who in ("shift.boss", "shop.boss"):
        assert (await halls.approvals.get(await boss(halls, who), str(seen.request.id))).grant == ""  # type: ignore[arg-type]
    assert await outcome(halls.approvals.get(await halls.actor("ouyang.xue"), str(seen.request.id))) == "NOT_FOUND"


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize(
    ("operation", "customer", "answer"),
    [
        ("1121", "13700001111", "OK"),
        ("x001", "13700001111", "OK"),
        ("1500", "13700001111", "NOT_PERMITTED"),
        ("x004", "13700001111", "NOT_PERMITTED"),
        ("zzzz", "13700001111", "NOT_PERMITTED"),
        ("1121", None, "INVALID_ARGUMENT"),
    ],
)
async def test_only_what_needs_a_second_person_and_is_the_roles_own_is_asked(
    halls: Desk, operation: str, customer: str | None, answer: str
) -> None:
    assert await outcome(halls.ask_second(await halls.actor("li.na"), operation, customer)) == answer


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize(
    ("operation", "decider", "at", "answer"),
    [
        ("1121", "shift.boss", "e1-t5", "OK"),
        ("1121", "shop.boss", "e1-t5", "OK"),
        ("1121", "other.boss", "e2-t5", "NOT_FOUND"),
        ("1121", "zhao.lei", "e1-t5", "NOT_FOUND"),
        ("x001", "shop.boss", "e1-t5", "OK"),
        ("x001", "shift.boss", "e1-t5", "NOT_PERMITTED"),
    ],
)
async def test_the_role_that_the_operation_names_decides_in_that_store(
    halls: Desk, operation: str, decider: str, at: str, answer: str
) -> None:
    asked = await halls.ask_second(await halls.actor("li.na"), operation)
    decide = halls.approve(await boss(halls, decider, at), asked, approvals=True)  # type: ignore[arg-type]
    assert await outcome(decide) == answer


@pytest.mark.rule("RQ-7")
async def test_an_auditors_bulk_export_is_decided_by_a_regional_manager(halls: Desk) -> None:
    asked = await halls.ask_second(await halls.actor("hu.bin"), "x005", None)
    assert asked.request.decider_roles == ("regional-manager",)
    await halls.approve(await halls.actor("zhao.lei"), asked, approvals=True)
    assert halls.state(asked) == "approved"


@pytest.mark.rule("RQ-7", "RQ-2")
async def test_a_store_manager_asks_the_regional_manager_and_never_decides_alone(halls: Desk) -> None:
    own = await boss(halls, "shop.boss")
    asked = await halls.ask_second(own, "x001")  # type: ignore[arg-type]
    assert await outcome(halls.approve(own, asked, approvals=True)) == "SELF_DECISION"  # type: ignore[arg-type]
    assert halls.world.events("decision.refused")[-1]["facts"]["staff_id"] == "shop.boss"
    await halls.approve(await halls.actor("zhao.lei"), asked, approvals=True)
    assert halls.state(asked) == "approved"


@pytest.mark.rule("RQ-7")
async def test_where_nobody_can_decide_it_is_said_at_once(desk: Desk) -> None:
    desk.world.rows("update auth.staff set state = 'LOCKED' where staff_id in ('chen.jing', 'liu.yang')")
    assert await outcome(desk.ask_second(await desk.actor("li.na"), "1121")) == "NO_APPROVER"


@pytest.mark.rule("RQ-7", "RQ-3")
async def test_a_second_person_needs_a_step_up_of_their_own_session(halls: Desk) -> None:
    asked = await halls.ask_second(await halls.actor("li.na"), "1121")
    token = await halls.node.token("shift.boss", at="e1-t5", code=halls.world.code("shift.boss"))
    actor = await halls.node.actors.of(token, CRM)
    halls.world.advance(minutes=6)
    assert await outcome(halls.approve(actor, asked, approvals=True)) == "STEP_UP_REQUIRED"


@pytest.mark.rule("RQ-7")
async def test_neither_face_knows_the_requests_of_the_other(halls: Desk) -> None:
    asked = await halls.ask_second(await halls.actor("li.na"), "1121")
    actor = await boss(halls, "shift.boss")
    assert await outcome(halls.approve(actor, asked)) == "NOT_FOUND"  # type: ignore[arg-type]
    assert await outcome(halls.submissions.get(actor, str(asked.request.id))) == "NOT_FOUND"  # type: ignore[arg-type]


@pytest.mark.rule("RQ-7", "RQ-4")
async def test_a_grant_is_bound_to_one_order_which_may_come_again(halls: Desk) -> None:
    seen, text = await granted(halls)
    first = await halls.approvals.redeem(CRM, text, "order-1")
    assert (first.region_id, halls.state(seen)) == ("east", "carried-out")
    assert await halls.approvals.redeem(CRM, text, "order-1") == first
    assert await outcome(halls.approvals.redeem(CRM, text, "order-2")) == "GRANT_BOUND"
    assert await outcome(halls.approvals.redeem(SystemId("pos"), text, "order-1")) == "GRANT_BOUND"
    query = "select count(*) from auth.changes where kind = 'grant' and region_id = 'east'"
    assert halls.world.one(query) == 1


@pytest.mark.rule("RQ-7")
async def test_only_the_same_order_frees_it_and_then_another_may_have_it(halls: Desk) -> None:
    seen, text = await granted(halls)
    await halls.approvals.redeem(CRM, text, "order-1")
    assert await outcome(halls.approvals.release(CRM, text, "order-2")) == "GRANT_BOUND"
    freed = await halls.approvals.release(CRM, text, "order-1")
    assert halls.state(seen) == "approved"
    assert await halls.approvals.release(CRM, text, "order-1") == freed
    assert await outcome(halls.approvals.redeem(CRM, text, "order-2")) == "OK"


@pytest.mark.rule("RQ-7")
async def test_a_binding_is_final_at_the_grants_end(halls: Desk) -> None:
    _, text = await granted(halls)
    await halls.approvals.redeem(CRM, text, "order-1")
    halls.world.advance(minutes=10)
    assert await outcome(halls.approvals.release(CRM, text, "order-1")) == "GRANT_INVALID"
    assert await outcome(halls.approvals.redeem(CRM, text, "order-1")) == "OK"


@pytest.mark.rule("RQ-4", "RQ-7")
async def test_a_grant_that_is_not_bound_in_time_is_gone(halls: Desk) -> None:
    seen, text = await granted(halls)
    halls.world.advance(minutes=10)
    assert await outcome(halls.approvals.redeem(CRM, text, "order-1")) == "GRANT_INVALID"
    await halls.sweep()
    assert halls.state(seen) == "lapsed"
    clerk = await halls.actor("li.na")
    assert (await halls.approvals.get(clerk, str(seen.request.id))).grant == ""


@pytest.mark.rule("RQ-7")
async def test_a_grant_for_a_named_order_is_good_for_no_other(halls: Desk) -> None:
    clerk = await halls.actor("li.na")
    asked = await halls.ask_second(clerk, "1121", order_id="order-1")
    await halls.approve(await boss(halls, "shift.boss"), asked, approvals=True)  # type: ignore[arg-type]
    text = (await halls.approvals.get(clerk, str(asked.request.id))).grant
    assert await outcome(halls.approvals.redeem(CRM, text, "order-2")) == "GRANT_BOUND"
    assert await outcome(halls.approvals.redeem(CRM, text, "order-1")) == "OK"


@pytest.mark.rule("RQ-7")
async def test_only_systems_of_the_store_redeem(halls: Desk) -> None:
    _, text = await granted(halls)
    halls.world.rows("insert into auth.systems (system_id, store_ids) values ('far', '{w1}')")
    assert await outcome(halls.approvals.redeem(SystemId("far"), text, "order-1")) == "CALLER_OUT_OF_PLACE"
    assert await outcome(halls.approvals.redeem(SystemId("queue"), text, "order-1")) == "OK"
    assert await outcome(halls.approvals.redeem(CRM, altered(text, -2), "order-1")) == "GRANT_INVALID"


@pytest.mark.rule("RQ-7")
async def test_an_undecided_approval_expires_in_minutes(halls: Desk) -> None:
    asked = await halls.ask_second(await halls.actor("li.na"), "1121")
    halls.world.advance(minutes=30)
    decide = halls.approve(await boss(halls, "shift.boss"), asked, approvals=True)  # type: ignore[arg-type]
    assert await outcome(decide) == "REQUEST_CLOSED"
    await halls.sweep()
    assert halls.state(asked) == "expired"
    assert not halls.world.messages("REQUEST_DECIDED")


async def test_lists_show_what_i_asked_for_and_what_i_may_decide(halls: Desk) -> None:
    clerk = await halls.actor("li.na")
    asked = await halls.ask_second(clerk, "1121")
    page = Page(size=9, approvals=True)
    decidable = Page(size=9, approvals=True, decidable=True)
    chief = await boss(halls, "shift.boss")
    assert [each.id for each in await halls.approvals.page(clerk, page)] == [asked.request.id]
    assert await halls.approvals.page(clerk, decidable) == []
    assert [each.id for each in await halls.approvals.page(chief, decidable)] == [asked.request.id]  # type: ignore[arg-type]
    assert await halls.submissions.page(clerk, Page(size=9, approvals=False)) == []
    assert asked.request.store_id == StoreId("e1")
