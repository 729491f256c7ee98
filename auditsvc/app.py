"""Puts auditsvc together from its leaves, top to bottom; tests and the demo call the same function with other ones.

It starts before every other service and asks none of them: callers are known by their certificates, people by assertions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from auditsvc.appending import Appender, AppendLimits, Submission
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import Origins
from auditsvc.last_signed import LastSigned
from auditsvc.rpc.record import AuditServicer
from auditsvc.signing import INTERVAL, CheckpointSigner
from auditsvc.witnesses import Witness, Witnesses
from infosec.api.audit.v1 import record_pb2_grpc
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.events.event import Event, Fact
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.keys import KeyRing, MacKind, SealingKind, SigningKind
from infosec.rpc.server.builder import Registration
from infosec.rpc.server.refusals import Refusal
from infosec.storage.postgres import Database

SCHEMA = "audit"
ROLE = "audit_service"
KEEPER = "audit_keeper"
"""Deletes what two people decided to delete; the service itself cannot."""
MIGRATIONS = "auditsvc.migrations"
PACKAGE = "infosec.api.audit.v1"
RECORD_SERVICE = f"{PACKAGE}.AuditService"
READ_SERVICE = f"{PACKAGE}.AuditReadService"
ADMIN_SERVICE = f"{PACKAGE}.AuditAdminService"
RECORDED_BY = "service/auditd"
"""Whom its own events name as their recorder."""
HOT_PATHS = frozenset(f"/{RECORD_SERVICE}/{method}" for method in ("Record", "RecordBatch"))
"""Good answers of these leave no log line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditApp:
    """The service, ready to be served. `run` has to run beside the server."""

    registrations: tuple[Registration, ...]
    installation: str
    appender: Appender
    signer: CheckpointSigner
    _witnesses: Witnesses

    async def run(self) -> None:
        """Sign checkpoints, have them cosigned, do the periodic jobs; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.signer.run())
            group.create_task(self._witnesses.run())

    @property
    def is_ready(self) -> bool:
        """Not while a log is found rolled back or forked: what is recorded then may be lost again."""
        return not self.signer.refused

    async def refused(self, refusal: Refusal) -> None:
        """Record a refused call (CI-1). Raises Unavailable when it cannot be."""
        facts: dict[str, Fact] = {
            "caller": as_text(refusal.caller or ""),
            "method": as_text(refusal.method),
            "reason": refusal.reason.value,
            "peer": as_text(refusal.peer),
            "count": refusal.count,
            "first": refusal.first.isoformat(),
        }
        event = Event(type=EventType.AUDIT_CALL_REFUSED, at=refusal.last, facts=facts)
        (outcome,) = await self.appender.append([Submission(event, RECORDED_BY)], may_begin_log=True)
        if isinstance(outcome, InfosecError):
            raise outcome

    async def work_once(self) -> None:
        """Everything periodic, now: for a demo or test that moves the clock itself."""
        await self.signer.sign_due()

    async def close(self) -> None:
        """Stop writing; whoever still waits is told that nothing was recorded."""
        await self.appender.close()


async def build(
    *,
    db: Database,
    keeper: Database,
    keys: KeyRing,
    clock: Clock,
    carrier: str,
    installation: str,
    directory: Path,
    registry: CollectorRegistry,
    witnesses: Sequence[Witness] = (),
    checkpoint_every: timedelta = INTERVAL,
    limits: AppendLimits | None = None,
) -> AuditApp:
    """The service on these leaves: `db` as role audit_service, `keeper` as role audit_keeper.

    `directory` keeps what must not be in the database: what was signed, and who was erased.
    """
    appender = Appender(db, keys.sealing[SealingKind.SUBJECTS], clock, limits)
    customers = keys.mac[MacKind.CUSTOMERS]
    signing_keys = CheckpointKeys(
        keys.signing[SigningKind.CHECKPOINT], Origins(carrier=carrier, installation=installation)
    )
    cosigned = Witnesses(db, witnesses, clock, registry=registry)
    signer = CheckpointSigner(
        db,
        signing_keys,
        clock,
        LastSigned(directory),
        witnesses=cosigned,
        interval=checkpoint_every,
        registry=registry,
    )
    servicer = AuditServicer(appender, customer_digest=lambda customer: customers.digest(customer.encode()))
    return AuditApp(
        registrations=((record_pb2_grpc.add_AuditServiceServicer_to_server, servicer),),
        installation=installation,
        appender=appender,
        signer=signer,
        _witnesses=cosigned,
    )
