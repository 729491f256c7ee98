"""PostgreSQL going away between and in the middle of steps: nobody is counted for it, and what was answered is there (ID-5)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from authsvc.hashing import PasswordHasher
from infosec.errors import InfosecError, Reason
from infosec.keys import KeyRing
from infosec.storage.embedded import EmbeddedServers
from infosec.storage.postgres import Database, PoolLimits
from tests.faults.operations import STAFF, right_login, wrong_login
from tests.faults.stages import LEASES_END, Case, Operation, Share, Stages, at_every_step
from tests.faults.stops import SteppedHasher
from tests.faults.victim import SteppedWorld
from tests.sim.links import Link
from tests.sim.login_nodes import REFUSED, LoginNode, login_node
from tests.sim.patience import connected
from tests.sim.servers import postgres_link_to
from tests.sim.world import CHEAP, World, build

AWAY = Reason.STORAGE_UNAVAILABLE.value


class ImpatientWorld(SteppedWorld):
    """Does not wait long for a connection, once it had its first."""

    async def database(self, limits: PoolLimits | None = None) -> Database:
        return await super().database(PoolLimits(max_size=4, wait_s=0.5))


@dataclass(kw_only=True)
class Cutter:
    """Does something to a link before one of the steps."""

    link: Link
    at: int
    how: str
    seen: int = 0

    async def __call__(self, _step: str) -> None:
        if self.seen == self.at:
            await asyncio.to_thread(getattr(self.link, self.how))
        self.seen += 1


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("how", ["cut", "lose_answers"])
@pytest.mark.parametrize("operation", [right_login, wrong_login], ids=lambda one: one.__name__)
async def test_a_failure_of_our_storage_is_answered_as_one_and_never_counted(
    stages: Stages, operation: Operation, how: str, share: Share
) -> None:
    stage = await stages.of(operation)
    decides = len(stage.steps) - 2
    # Carried out although its answer is lost: a commit; and a right login, which is one message, sent after the hash.
    sent = stage.steps.index("hash") - 1 if operation is right_login else decides
    assert stage.steps[decides] == ("execute" if operation is right_login else "commit")

    async def interrupted(case: Case, step: int) -> None:
        link = postgres_link_to(case.world.addresses.postgres)
        try:
            answer = await _log_in_over(link, case, step, how)
        finally:
            link.close()
        facts = case.facts()
        # Whose answer is lost was carried out, unless something else of the pool's was asked first: all of it or nothing.
        is_lost = sent <= step <= decides and how == "lose_answers"
        assert facts in ([stage.before, stage.after] if is_lost else [stage.after if step > decides else stage.before])
        assert answer == (stage.answer if step > decides else AWAY)
        node = (await case.desk()).node
        assert await node.try_login(STAFF) == "OK"
        assert case.world.credentials(STAFF)["failures"] == 0

    await at_every_step(stage, share, interrupted)


async def _log_in_over(link: Link, case: Case, step: int, how: str) -> str:
    """One login, whose way to PostgreSQL goes away at a step, and comes back at the end."""
    postgres = replace(case.world.addresses.postgres, host="localhost", port=link.port)
    world = ImpatientWorld(
        addresses=replace(case.world.addresses, postgres=postgres),
        keys=case.world.keys,
        keys_dir=case.world.keys_dir,
        clock=case.world.clock,
    )
    hasher = SteppedHasher(inner=PasswordHasher(CHEAP))
    node = await login_node(world, hasher=hasher)
    cutter = Cutter(link=link, at=step, how=how)
    await connected(world.databases[0])
    world.databases[0].stop = hasher.stop = cutter
    answer = await node.try_login(STAFF, case.told["password"], at=case.told["at"])
    link.heal()
    await world.close()
    return answer


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can reach, with a name that is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.rule("ID-5")
async def test_after_kill_9_of_the_engine_every_login_that_was_answered_is_there(place: Path, world_keys: Path) -> None:
    keys, people = KeyRing.load(world_keys), ("li.na", "wang.wei", "chen.jing", "liu.yang")
    servers = EmbeddedServers(place / "data", with_redis=False)
    addresses = await asyncio.to_thread(servers.launch)
    try:
        await build(addresses, keys)
        world = World(addresses=addresses, keys=keys, keys_dir=world_keys)
        node = await login_node(world)
        answered: dict[str, list[str]] = {who: [] for who in people}
        crowd = [
            asyncio.create_task(_until_it_fails(node, who, f"e1-t{n}", answered[who]))
            for n, who in enumerate(people, 1)
        ]
        while min(len(sessions) for sessions in answered.values()) < 6:
            await asyncio.sleep(0.001)
        os.kill(int((place / "data/engines/postgres.process").read_text().split()[0]), signal.SIGKILL)
        assert {await one for one in crowd} == {AWAY}
        await world.close()
        await asyncio.to_thread(servers.shutdown)
        again = World(addresses=await asyncio.to_thread(servers.launch), keys=keys, keys_dir=world_keys)
        kept = {row[0] for row in again.rows("select session_id from auth.sessions")}
        assert {session for sessions in answered.values() for session in sessions} <= kept
        assert len(again.events("login.succeeded")) == len(kept)
        assert again.one("select sum(failures) from auth.credentials") == 0
        again.rows(LEASES_END)
        node = await login_node(again)
        for n, who in enumerate(people, 1):
            assert len(again.live_sessions(who)) == 1
            assert await node.try_login(who, at=f"e1-t{n}") == "OK"
            assert await node.try_login(who, "wrong", at=f"e1-t{n}") == REFUSED
        await again.close()
    finally:
        await asyncio.to_thread(servers.shutdown)


async def _until_it_fails(node: LoginNode, who: str, at: str, answered: list[str]) -> str:
    """Log in again and again; the reason of the end."""
    while True:
        try:
            answered.append((await node.login(who, at=at)).opened.session_id)
        except InfosecError as error:
            return error.reason.value
