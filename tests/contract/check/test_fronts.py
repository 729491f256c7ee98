"""One front: what it denies and why, what it waits for, what it records before it allows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authsvc.work import ChangeKind
from infosec.decision.grants import ConsentChannel, DocumentType, Grant, GrantId, GrantKind, issue_grant, order_key
from infosec.decision.operations import Purpose
from infosec.decision.reasons import RequiredKind
from infosec.decision.session import SessionHandle, issue_token, open_token
from infosec.decision.snapshot import EMPTY
from infosec.errors import Unavailable
from infosec.ids import OperationCode, RegionId, StaffId, StoreId, SystemId
from infosec.keys import MacKind, SigningKeys, SigningKind
from infosec.storage.postgres import Database, PoolLimits
from tests.sim.check_nodes import READ, CheckNode, check_node, until
from tests.sim.login_nodes import LoginNode, login_node
from tests.sim.patience import connected
from tests.sim.servers import TcpServers
from tests.sim.world import INSTALLATION, World

EAST = RegionId("east")


async def pair(world: World) -> tuple[LoginNode, CheckNode]:
    return await login_node(world), await check_node(world)


def handle_of(world: World, token: str) -> SessionHandle:
    return open_token(token, world.keys.signing[SigningKind.SESSION].public_keys(), INSTALLATION)


@pytest.mark.rule("CI-2")
async def test_each_reason_is_given_for_what_it_stands_for(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    handle = handle_of(world, token)
    keys = world.keys.signing[SigningKind.SESSION]
    forged = issue_token(handle, SigningKeys.generate("session", now=world.clock.now()))
    elsewhere = issue_token(replace(handle, installation="another"), keys)
    expired = issue_token(replace(handle, expires_s=int(world.clock.now().timestamp())), keys)
    unknown = issue_token(replace(handle, session_id="no-such-session"), keys)  # type: ignore[arg-type]
    stolen = issue_token(replace(handle, staff_id=StaffId("wang.wei")), keys)
    assert await node.reason(forged) == "TOKEN_INVALID"
    assert await node.reason(token[:-2]) == "TOKEN_INVALID"
    assert await node.reason(elsewhere) == "TOKEN_INVALID"
    assert await node.reason(expired) == "TOKEN_EXPIRED"
    assert await node.reason(unknown) == "SESSION_UNKNOWN"
    assert await node.reason(stolen) == "TOKEN_MISMATCH"
    assert await node.reason(token, system="pos") == "TOKEN_MISMATCH"
    assert await node.reason(token, terminal="e1-t2") == "TOKEN_MISMATCH"
    assert await node.reason(token, store="e2") == "TERMINAL_OUT_OF_PLACE"
    assert await node.reason(token, operation="1507") == "OPERATION_UNKNOWN"
    assert await node.reason(token, operation="x005") == "OPERATION_NOT_PERMITTED"
    assert await node.reason(token, operation="1104") == "REQUIREMENTS_MISSING"
    assert await node.reason(token, grants=("grant-consent.x.y",)) == "GRANT_INVALID"
    queue = await login.token("wang.wei", at="e1-t2", system="queue")
    await node.soon(queue, "OK", terminal="e1-t2", system="queue")
    assert await node.reason(queue, terminal="e1-t2", system="queue", store="e2") == "SYSTEM_NOT_REGISTERED"
    concierge = await login.token("zhang.min", at="e2-t1")
    world.rows("update auth.staff set role_id = 'receptionist' where staff_id = 'zhang.min'")
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.STAFF, "zhang.min")
    await node.soon(concierge, "PURPOSE_NOT_ALLOWED", operation=READ, terminal="e2-t1", purpose=Purpose.ORDER)
    assert await node.reason(concierge, READ, terminal="e2-t1", purpose=Purpose.COMPLAINT) == "OK"


@pytest.mark.rule("ID-9")
async def test_a_restricted_session_may_do_nothing(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    world.rows("update auth.sessions set must_change = true where staff_id = 'li.na'")
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.SESSION, handle_of(world, token).session_id)
    await node.soon(token, "SESSION_RESTRICTED")


@pytest.mark.rule("ID-9")
async def test_the_shift_limit_ends_a_session_that_was_in_use_all_day(world: World) -> None:
    login, node = await pair(world)
    world.rows("update auth.stores set hours = %s::jsonb", '[{"weekday": 1, "opens_at_min": 0, "closes_at_min": 1440}]')
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.STORE, "e1")
    token = await login.token("li.na")
    await node.soon(token, "OK")
    for _ in range(71):
        world.advance(minutes=10)
        await node.soon(token, "OK")
        await node.activity.flush()
    world.advance(minutes=9, seconds=59)
    await node.soon(token, "OK")
    world.advance(seconds=1)
    await until(lambda: _denied(node, token), True)


async def _denied(node: CheckNode, token: str) -> bool:
    reason = await node.reason(token)
    return reason in ("SHIFT_OVER", "SESSION_UNKNOWN", "TOKEN_EXPIRED")


async def test_a_revision_that_never_comes_is_waited_for_and_then_denied(world: World) -> None:
    login, node = await login_node(world), await check_node(world, wait=timedelta(milliseconds=50))
    token = await login.token("li.na")
    await node.soon(token, "OK")
    assert await node.reason(token, at_least=((EAST, 10_000),)) == "REVISION_BEHIND"
    assert await node.reason(token, at_least=((RegionId("nowhere"), 1),)) == "REVISION_BEHIND"


async def test_a_token_from_another_node_is_good_as_soon_as_it_is_given_out(world: World) -> None:
    """The node that checks may be behind the node that logged in: it waits for the token's own revision."""
    login, node = await pair(world)
    for _ in range(10):
        assert await node.reason(await login.token("li.na")) == "OK"


async def test_before_the_first_read_a_good_token_is_not_called_bad(world: World) -> None:
    login, node = await login_node(world), await check_node(world, runs=False, wait=timedelta(milliseconds=20))
    token = await login.token("li.na")
    assert node.feeder.snapshot is EMPTY
    assert await node.reason(token) == "SNAPSHOT_STALE"


async def test_a_check_at_start_waits_for_the_first_read(world: World) -> None:
    login, node = await login_node(world), await check_node(world, runs=False)
    token = await login.token("li.na")
    waiting = asyncio.create_task(node.reason(token))
    await asyncio.sleep(0)  # it has begun to wait
    assert not waiting.done()
    await node.feeder.refresh()
    assert await waiting == "OK"


class Outage:
    """A node whose way to PostgreSQL can be cut."""

    def __init__(self, tcp: TcpServers, node: CheckNode, login: LoginNode) -> None:
        self.link, self.node, self.login = tcp.postgres_link, node, login


async def outage(world: World, tcp: TcpServers, *, staleness_s: float) -> Outage:
    address = tcp.postgres(world.addresses.role("auth_service"))
    database = await Database.connect(address, PoolLimits(max_size=4, wait_s=0.3))
    world.on_close(database.close)
    await connected(database)
    node = await check_node(world, database=database, staleness_s=staleness_s)
    return Outage(tcp, node, await login_node(world))


async def test_without_postgresql_a_node_goes_stale_denies_and_recovers(world: World, tcp_servers: TcpServers) -> None:
    cut = await outage(world, tcp_servers, staleness_s=1.0)
    token = await cut.login.token("li.na")
    await cut.node.soon(token, "OK")
    cut.link.cut()
    try:
        await cut.node.soon(token, "SNAPSHOT_STALE")
        assert not cut.node.feeder.is_fresh
    finally:
        cut.link.heal()
    await cut.node.soon(token, "OK")


async def test_what_was_revoked_during_an_outage_is_denied_after_it(world: World, tcp_servers: TcpServers) -> None:
    cut = await outage(world, tcp_servers, staleness_s=1.0)
    token = await cut.login.token("li.na")
    await cut.node.soon(token, "OK")
    cut.link.cut()
    try:
        async with cut.login.works.begin() as work:
            await work.conn.execute("update auth.staff set state = 'LOCKED' where staff_id = 'li.na'")
            work.change(EAST, ChangeKind.STAFF, "li.na")
        await cut.node.soon(token, "SNAPSHOT_STALE")
    finally:
        cut.link.heal()
    answers = set()
    while (reason := await cut.node.reason(token)) in ("SNAPSHOT_STALE", "REVISION_BEHIND"):
        answers.add(reason)
        await asyncio.sleep(0.01)
    assert reason == "STAFF_NOT_ACTIVE"
    assert "OK" not in answers


async def test_a_clock_that_is_set_back_makes_no_old_snapshot_fresh(world: World) -> None:
    login = await login_node(world)
    node = await check_node(world, runs=False, staleness_s=60, wait=timedelta(milliseconds=20))
    token = await login.token("li.na")
    await node.feeder.refresh()
    assert await node.reason(token) == "OK"
    world.clock._now -= timedelta(hours=1)  # what ManualClock rightly refuses
    node.feeder._confirmed_at -= 61  # as if so many seconds had passed by the clock that nobody sets
    assert await node.reason(token) == "SNAPSHOT_STALE"
    await node.feeder.refresh()
    assert await node.reason(token) == "OK"


@pytest.mark.rule("ID-4")
async def test_a_clock_that_jumps_ninety_days_ends_passwords_and_not_the_service(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    world.advance(days=90)
    assert await node.reason(token) != "OK"
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) in ("SHIFT_OVER", "SESSION_UNKNOWN", "TOKEN_EXPIRED")
    assert await login.try_login("li.na") == "LOGIN_REFUSED"
    world.rows("update auth.credentials set ends_at = %s", world.clock.now() + timedelta(days=9))
    world.rows("update auth.staff set state = 'ACTIVE'")
    again = await login.token("li.na")
    async with node.works.begin() as work:
        work.change(EAST, ChangeKind.STAFF, "li.na")
    await node.soon(again, "OK")


async def _fresh(node: CheckNode) -> bool:
    behind_s = node.world.clock.now().timestamp() - node.feeder.snapshot.as_of_s
    return behind_s < 1


async def test_new_and_retired_keys_reach_the_checks(world: World) -> None:
    rings = [world.keys]
    login, node = await login_node(world), await check_node(world)
    node.feeder._public_keys = lambda: rings[0].public_keys()
    token = await login.token("li.na")
    await node.soon(token, "OK")
    held = node.feeder.snapshot.keys["session"]
    await node.feeder.refresh()
    assert node.feeder.snapshot.keys["session"] is held, "another object would forget every verified token"
    turned = SigningKeys.generate("session", now=world.clock.now())
    both = {**rings[0].signing, SigningKind.SESSION: _joined(rings[0].signing[SigningKind.SESSION], turned)}
    rings[0] = replace(rings[0], signing=both)
    newer = issue_token(handle_of(world, token), turned)
    await node.soon(newer, "OK")
    assert await node.reason(token) == "OK"
    rings[0] = replace(rings[0], signing={**both, SigningKind.SESSION: turned})
    await node.soon(token, "TOKEN_INVALID")
    assert await node.reason(newer) == "OK"
    rings[0] = replace(rings[0], signing={SigningKind.SESSION: turned})
    await until(lambda: _kinds(node), {"session"})


def _joined(old: SigningKeys, new: SigningKeys) -> SigningKeys:
    retired = replace(old.active, retired=new.active.created, private=None)
    return SigningKeys("session", (*new.records, retired))


async def _kinds(node: CheckNode) -> set[str]:
    return {str(kind) for kind in node.feeder.snapshot.keys}


def grant(world: World, kind: GrantKind, **facts: object) -> str:
    now_s = int(world.clock.now().timestamp())
    customer = world.keys.mac[MacKind.CUSTOMERS].digest(b"13911112222")
    proof: dict[str, object] = {
        GrantKind.IDENTITY: {"document": DocumentType.ID_CARD},
        GrantKind.CONSENT: {"channel": ConsentChannel.SMS_REPLY},
        GrantKind.APPROVAL: {"approver": StaffId("chen.jing"), "approver_role": "store-manager"},
    }[kind]  # type: ignore[assignment]
    values: dict[str, object] = {
        "kind": kind,
        "grant_id": GrantId(f"{kind.value}-1"),
        "installation": INSTALLATION,
        "person": StaffId("li.na"),
        "operation": OperationCode("1104"),
        "customer": customer,
        "store": StoreId("e1"),
        "issued_s": now_s,
        "expires_s": now_s + 600,
    }
    return issue_grant(
        Grant(**(values | proof | facts)),  # type: ignore[arg-type]
        world.keys.signing[SigningKind(kind.value)],
    )


@pytest.mark.rule("RQ-7")
async def test_grants_allow_and_orders_of_two_systems_do_not_collide(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    pos = (await login.sessions.token_for(token, SystemId("crm"), target=SystemId("pos"))).reveal()
    both = (grant(world, GrantKind.IDENTITY), grant(world, GrantKind.CONSENT))
    await node.soon(token, "OK", operation="1104", grants=both, order="o-1")
    bound = tuple(
        grant(world, kind, order=order_key(SystemId("crm"), "o-1")) for kind in (GrantKind.IDENTITY, GrantKind.CONSENT)
    )
    assert await node.reason(token, "1104", grants=bound, order="o-1") == "OK"
    assert await node.reason(token, "1104", grants=bound, order="o-2") == "REQUIREMENTS_MISSING"
    assert await node.reason(token, "1104", grants=bound) == "REQUIREMENTS_MISSING"
    assert await node.reason(pos, "1104", grants=bound, order="o-1", system="pos") == "REQUIREMENTS_MISSING"
    missing = await node.ask(token, "1104", grants=both[:1])
    assert [required.kind for required in missing.required] == [RequiredKind.CONSENT]


# --- idle (ID-9) ---


@pytest.mark.rule("ID-9")
async def test_no_session_is_idle_before_fifteen_minutes_and_every_one_is_after_eighteen(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    started = world.clock.now()
    await until(lambda: _fresh(node), True)
    world.advance(minutes=15)
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) == "OK", "not before 15 min"
    used = world.clock.now()
    assert used - started == timedelta(minutes=15)
    world.advance(minutes=18)
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) == "SESSION_IDLE", "never after 18 min"


@pytest.mark.rule("ID-9")
async def test_a_session_in_use_at_one_node_is_not_idle_at_another(world: World) -> None:
    login, node = await pair(world)
    other = await check_node(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    for _ in range(9):
        world.advance(minutes=3)
        await node.soon(token, "OK")
        await node.activity.flush()
    await other.soon(token, "OK")


@pytest.mark.rule("ID-9")
@pytest.mark.parametrize("pause_s", [13 * 60, 15 * 60, 17 * 60 + 29])
async def test_a_use_after_a_long_pause_is_known_to_other_nodes_at_once(world: World, pause_s: int) -> None:
    """Nothing is flushed here: the use itself is written before it is answered."""
    login, node = await pair(world)
    other = await check_node(world)
    token = await login.token("li.na")
    await other.soon(token, "OK")
    world.advance(seconds=pause_s)
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) == "OK"
    world.advance(minutes=15)
    await until(lambda: _fresh(other), True)
    assert await other.reason(token) == "OK"


@pytest.mark.rule("ID-9")
async def test_uses_that_are_not_written_yet_count_where_they_were_made(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    world.advance(minutes=10)
    await node.soon(token, "OK")
    assert world.one("select last_seen from auth.sessions") == world.one("select started_at from auth.sessions")
    world.advance(minutes=14)
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) == "OK"


@pytest.mark.rule("ID-9")
async def test_denied_checks_keep_no_session_alive(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    for _ in range(6):
        world.advance(minutes=3)
        await until(lambda: _fresh(node), True)
        await node.reason(token, "1507")
        await node.activity.flush()
    assert await node.reason(token) == "SESSION_IDLE"


@pytest.mark.rule("ID-9")
async def test_reports_of_guards_keep_a_session_alive_and_late_ones_raise_no_dead(world: World) -> None:
    login, node = await pair(world)
    token, crm = await login.token("li.na"), SystemId("crm")
    await node.soon(token, "OK")
    for _ in range(5):
        world.advance(minutes=10)
        node.front.served(token, crm, 30)
        await node.activity.flush()
    assert world.one("select last_seen from auth.sessions") == world.clock.now() - timedelta(seconds=30)
    world.advance(minutes=18)
    node.front.served(token, crm, 0)
    await node.activity.flush()
    await until(lambda: _fresh(node), True)
    assert await node.reason(token) == "SESSION_IDLE"


@pytest.mark.rule("ID-9")
async def test_a_use_that_comes_while_an_earlier_one_is_written_is_written_the_next_time(world: World) -> None:
    login, node = await pair(world)
    token, crm = await login.token("li.na"), SystemId("crm")
    await node.soon(token, "OK")
    world.advance(minutes=5)
    node.front.served(token, crm, 180)
    flushing = asyncio.create_task(node.activity.flush())
    await asyncio.sleep(0)  # it knows what it writes, and waits for the database
    node.front.served(token, crm, 0)
    await flushing
    assert world.one("select last_seen from auth.sessions") == world.clock.now() - timedelta(minutes=3)
    world.advance(minutes=5)
    await node.activity.flush()
    assert world.one("select last_seen from auth.sessions") == world.clock.now() - timedelta(minutes=5)


@pytest.mark.rule("ID-9")
async def test_reports_of_tokens_that_are_not_the_callers_count_for_nothing(world: World) -> None:
    login, node = await pair(world)
    token = await login.token("li.na")
    await node.soon(token, "OK")
    before = world.one("select last_seen from auth.sessions")
    world.advance(minutes=5)
    handle = handle_of(world, token)
    forged = issue_token(handle, SigningKeys.generate("session", now=world.clock.now()))
    gone = issue_token(replace(handle, session_id="gone"), world.keys.signing[SigningKind.SESSION])  # type: ignore[arg-type]
    over = issue_token(
        replace(handle, expires_s=int(world.clock.now().timestamp())), world.keys.signing[SigningKind.SESSION]
    )
    node.front.served(token, SystemId("pos"), 0)
    for text in (forged, gone, over, "nonsense"):
        node.front.served(text, SystemId("crm"), 0)
    await node.activity.flush()
    assert world.one("select last_seen from auth.sessions") == before
    node.front.served(token, SystemId("crm"), 0)
    await node.activity.flush()
    assert world.one("select last_seen from auth.sessions") == world.clock.now()


async def test_a_flush_that_fails_keeps_what_it_could_not_write(world: World, tcp_servers: TcpServers) -> None:
    cut = await outage(world, tcp_servers, staleness_s=30)
    node, token = cut.node, await cut.login.token("li.na")
    await node.soon(token, "OK")
    world.advance(minutes=3)
    await node.soon(token, "OK")
    node.front.served(token, SystemId("crm"), 1)
    used = world.clock.now()
    cut.link.cut()
    flushing = asyncio.create_task(node.activity.run(0.01))
    try:
        with pytest.raises(Unavailable):
            await node.activity.flush()
    finally:
        cut.link.heal()

    async def written() -> object:
        return world.one("select last_seen from auth.sessions")

    await until(written, used)
    flushing.cancel()


async def test_without_the_truth_an_idle_session_stays_denied_and_a_use_is_kept(
    world: World, tcp_servers: TcpServers
) -> None:
    cut = await outage(world, tcp_servers, staleness_s=600)
    node, token = cut.node, await cut.login.token("li.na")
    await node.soon(token, "OK")
    await node.stop()
    cut.link.cut()
    try:
        node.feeder.snapshot = node.feeder.snapshot.confirmed(world.clock.now() + timedelta(minutes=20))
        world.advance(minutes=14)
        assert await node.reason(token) == "OK"
        world.advance(minutes=6)
        assert await node.reason(token) == "SESSION_IDLE"
    finally:
        cut.link.heal()
