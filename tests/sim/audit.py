"""An audit log on a real database, for tests of auditsvc: the schema with its two roles, keys, a clock moved by hand."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from auditsvc.appending import Appender, AppendLimits
from auditsvc.batch import Outcome, Receipt, Submission
from auditsvc.rpc.record import outcome_to_wire
from infosec.client.audit import faults_of
from infosec.clock import ManualClock
from infosec.errors import InfosecError
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.keys import KeyRing, MacKind, SealingKind
from infosec.private_files import read_secret
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import discover, migrate, prepare
from infosec.storage.postgres import Database, PoolLimits
from tests.sim.servers import SharedServers, sync_connection

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
INSTALLATION = "7e57ab1e-0000-4000-8000-000000000000"
CARRIER_NAME = "carrier.example"
SCHEMA, SERVICE, KEEPER = "audit", "audit_service", "audit_keeper"
EAST, WEST = RegionId("east"), RegionId("west")
RECORDER = "service/suite"


async def build(addresses: Addresses) -> None:
    """The schema, with a password for each role."""
    async with await Database.connect(addresses.postgres) as admin:
        for name in (SERVICE, KEEPER):
            file = addresses.role(name).password_file
            assert file is not None
            await prepare(admin, SCHEMA, name, read_secret(file))
        await migrate(admin, SCHEMA, discover("auditsvc.migrations"), START)


class LocalLog:
    """authsvc's port AuditLog straight on an appender: the wire between the two has tests of its own."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        outcomes = await self._appender.append([Submission(event, RECORDER) for event in events], may_begin_log=True)
        return faults_of(list(map(outcome_to_wire, outcomes)))


@dataclass(kw_only=True)
class AuditStand:
    """One audit database and what stands on it."""

    addresses: Addresses
    keys: KeyRing
    clock: ManualClock
    db: Database
    keeper: Database
    stack: AsyncExitStack
    appenders: list[Appender] = field(default_factory=list)

    def appender(self, limits: AppendLimits | None = None, *, db: Database | None = None) -> Appender:
        """Another appender, ended with the test."""
        made = Appender(db or self.db, self.keys.sealing[SealingKind.SUBJECTS], self.clock, limits)
        self.stack.push_async_callback(made.close)
        return made

    def customer(self, number: str) -> str:
        """The digest by which events name a customer."""
        return self.keys.mac[MacKind.CUSTOMERS].digest(number.encode()).hex()

    async def append(self, *events: Event, recorded_by: str = RECORDER) -> list[Receipt]:
        """Receipts of events that must be taken."""
        outcomes = await self.try_append(*events, recorded_by=recorded_by)
        refused = [one for one in outcomes if not isinstance(one, Receipt)]
        assert not refused, refused[:1]
        return [one for one in outcomes if isinstance(one, Receipt)]

    async def try_append(self, *events: Event, recorded_by: str = RECORDER) -> Sequence[Outcome]:
        """Receipts or refusals."""
        if not self.appenders:
            self.appenders.append(self.appender())
        submissions = [Submission(event, recorded_by) for event in events]
        return await self.appenders[0].append(submissions, may_begin_log=True)

    def check(self, number: int = 0, *, region: RegionId = EAST, **facts: Fact) -> Event:
        """A check that was allowed: the `number`th, of one of seven people and forty customers."""
        values: dict[str, Fact] = {
            "staff_id": f"clerk.{number % 7}",
            "role_id": "clerk",
            "store_id": f"{region[:1]}{number % 3 + 1}",
            "terminal_id": f"{region[:1]}{number % 3 + 1}-t1",
            "system_id": "crm",
            "session_id": str(uuid.UUID(int=number % 7 + 1)),
            "operation": "1500",
            "customer": self.customer(f"1380000{number % 40:04}"),
            "purpose": "ORDER",
            "order_id": f"order-{number}",
            "decision": "ALLOWED",
            "reason": "OK",
            "revision": number,
        }
        facts = {**values, **facts}
        return Event(type=EventType.CHECK_DECIDED, at=self.clock.now(), region_id=region, facts=facts)

    def advance(self, **by: float) -> None:
        """Move the clock."""
        self.clock.advance(timedelta(**by))

    def rows(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        """Straight from the database, as its owner."""
        with sync_connection(self.addresses.postgres) as connection:
            cursor = connection.execute(query, parameters or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def connected(self, role: str) -> psycopg.Connection:
        """A connection as one of the roles."""
        return sync_connection(self.addresses.role(role))

    @contextmanager
    def blocked(self, log_id: RegionId) -> Iterator[None]:
        """Somebody else holds the head of this log while the block runs: nothing is appended to it."""
        with sync_connection(self.addresses.postgres) as connection:
            connection.autocommit = False
            connection.execute("select 1 from audit.logs where log_id = %s for update", (log_id,))
            yield
            connection.rollback()


@pytest.fixture
async def audit(
    embedded: SharedServers, fresh_database: Callable[..., Addresses], world_keys: Path
) -> AsyncIterator[AuditStand]:
    """A fresh audit database."""
    addresses = fresh_database(embedded.template("audit_template", build))
    keys = KeyRing.load(world_keys)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await Database.connect(addresses.role(SERVICE), PoolLimits(max_size=8)))
        keeper = await stack.enter_async_context(await Database.connect(addresses.role(KEEPER), PoolLimits(max_size=2)))
        yield AuditStand(addresses=addresses, keys=keys, clock=ManualClock(START), db=db, keeper=keeper, stack=stack)
