"""Whatever ends a permission reaches the decision at every node, told by a hint or found by polling."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb

from authsvc.flows.transitions import end_session, move
from authsvc.policy_codec import role_body
from authsvc.sessions import EndReason
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import changes, grants
from authsvc.store.grants import IssuedGrant
from authsvc.work import ChangeKind, Work
from infosec.decision.grants import GrantId, order_key
from infosec.decision.roles import ROLES
from infosec.ids import CARRIER, RegionId, RoleId, StaffId, StoreId, SystemId
from infosec.keys import MacKind
from infosec.storage.redis import Hint, Hints
from tests.sim.check_nodes import PAY, CheckNode, check_node, until
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.world import World

EAST = RegionId("east")
LI = StaffId("li.na")


async def two_nodes(world: World) -> tuple[LoginNode, CheckNode, CheckNode]:
    return await login_node(world), await check_node(world), await check_node(world)


async def everywhere(nodes: tuple[CheckNode, ...], token: str, reason: str, **facts: object) -> None:
    for node in nodes:
        await node.soon(token, reason, **facts)


async def _locked(work: Work) -> None:
    await move(work, LI, EAST, StaffState.ACTIVE, StaffEvent.FIFTH_FAILURE, EndReason.LOCKED)


async def _suspended(work: Work) -> None:
    await move(work, LI, EAST, StaffState.ACTIVE, StaffEvent.SUSPEND, EndReason.SUSPENDED)


async def _logged_out(work: Work) -> None:
    await end_session(work, LI, EndReason.LOGOUT)


async def _session_locked(work: Work) -> None:
    await work.conn.execute("update auth.sessions set is_locked = true where staff_id = 'li.na'")
    row = await (await work.conn.execute("select session_id from auth.sessions where staff_id = 'li.na'")).fetchone()
    assert row is not None
    work.change(EAST, ChangeKind.SESSION, row[0])


async def _other_role(work: Work) -> None:
    await work.conn.execute("update auth.staff set role_id = 'receptionist' where staff_id = 'li.na'")
    work.change(EAST, ChangeKind.STAFF, LI)


async def _moved(work: Work) -> None:
    await work.conn.execute("update auth.staff set store_id = 'e2' where staff_id = 'li.na'")
    work.change(EAST, ChangeKind.STAFF, LI)


async def _password_ended(work: Work) -> None:
    ended = work.now - timedelta(seconds=1)
    await work.conn.execute("update auth.credentials set ends_at = %s where staff_id = 'li.na'", (ended,))
    work.change(EAST, ChangeKind.STAFF, LI)


async def _terminal_retired(work: Work) -> None:
    await work.conn.execute("update auth.terminals set is_retired = true where terminal_id = 'e1-t1'")
    work.change(EAST, ChangeKind.TERMINAL, "e1-t1")


async def _store_closed(work: Work) -> None:
    await work.conn.execute("update auth.stores set is_closed = true where store_id = 'e1'")
    work.change(EAST, ChangeKind.STORE, "e1")


async def _holiday(work: Work) -> None:
    day = Jsonb([{"date": "2026-03-02", "is_closed": True}])
    await work.conn.execute("update auth.stores set special_days = %s where store_id = 'e1'", (day,))
    work.change(EAST, ChangeKind.STORE, "e1")


async def _short_day(work: Work) -> None:
    hours = Jsonb([{"weekday": 2, "opens_at_min": 480, "closes_at_min": 1200}])
    await work.conn.execute("update auth.stores set hours = %s where store_id = 'e1'", (hours,))
    work.change(EAST, ChangeKind.STORE, "e1")


async def _unregistered(work: Work) -> None:
    await work.conn.execute("update auth.systems set store_ids = '{w1}' where system_id = 'crm'")
    work.change(CARRIER, ChangeKind.SYSTEM, "crm")


async def _retired_system(work: Work) -> None:
    await work.conn.execute("update auth.systems set is_retired = true where system_id = 'crm'")
    work.change(CARRIER, ChangeKind.SYSTEM, "crm")


async def _role_changed(work: Work) -> None:
    body = role_body(ROLES[RoleId("clerk")])
    body["permissions"] = {}
    await work.conn.execute("update auth.roles set body = %s where role_id = 'clerk'", (Jsonb(body),))
    work.change(CARRIER, ChangeKind.ROLE, "clerk")


async def _operation_gone(work: Work) -> None:
    await work.conn.execute("update auth.operations set body = '{}' where code = %s", (PAY,))
    work.change(CARRIER, ChangeKind.OPERATION, PAY)


REVOCATIONS = {
    "lock": (_locked, "SESSION_ENDED"),
    "suspension": (_suspended, "SESSION_ENDED"),
    "log-out": (_logged_out, "SESSION_ENDED"),
    "session locked": (_session_locked, "SESSION_LOCKED"),
    "role change": (_other_role, "OPERATION_NOT_PERMITTED"),
    "store move": (_moved, "OUT_OF_SCOPE"),
    "password at its end": (_password_ended, "PASSWORD_ENDED"),
    "terminal retired": (_terminal_retired, "TERMINAL_OUT_OF_PLACE"),
    "store closed for good": (_store_closed, "STORE_CLOSED"),
    "store shut today": (_holiday, "OUT_OF_HOURS"),
    "other hours": (_short_day, "OUT_OF_HOURS"),
    "system unregistered": (_unregistered, "SYSTEM_NOT_REGISTERED"),
    "system retired": (_retired_system, "SYSTEM_NOT_REGISTERED"),
    "the role's permissions": (_role_changed, "OPERATION_NOT_PERMITTED"),
    "an operation that cannot be read": (_operation_gone, "OPERATION_UNKNOWN"),
}


@pytest.mark.rule("CI-2", "ID-4", "ID-9")
@pytest.mark.parametrize("what", REVOCATIONS)
async def test_a_revocation_reaches_every_node(world: World, what: str) -> None:
    login, *nodes = await two_nodes(world)
    token = await login.token("li.na")
    await everywhere(tuple(nodes), token, "OK")
    revoke, reason = REVOCATIONS[what]
    async with login.works.begin() as work:
        await revoke(work)
    await everywhere(tuple(nodes), token, reason)


@pytest.mark.rule("CI-2")
async def test_who_demands_the_revision_of_a_revocation_is_never_allowed_after_it(world: World) -> None:
    login, *nodes = await two_nodes(world)
    for _ in range(5):
        token = await login.token("li.na")
        await everywhere(tuple(nodes), token, "OK")
        async with login.works.begin() as work:
            await _logged_out(work)
        at_least = tuple(work.revisions.items())
        answers = await asyncio.gather(*(node.reason(token, at_least=at_least) for node in nodes for _ in range(20)))
        assert set(answers) == {"SESSION_ENDED"}


@pytest.mark.rule("ID-9")
async def test_a_login_at_another_terminal_ends_the_old_session_at_every_node(world: World) -> None:
    login, *nodes = await two_nodes(world)
    first = await login.token("li.na")
    await everywhere(tuple(nodes), first, "OK")
    second = await login.token("li.na", at="e1-t2")
    await everywhere(tuple(nodes), first, "SESSION_ENDED")
    await everywhere(tuple(nodes), second, "OK", terminal="e1-t2")


@pytest.mark.rule("ID-4")
async def test_a_changed_password_moves_the_end_at_every_node(world: World) -> None:
    login, *nodes = await two_nodes(world)
    token = await login.token("li.na")
    await login.change(token, "plum.Fence-27", "other.Gate-85")
    for node in nodes:
        ends = world.credentials("li.na")["ends_at"]
        await until(lambda n=node: _ends(n), ends)  # type: ignore[misc]


async def _ends(node: CheckNode) -> str:
    from datetime import UTC, datetime

    staff = node.feeder.snapshot.staff[LI]
    return datetime.fromtimestamp(staff.password_ends_s, UTC).isoformat()


@pytest.mark.rule("ID-4")
async def test_a_password_ends_by_its_date_though_nothing_changes(world: World) -> None:
    login, *nodes = await two_nodes(world)
    token = await login.token("li.na")
    await everywhere(tuple(nodes), token, "OK")
    world.rows(
        "update auth.credentials set ends_at = %s where staff_id = 'li.na'", world.clock.now() + timedelta(minutes=10)
    )
    async with login.works.begin() as work:
        work.change(EAST, ChangeKind.STAFF, LI)
    await everywhere(tuple(nodes), token, "OK", at_least=tuple(work.revisions.items()))
    world.advance(minutes=10)
    await everywhere(tuple(nodes), token, "PASSWORD_ENDED")


@pytest.mark.rule("CI-2")
async def test_assigned_customers_reach_every_node_and_leave_it(world: World) -> None:
    login, *nodes = await two_nodes(world)
    world.rows("update auth.staff set role_id = 'service-agent' where staff_id = 'li.na'")
    token = await login.token("li.na")
    async with login.works.begin() as work:
        work.change(EAST, ChangeKind.STAFF, LI)
    read = {"operation": "1500", "customer": "13911112222"}
    await everywhere(tuple(nodes), token, "CUSTOMER_NOT_ASSIGNED", **read)
    digest = world.keys.mac[MacKind.CUSTOMERS].digest(b"13911112222")
    async with login.works.begin() as work:
        await work.conn.execute("insert into auth.assignments values ('li.na', %s, %s, 'test')", (digest, work.now))
        work.change(EAST, ChangeKind.ASSIGNMENT, LI)
    await everywhere(tuple(nodes), token, "OK", **read)
    await everywhere(tuple(nodes), token, "CUSTOMER_NOT_ASSIGNED", operation="1500", customer="13911113333")
    async with login.works.begin() as work:
        await work.conn.execute("delete from auth.assignments where staff_id = 'li.na'")
        work.change(EAST, ChangeKind.ASSIGNMENT, LI)
    await everywhere(tuple(nodes), token, "CUSTOMER_NOT_ASSIGNED", **read)


@pytest.mark.rule("RQ-7")
async def test_what_a_grant_is_bound_to_and_its_revocation_reach_every_node(world: World) -> None:
    _login, *nodes = await two_nodes(world)
    node = nodes[0]
    issued = IssuedGrant(
        grant_id=GrantId("g-1"),
        request_id=uuid.uuid4(),
        region_id=EAST,
        store_id=StoreId("e1"),
        order_id=None,
        is_revoked=False,
        expires_at=world.clock.now() + timedelta(minutes=10),
    )
    async with node.works.begin() as work:
        await grants.insert(work.conn, issued, "grant-approval")
        await grants.bind(work.conn, issued.grant_id, order_key(SystemId("crm"), "o-1"), work.now)
        work.change(EAST, ChangeKind.GRANT, issued.grant_id)
    for each in nodes:
        await until(lambda n=each: _bound(n), "crm/o-1")  # type: ignore[misc]
    async with node.works.begin() as work:
        await grants.bind(work.conn, issued.grant_id, None, work.now)
        await work.conn.execute("update auth.grants set revoked_at = %s", (work.now,))
        work.change(EAST, ChangeKind.GRANT, issued.grant_id)
    for each in nodes:
        await until(lambda n=each: _bound(n), None)  # type: ignore[misc]
        assert issued.grant_id in each.feeder.snapshot.revoked


async def _bound(node: CheckNode) -> str | None:
    binding = node.feeder.snapshot.bound.get(GrantId("g-1"))
    return binding.order if binding else None


async def test_a_hint_through_redis_is_enough_where_nobody_polls(world: World) -> None:
    if world.addresses.redis is None:
        pytest.fail("no Redis came with the engines")
    login, hints = await login_node(world), Hints(world.addresses.redis)
    node = await check_node(world, poll_s=3600)
    follower = asyncio.create_task(_follow(hints, node))
    world.on_close(hints.close)
    try:
        token = await login.token("li.na")
        await node.soon(token, "OK")
        async with login.works.begin() as work:
            await _logged_out(work)

        async def told() -> str:
            await hints.publish(
                *(Hint(region=region, number=n, kind="", entity_id="") for region, n in work.revisions.items())
            )
            return await node.reason(token)

        await until(told, "SESSION_ENDED")
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def _follow(hints: Hints, node: CheckNode) -> None:
    async for _ in hints.follow():
        node.feeder.hint()


async def test_of_two_writers_of_a_region_the_first_to_number_is_the_first_to_be_seen(world: World) -> None:
    """The second waits for the counter until the first commits: no number is seen before a smaller one."""
    node = await check_node(world)
    first_numbered, commit = asyncio.Event(), asyncio.Event()
    other = await world.database()

    async def slow() -> None:
        async with other.transaction() as conn:
            await conn.execute("update auth.staff set store_id = 'e2' where staff_id = 'li.na'")
            await changes.append(conn, EAST, [(ChangeKind.STAFF.value, "li.na")], world.clock.now())
            first_numbered.set()
            await commit.wait()

    async def quick() -> None:
        await first_numbered.wait()
        async with node.works.begin() as work:
            await work.conn.execute("update auth.staff set store_id = 'e2' where staff_id = 'wang.wei'")
            work.change(EAST, ChangeKind.STAFF, "wang.wei")

    async with asyncio.TaskGroup() as group:
        group.create_task(slow())
        group.create_task(quick())
        await first_numbered.wait()
        for _ in range(3):
            await node.feeder.refresh()
            assert node.feeder.snapshot.staff[StaffId("wang.wei")].store == "e1"
        commit.set()
    await node.feeder.refresh()
    assert {node.feeder.snapshot.staff[StaffId(who)].store for who in ("li.na", "wang.wei")} == {"e2"}


async def test_no_change_of_many_parallel_writers_is_lost(world: World) -> None:
    node = await check_node(world)
    writers = await world.database()

    async def write(number: int) -> None:
        region = (EAST, RegionId("west"), CARRIER)[number % 3]
        async with writers.transaction() as conn:
            await conn.execute(
                "insert into auth.terminals (terminal_id, store_id) values (%s, 'e1')", (f"new-{number}",)
            )
            await asyncio.sleep((number * 7 % 5) / 1000)
            await changes.append(conn, region, [(ChangeKind.TERMINAL.value, f"new-{number}")], world.clock.now())

    await asyncio.gather(*(write(number) for number in range(60)))
    await node.feeder.refresh()
    assert {f"new-{number}" for number in range(60)} <= set(node.feeder.snapshot.terminals)


Clean = Callable[[World], None]


def _all_cleaned(world: World) -> None:
    world.rows("delete from auth.changes")


def _middle_cleaned(world: World) -> None:
    """As when the clocks of two writers differ: an older number has a younger time."""
    world.rows("delete from auth.changes where entity_id = 'li.na'")


@pytest.mark.parametrize("clean", [_all_cleaned, _middle_cleaned])
async def test_a_node_that_missed_changes_reads_everything(world: World, clean: Clean) -> None:
    node = await check_node(world, runs=False)
    await node.feeder.refresh()
    for who in ("li.na", "wang.wei"):
        async with node.works.begin() as work:
            await work.conn.execute("update auth.staff set store_id = 'e2' where staff_id = %s", (who,))
            work.change(EAST, ChangeKind.STAFF, who)
    world.rows("delete from auth.systems where system_id = 'queue'")
    clean(world)
    await node.feeder.refresh()
    snapshot = node.feeder.snapshot
    assert {snapshot.staff[StaffId(who)].store for who in ("li.na", "wang.wei")} == {"e2"}
    assert SystemId("queue") not in snapshot.systems


async def test_an_entity_that_changed_twice_is_read_as_it_is_and_one_that_is_gone_is_gone(world: World) -> None:
    node = await check_node(world, runs=False)
    await node.feeder.refresh()
    for store in ("e2", "w1"):
        async with node.works.begin() as work:
            await work.conn.execute("update auth.staff set store_id = %s where staff_id = 'li.na'", (store,))
            work.change(EAST, ChangeKind.STAFF, LI)
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.SYSTEM, "queue")
    world.rows("delete from auth.systems where system_id = 'queue'")
    await node.feeder.refresh()
    assert node.feeder.snapshot.staff[LI].store == "w1"
    assert SystemId("queue") not in node.feeder.snapshot.systems


async def test_a_region_that_appears_later_is_followed_from_its_first_change(world: World) -> None:
    node = await check_node(world, runs=False)
    await node.feeder.refresh()
    assert RegionId("north") not in node.feeder.snapshot.revisions
    world.rows("insert into auth.regions values ('north', '北片区')")
    world.rows("insert into auth.stores (store_id, region_id, name) values ('n1', 'north', 'n1')")
    async with node.works.begin() as work:
        work.change(RegionId("north"), ChangeKind.STORE, "n1")
    await node.feeder.refresh()
    assert node.feeder.snapshot.revisions[RegionId("north")] == 1
    assert StoreId("n1") in node.feeder.snapshot.stores


async def test_a_truth_that_went_back_is_not_believed(world: World) -> None:
    node = await check_node(world)
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.STAFF, LI)
    await until(lambda: _revision(node), work.revisions[EAST])
    world.rows("update auth.region_revisions set number = 0")

    async def failing() -> bool:
        return node.feeder.is_failing

    await until(failing, True)
    assert await _revision(node) == work.revisions[EAST]


async def _revision(node: CheckNode) -> int | None:
    return node.feeder.snapshot.revisions.get(EAST)
