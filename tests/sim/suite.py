"""The whole suite as one process serves it, on a world: every RPC service over mutual TLS, notify with its sink, Redis hints.

What the suite writes (logs at debug level, metrics) and what it answers is kept, for tests that search it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.typing import FilteringBoundLogger

from auditsvc import app as audit
from authsvc import app as auth
from authsvc.hashing import PoolLimits as HashLimits
from authsvc.hashing import Target
from authsvc.profile import TELECOM_HALL, Profile
from infosec import logging as infosec_logging
from infosec.api.auth.v1 import login_pb2
from infosec.certificates import Authority, CertificateFiles
from infosec.client.connection import Connection, connect
from infosec.clock import Clock
from infosec.config import Address, Config
from infosec.errors import InfosecError
from infosec.keys import KeyRing, SealingKind
from infosec.private_files import read_secret
from infosec.rpc.credentials import channel_credentials, client_options
from infosec.rpc.server.builder import Server, ServerLimits
from infosec.rpc.server.identity import Caller
from infosec.storage.addresses import PostgresAddress
from infosec.storage.embedded import Addresses
from infosec.storage.migrations import discover, migrate, prepare
from infosec.storage.postgres import Database, PoolLimits
from infosec.storage.redis import Hints
from services.auditing import AuditOverRpc
from services.notify import app as notify
from services.notify.sink import Sink
from services.notifying import NotifyOverRpc
from services.serving import _allow
from tests.sim.patience import PATIENCE, PATIENCE_S
from tests.sim.servers import SharedServers
from tests.sim.world import CHEAP, INSTALLATION, PASSWORD, START, Hire, World, build

CARRIER_NAME = "carrier.example"
PACKAGE = "/infosec.api.auth.v1."
PATIENT = replace(TELECOM_HALL, revision_wait=timedelta(seconds=4), record_deadline=PATIENCE)
"""For tests that are not about how long news and records are waited for: a busy machine is slow."""
VOLATILE = ("attempt_places", "jobs", "proof_places")
"""What moves by itself."""


@dataclass(kw_only=True)
class Suite:
    """A running suite and its callers."""

    world: World
    server: Server
    app: auth.AuthApp
    audit: audit.AuditApp
    db: Database
    sink: Sink
    authority: Authority
    registry: CollectorRegistry
    log: io.StringIO
    verified: Counter[Target] = field(default_factory=Counter)
    seen: list[bytes] = field(default_factory=list)
    """Everything that `call` was answered."""
    refusals: list[str] = field(default_factory=list)
    """Everything that `call` saw of refusals."""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _connections: dict[tuple[str, str], Connection] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def files(self, system: str = "crm", authority: Authority | None = None) -> CertificateFiles:
        return (authority or self.authority).issue_system(system, now=datetime.now(UTC))

    def as_system(self, system: str = "crm", *, locale: str = "en") -> Connection:
        """The SDK, as this system; one connection for the test."""
        if (system, locale) not in self._connections:
            files = self.files(system)
            made = connect(self.address, ca=files.ca, cert=files.certificate, key=files.key, locale=locale)
            self._connections[system, locale] = made
            self._stack.push_async_callback(made.close)
        return self._connections[system, locale]

    def channel(self, system: str = "crm", files: CertificateFiles | None = None) -> grpc.aio.Channel:
        """A bare channel, for what the SDK would not send; closed with the suite."""
        credentials = channel_credentials(files or self.files(system))
        channel = grpc.aio.secure_channel(self.address, credentials, options=client_options())
        self._stack.push_async_callback(channel.close)
        return channel

    async def call(self, work: Any) -> Any:
        """An answer, or the error of a refusal; both are kept, to be searched."""
        try:
            answer = await work
        except InfosecError as error:
            cause = error.__cause__
            self.refusals.append(repr((error, error.reason, error.details, error.violations, str(error))))
            if isinstance(cause, grpc.aio.AioRpcError):
                self.refusals.append(repr((cause.code(), cause.details(), cause.debug_error_string())))
                self.refusals += [repr(entry) for entry in cause.trailing_metadata() or ()]
            return error
        self.seen.append(answer.SerializeToString() if hasattr(answer, "SerializeToString") else repr(answer).encode())
        return answer

    async def reason(self, work: Any) -> str:
        """OK, the reason of a refusal, or that of a denied check."""
        answer = await self.call(work)
        if isinstance(answer, InfosecError):
            return answer.reason.value
        return "OK" if getattr(answer, "allowed", True) else str(answer.reason)

    async def login(
        self, staff: str, password: str = PASSWORD, *, at: str = "e1-t1", code: str = "", system: str = "crm"
    ) -> login_pb2.LoginResponse:
        """A session; raises where there is none."""
        return await self.as_system(system).login.login(staff, password, terminal_id=at, totp_code=code)

    async def session(self, staff: str, *, at: str = "", system: str = "crm", step_up: bool = False) -> str:
        """A token with every factor that the role asks for, with codes that were never used."""
        self.world.advance(seconds=90)
        role, store = self.world.rows("select role_id, store_id from auth.staff where staff_id = %s", staff)[0]
        code = self.world.code(staff) if role in TELECOM_HALL.totp_login_roles else ""
        made = await self.login(staff, at=at or f"{store}-t1", code=code, system=system)
        if step_up:
            self.world.advance(seconds=30)
            await self.as_system(system).login.step_up(made.token, self.world.code(staff))
        await self.fresh()
        return made.token

    async def hire(self, *people: Hire) -> None:
        """Add people, and let the check know them."""
        self.world.hire(*people)
        await self.tell_of(*(person.staff_id for person in people))

    async def tell_of(self, *staff_ids: str) -> None:
        """Let the check know what was done to people behind its back."""
        for staff_id in staff_ids:
            self.world.rows(
                "with next as (insert into auth.region_revisions as r (region_id, number)"
                " select region_id, 1 from auth.staff where staff_id = %s"
                " on conflict (region_id) do update set number = r.number + 1 returning region_id, number)"
                " insert into auth.changes (region_id, number, kind, entity_id, at)"
                " select region_id, number, 'staff', %s, %s from next",
                *(staff_id, staff_id, self.world.clock.now()),
            )
        await self.fresh()

    async def check(self, token: str, operation: str = "1302", *, at: str = "e1-t1", **facts: Any) -> Any:
        """A check at the centre about a customer."""
        facts.setdefault("customer", "13911112222")
        return await self.as_system().check.check(
            token, operation, store_id=at.partition("-")[0], terminal_id=at, **facts
        )

    async def fresh(self) -> None:
        """Let the check know all that was committed."""
        await self.app.feeder.refresh()

    async def message(self, phone: str, pattern: str) -> str:
        """What `pattern` finds in the newest message to this phone that has it, once that was sent."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            await self.app.work_once()
            texts = [one.text.reveal() for one in self.sink.newest(1000) if one.phone.reveal() == phone]
            found = next((match for text in texts if (match := re.search(pattern, text, re.MULTILINE))), None)
            if found is not None:
                return found[0]
            assert time.monotonic() < deadline, texts
            await asyncio.sleep(0.02)

    def metrics(self) -> str:
        return generate_latest(self.registry).decode()

    def tables(self, *, but: Sequence[str] = VOLATILE) -> dict[str, str]:
        """A digest of every table of both schemas: what was not written has not changed."""
        found = self.world.rows(
            "select schemaname, tablename from pg_tables where schemaname in ('auth', 'notify') order by 1, 2"
        )
        return {
            f"{schema}.{table}": self.world.one(
                f"select md5(coalesce(string_agg(md5((to_jsonb(t) - 'last_seen')::text), '' order by md5("
                f"(to_jsonb(t) - 'last_seen')::text)), '')) from {schema}.{table} t"
            )
            for schema, table in found
            if table not in but
        }

    def counts(self, *types: str) -> int:
        """How many audit events there are of these types."""
        return sum(1 for event in self.world.events() if event["type"] in types)


async def build_suite(addresses: Addresses, keys: KeyRing) -> None:
    """The world, and what the whole suite needs beside it: the schema of notify, and the command line's system."""
    await build(addresses, keys)
    role = addresses.role(notify.ROLE)
    assert role.password_file is not None
    async with await Database.connect(addresses.postgres) as admin:
        await prepare(admin, notify.SCHEMA, notify.ROLE, read_secret(role.password_file))
        await migrate(admin, notify.SCHEMA, discover(notify.MIGRATIONS), START)
        async with admin.transaction() as connection:
            await connection.execute(
                "insert into auth.systems (system_id, name, store_ids) values ('cli', 'cli', '{hq,e1,e2,w1}')"
            )


@pytest.fixture
async def suite_world(
    embedded: SharedServers, fresh_database: Callable[..., Addresses], world_keys: Path
) -> AsyncIterator[World]:
    """A carrier of this test's own, with every schema."""
    keys = KeyRing.load(world_keys)
    template = embedded.template("suite_template", lambda addresses: build_suite(addresses, keys))
    made = World(addresses=fresh_database(template), keys=keys, keys_dir=world_keys)
    yield made
    await made.close()


@pytest.fixture
async def suite(suite_world: World, tmp_path: Path) -> AsyncIterator[Suite]:
    """All of it, served on the world's database with the world's clock."""
    async with served(suite_world, tmp_path, profile=PATIENT) as made:
        yield made


@asynccontextmanager
async def served(
    world: World,
    folder: Path,
    *,
    clock: Clock | None = None,
    postgres: PostgresAddress | None = None,
    pool: PoolLimits | None = None,
    hash_pool: HashLimits | None = None,
    limits: ServerLimits | None = None,
    profile: Profile = TELECOM_HALL,
    level: str = "debug",
) -> AsyncIterator[Suite]:
    """Serve; `postgres` is another way to authsvc's database (a link that can be cut)."""
    log, registry, clock = io.StringIO(), CollectorRegistry(), clock or world.clock
    infosec_logging.configure(level, log)
    verified: Counter[Target] = Counter()

    def count(target: Target) -> None:
        verified[target] += 1

    authority = Authority.create_or_load(folder / "tls", carrier=CARRIER_NAME, now=datetime.now(UTC))
    files = authority.issue_service("suite", now=datetime.now(UTC))
    async with AsyncExitStack() as stack:
        db = await Database.connect(postgres or world.addresses.role(auth.ROLE), pool or PoolLimits())
        stack.push_async_callback(db.close)
        notify_db = await Database.connect(world.addresses.role(notify.ROLE))
        stack.push_async_callback(notify_db.close)
        hints = Hints(world.addresses.redis) if world.addresses.redis is not None else None
        if hints is not None:
            stack.push_async_callback(hints.close)
        audit_db = await Database.connect(world.addresses.role(audit.ROLE))
        keeper = await Database.connect(world.addresses.role(audit.KEEPER), PoolLimits(max_size=2))
        for database in (audit_db, keeper):
            stack.push_async_callback(database.close)
        audit_app = await audit.build(
            db=audit_db,
            keeper=keeper,
            keys=world.keys,
            clock=clock,
            carrier=CARRIER_NAME,
            installation=INSTALLATION,
            directory=folder / "audit",
            registry=registry,
        )
        peer = _Peer()
        app = auth.build(
            db=db,
            keys=world.keys,
            profile=profile,
            clock=clock,
            installation=INSTALLATION,
            notify=peer,
            audit=AuditOverRpc(lambda: peer.connection.audit),
            spool_dir=folder / "spool",
            registry=registry,
            hints=hints,
            hashing=CHEAP,
            hash_pool=hash_pool or HashLimits(workers=2),
            observe_hash=count,
            poll_every=_POLL_EVERY,
            shows_messages=True,
        )

        async def read_token(token: str, caller: Caller) -> Any:
            actor = await app.actors.of(token, caller.name)
            return actor.staff_id, actor.role_id

        sink = Sink(clock)
        notify_app = notify.build(
            db=notify_db,
            keys=world.keys.sealing[SealingKind.MESSAGES],
            gateway=sink,
            clock=clock,
            read_token=read_token,
            is_loopback=True,
        )
        server = Server(
            [*app.check_registrations, *app.registrations, *notify_app.registrations(), *audit_app.registrations],
            address=Address(host="127.0.0.1", port=0),
            tls=files,
            carrier=CARRIER_NAME,
            allow=_allow(Config.from_mapping({"server": {"data_dir": str(folder), "carrier": CARRIER_NAME}})),
            refusals=app.refused,
            registry=registry,
            log=cast(FilteringBoundLogger, infosec_logging.get("infosec.rpc")),
            clock=clock,
            readiness=app.ready,
            quiet=auth.HOT_PATHS | audit.HOT_PATHS,
            limits=limits,
        )
        await app.feeder.refresh()
        await server.start()
        to_itself = connect(f"127.0.0.1:{server.port}", ca=files.ca, cert=files.certificate, key=files.key)
        peer.connection = to_itself
        tasks = [asyncio.create_task(part.run()) for part in (audit_app, app, notify_app)]
        made = Suite(
            world=world,
            server=server,
            app=app,
            audit=audit_app,
            db=db,
            sink=sink,
            authority=authority,
            registry=registry,
            log=log,
            verified=verified,
        )
        try:
            yield made
        finally:
            await made._stack.aclose()
            await server.stop(grace_s=0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await to_itself.close()
            await app.close()
            await audit_app.close()


_POLL_EVERY = TELECOM_HALL.revision_wait / 5


class _Peer:
    """The services of the suite, reachable once the server listens."""

    connection: Connection

    async def submit(self, message: Any) -> str:
        return await NotifyOverRpc(self.connection.notify).submit(message)

    async def states(self, message_ids: Any) -> Any:
        return await NotifyOverRpc(self.connection.notify).states(message_ids)


def random_text(label: str) -> str:
    """Something that stands nowhere by chance, differs in every run of this machine, and looks like a password."""
    return f"Mk-{label}-{hashlib.sha256(f'{label} {datetime.now(UTC)}'.encode()).hexdigest()[:12]}!7"


def raw_unary(channel: grpc.aio.Channel, path: str) -> Any:
    """A unary method that takes and gives bytes."""
    untyped: Any = channel
    return untyped.unary_unary(path)


def raw_stream(channel: grpc.aio.Channel, path: str) -> Any:
    """The same for a method with streams both ways."""
    untyped: Any = channel
    return untyped.stream_stream(path)
