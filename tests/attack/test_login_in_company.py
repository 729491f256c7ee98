"""Logins that are written together: what is wrong with one of them, or in its way, is nothing to the others (ID-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from authsvc.flows.company import Wish
from authsvc.hashing import PasswordHasher
from authsvc.store.places import Taken
from authsvc.store.staff import Tried
from infosec.errors import Reason, ResourceExhausted
from infosec.storage.postgres import Connection
from tests.sim.gates import GatedHasher
from tests.sim.login_nodes import REFUSED, LoginNode, login_node
from tests.sim.servers import sync_connection
from tests.sim.world import CHEAP, PASSWORD, Hire, World

DISCARDED = Reason.ATTEMPT_DISCARDED.value
CROWD = {f"one.{n}": f"e1-t{n + 1}" for n in range(4)}


@pytest.fixture
async def gated(world: World) -> tuple[LoginNode, GatedHasher]:
    world.hire(*(Hire(staff_id=staff, phone="13800000000") for staff in CROWD))
    hasher = GatedHasher(inner=PasswordHasher(CHEAP))
    return await login_node(world, hasher=hasher), hasher


async def _all_hashed(world: World, node: LoginNode, hasher: GatedHasher) -> list[asyncio.Task[str]]:
    """Everybody of the crowd before the gate, with their places taken."""
    calls = [asyncio.create_task(node.try_login(staff, at=at)) for staff, at in CROWD.items()]
    while hasher.waiting < len(CROWD):
        await asyncio.sleep(0.001)
    return calls


def transactions(world: World, *staff: str) -> int:
    """In how many transactions their sessions were written."""
    return int(world.one("select count(distinct xmin::text) from auth.sessions where staff_id = any(%s)", list(staff)))


OTHERS = ("one.0", "one.2", "one.3")


@pytest.mark.rule("ID-5")
async def test_a_crowd_is_let_in_each_with_one_session_and_one_record(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    hasher.gate.set()
    assert await asyncio.gather(*calls) == ["OK"] * len(CROWD)
    assert [len(world.live_sessions(staff)) for staff in CROWD] == [1] * len(CROWD)
    assert len(world.events("login.succeeded")) == len(CROWD)
    assert world.rows("select key from auth.attempt_places") == []
    assert transactions(world, *CROWD) == 1


@pytest.mark.rule("ID-5", "ID-8")
@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("update auth.staff set state = 'SUSPENDED' where staff_id = 'one.1'", REFUSED),
        ("update auth.credentials set hash = 'x' || hash where staff_id = 'one.1'", DISCARDED),
        ("delete from auth.attempt_places where key = 't:e1-t2'", DISCARDED),
        ("update auth.attempt_places set attempt_id = gen_random_uuid() where key = 't:e1-t2'", DISCARDED),
    ],
)
async def test_what_became_of_one_meanwhile_is_nothing_to_the_others(
    world: World, gated: tuple[LoginNode, GatedHasher], change: str, answer: str
) -> None:
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    world.rows(change)
    hasher.gate.set()
    assert await asyncio.gather(*calls) == ["OK", answer, "OK", "OK"]
    await node.attempts.drain()
    assert world.live_sessions("one.1") == []
    assert world.credentials("one.1")["failures"] == 0
    assert len(world.events("login.succeeded")) == 3
    assert transactions(world, *OTHERS) == 1


@pytest.mark.rule("ID-5", "ID-9")
@pytest.mark.parametrize(
    "locking",
    [
        "select from auth.staff where staff_id = 'one.1' for update",
        "select from auth.credentials where staff_id = 'one.1' for update",
        "select from auth.attempt_places where key = 't:e1-t2' for update",
    ],
)
async def test_nobody_waits_for_one_whom_somebody_else_has_locked(
    world: World, gated: tuple[LoginNode, GatedHasher], locking: str
) -> None:
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    with sync_connection(world.addresses.postgres) as other, other.transaction():
        other.execute(locking.encode())
        hasher.gate.set()
        assert await asyncio.gather(*(call for n, call in enumerate(calls) if n != 1)) == ["OK"] * 3
        assert not calls[1].done()
    assert await calls[1] == "OK"
    assert transactions(world, *OTHERS) == 1


@pytest.mark.rule("ID-5", "ID-11")
async def test_nobody_waits_for_a_failure_that_is_being_cleaned(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    digests = "select substring(key from 3), 'e1-t2' from auth.attempt_places where key like 's:%%'"
    world.rows(
        f"insert into auth.terminal_failures (attempt_key, terminal_id, failed_at) select d.*, now() from ({digests}) d"
    )
    with sync_connection(world.addresses.postgres) as other, other.transaction():
        other.execute(b"select from auth.terminal_failures for update")
        hasher.gate.set()
        assert await asyncio.gather(*calls) == ["OK"] * len(CROWD)
    assert transactions(world, *CROWD) == 1


@pytest.mark.rule("ID-5")
async def test_nobody_waits_for_a_place_that_somebody_else_has_in_hand(world: World) -> None:
    """A process that is stuck in a transaction keeps its place, and none but those who want it notice."""
    node = await login_node(world)
    await asyncio.gather(*(node.try_login("li.na", at=at) for at in CROWD.values()))
    world.rows("insert into auth.attempt_places values ('t:e1-t1', gen_random_uuid(), now() - interval '1 hour')")
    with sync_connection(world.addresses.postgres) as other, other.transaction():
        other.execute(b"delete from auth.attempt_places")
        waits = asyncio.create_task(node.try_login("li.na", at="e1-t1"))
        assert await node.try_login("wang.wei", at="e1-t2") == "OK"
        assert not waits.done()
    assert await waits == "OK"


@pytest.mark.rule("ID-5", "ID-9")
async def test_a_session_that_ended_meanwhile_is_not_ended_again(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    other = await login_node(world)
    await other.login("one.1", at="e1-t2")
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    world.rows("update auth.sessions set ended_at = %s, end_reason = 'logout'", world.clock.now())
    hasher.gate.set()
    assert await asyncio.gather(*calls) == ["OK"] * len(CROWD)
    assert world.events("session.ended") == []
    assert len(world.live_sessions("one.1")) == 1
    assert transactions(world, *OTHERS) == 1


@pytest.mark.rule("ID-9")
async def test_one_whose_clock_was_ahead_elsewhere_is_let_in_and_the_others_are_written_together_all_the_same(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    """Their live session seems older than one that has ended: the newest is not the live one."""
    other = await login_node(world)
    await other.login("one.1", at="e1-t2")
    ahead = world.clock.now() + timedelta(seconds=2)
    world.rows("update auth.sessions set started_at = %s, ended_at = %s, end_reason = 'logout'", ahead, ahead)
    live = (await other.login("one.1", at="e1-t2")).opened.session_id
    node, hasher = gated
    calls = await _all_hashed(world, node, hasher)
    hasher.gate.set()
    assert await asyncio.gather(*calls) == ["OK"] * len(CROWD)
    assert len(world.live_sessions("one.1")) == 1 and live not in world.live_sessions("one.1")
    assert transactions(world, *OTHERS) == 1


@pytest.mark.rule("ID-5")
async def test_who_hangs_up_in_the_moment_of_its_place_leaves_none_behind(world: World) -> None:
    node = await login_node(world)
    takes = node.attempts._company._takes
    take_all = takes._act

    async def taken_as_they_hang_up(wishes: Sequence[Wish]) -> Sequence[Tried | Taken]:
        outcomes = await take_all(wishes)
        asyncio.get_running_loop().call_soon(call.cancel)
        return outcomes

    takes._act = taken_as_they_hang_up
    call = asyncio.create_task(node.try_login("li.na", "wrong"))
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    await node.attempts.drain()
    assert world.rows("select key from auth.attempt_places") == []
    assert world.credentials("li.na")["failures"] == 0


@pytest.mark.rule("ID-5", "ID-7")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_without_a_connection_right_and_wrong_wait_for_one_once_and_are_sent_away_alike(
    world: World, gated: tuple[LoginNode, GatedHasher], password: str
) -> None:
    node, hasher = gated
    call = asyncio.create_task(node.try_login("one.1", password, at="e1-t2"))
    await hasher.arrived.wait()
    exhausted = [ResourceExhausted(Reason.OVERLOADED)]
    taken = node.works.db._taken

    async def none_the_first_time() -> Connection:
        if exhausted:
            raise exhausted.pop()
        return await taken()

    node.works.db._taken = none_the_first_time  # type: ignore[method-assign]
    hasher.gate.set()
    assert await call == Reason.OVERLOADED.value
    await node.attempts.drain()
    assert world.credentials("one.1")["failures"] == 0
    assert world.rows("select key from auth.attempt_places") == []
    assert await node.try_login("one.1", at="e1-t2") == "OK"
