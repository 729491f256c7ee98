"""What happens between taking a place and settling: an attempt that lost its place counts for nothing (ID-5)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from authsvc.hashing import PasswordHasher, PoolLimits, Target
from infosec.errors import InfosecError, Reason
from tests.sim.gates import GatedHasher
from tests.sim.login_nodes import REFUSED, LoginNode, login_node
from tests.sim.servers import postgres_link_to
from tests.sim.world import CHEAP, PASSWORD, World

DISCARDED = Reason.ATTEMPT_DISCARDED.value


@pytest.fixture
async def gated(world: World) -> tuple[LoginNode, GatedHasher]:
    hasher = GatedHasher(inner=PasswordHasher(CHEAP))
    return await login_node(world, hasher=hasher), hasher


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_an_attempt_that_slept_past_its_lease_is_discarded_unanswered(
    world: World, gated: tuple[LoginNode, GatedHasher], password: str
) -> None:
    sleeper, hasher = gated
    other = await login_node(world)
    slept = asyncio.create_task(sleeper.try_login("li.na", password))
    await hasher.arrived.wait()
    world.rows("update auth.attempt_places set expires_at = clock_timestamp() - interval '1 second'")
    assert await other.try_login("li.na", "wrong") == REFUSED
    hasher.gate.set()
    assert await slept == DISCARDED
    assert world.credentials("li.na")["failures"] == 1
    assert world.live_sessions("li.na") == []


@pytest.mark.rule("ID-5", "RQ-5")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_a_verdict_about_a_replaced_password_is_none(
    world: World, gated: tuple[LoginNode, GatedHasher], password: str
) -> None:
    node, hasher = gated
    call = asyncio.create_task(node.try_login("li.na", password))
    await hasher.arrived.wait()
    world.rows("update auth.credentials set hash = %s where staff_id = 'li.na'", CHEAP.hasher().hash("another"))
    hasher.gate.set()
    assert await call == DISCARDED
    assert world.credentials("li.na")["failures"] == 0
    assert world.live_sessions("li.na") == []


@pytest.mark.rule("ID-5", "ID-8")
@pytest.mark.parametrize("change", ["state = 'SUSPENDED'", "region_id = 'west'"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_what_became_of_the_person_meanwhile_counts(
    world: World, gated: tuple[LoginNode, GatedHasher], change: str, password: str
) -> None:
    node, hasher = gated
    call = asyncio.create_task(node.try_login("li.na", password))
    await hasher.arrived.wait()
    world.rows(f"update auth.staff set {change} where staff_id = 'li.na'")
    hasher.gate.set()
    assert await call == REFUSED
    assert world.credentials("li.na")["failures"] == 0
    assert world.live_sessions("li.na") == []


@pytest.mark.rule("ID-5")
async def test_nothing_holds_a_connection_or_a_transaction_while_hashing(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    node, hasher = gated
    calls = [asyncio.create_task(node.try_login(f"nobody.{n}", at=f"e1-t{n + 1}")) for n in range(5)]
    calls += [asyncio.create_task(node.try_login("nobody.0")) for _ in range(20)]
    while world.one("select count(*) from auth.attempt_places") < 10:
        await asyncio.sleep(0.001)
    held = (
        "select count(*) from pg_stat_activity where usename = 'auth_service' and state <> 'idle'"
        " and datname = current_database()"
    )
    while world.one(held):
        await asyncio.sleep(0.001)  # what is committed is seen a moment before its session is idle; the hashes go on
    hasher.gate.set()
    assert set(await asyncio.gather(*calls)) == {REFUSED}


@pytest.mark.rule("ID-5")
async def test_an_overloaded_hasher_counts_nothing_and_leaves_the_place_free(world: World) -> None:
    hasher = GatedHasher(inner=PasswordHasher(CHEAP, limits=PoolLimits(workers=1, max_waiting=0)))
    node = await login_node(world, hasher=hasher)
    hasher.inner._pool._under_way = 1
    assert await node.try_login("li.na", "wrong") == Reason.OVERLOADED.value
    hasher.inner._pool._under_way = 0
    hasher.gate.set()
    await node.attempts.drain()
    assert world.rows("select key from auth.attempt_places") == []
    assert world.credentials("li.na")["failures"] == 0
    assert await node.try_login("li.na") == "OK"


@pytest.mark.rule("ID-5")
async def test_who_waits_too_long_is_discarded_and_not_counted(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    first, hasher = gated
    impatient = await login_node(world, patience_s=0.05)
    holding = asyncio.create_task(first.try_login("li.na", "wrong"))
    await hasher.arrived.wait()
    assert await impatient.try_login("li.na", "wrong") == DISCARDED
    assert impatient.verified[Target.OWN] == 0
    hasher.gate.set()
    assert await holding == REFUSED
    assert world.credentials("li.na")["failures"] == 1


@pytest.mark.rule("ID-5")
async def test_a_failure_of_our_own_storage_is_never_counted(
    world: World, gated: tuple[LoginNode, GatedHasher]
) -> None:
    node, hasher = gated
    call = asyncio.create_task(node.login("li.na", "wrong"))
    await hasher.arrived.wait()
    world.rows("revoke update on auth.credentials from auth_service")
    hasher.gate.set()
    with pytest.raises(InfosecError) as failed:
        await call
    assert failed.value.reason is not Reason.LOGIN_REFUSED
    world.rows("grant update on auth.credentials to auth_service")
    await node.attempts.drain()
    assert world.credentials("li.na")["failures"] == 0
    assert await node.try_login("li.na") == "OK"


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_a_database_that_goes_away_in_between_is_said_and_not_counted(world: World, password: str) -> None:
    link = postgres_link_to(world.addresses.postgres)
    try:
        far = replace(world.addresses, postgres=replace(world.addresses.postgres, host="127.0.0.1", port=link.port))
        hasher = GatedHasher(inner=PasswordHasher(CHEAP))
        node = await login_node(replace(world, addresses=far, _stack=AsyncExitStack()), hasher=hasher)
        call = asyncio.create_task(node.try_login("li.na", password))
        await hasher.arrived.wait()
        link.cut()
        hasher.gate.set()
        assert await call == Reason.STORAGE_UNAVAILABLE.value
        await node.attempts.drain()
        assert world.credentials("li.na")["failures"] == 0
        assert world.live_sessions("li.na") == []
        await node.world.close()
    finally:
        link.close()


@pytest.mark.rule("ID-5")
async def test_too_many_on_one_id_are_sent_away_at_once(world: World, gated: tuple[LoginNode, GatedHasher]) -> None:
    node, hasher = gated
    calls = [asyncio.create_task(node.try_login("li.na", "wrong")) for _ in range(300)]
    await hasher.arrived.wait()
    hasher.gate.set()
    outcomes = await asyncio.gather(*calls)
    assert outcomes.count(Reason.OVERLOADED.value) == 300 - 257
    assert outcomes.count(REFUSED) == 257
