"""A small carrier on a real database: regions, stores, terminals, systems and people, as everybody's tests need them.

    hq      head office (region carrier)      terminal hq-t1
    e1, e2  two halls of region east          terminals e1-t1 ... e1-t5, e2-t1 ... e2-t5
    w1      a hall of region west             terminals w1-t1 ... w1-t5

Systems `crm` and `pos` serve every store, `queue` only e1. People (CAST) are active, with PASSWORD, changed a day ago; roles
that need a second factor have one, whose code `World.code` tells. More people come with `World.hire`. The time is
START, a Monday at 09:00 carrier time, and moves only when a test moves it.

Fixtures, which tests/conftest.py imports: world_keys, world.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyotp
import pytest
from psycopg.types.json import Jsonb

from authsvc.facts import Facts, FactSeal
from authsvc.flows.attempts import totp_context
from authsvc.hash_schemes import HashParameters
from authsvc.passwords import expires_on
from authsvc.policy_codec import operation_body, role_body
from authsvc.profile import TELECOM_HALL
from infosec import sms
from infosec.clock import ManualClock
from infosec.decision.operations import CATALOGUE
from infosec.decision.roles import ROLES
from infosec.ids import StaffId
from infosec.keys import KeyRing, SealingKind
from infosec.private_files import read_secret
from infosec.secret import Secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import discover, migrate, prepare
from infosec.storage.postgres import Database, PoolLimits
from tests.sim import audit
from tests.sim.servers import SharedServers, sync_connection

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
INSTALLATION = "test-installation"
PASSWORD = "plum.Fence-27"
CHEAP = HashParameters(memory_kib=64, time_cost=1, parallelism=1)
"""Hashes for tests that are not about their cost."""
ROLE = "auth_service"

_STORES = (
    ("hq", "carrier", "公司总部", "中山大道1号", "10086"),
    ("e1", "east", "城东营业厅", "人民路88号", "02087654321"),
    ("e2", "east", "江畔营业厅", "滨江路5号", "02087654322"),
    ("w1", "west", "城西营业厅", "解放路3号", "02087654323"),
)
_HOURS = [{"weekday": day, "opens_at_min": 480, "closes_at_min": 1200} for day in range(1, 8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hire:
    """One person to be. `first` gives them a first password, still unused, in place of one of their own."""

    staff_id: str
    name: str = "王小明"
    role: str = "clerk"
    store: str = "e1"
    phone: str = "13800138000"
    birthday: date = date(1990, 5, 17)
    id_number: str = "110105199005171235"
    password: str = PASSWORD
    state: str = "ACTIVE"
    first: bool = False
    totp: bool | None = None
    """None: if the role's login asks for a second factor."""
    hash: str = ""
    """A ready one, in place of `password`."""


CAST = (
    Hire(staff_id="li.na", name="李娜", phone="13800000001", birthday=date(1992, 3, 8)),
    Hire(staff_id="wang.wei", name="王伟", phone="13800000002", birthday=date(1988, 11, 30)),
    Hire(staff_id="zhang.min", name="张敏", store="e2", phone="13800000003"),
    Hire(staff_id="ouyang.xue", name="欧阳雪", store="w1", phone="13800000004"),
    Hire(staff_id="chen.jing", name="陈静", role="store-manager", phone="13800000005"),
    Hire(staff_id="liu.yang", name="刘洋", role="duty-manager", phone="13800000006"),
    Hire(staff_id="zhao.lei", name="赵磊", role="regional-manager", phone="13800000007"),
    Hire(staff_id="sun.yan", name="孙艳", role="regional-manager", store="w1", phone="13800000008"),
    Hire(staff_id="zhou.tao", name="周涛", role="carrier-duty-officer", store="hq", phone="13800000009"),
    Hire(staff_id="wu.fang", name="吴芳", role="carrier-duty-officer", store="hq", phone="13800000010"),
    Hire(staff_id="xu.qiang", name="徐强", role="administrator", store="hq", phone="13800000011"),
    Hire(staff_id="ma.li", name="马丽", role="administrator", store="hq", phone="13800000012"),
    Hire(staff_id="hu.bin", name="胡斌", role="auditor", store="hq", phone="13800000013"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A message that waits in the outbox, opened."""

    template: str
    phone: str
    text: str


@dataclass(kw_only=True)
class World:
    """One test's carrier."""

    addresses: Addresses
    keys: KeyRing
    keys_dir: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def database(self, limits: PoolLimits | None = None) -> Database:
        """A pool of its own, as the service's role; closed after the test."""
        database = await Database.connect(self.addresses.role(ROLE), limits or PoolLimits(max_size=6))
        return await self._stack.enter_async_context(database)

    async def close(self) -> None:
        await self._stack.aclose()

    def on_close(self, call: Callable[[], Any]) -> None:
        """Have something closed after the test, before the databases."""
        self._stack.push_async_callback(_called, call)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Look, or change something, behind everybody's back."""
        with sync_connection(self.addresses.postgres) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: object) -> Any:
        """The first column of the first row."""
        return self.rows(query, *values)[0][0]

    def hire(self, *people: Hire) -> None:
        """Add people, as of now."""
        with sync_connection(self.addresses.postgres) as connection:
            for person in people:
                for query, values in _rows_of(person, self.keys, self.clock.now()):
                    connection.execute(query.encode(), values)

    def credentials(self, staff_id: str) -> dict[str, Any]:
        """The credentials row."""
        row = self.one("select to_jsonb(c) from auth.credentials c where staff_id = %s", staff_id)
        assert isinstance(row, dict)
        return row

    def state(self, staff_id: str) -> str:
        """Where the staff ID stands."""
        return str(self.one("select state from auth.staff where staff_id = %s", staff_id))

    def live_sessions(self, staff_id: str) -> list[str]:
        """The sessions that have not ended."""
        query = "select session_id from auth.sessions where staff_id = %s and ended_at is null"
        return [row[0] for row in self.rows(query, staff_id)]

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Audit events in the order in which they were put: all, or those of one type."""
        bodies = self.rows("select body from auth.outbox where topic = 'audit' order by seq")
        events = [json.loads(bytes(row[0])) for row in bodies]
        return [event for event in events if not kind or event["type"] == kind]

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        """Entries of the audit logs, log by log: all, or those of one type."""
        bodies = self.rows("select body from audit.entries order by log_id, index")
        entries = [json.loads(bytes(row[0])) for row in bodies]
        return [entry for entry in entries if not kind or entry["type"] == kind]

    def messages(self, template: str = "") -> list[Sms]:
        """What waits to be sent: all, or of one template."""
        rows = self.rows("select event_id, body from auth.outbox where topic = 'notify' order by seq")
        opened = [self._opened(row[0], json.loads(bytes(row[1]))) for row in rows]
        return [message for message in opened if not template or message.template == template]

    def _opened(self, message_id: UUID, body: dict[str, str]) -> Sms:
        template = sms.Template(body["template"])
        message = sms.open_message(
            self.keys.sealing[SealingKind.MESSAGES],
            message_id=message_id,
            template=template,
            sealed=bytes.fromhex(body["sealed"]),
        )
        return Sms(template=template.value, phone=message.phone.reveal(), text=message.text.reveal())

    def findings(self) -> list[str]:
        """Kinds of the findings, oldest first."""
        return [row[0] for row in self.rows("select kind from auth.findings order by at, finding_id")]

    def code(self, staff_id: str, *, steps: int = 0) -> str:
        """The code that a cast member's authenticator shows now, or some steps later."""
        return totp_code(totp_secret(staff_id), self.clock.now() + timedelta(seconds=30 * steps))

    def advance(self, **by: float) -> None:
        """Let time pass: `advance(minutes=5)`."""
        self.clock.advance(timedelta(**by))


def totp_secret(staff_id: str) -> bytes:
    """The second factor of a test's person."""
    return hashlib.sha256(f"totp of {staff_id}".encode()).digest()[:20]


def totp_code(secret: bytes, at: datetime) -> str:
    """The code of a secret at a moment."""
    return pyotp.TOTP(_base32(secret)).at(at)


def first_password_in(text: str) -> str:
    """The password in a first-password SMS: it stands on a line of its own."""
    return text.split("\n")[1]


@pytest.fixture(scope="session")
def world_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of keys for the whole run: what a template sealed must open in every test."""
    directory = tmp_path_factory.mktemp("keys") / "keys"
    KeyRing.create_missing(directory, now=START)
    return directory


@pytest.fixture
async def world(
    embedded: SharedServers, fresh_database: Callable[..., Addresses], world_keys: Path
) -> AsyncIterator[World]:
    """A carrier of this test's own."""
    keys = KeyRing.load(world_keys)
    template = embedded.template("world_template", lambda addresses: build(addresses, keys))
    made = World(addresses=fresh_database(template), keys=keys, keys_dir=world_keys)
    yield made
    await made.close()


async def build(addresses: Addresses, keys: KeyRing) -> None:
    """Fill an empty database with the schemas and the carrier described above."""
    await audit.build(addresses)
    role = addresses.role(ROLE)
    assert role.password_file is not None
    async with await Database.connect(addresses.postgres) as admin:
        await prepare(admin, "auth", ROLE, read_secret(role.password_file))
        await migrate(admin, "auth", discover("authsvc.migrations"), START)
        async with admin.transaction() as connection:
            for query, values in _carrier():
                await connection.execute(query.encode(), values)
            for person in CAST:
                for query, values in _rows_of(person, keys, START):
                    await connection.execute(query.encode(), values)


_Row = tuple[str, tuple[object, ...]]


def _carrier() -> list[_Row]:
    rows: list[_Row] = [("insert into auth.installation (key, value) values ('id', %s)", (INSTALLATION,))]
    rows += [
        ("insert into auth.regions (region_id, name) values (%s, %s)", region)
        for region in (("carrier", "公司"), ("east", "东片区"), ("west", "西片区"))
    ]
    for store in _STORES:
        rows.append(
            (
                "insert into auth.stores (store_id, region_id, name, address, hotline, hours)"
                " values (%s, %s, %s, %s, %s, %s)",
                (*store, Jsonb(_HOURS)),
            )
        )
        count = 1 if store[0] == "hq" else 5
        rows += [
            (
                "insert into auth.terminals (terminal_id, store_id, name) values (%s, %s, %s)",
                (f"{store[0]}-t{number}", store[0], f"{number}号台席"),
            )
            for number in range(1, count + 1)
        ]
    everywhere = [store[0] for store in _STORES]
    for system, stores in (("crm", everywhere), ("pos", everywhere), ("queue", ["e1"])):
        rows.append(
            ("insert into auth.systems (system_id, name, store_ids) values (%s, %s, %s)", (system, system, stores))
        )
    for role in ROLES.values():
        rows.append(("insert into auth.roles (role_id, body) values (%s, %s)", (role.role_id, Jsonb(role_body(role)))))
    for operation in CATALOGUE.values():
        body = Jsonb(operation_body(operation))
        rows.append(("insert into auth.operations (code, body) values (%s, %s)", (operation.code, body)))
    return rows


def _rows_of(person: Hire, keys: KeyRing, now: datetime) -> list[_Row]:
    seal, staff_id = FactSeal(keys.sealing[SealingKind.FACTS]), StaffId(person.staff_id)
    region = next(store[1] for store in _STORES if store[0] == person.store)
    facts = Facts(names=(person.name,), birthday=person.birthday, id_number=person.id_number)
    changed = now - timedelta(days=1)
    ends = expires_on(changed, TELECOM_HALL)
    first_ends = now + TELECOM_HALL.first_password_life if person.first else None
    hashed = person.hash or CHEAP.hasher().hash(person.password)
    state = "ISSUED" if person.first and person.state == "ACTIVE" else person.state
    wants_totp = person.role in TELECOM_HALL.totp_login_roles if person.totp is None else person.totp
    phone = Secret(person.phone)
    rows: list[_Row] = [
        (
            "insert into auth.staff (staff_id, name, role_id, store_id, region_id, state, state_since, phone_sealed,"
            " phone_masked, facts_sealed, created_at, created_by)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'test')",
            (
                *(staff_id, person.name, person.role, person.store, region, state, changed),
                *(seal.seal_phone(staff_id, phone), sms.masked_phone(person.phone), seal.seal_facts(staff_id, facts)),
                changed,
            ),
        ),
        (
            "insert into auth.credentials (staff_id, hash, is_first, first_expires_at, changed_at, ends_at)"
            " values (%s, %s, %s, %s, %s, %s)",
            (staff_id, hashed, person.first, first_ends, changed, first_ends or ends),
        ),
        (
            "insert into auth.password_history (staff_id, used_at, hash) values (%s, %s, %s)",
            (staff_id, changed, hashed),
        ),
    ]
    if wants_totp:
        sealed = keys.sealing[SealingKind.TOTP].seal(totp_secret(staff_id), totp_context(staff_id))
        rows.append(
            ("insert into auth.totp (staff_id, secret_sealed, active) values (%s, %s, true)", (staff_id, sealed))
        )
    return rows


def _base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode()


async def _called(call: Callable[[], Any]) -> None:
    result = call()
    if asyncio.iscoroutine(result):
        await result
