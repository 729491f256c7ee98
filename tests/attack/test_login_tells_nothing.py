"""Whoever is refused learns nothing: one answer, one cost, whatever the cause (ID-7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from authsvc.flows.attempts import nothing
from authsvc.flows.own_session import ask_in_session
from authsvc.hashing import Target
from authsvc.lockout import Purpose
from infosec.errors import InfosecError
from infosec.secret import Secret
from tests.sim.login_nodes import CRM, REFUSED, LoginNode, login_node, outcome
from tests.sim.world import PASSWORD, Hire, World

OUT = ("LOCKED", "BLACKLISTED", "SUSPENDED", "CLOSED")


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


async def _answer(call: Awaitable[object]) -> tuple[object, ...]:
    """Everything that a caller sees of a refusal."""
    with pytest.raises(InfosecError) as refused:
        await call
    error = refused.value
    return type(error), error.reason, error.details, error.violations, error.retry_after


@pytest.mark.rule("ID-7")
async def test_every_refused_login_has_the_same_answer_and_costs_one_hash(world: World, node: LoginNode) -> None:
    for state in OUT:
        world.hire(Hire(staff_id=f"is-{state.lower()}", state=state, store="e2"))
    world.hire(Hire(staff_id="used.up", first=True, store="e2"))
    world.rows("update auth.credentials set first_used_at = now() where staff_id = 'used.up'")
    tried: list[tuple[str, str, str]] = [
        ("li.na", "wrong", "e1-t1"),
        ("nobody.here", PASSWORD, "e1-t2"),
        ("no such ID at all!", PASSWORD, "e1-t2"),
        ("", PASSWORD, "e1-t3"),
        ("ouyang.xue", PASSWORD, "e1-t3"),
        ("li.na", "bad\u0000control", "e1-t1"),
        ("li.na", "x" * 5000, "e1-t1"),
        ("used.up", PASSWORD, "e2-t3"),
        ("zhao.lei", PASSWORD, "e1-t4"),
        *((f"is-{state.lower()}", PASSWORD, f"e2-t{n // 2 + 1}") for n, state in enumerate(OUT)),
    ]
    answers = []
    for hashes, (staff, password, terminal) in enumerate(tried, start=1):
        answers.append(await _answer(node.login(staff, password, at=terminal)))
        assert node.verified[Target.OWN] + node.verified[Target.DUMMY] == hashes
    assert answers == [answers[0]] * len(tried)


@pytest.mark.rule("ID-7", "ID-5")
@pytest.mark.parametrize("staff", ["li.na", "nobody.here"])
async def test_twenty_at_once_cost_one_hash_each_whether_or_not_the_id_exists(node: LoginNode, staff: str) -> None:
    outcomes = await asyncio.gather(*(node.try_login(staff, "wrong") for _ in range(20)))
    assert outcomes == [REFUSED] * 20
    assert node.verified[Target.OWN] + node.verified[Target.DUMMY] == 20


@pytest.mark.rule("ID-7")
async def test_what_was_typed_as_a_staff_id_is_kept_nowhere(world: World, node: LoginNode) -> None:
    await node.try_login("secret-in-the-wrong-field", "x")
    for table in ("outbox", "attempt_places", "terminal_failures", "findings"):
        everything = world.one(f"select coalesce(string_agg(t::text, ' '), '') from auth.{table} t")
        assert "secret-in-the-wrong-field" not in everything
    assert "secret-in-the-wrong-field" not in str(world.events())


@pytest.mark.rule("ID-5", "ID-7")
async def test_a_wrong_code_and_a_wrong_password_are_one_failure_with_one_answer(world: World, node: LoginNode) -> None:
    wrong_code = await _answer(node.login("zhao.lei", code="000000"))
    wrong_password = await _answer(node.login("zhao.lei", "wrong", code=world.code("zhao.lei")))
    no_code = await _answer(node.login("zhao.lei"))
    both_wrong = await _answer(node.login("zhao.lei", "wrong", code="000000"))
    assert wrong_code == wrong_password == no_code == both_wrong
    assert world.credentials("zhao.lei")["failures"] == 4
    assert await node.try_login("zhao.lei", code=world.code("zhao.lei")) == "OK"  # unused: the password was wrong


Path = Callable[[LoginNode, str], Awaitable[object]]
PATHS: dict[str, Path] = {
    "login": lambda node, _: node.login("chen.jing", code="123456"),
    "step-up": lambda node, token: node.step_up(token, node.world.code("chen.jing", steps=1)),
    "change": lambda node, token: node.change(token, PASSWORD, "Quiet#river8"),
    "resume": lambda node, token: node.resume(token),
    "enroll": lambda node, token: node.enroll(token, code=node.world.code("chen.jing", steps=1)),
    "activate": lambda node, token: node.activate(token, "000000"),
    "issue-token": lambda node, token: node.sessions.token_for(token, CRM, target=CRM),
    "lock": lambda node, token: node.sessions.lock(token, CRM),
}


@pytest.mark.rule("ID-5", "ID-7", "ID-9")
@pytest.mark.parametrize("state", OUT)
@pytest.mark.parametrize("path", PATHS)
async def test_no_path_forgets_the_lock(world: World, node: LoginNode, path: str, state: str) -> None:
    """Even where a session was left alive, by a fault or behind everybody's back."""
    token = await node.token("chen.jing")
    world.rows("update auth.staff set state = %s where staff_id = 'chen.jing'", state)
    verified = node.verified[Target.OWN]
    assert await outcome(PATHS[path](node, token)) == (REFUSED if path == "login" else "SESSION_ENDED")
    assert node.verified[Target.OWN] == verified


@pytest.mark.rule("ID-5", "ID-7")
@pytest.mark.parametrize("state", OUT)
@pytest.mark.parametrize("purpose", list(Purpose))
async def test_the_one_attempt_refuses_in_every_state_and_for_every_purpose(
    world: World, node: LoginNode, purpose: Purpose, state: str
) -> None:
    """The state changes between the look at the session and the attempt."""
    actor = await node.actors.of(await node.token("chen.jing"), CRM)
    world.rows("update auth.staff set state = %s where staff_id = 'chen.jing'", state)
    verified = node.verified[Target.OWN]

    async def never(*_: object) -> None:
        raise AssertionError("settled as right")

    ask = ask_in_session(actor, purpose, password=Secret(PASSWORD))
    assert await outcome(node.attempts.run(ask, nothing, never)) == REFUSED
    assert node.verified[Target.OWN] == verified
    assert world.credentials("chen.jing")["failures"] == 0


@pytest.mark.rule("ID-1", "ID-4")
async def test_a_first_password_that_expired_or_an_old_one_that_ended_opens_nothing(
    world: World, node: LoginNode
) -> None:
    world.hire(Hire(staff_id="new.one", first=True))
    world.advance(hours=24)
    assert await node.try_login("new.one") == REFUSED
    assert await node.try_login("li.na") == "OK"
    world.advance(days=89)
    assert await node.try_login("li.na") == REFUSED
    assert node.verified[Target.OWN] == 1
