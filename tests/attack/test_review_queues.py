"""A terminal that may not even try a staff ID keeps its owner waiting (ID-11: lockout is no weapon)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from authsvc.hashing import Target
from infosec.api.auth.v1 import login_pb2
from infosec.errors import Reason, ResourceExhausted
from infosec.rpc.server.builder import ServerLimits
from tests.sim.login_nodes import login_node
from tests.sim.wire import serving
from tests.sim.world import World


@pytest.mark.rule("ID-11", "ID-5")
async def test_a_crowd_from_one_terminal_stands_in_line_there_and_not_before_the_person(world: World) -> None:
    node = await login_node(world)
    crowd = [asyncio.create_task(node.try_login("zhao.lei", "wrong 1 wrong", at="w1-t1")) for _ in range(150)]
    while not node.verified[Target.DUMMY]:
        await asyncio.sleep(0.001)
    own = await node.try_login("zhao.lei", at="e1-t1", code=world.code("zhao.lei"))
    waiting = sum(not task.done() for task in crowd)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert own == "OK"
    assert waiting > 75
    assert world.credentials("zhao.lei")["failures"] == 0


@pytest.mark.rule("ID-11")
async def test_a_crowd_at_one_service_leaves_places_at_the_others_and_to_other_callers(tmp_path: Path) -> None:
    gate, inside = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(_request: object) -> object:
        inside.release()
        await gate.wait()
        return login_pb2.LoginResponse(token="t")

    limits = ServerLimits(max_calls=4, max_caller_calls=3)
    async with serving(tmp_path, limits=limits) as wire, wire.suite() as suite:
        wire.login.login.act = wait
        crowd = [asyncio.create_task(suite.login.login("li.na", "x", terminal_id="t")) for _ in range(3)]
        for _ in crowd:
            await inside.acquire()
        with pytest.raises(ResourceExhausted) as full:
            await suite.login.login("li.na", "x", terminal_id="t")
        assert full.value.reason is Reason.OVERLOADED and full.value.retry_after is not None
        await suite.check.check("t", "1302", store_id="e1", terminal_id="t")  # another service answers
        gate.set()
        await asyncio.gather(*crowd)
