"""TOTP from enrolment to step-up: one code serves once, and failures count (RQ-3, ID-5)."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sim.login_nodes import REFUSED, LoginNode, login_node, outcome
from tests.sim.world import Hire, World, totp_code


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


def _secret(uri: str) -> bytes:
    return base64.b32decode(parse_qs(urlsplit(uri).query)["secret"][0])


@pytest.mark.rule("RQ-3")
async def test_a_manager_enrols_at_the_first_login_and_then_always_gives_a_code(world: World, node: LoginNode) -> None:
    world.hire(Hire(staff_id="new.boss", role="regional-manager", totp=False))
    done = await node.login("new.boss")
    token = done.token.reveal()
    assert [duty.value for duty in done.opened.duties] == ["ENROLL_TOTP"]
    assert await outcome(node.activate(token, "123456")) == "STATE_CONFLICT"
    secret = _secret(await node.enroll(token))
    assert await outcome(node.step_up(token, "123456")) == "SESSION_RESTRICTED"
    assert await outcome(node.activate(token, "000000")) == REFUSED
    assert await node.activate(token, totp_code(secret, world.clock.now())) == ()
    assert await outcome(node.actors.of(token, "crm")) == "OK"
    assert await node.try_login("new.boss") == REFUSED
    assert await node.try_login("new.boss", code=totp_code(secret, world.clock.now())) == REFUSED  # used to activate
    world.advance(seconds=30)
    assert await node.try_login("new.boss", code=totp_code(secret, world.clock.now())) == "OK"


@pytest.mark.rule("RQ-3")
async def test_a_step_up_serves_five_minutes_and_its_code_once(world: World, node: LoginNode) -> None:
    token = await node.token("zhao.lei", code=world.code("zhao.lei"))
    assert await outcome(node.step_up(token, world.code("zhao.lei"))) == REFUSED  # used at login
    world.advance(seconds=30)
    code = world.code("zhao.lei")
    until = await node.step_up(token, code)
    assert (until - world.clock.now()).total_seconds() == 300
    assert (await node.actors.of(token, "crm")).stepped_up_until == until
    assert await outcome(node.step_up(token, code)) == REFUSED
    assert world.credentials("zhao.lei")["failures"] == 2


@pytest.mark.rule("RQ-3", "ID-5")
async def test_guessing_codes_locks_as_guessing_passwords_does(world: World, node: LoginNode) -> None:
    token = await node.token("zhao.lei", code=world.code("zhao.lei"))
    assert [await outcome(node.step_up(token, f"00000{n}")) for n in range(5)] == [REFUSED] * 5
    assert await outcome(node.step_up(token, world.code("zhao.lei", steps=1))) == "SESSION_ENDED"
    assert world.state("zhao.lei") == "LOCKED"


@pytest.mark.rule("RQ-3")
async def test_whoever_has_no_second_factor_is_told_so_and_not_counted(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    assert await outcome(node.step_up(token, "123456")) == "STATE_CONFLICT"
    assert world.credentials("li.na")["failures"] == 0


@pytest.mark.rule("RQ-3")
async def test_replacing_a_device_takes_a_code_of_the_old_one(world: World, node: LoginNode) -> None:
    token = await node.token("zhao.lei", code=world.code("zhao.lei"))
    assert await outcome(node.enroll(token)) == REFUSED
    new = _secret(await node.enroll(token, code=world.code("zhao.lei", steps=1)))
    world.advance(seconds=60)
    assert (
        await outcome(node.step_up(token, world.code("zhao.lei"))) == "OK"
    )  # the old one serves until the new one does
    assert await node.activate(token, totp_code(new, world.clock.now())) == ()
    world.advance(seconds=60)
    assert await outcome(node.step_up(token, world.code("zhao.lei"))) == REFUSED
    assert await outcome(node.step_up(token, totp_code(new, world.clock.now()))) == "OK"


@pytest.mark.rule("ID-7")
async def test_a_secret_in_the_database_is_sealed_for_its_staff_id(world: World, node: LoginNode) -> None:
    world.rows(
        "update auth.totp set secret_sealed = (select secret_sealed from auth.totp where staff_id = 'sun.yan')"
        " where staff_id = 'zhao.lei'"
    )
    assert await outcome(node.login("zhao.lei", code=world.code("sun.yan"))) == "INTERNAL"
