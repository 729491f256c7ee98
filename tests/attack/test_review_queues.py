"""A terminal that may not even try a staff ID keeps its owner waiting (ID-11: lockout is no weapon)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from authsvc.hashing import PasswordHasher, Verdict
from infosec.api.auth.v1 import login_pb2
from infosec.errors import Reason, ResourceExhausted
from infosec.rpc.server.builder import ServerLimits
from tests.sim.gates import GatedHasher
from tests.sim.login_nodes import login_node
from tests.sim.wire import serving
from tests.sim.world import CHEAP, World


@dataclass(kw_only=True)
class OneByOne(GatedHasher):
    """Who may not even try stands at the gate, which lets in one for each release; all others pass it."""

    passes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def verify(self, stored: str, password: str) -> Verdict:
        return await self.inner.verify(stored, password)

    async def verify_dummy(self, password: str) -> None:
        self.arrived.set()
        await self.passes.acquire()
        await self.inner.verify_dummy(password)


@pytest.mark.rule("ID-11", "ID-5")
async def test_a_crowd_from_one_terminal_stands_in_line_there_and_not_before_the_person(world: World) -> None:
    hasher = OneByOne(inner=PasswordHasher(CHEAP))
    node = await login_node(world, hasher=hasher)
    crowd = [asyncio.create_task(node.try_login("zhao.lei", "wrong 1 wrong", at="w1-t1")) for _ in range(150)]
    await hasher.arrived.wait()
    own = asyncio.create_task(node.try_login("zhao.lei", at="e1-t1", code=world.code("zhao.lei")))
    turns = node.attempts._turns._turns
    while max(turn.interested for key, turn in turns.items() if key.startswith("s:")) < 2:
        await asyncio.sleep(0.001)
    hasher.passes.release()
    assert await own == "OK"
    waiting = sum(not task.done() for task in crowd)
    for task in crowd:
        task.cancel()
    hasher.passes.release()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert waiting == 149, "one was before the person, and no other"
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
