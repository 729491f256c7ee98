"""A terminal that may not even try a staff ID keeps its owner waiting (ID-11: lockout is no weapon)."""

from __future__ import annotations

import asyncio

import pytest

from tests.sim.login_nodes import login_node
from tests.sim.world import World


@pytest.mark.rule("ID-11", "ID-5")
async def test_a_crowd_from_one_terminal_stands_in_line_there_and_not_before_the_person(world: World) -> None:
    node = await login_node(world)
    crowd = [asyncio.create_task(node.try_login("zhao.lei", "wrong 1 wrong", at="w1-t1")) for _ in range(150)]
    await asyncio.sleep(0.05)
    own = await node.try_login("zhao.lei", at="e1-t1", code=world.code("zhao.lei"))
    waiting = sum(not task.done() for task in crowd)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert own == "OK"
    assert waiting > 75
    assert world.credentials("zhao.lei")["failures"] == 0
