"""One session, one terminal, one person: where it moves, how it is locked, how it ends (ID-9, ID-10)."""

from __future__ import annotations

import pytest

from infosec.decision.session import open_token
from infosec.ids import SystemId
from infosec.keys import SigningKind
from tests.sim.login_nodes import CRM, REFUSED, LoginNode, login_node, outcome
from tests.sim.world import INSTALLATION, PASSWORD, Hire, World

POS = SystemId("pos")
QUEUE = SystemId("queue")


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


@pytest.mark.rule("ID-9")
async def test_a_login_at_another_terminal_ends_the_old_session_and_the_person_is_told(
    world: World, node: LoginNode
) -> None:
    old = await node.token("li.na", at="e1-t1")
    world.advance(hours=1)
    new = await node.login("li.na", at="e1-t2")
    assert await outcome(node.actors.of(old, "crm")) == "SESSION_ENDED"
    assert world.live_sessions("li.na") == [new.opened.session_id]
    assert [m.template for m in world.messages()] == ["NEW_TERMINAL", "SESSION_MOVED", "NEW_TERMINAL"]
    assert {m.phone for m in world.messages()} == {"13800000001"}
    past = new.opened.last_login
    assert past is not None and (past.terminal_id, past.store_id) == ("e1-t1", "e1")


@pytest.mark.rule("ID-7")
async def test_a_login_at_a_new_terminal_is_told_to_the_phone_and_one_at_a_known_terminal_is_not(
    world: World, node: LoginNode
) -> None:
    """The very first login too, with a first password or with an imported hash: somebody else may have come by it."""
    world.hire(Hire(staff_id="new.one", phone="13800000031", first=True))
    await node.login("new.one", at="e1-t3")
    from passlib.hash import bcrypt

    old = bcrypt.using(rounds=4).hash(PASSWORD)
    world.hire(Hire(staff_id="from.elsewhere", phone="13800000032", hash=old))
    for _ in range(2):
        await node.login("from.elsewhere", at="e1-t4")
    told = [(message.template, message.phone) for message in world.messages()]
    assert told == [("NEW_TERMINAL", "13800000031"), ("NEW_TERMINAL", "13800000032")]


@pytest.mark.rule("ID-10")
async def test_two_places_at_once_and_impossible_travel_are_found(world: World, node: LoginNode) -> None:
    await node.login("li.na", at="e1-t1")
    world.advance(minutes=1)
    await node.login("li.na", at="e2-t1")
    assert sorted(world.findings()) == ["IMPOSSIBLE_TRAVEL", "TWO_PLACES"]


@pytest.mark.rule("ID-10")
async def test_walking_to_another_store_in_the_time_that_it_takes_is_not_odd(world: World, node: LoginNode) -> None:
    await node.login("li.na", at="e1-t1")
    world.advance(minutes=31)
    await node.login("li.na", at="e2-t1")
    assert world.findings() == []


@pytest.mark.rule("ID-9")
async def test_a_locked_session_does_nothing_until_the_password_resumes_it(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    first = await node.sessions.lock(token, CRM)
    assert (await node.sessions.lock(token, CRM)).number == first.number
    assert await outcome(node.actors.of(token, "crm")) == "SESSION_LOCKED"
    for call in (node.change(token, "plum.Fence-27", "Quiet#river8"), node.enroll(token), node.activate(token, "1")):
        assert await outcome(call) == "SESSION_LOCKED"
    assert await outcome(node.resume(token, "wrong")) == REFUSED
    assert world.credentials("li.na")["failures"] == 1
    resumed = await node.resume(token)
    assert resumed.number > first.number
    assert (await node.resume(token)).number == resumed.number
    assert (await node.actors.of(token, "crm")).staff_id == "li.na"
    assert [e["type"] for e in world.events() if e["type"].startswith("session")] == [
        "session.locked",
        "session.resumed",
    ]


@pytest.mark.rule("ID-9")
async def test_logging_off_ends_the_session_and_doing_it_again_does_no_harm(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    first = await node.sessions.logout(token, CRM)
    assert (await node.sessions.logout(token, CRM)).number == first.number
    assert world.live_sessions("li.na") == []
    assert [event["facts"]["reason"] for event in world.events("session.ended")] == ["logout"]
    assert await outcome(node.resume(token)) == "SESSION_ENDED"


@pytest.mark.rule("ID-9")
async def test_each_system_of_the_terminal_has_a_token_of_its_own(world: World, node: LoginNode) -> None:
    token = await node.token("zhang.min", at="e2-t1")
    other = (await node.sessions.token_for(token, CRM, target=POS)).reveal()
    handle = open_token(other, world.keys.signing[SigningKind.SESSION].public_keys(), INSTALLATION)
    assert (handle.system, handle.terminal) == ("pos", "e2-t1")
    assert (await node.actors.of(other, "pos")).session_id == (await node.actors.of(token, "crm")).session_id
    assert await outcome(node.actors.of(other, "crm")) == "TOKEN_INVALID"
    assert await outcome(node.sessions.token_for(token, POS, target=POS)) == "TOKEN_INVALID"
    assert await outcome(node.sessions.token_for(token, CRM, target=QUEUE)) == "CALLER_OUT_OF_PLACE"


@pytest.mark.rule("ID-9")
async def test_an_idle_session_is_swept_between_fifteen_and_eighteen_minutes(world: World, node: LoginNode) -> None:
    await node.login("li.na")
    world.advance(minutes=17)
    await node.sweeps.end_sessions(world.clock.now())
    assert len(world.live_sessions("li.na")) == 1  # recorded use may be 2.5 min late, so this may be 14.5 min
    world.advance(minutes=0.75)
    await node.sweeps.end_sessions(world.clock.now())
    assert world.live_sessions("li.na") == []
    assert [event["facts"]["reason"] for event in world.events("session.ended")] == ["idle"]


@pytest.mark.rule("ID-9")
async def test_shift_limit_and_retired_terminal_end_a_session_in_use(world: World, node: LoginNode) -> None:
    await node.login("li.na")
    await node.login("wang.wei", at="e1-t2")
    world.rows("update auth.terminals set is_retired = true where terminal_id = 'e1-t2'")
    await node.sweeps.end_sessions(world.clock.now())
    assert len(world.live_sessions("li.na")) == 1
    world.advance(hours=12)
    world.rows("update auth.sessions set last_seen = %s", world.clock.now())
    await node.sweeps.end_sessions(world.clock.now())
    assert [event["facts"]["reason"] for event in world.events("session.ended")] == ["terminal-retired", "over"]


@pytest.mark.rule("ID-9", "ID-5")
async def test_the_fifth_failure_in_a_session_ends_it(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    await node.sessions.lock(token, CRM)
    assert [await outcome(node.resume(token, "wrong")) for _ in range(5)] == [REFUSED] * 5
    assert await outcome(node.resume(token)) == "SESSION_ENDED"
    assert (world.state("li.na"), world.live_sessions("li.na")) == ("LOCKED", [])
    changed = {row[0] for row in world.rows("select kind from auth.changes where region_id = 'east'")}
    assert changed == {"staff", "session"}
