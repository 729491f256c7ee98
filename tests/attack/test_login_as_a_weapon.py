"""Lockout turned against a store: a terminal can lock few, and nobody of another region (ID-11)."""

from __future__ import annotations

import pytest

from authsvc.hashing import Target
from tests.sim.login_nodes import REFUSED, LoginNode, login_node
from tests.sim.world import Hire, World

CROWD = [f"clerk.{n:02}" for n in range(10)]


@pytest.fixture
async def node(world: World) -> LoginNode:
    world.hire(*(Hire(staff_id=staff) for staff in CROWD))
    return await login_node(world)


def _locked(world: World) -> list[str]:
    return [row[0] for row in world.rows("select staff_id from auth.staff where state = 'LOCKED' order by staff_id")]


@pytest.mark.rule("ID-11")
async def test_one_terminal_cannot_lock_more_than_three(world: World, node: LoginNode) -> None:
    for staff in CROWD:
        for _ in range(6):
            await node.try_login(staff, "wrong")
    assert _locked(world) == CROWD[:3]
    assert node.verified[Target.OWN] == 15
    assert [world.credentials(staff)["failures"] for staff in CROWD[3:]] == [0] * 7
    assert world.findings() == ["TERMINAL_REFUSED"]
    assert len(world.events("terminal.refused")) == 1


@pytest.mark.rule("ID-11")
async def test_nor_by_waiting_for_the_next_window(world: World, node: LoginNode) -> None:
    for staff in CROWD:
        for _ in range(6):
            await node.try_login(staff, "wrong")
        world.advance(minutes=11)
    assert _locked(world) == CROWD[:3]
    assert await node.try_login(CROWD[5]) == REFUSED  # four failures, and the terminal may lock no more
    assert await node.try_login(CROWD[5], at="e1-t2") == "OK"


@pytest.mark.rule("ID-11")
async def test_a_refused_terminal_refuses_the_right_password_too_and_is_free_after_the_window(
    world: World, node: LoginNode
) -> None:
    for staff in ("nobody.1", "nobody.2", "nobody.3"):
        await node.try_login(staff, "wrong")
    assert await node.try_login("li.na") == REFUSED
    assert await node.try_login("li.na", at="e1-t2") == "OK"
    world.advance(minutes=9)
    assert await node.try_login("li.na") == REFUSED
    world.advance(minutes=2)
    assert await node.try_login("li.na") == "OK"


@pytest.mark.rule("ID-11")
async def test_a_clerk_who_mistyped_and_then_came_in_does_not_add_to_the_terminals_failures(
    world: World, node: LoginNode
) -> None:
    for staff in CROWD:
        assert await node.try_login(staff, "wrong") == REFUSED
        assert await node.try_login(staff) == "OK"
    assert world.findings() == []


@pytest.mark.rule("ID-11", "ID-7")
@pytest.mark.parametrize("staff", ["nobody.here", "li.na", "ouyang.xue", "is.locked"])
async def test_the_terminals_refusal_does_not_tell_what_a_staff_id_is(
    world: World, node: LoginNode, staff: str
) -> None:
    world.hire(Hire(staff_id="is.locked", state="LOCKED"))
    for tried in (staff, "nobody.1", "nobody.2"):
        await node.try_login(tried, "wrong")
    assert await node.try_login(CROWD[0]) == REFUSED


@pytest.mark.rule("ID-11")
@pytest.mark.parametrize("approver", ["sun.yan", "zhou.tao"])
async def test_an_approver_of_another_region_cannot_be_locked_from_here(
    world: World, node: LoginNode, approver: str
) -> None:
    for terminal in range(1, 6):
        for _ in range(6):
            assert await node.try_login(approver, "wrong", at=f"e1-t{terminal}") == REFUSED
    assert world.state(approver) == "ACTIVE"
    assert world.credentials(approver)["failures"] == 0
    assert node.verified[Target.OWN] == 0
    assert set(world.findings()) == {"OUT_OF_REGION"}


@pytest.mark.rule("ID-11", "ID-9")
async def test_a_retired_terminal_and_an_unregistered_system_get_nowhere(world: World, node: LoginNode) -> None:
    world.rows("update auth.terminals set is_retired = true where terminal_id = 'e1-t5'")
    assert await node.try_login("li.na", at="e1-t5") == REFUSED
    assert await node.try_login("zhang.min", at="e2-t1", system="queue") == "CALLER_OUT_OF_PLACE"
    assert await node.try_login("li.na", at="no-such") == "CALLER_OUT_OF_PLACE"
    assert await node.try_login("li.na", system="queue") == "OK"
    world.rows("update auth.systems set is_retired = true where system_id = 'queue'")
    assert await node.try_login("li.na", system="queue") == "CALLER_OUT_OF_PLACE"
    assert node.verified[Target.OWN] == 1
