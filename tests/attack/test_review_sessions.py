"""A token outlives the registration of its system, and a locked session the person who left it (ID-9)."""

from __future__ import annotations

import pytest

from authsvc.requests import Kind
from infosec.ids import SystemId
from infosec.secret import Secret
from tests.sim.login_nodes import CRM, LoginNode, login_node, outcome
from tests.sim.request_desk import request_desk
from tests.sim.world import World


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


@pytest.mark.rule("ID-9", "RQ-2")
@pytest.mark.parametrize("change", ["is_retired = true", "store_ids = '{w1}'"])
async def test_a_system_acts_with_no_token_where_it_is_not_registered_any_more(node: LoginNode, change: str) -> None:
    desk = await request_desk(node.world, node)
    asked = await desk.submit(await desk.actor("li.na"), "li.na", Kind.REISSUE_PASSWORD)
    node.world.advance(seconds=60)
    token = await node.token("zhao.lei", code=node.world.code("zhao.lei"))
    node.world.advance(seconds=30)
    await node.step_up(token, node.world.code("zhao.lei"))
    node.world.rows(f"update auth.systems set {change} where system_id = 'crm'")
    assert await outcome(node.actors.of(token, CRM)) == "CALLER_OUT_OF_PLACE"
    issued = node.sessions.token_for(token, CRM, target=SystemId("pos"))
    assert await outcome(issued) == "CALLER_OUT_OF_PLACE"
    assert await outcome(node.sessions.lock(token, CRM)) == "CALLER_OUT_OF_PLACE"
    assert desk.state(asked) == "pending"
    assert await outcome(node.sessions.logout(token, CRM)) == "OK"  # what takes power away stays possible


@pytest.mark.rule("ID-9")
async def test_a_locked_session_that_its_system_goes_on_asking_about_ends_idle(node: LoginNode) -> None:
    token = await node.token("li.na")
    await node.sessions.lock(token, CRM)
    for _ in range(6):
        node.world.advance(minutes=3)
        await outcome(node.actors.of(token, CRM))
        await outcome(node.sessions.lock(token, CRM))
        await outcome(node.sessions.resume(token, CRM, password=Secret("not the password 1")) if _ == 0 else _none())
    node.world.advance(seconds=1)
    assert await outcome(node.actors.of(token, CRM)) == "SESSION_ENDED"


async def _none() -> None:
    return None
