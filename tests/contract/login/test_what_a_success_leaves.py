"""What a right password sets back, and what it leaves alone (ID-9, ID-11)."""

from __future__ import annotations

import pytest

from tests.sim.login_nodes import CRM, REFUSED, LoginNode, login_node, outcome
from tests.sim.world import World


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


def failing(world: World) -> dict[str, int]:
    """How many staff IDs fail at each terminal."""
    return dict(world.rows("select terminal_id, count(*) from auth.terminal_failures group by terminal_id"))


@pytest.mark.rule("ID-11")
async def test_a_success_makes_the_terminal_forget_this_staff_id_and_no_other(world: World, node: LoginNode) -> None:
    for staff in ("li.na", "wang.wei"):
        for terminal in ("e1-t1", "e1-t2"):
            assert await node.try_login(staff, "wrong", at=terminal) == REFUSED
    assert failing(world) == {"e1-t1": 2, "e1-t2": 2}
    await node.login("li.na", at="e1-t1")
    assert failing(world) == {"e1-t1": 1, "e1-t2": 2}


@pytest.mark.rule("ID-11")
async def test_who_came_in_after_all_does_not_stand_among_the_three_that_close_a_terminal(
    world: World, node: LoginNode
) -> None:
    await node.try_login("li.na", "wrong")
    await node.login("li.na")
    for staff in ("nobody.1", "nobody.2"):
        await node.try_login(staff, "wrong")
    assert await node.try_login("wang.wei") == "OK"
    await node.try_login("nobody.3", "wrong")
    assert await node.try_login("wang.wei") == REFUSED


@pytest.mark.rule("ID-9")
async def test_resuming_is_a_use_and_the_idle_time_begins_anew(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    await node.sessions.lock(token, CRM)
    world.advance(minutes=14)
    await node.resume(token)
    [(last_use,)] = world.rows("select last_seen from auth.sessions where staff_id = 'li.na'")
    assert last_use == world.clock.now()
    world.advance(minutes=14)
    await node.sweeps.end_sessions(world.clock.now())
    assert len(world.live_sessions("li.na")) == 1
    assert await outcome(node.actors.of(token, "crm")) == "OK"


@pytest.mark.rule("ID-9")
async def test_a_wrong_password_at_a_locked_session_is_no_use_of_it(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    await node.sessions.lock(token, CRM)
    world.advance(minutes=14)
    assert await outcome(node.resume(token, "wrong")) == REFUSED
    world.advance(minutes=5)
    assert await outcome(node.resume(token)) == "SESSION_ENDED"
