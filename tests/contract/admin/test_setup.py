"""The first set-up, and break-glass: as the owner of the schema, on an empty installation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyotp
import pytest

from authsvc.facts import FactSeal
from authsvc.flows.break_glass import BreakGlass, Broken
from authsvc.flows.setup import FirstAdministrator, Initialised, Setup
from authsvc.hashing import PasswordHasher
from authsvc.notices import Notices
from authsvc.profile import TELECOM_HALL
from authsvc.work import Works
from infosec.errors import FailedPrecondition, InfosecError, InvalidInput, NotFound, PermissionDenied, Reason
from infosec.ids import StaffId
from infosec.keys import KeyRing, SealingKind
from infosec.private_files import read_secret
from infosec.secret import Secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import discover, migrate, prepare
from infosec.storage.postgres import Database
from tests.sim.login_nodes import login_node
from tests.sim.servers import SharedServers, sync_connection
from tests.sim.world import CHEAP, ROLE, START, World

PEOPLE = (
    FirstAdministrator(staff_id="Ma.Li", name="马丽", phone="+86 13800000012"),
    FirstAdministrator(staff_id="xu.qiang", name="徐强", phone="13800000011"),
)
HOLDERS = ("保险柜甲", "保险柜乙")


async def build(addresses: Addresses) -> None:
    role = addresses.role(ROLE)
    assert role.password_file is not None
    async with await Database.connect(addresses.postgres) as admin:
        await prepare(admin, "auth", ROLE, read_secret(role.password_file))
        await migrate(admin, "auth", discover("authsvc.migrations"), START)


@dataclass(kw_only=True)
class Premises:
    """An installation that nobody has set up yet, and what runs as its owner."""

    world: World
    setup: Setup
    glass: BreakGlass

    async def initialise(self, installation: str = "carrier-1") -> Initialised:
        return await self.setup.initialise(installation, PEOPLE, HOLDERS)

    async def break_in(self, codes: tuple[Secret, Secret], staff_id: str = "ma.li", **more: bool) -> Broken:
        return await self.glass.use(StaffId(staff_id), codes, reason="手机全部丢失", **more)


@pytest.fixture
async def premises(
    embedded: SharedServers, fresh_database: Callable[..., Addresses], world_keys: Path
) -> AsyncIterator[Premises]:
    addresses, keys = fresh_database(embedded.template("empty_auth", build)), KeyRing.load(world_keys)
    world = World(addresses=addresses, keys=keys, keys_dir=world_keys)
    seal = FactSeal(keys.sealing[SealingKind.FACTS])
    notices = Notices(message_keys=keys.sealing[SealingKind.MESSAGES], seal=seal)
    hasher = PasswordHasher(CHEAP)

    async def announce(_revisions: object) -> None:
        return None

    async with await Database.connect(addresses.postgres) as owner:
        works = Works(owner, world.clock, announce=announce)
        totp_keys = keys.sealing[SealingKind.TOTP]
        yield Premises(
            world=world,
            setup=Setup(works, hasher=hasher, seal=seal, totp_keys=totp_keys, profile=TELECOM_HALL),
            glass=BreakGlass(works, hasher=hasher, notices=notices, seal=seal, profile=TELECOM_HALL),
        )
    hasher.close()
    await world.close()


@pytest.mark.rule("ID-1", "ID-8")
async def test_an_installation_starts_with_two_administrators_who_must_change_their_passwords(
    premises: Premises,
) -> None:
    done = await premises.initialise("test-installation")
    assert [one.staff_id for one in done.administrators] == ["ma.li", "xu.qiang"]
    node = await login_node(premises.world)
    first = done.administrators[0]
    code = pyotp.parse_uri(first.totp_uri.reveal()).at(premises.world.clock.now())  # type: ignore[union-attr]
    assert await node.try_login("ma.li", first.password.reveal(), at="console-1", system="cli") == "LOGIN_REFUSED"
    logged_in = await node.login("ma.li", first.password.reveal(), at="console-1", system="cli", code=code)
    assert [duty.value for duty in logged_in.opened.duties] == ["CHANGE_PASSWORD"]
    stored = str([premises.world.rows(f"select * from auth.{table}") for table in ("credentials", "totp", "outbox")])
    assert first.password.reveal() not in stored + repr(done)
    assert [message.template for message in premises.world.messages()] == ["NEW_TERMINAL"]


@pytest.mark.rule("CI-2")
async def test_an_installation_starts_with_the_handbooks_policy_and_the_carriers_office(premises: Premises) -> None:
    done = await premises.initialise()
    assert (
        premises.world.one("select value from auth.installation where key = 'id'") == done.installation == "carrier-1"
    )
    assert premises.world.one("select count(*) from auth.operations") == 33
    assert premises.world.one("select count(*) from auth.roles") == 15
    assert premises.world.rows("select store_id, region_id from auth.stores") == [("carrier-hq", "carrier")]
    assert premises.world.one("select store_ids from auth.systems where system_id = 'cli'") == ["carrier-hq"]
    assert [event["type"] for event in premises.world.events()][-1] == "installation.initialised"
    with pytest.raises(FailedPrecondition) as again:
        await premises.initialise("carrier-2")
    assert again.value.reason is Reason.ALREADY_INITIALISED


@pytest.mark.rule("ID-8")
async def test_of_two_set_ups_at_once_one_happens(premises: Premises) -> None:
    outcomes = await asyncio.gather(premises.initialise("a"), premises.initialise("b"), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["FailedPrecondition", "Initialised"]
    assert premises.world.one("select count(*) from auth.staff") == 2
    assert premises.world.one("select count(*) from auth.break_glass") == 2


@pytest.mark.rule("ID-8")
async def test_a_set_up_takes_two_people_and_two_holders(premises: Premises) -> None:
    with pytest.raises(InvalidInput):
        await premises.setup.initialise("a", (PEOPLE[0], PEOPLE[0]), HOLDERS)
    with pytest.raises(InvalidInput):
        await premises.setup.initialise("a", PEOPLE, ("甲", " 甲"))
    assert premises.world.one("select count(*) from auth.installation") == 0


@pytest.mark.rule("ID-8")
async def test_the_services_own_role_sets_nothing_up(premises: Premises) -> None:
    assert premises.world.addresses.role(ROLE).user == ROLE
    with (
        sync_connection(premises.world.addresses.role(ROLE)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("insert into auth.installation (key, value) values ('id', 'mine')")


@pytest.mark.rule("ID-8")
@pytest.mark.parametrize("state", ["ISSUED", "ACTIVE", "LOCKED", "BLACKLISTED", "SUSPENDED"])
async def test_two_codes_let_an_administrator_in_whatever_keeps_them_out_and_everybody_hears(
    premises: Premises, state: str
) -> None:
    done = await premises.initialise("test-installation")
    premises.world.rows("update auth.staff set state = %s where staff_id = 'ma.li'", state)
    premises.world.rows("update auth.credentials set failures = 5 where staff_id = 'ma.li'")
    first, second = (one.code for one in done.break_glass)
    broken = await premises.break_in((Secret(second.reveal().lower().replace("-", " ")), first))
    assert premises.world.state("ma.li") == "ISSUED"
    assert {message.phone for message in premises.world.messages("BREAK_GLASS")} == {"13800000011", "13800000012"}
    event = premises.world.events("break-glass.used")[-1]["facts"]
    assert event["subject_staff_id"] == "ma.li" and HOLDERS[0] in event["people"] and HOLDERS[1] in event["people"]
    node = await login_node(premises.world)
    uri = done.administrators[0].totp_uri.reveal()
    code = pyotp.parse_uri(uri).at(premises.world.clock.now())  # type: ignore[union-attr]
    assert await node.try_login("ma.li", broken.password.reveal(), at="console-1", system="cli", code=code) == "OK"


@pytest.mark.rule("ID-8")
async def test_codes_serve_once_and_the_new_ones_after_them(premises: Premises) -> None:
    done = await premises.initialise()
    codes = (done.break_glass[0].code, done.break_glass[1].code)
    broken = await premises.break_in(codes)
    with pytest.raises(PermissionDenied):
        await premises.break_in(codes)
    fresh = (broken.break_glass[0].code, broken.break_glass[1].code)
    assert {one.holder for one in broken.break_glass} == set(HOLDERS)
    assert (await premises.break_in(fresh, reset_totp=True)).staff_id == "ma.li"
    assert premises.world.one("select active from auth.totp where staff_id = 'ma.li'") is False


@pytest.mark.rule("ID-8")
async def test_one_person_alone_breaks_nothing_and_the_attempt_is_recorded(premises: Premises) -> None:
    done = await premises.initialise()
    one, guess = done.break_glass[0].code, Secret("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")
    for codes in ((one, one), (one, guess), (guess, guess), (one, Secret(""))):
        with pytest.raises(PermissionDenied) as refused:
            await premises.break_in(codes)
        assert refused.value.reason is Reason.PROOF_REFUSED
    assert len(premises.world.events("break-glass.refused")) == 4
    assert premises.world.messages() == []


@pytest.mark.rule("ID-8", "ID-10")
async def test_break_glass_makes_nobody_an_administrator_and_revives_nobody(premises: Premises) -> None:
    done = await premises.initialise()
    codes = (done.break_glass[0].code, done.break_glass[1].code)
    premises.world.rows("update auth.staff set state = 'CLOSED' where staff_id = 'ma.li'")
    premises.world.rows("update auth.staff set role_id = 'clerk' where staff_id = 'xu.qiang'")
    with pytest.raises(FailedPrecondition):
        await premises.break_in(codes)
    for staff_id in ("xu.qiang", "nobody.here"):
        with pytest.raises(NotFound):
            await premises.break_in(codes, staff_id)
    assert premises.world.one("select count(*) from auth.break_glass where used_at is null") == 2


@pytest.mark.rule("ID-8")
async def test_of_two_uses_of_the_same_codes_one_happens(premises: Premises) -> None:
    done = await premises.initialise()
    codes = (done.break_glass[0].code, done.break_glass[1].code)
    outcomes = await asyncio.gather(premises.break_in(codes), premises.break_in(codes), return_exceptions=True)
    assert sum(isinstance(one, Broken) for one in outcomes) == 1
    assert sum(isinstance(one, InfosecError) for one in outcomes) == 1
    assert len(premises.world.events("break-glass.used")) == 1
