"""Who gets an identity assertion, what it says, and what a service that asks nobody makes of it (ID-9, RQ-3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from authsvc.flows.assertions import Asserted
from infosec.certificates import CallerKind
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import PermissionDenied, Reason, Unauthenticated
from infosec.ids import SystemId
from infosec.keys import SigningKind
from infosec.messages import Locale
from infosec.rpc.server.assertions import AssertedPersons, require_role, require_step_up
from infosec.rpc.server.identity import Caller
from tests.sim.login_nodes import CRM, REFUSED, LoginNode, login_node, outcome
from tests.sim.suite import Suite
from tests.sim.world import INSTALLATION, Hire, World

POS = SystemId("pos")


@pytest.fixture
async def node(world: World) -> LoginNode:
    return await login_node(world)


def called_by(name: str, kind: CallerKind = CallerKind.SYSTEM) -> Caller:
    return Caller(kind=kind, name=name, locale=Locale.EN, peer="test")


def persons(world: World, installation: str = INSTALLATION) -> AssertedPersons:
    """What another service of the installation has: a public key and a clock."""
    keys = world.keys.signing[SigningKind.ASSERTION]
    return AssertedPersons(keys.public_keys, installation=installation, clock=world.clock)


def person(world: World, made: Asserted) -> IdentityAssertion:
    return persons(world).person(made.text.reveal(), called_by("crm"))


@pytest.mark.rule("ID-9", "RQ-3")
async def test_it_says_who_acts_in_which_role_where_and_how_well_proved(world: World, node: LoginNode) -> None:
    token = await node.token("zhao.lei", code=world.code("zhao.lei"))
    before = world.rows("select count(*) from auth.outbox")
    plain = person(world, await node.assertions.of(token, CRM))
    (home,) = world.rows("select store_id, region_id from auth.staff where staff_id = 'zhao.lei'")
    assert (plain.staff_id, plain.role_id) == ("zhao.lei", "regional-manager")
    assert (plain.store_id, plain.region_id) == home
    assert (plain.system_id, plain.terminal_id, plain.installation) == ("crm", "e1-t1", INSTALLATION)
    assert [plain.session_id] == world.live_sessions("zhao.lei")
    assert plain.stepped_up_until_s == 0
    assert world.rows("select count(*) from auth.outbox") == before  # nothing changed, so there is no event
    world.advance(seconds=30)
    until = await node.step_up(token, world.code("zhao.lei"))
    assert person(world, await node.assertions.of(token, CRM)).stepped_up_until_s == int(until.timestamp())


@pytest.mark.rule("ID-9")
async def test_it_serves_five_minutes_and_never_beyond_the_session(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    made = await node.assertions.of(token, CRM)
    assert made.expires_at - world.clock.now() == timedelta(minutes=5)
    world.advance(minutes=4, seconds=59)
    assert person(world, made).staff_id == "li.na"
    world.advance(seconds=1)
    with pytest.raises(Unauthenticated):
        person(world, made)
    world.advance(hours=11, minutes=53)
    world.rows("update auth.sessions set last_seen = %s", world.clock.now())
    late = await node.assertions.of(token, CRM)
    assert late.expires_at - world.clock.now() == timedelta(minutes=2)


Undo = Callable[[World], object]
OUT: dict[str, Undo] = {
    "locked": lambda w: w.rows("update auth.staff set state = 'LOCKED', epoch = epoch + 1 where staff_id = 'li.na'"),
    "blacklisted": lambda w: w.rows("update auth.credentials set ends_at = %s where staff_id = 'li.na'", w.clock.now()),
    "suspended": lambda w: w.rows(
        "update auth.staff set state = 'SUSPENDED', epoch = epoch + 1 where staff_id = 'li.na'"
    ),
    "closed": lambda w: w.rows("update auth.staff set state = 'CLOSED', epoch = epoch + 1 where staff_id = 'li.na'"),
    "idle": lambda w: w.advance(minutes=19),
    "terminal retired": lambda w: w.rows("update auth.terminals set is_retired = true where terminal_id = 'e1-t1'"),
}


@pytest.mark.rule("ID-4", "ID-5", "ID-8", "ID-9")
@pytest.mark.parametrize("state", OUT)
async def test_whoever_is_out_gets_none(world: World, node: LoginNode, state: str) -> None:
    token = await node.token("li.na")
    assert await outcome(node.assertions.of(token, CRM)) == "OK"
    OUT[state](world)
    assert await outcome(node.assertions.of(token, CRM)) == "SESSION_ENDED"


@pytest.mark.rule("ID-5")
async def test_the_fifth_failure_ends_them_too(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    for _ in range(5):
        assert await node.try_login("li.na", "wrong") == REFUSED
    assert world.state("li.na") == "LOCKED"
    assert await outcome(node.assertions.of(token, CRM)) == "SESSION_ENDED"


@pytest.mark.rule("ID-9")
async def test_a_locked_and_an_ended_session_give_none(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    await node.sessions.lock(token, CRM)
    assert await outcome(node.assertions.of(token, CRM)) == "SESSION_LOCKED"
    await node.resume(token)
    assert await outcome(node.assertions.of(token, CRM)) == "OK"
    await node.sessions.logout(token, CRM)
    assert await outcome(node.assertions.of(token, CRM)) == "SESSION_ENDED"


@pytest.mark.rule("ID-1", "RQ-3")
async def test_a_restricted_session_gives_none(world: World, node: LoginNode) -> None:
    world.hire(Hire(staff_id="new.clerk", first=True), Hire(staff_id="new.boss", role="regional-manager", totp=False))
    for staff, at in (("new.clerk", "e1-t1"), ("new.boss", "e1-t2")):
        token = await node.token(staff, at=at)
        assert await outcome(node.assertions.of(token, CRM)) == "SESSION_RESTRICTED"


@pytest.mark.rule("ID-9")
async def test_only_the_system_whose_token_it_is_gets_one_and_only_where_it_serves_still(
    world: World, node: LoginNode
) -> None:
    token = await node.token("zhang.min", at="e2-t1")
    assert await outcome(node.assertions.of(token, POS)) == "TOKEN_INVALID"
    made = await node.assertions.of(token, CRM)
    with pytest.raises(Unauthenticated):
        persons(world).person(made.text.reveal(), called_by("pos"))
    other = (await node.sessions.token_for(token, CRM, target=POS)).reveal()
    its_own = await node.assertions.of(other, POS)
    assert persons(world).person(its_own.text.reveal(), called_by("pos")).system_id == "pos"
    world.rows("update auth.systems set is_retired = true where system_id = 'pos'")
    assert await outcome(node.assertions.of(other, POS)) == "CALLER_OUT_OF_PLACE"


@pytest.mark.rule("ID-9")
async def test_a_token_is_no_assertion_and_an_assertion_is_no_token(world: World, node: LoginNode) -> None:
    token = await node.token("li.na")
    made = (await node.assertions.of(token, CRM)).text.reveal()
    assert await outcome(node.actors.of(made, CRM)) == "TOKEN_INVALID"
    assert await outcome(node.assertions.of(made, CRM)) == "TOKEN_INVALID"
    with pytest.raises(Unauthenticated):
        persons(world).person(token, called_by("crm"))


@pytest.mark.rule("RQ-3")
async def test_a_service_asks_for_a_role_and_for_a_second_factor(world: World, node: LoginNode) -> None:
    token = await node.token("zhao.lei", code=world.code("zhao.lei"))
    boss = person(world, await node.assertions.of(token, CRM))
    require_role(boss, {"auditor", "regional-manager"})
    with pytest.raises(PermissionDenied) as refused:
        require_role(boss, {"auditor"})
    assert (refused.value.reason, refused.value.details) == (Reason.NOT_PERMITTED, {"role": "regional-manager"})
    with pytest.raises(PermissionDenied) as refused:
        require_step_up(boss, world.clock.now())
    assert refused.value.reason is Reason.STEP_UP_REQUIRED
    world.advance(seconds=30)
    until = await node.step_up(token, world.code("zhao.lei"))
    stepped = person(world, await node.assertions.of(token, CRM))
    require_step_up(stepped, until - timedelta(seconds=1))
    with pytest.raises(PermissionDenied):
        require_step_up(stepped, until)


@pytest.mark.rule("ID-9")
async def test_another_installation_and_a_caller_that_is_no_system_get_nobody(world: World, node: LoginNode) -> None:
    made = (await node.assertions.of(await node.token("li.na"), CRM)).text.reveal()
    with pytest.raises(Unauthenticated):
        persons(world, "installation-2").person(made, called_by("crm"))
    with pytest.raises(PermissionDenied) as refused:
        persons(world).person(made, called_by("crm", CallerKind.SERVICE))
    assert refused.value.reason is Reason.CALLER_NOT_ALLOWED


@pytest.mark.rule("ID-9")
async def test_the_sdk_gets_one_over_the_wire(suite: Suite) -> None:
    token = await suite.session("li.na")
    made = await suite.as_system().login.issue_assertion(token)
    assert made.expires_at - suite.world.clock.now() == timedelta(minutes=5)
    assert made.text.reveal() not in repr(made)
    who = persons(suite.world).person(made.text.reveal(), called_by("crm"))
    assert (who.staff_id, who.terminal_id) == ("li.na", "e1-t1")
    assert await suite.reason(suite.as_system("pos").login.issue_assertion(token)) == "TOKEN_INVALID"
