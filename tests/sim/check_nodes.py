"""The check slice as one process would wire it, on a world: a feeder that follows PostgreSQL, a front, and its wire."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from auditsvc.appending import Appender, AppendLimits
from auditsvc.rpc.record import AuditServicer
from authsvc.activity import Activity
from authsvc.feeder import Feeder
from authsvc.front import CheckFront, Question
from authsvc.journal import CheckJournal
from authsvc.profile import TELECOM_HALL
from authsvc.recorder import AccessRecorder, GroupRecorder
from authsvc.rpc.check import CheckServicer
from authsvc.work import Works
from infosec import logging as infosec_logging
from infosec.api.audit.v1 import record_pb2_grpc
from infosec.api.auth.v1 import check_pb2_grpc
from infosec.certificates import Authority
from infosec.config import Address
from infosec.decision.check import Decision
from infosec.decision.operations import CATALOGUE, OperationClass, Purpose
from infosec.decision.tables import Limits
from infosec.ids import OperationCode, StoreId, SystemId, TerminalId
from infosec.keys import KeyRing, MacKind, SealingKind
from infosec.rpc.server.builder import Server
from infosec.rpc.server.identity import ANY
from infosec.rpc.server.refusals import Refusal, RefusalReporter
from infosec.storage.postgres import Database
from tests.sim.audit import SERVICE, LocalLog
from tests.sim.patience import PATIENCE, PATIENCE_S
from tests.sim.world import INSTALLATION, World

CARRIER_NAME = "carrier.example"
CHECK_SERVICE = "infosec.api.auth.v1.CheckService"
RECORD_SERVICE = "infosec.api.audit.v1.AuditService"
PAY = "1302"
READ = "1500"
WAIT = timedelta(seconds=10)
"""Far longer than news takes on a busy machine: a test that is about its end gives a short one."""


@dataclass(kw_only=True)
class CheckNode:
    """One process's check objects, and shorthands for what tests do all the time."""

    world: World
    database: Database
    works: Works
    feeder: Feeder
    recorder: AccessRecorder
    journal: CheckJournal
    appender: Appender
    activity: Activity
    front: CheckFront
    servicer: CheckServicer
    keys: KeyRing
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def ask(self, token: str, operation: str = PAY, **facts: Any) -> Decision:
        """The decision on a question asked by `crm` at e1-t1 about a customer, unless said otherwise."""
        return (await self.front.check(question(token, operation, **facts))).decision

    async def reason(self, token: str, operation: str = PAY, **facts: Any) -> str:
        return (await self.ask(token, operation, **facts)).reason.value

    async def soon(self, token: str, reason: str, **facts: Any) -> None:
        """Wait until the node answers so."""
        await until(lambda: self.reason(token, **facts), reason)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()


async def until(ask: Callable[[], Any], wanted: Any, *, within_s: float = PATIENCE_S) -> None:
    """Ask until the answer is the wanted one. The bound only ends a test that would fail anyway."""
    deadline = time.monotonic() + within_s
    while (answer := await ask()) != wanted:
        assert time.monotonic() < deadline, f"still {answer}, not {wanted}"
        await asyncio.sleep(0.01)


def question(token: str, operation: str = PAY, **facts: Any) -> Question:
    """A question by `crm` at e1-t1 about a customer; a read states a purpose."""
    known = CATALOGUE.get(OperationCode(operation))
    purpose = Purpose.ORDER if known is not None and known.cls is OperationClass.READ else None
    terminal = facts.pop("terminal", "e1-t1")
    values: dict[str, Any] = {
        "system": SystemId(facts.pop("system", "crm")),
        "token": token,
        "operation": OperationCode(operation),
        "store": StoreId(facts.pop("store", terminal.partition("-")[0])),
        "terminal": TerminalId(terminal),
        "customer": "13911112222",
        "purpose": purpose,
    }
    return Question(**(values | facts))


def limits_of(*, staleness_s: float = 5.0) -> Limits:
    return Limits(
        profile=TELECOM_HALL.name,
        idle_s=TELECOM_HALL.idle_limit.total_seconds(),
        idle_grace_s=TELECOM_HALL.idle_grace.total_seconds(),
        staleness_s=staleness_s,
    )


async def check_node(
    world: World,
    *,
    runs: bool = True,
    staleness_s: float = 5.0,
    poll_s: float = 0.02,
    database: Database | None = None,
    recorder: AccessRecorder | None = None,
    keys: KeyRing | None = None,
    wait: timedelta = WAIT,
) -> CheckNode:
    """Wire one, with a pool of connections of its own; with `runs` it follows the truth from now on."""
    database = database or await world.database()
    ring = keys or world.keys

    async def announce(_revisions: Any) -> None:
        """Nobody is told: the other nodes poll."""

    works = Works(database, world.clock, announce=announce)
    node_keys = [ring]
    feeder = Feeder(
        database,
        world.clock,
        limits=limits_of(staleness_s=staleness_s),
        public_keys=lambda: node_keys[0].public_keys(),
        poll_every=timedelta(seconds=poll_s),
    )
    audit_db = await Database.connect(world.addresses.role(SERVICE))
    limits = AppendLimits(deadline=PATIENCE)
    appender = Appender(audit_db, ring.sealing[SealingKind.SUBJECTS], world.clock, limits)
    log = LocalLog(appender)
    spools = Path(tempfile.mkdtemp(prefix="spool-"))
    # No read is denied here because the machine is slow: what the deadline is for has tests of its own.
    grouped = GroupRecorder(log, deadline=PATIENCE)
    journal = CheckJournal(spools, log, world.clock)

    async def let_go() -> None:
        journal.close()
        shutil.rmtree(spools)
        await appender.close()
        await audit_db.close()

    world.on_close(let_go)
    activity = Activity(works, world.clock, step=TELECOM_HALL.idle_recording_step, latest_idle=TELECOM_HALL.idle_latest)
    front = CheckFront(
        feeder,
        recorder or grouped,
        journal,
        activity,
        world.clock,
        installation=INSTALLATION,
        customer_digest=lambda customer: ring.mac[MacKind.CUSTOMERS].digest(customer.encode()),
        revision_wait=wait,
    )
    node = CheckNode(
        world=world,
        database=database,
        works=works,
        feeder=feeder,
        recorder=recorder or grouped,
        journal=journal,
        appender=appender,
        activity=activity,
        front=front,
        servicer=CheckServicer(front, feeder, installation=INSTALLATION),
        keys=ring,
    )
    if runs:
        await feeder.refresh()
        node.tasks += [asyncio.create_task(feeder.run()), asyncio.create_task(grouped.run())]
        node.tasks.append(asyncio.create_task(journal.run()))
        world.on_close(node.stop)
    return node


@dataclass(kw_only=True)
class CheckWire:
    """A real server with mutual TLS in front of a node."""

    server: Server
    authority: Authority
    stack: AsyncExitStack
    refusals: list[Refusal] = field(default_factory=list)

    def connection(self, system: str = "crm", *, locale: str = "zh-CN") -> Any:
        """A connection of the SDK, as this system."""
        from datetime import UTC, datetime

        from infosec.client.connection import connect

        files = self.authority.issue_system(system, now=datetime.now(UTC))
        return connect(
            f"127.0.0.1:{self.server.port}", ca=files.ca, cert=files.certificate, key=files.key, locale=locale
        )


@asynccontextmanager
async def served(node: CheckNode, folder: Any, *, port: int = 0) -> AsyncIterator[CheckWire]:
    """The node's CheckService on loopback, and the AuditService that it records in."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    authority = Authority.create_or_load(folder / "tls", carrier=CARRIER_NAME, now=now)
    refusals: list[Refusal] = []

    async def remember(refusal: Refusal) -> None:
        refusals.append(refusal)

    digest = node.keys.mac[MacKind.CUSTOMERS].digest
    recording = AuditServicer(
        node.appender,
        customer_digest=lambda customer: digest(customer.encode()),
        refusals=RefusalReporter(remember, clock=node.world.clock, on_fault=lambda _error, _is_lost: None),
    )
    server = Server(
        [
            (check_pb2_grpc.add_CheckServiceServicer_to_server, node.servicer),
            (record_pb2_grpc.add_AuditServiceServicer_to_server, recording),
        ],
        address=Address(host="127.0.0.1", port=port),
        tls=authority.issue_service("authd", now=now),
        carrier=CARRIER_NAME,
        allow={CHECK_SERVICE: ANY, RECORD_SERVICE: ANY},
        refusals=remember,
        registry=CollectorRegistry(),
        log=infosec_logging.get("tests.check"),
    )
    await server.start()
    async with AsyncExitStack() as stack:
        try:
            yield CheckWire(server=server, authority=authority, stack=stack, refusals=refusals)
        finally:
            await server.stop(grace_s=0)
