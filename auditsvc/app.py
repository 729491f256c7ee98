"""Puts auditsvc together from its leaves, top to bottom; tests and the demo call the same function with other ones.

It starts before every other service and asks none of them: callers are known by their certificates, people by assertions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from auditsvc.acts import ActKind
from auditsvc.appending import Appender, AppendLimits
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import Origins
from auditsvc.erasures import ErasureJournal
from auditsvc.flows.acting import Acting, Deed
from auditsvc.flows.erasing import Erasing, replay
from auditsvc.flows.exporting import Exporting
from auditsvc.flows.finding import Findings
from auditsvc.flows.holding import Holding, Releasing
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.proving import Proving
from auditsvc.flows.reading import Reading
from auditsvc.flows.retaining import Retaining
from auditsvc.flows.reviewing import Reviewing
from auditsvc.flows.telling import Telling
from auditsvc.flows.who import WhoAccessed
from auditsvc.last_signed import LastSigned
from auditsvc.paging import PageTokens
from auditsvc.retention import Terms, terms
from auditsvc.rpc.admin import AuditAdminServicer
from auditsvc.rpc.read import AuditReadServicer
from auditsvc.rpc.record import AuditServicer
from auditsvc.signing import INTERVAL, CheckpointSigner
from auditsvc.store import checkpoints
from auditsvc.witnesses import Witness, Witnesses
from infosec.api.audit.v1 import admin_pb2_grpc, read_pb2_grpc, record_pb2_grpc
from infosec.clock import Clock
from infosec.events.event import Event, Fact
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import customer_number
from infosec.keys import KeyRing, MacKind, SealingKind, SigningKind
from infosec.logging import get
from infosec.rpc.server.assertions import AssertedPersons
from infosec.rpc.server.builder import Registration
from infosec.rpc.server.refusals import Refusal, RefusalReporter, RefusalSink
from infosec.rpc.server.retries import Fingerprints, Retries
from infosec.storage.jobs import Job, Jobs
from infosec.storage.postgres import Database

_LOG = get(__name__)
SCHEMA = "audit"
ROLE = "audit_service"
KEEPER = "audit_keeper"
"""Deletes what two people decided to delete; the service itself cannot."""
MIGRATIONS = "auditsvc.migrations"
PACKAGE = "infosec.api.audit.v1"
RECORD_SERVICE = f"{PACKAGE}.AuditService"
READ_SERVICE = f"{PACKAGE}.AuditReadService"
ADMIN_SERVICE = f"{PACKAGE}.AuditAdminService"
HOT_PATHS = frozenset(f"/{RECORD_SERVICE}/{method}" for method in ("Record", "RecordBatch"))
"""Good answers of these leave no log line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditApp:
    """The service, ready to be served. `run` has to run beside the server."""

    registrations: tuple[Registration, ...]
    installation: str
    appender: Appender
    signer: CheckpointSigner
    _refused: RefusalSink
    _refusals: RefusalReporter
    _witnesses: Witnesses
    _jobs: Jobs

    async def run(self) -> None:
        """Follow erasures elsewhere, sign checkpoints, have them cosigned, do the periodic jobs; until cancelled."""
        self._refusals.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.appender.follow_erasures())
            group.create_task(self.signer.run())
            group.create_task(self._witnesses.run())
            group.create_task(self._jobs.run())

    async def refused(self, refusal: Refusal) -> None:
        """Record a refused call (CI-1). Raises Unavailable when it cannot be."""
        await self._refused(refusal)

    async def work_once(self) -> None:
        """Everything periodic, now: for a demo or test that moves the clock itself."""
        await self._jobs.run_due()
        await self.signer.sign_due()

    async def close(self) -> None:
        """Stop writing; whoever still waits is told that nothing was recorded."""
        await self._refusals.close()
        await self.appender.close()
        await self._witnesses.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaves:
    """What everything below is made from."""

    db: Database
    keeper: Database
    keys: KeyRing
    clock: Clock
    appender: Appender
    checkpoint_keys: CheckpointKeys
    own: OwnEvents
    persons: AssertedPersons
    refusals: RefusalReporter

    def customer_digests(self, customer: str) -> Sequence[bytes]:
        """By every key, the active one first: an entry may be older than a rotation."""
        return self.keys.mac[MacKind.CUSTOMERS].digests(customer_number(customer).encode())


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
    retention_days: Mapping[str, int] | None = None,
    limits: AppendLimits | None = None,
) -> AuditApp:
    """The service on these leaves: `db` as role audit_service, `keeper` as role audit_keeper.

    `directory` keeps what must not be in the database: what was signed, and who was erased. Whom a restored backup has
    brought back is erased again here, before anything is served. Raises Misconfigured, Unavailable.
    """
    journal = ErasureJournal(directory)
    await replay(journal, keeper)
    appender = Appender(db, keys.sealing[SealingKind.SUBJECTS], clock, limits)
    own = OwnEvents(appender, clock)
    refused = _recording(own)
    assertion_keys = keys.signing[SigningKind.ASSERTION]
    leaves = _Leaves(
        db=db,
        keeper=keeper,
        keys=keys,
        clock=clock,
        appender=appender,
        checkpoint_keys=CheckpointKeys(
            keys.signing[SigningKind.CHECKPOINT], Origins(carrier=carrier, installation=installation)
        ),
        own=own,
        persons=AssertedPersons(assertion_keys.public_keys, installation=installation, clock=clock),
        refusals=RefusalReporter(refused, clock=clock, on_fault=_refusal_fault),
    )
    cosigned = Witnesses(db, witnesses, clock, registry=registry)
    signer = CheckpointSigner(
        db,
        leaves.checkpoint_keys,
        clock,
        LastSigned(directory),
        witnesses=cosigned,
        record=leaves.own.record,
        interval=checkpoint_every,
        registry=registry,
    )
    office, acting = _office(leaves, journal, terms(retention_days))
    return AuditApp(
        registrations=(
            (record_pb2_grpc.add_AuditServiceServicer_to_server, _record(leaves)),
            (read_pb2_grpc.add_AuditReadServiceServicer_to_server, _read(leaves)),
            (admin_pb2_grpc.add_AuditAdminServiceServicer_to_server, office),
        ),
        installation=installation,
        appender=appender,
        signer=signer,
        _refused=refused,
        _refusals=leaves.refusals,
        _witnesses=cosigned,
        _jobs=Jobs(db, schema=SCHEMA, jobs=_jobs(leaves, acting), clock=clock),
    )


def _record(leaves: _Leaves) -> AuditServicer:
    return AuditServicer(
        leaves.appender,
        customer_digest=lambda customer: leaves.customer_digests(customer)[0],
        refusals=leaves.refusals,
    )


def _recording(own: OwnEvents) -> RefusalSink:
    async def record(refusal: Refusal) -> None:
        facts: dict[str, Fact] = {
            "caller": as_text(refusal.caller or ""),
            "method": as_text(refusal.method),
            "reason": refusal.reason.value,
            "peer": as_text(refusal.peer),
            "count": refusal.count,
            "first": refusal.first.isoformat(),
        }
        await own.record(Event(type=EventType.AUDIT_CALL_REFUSED, at=refusal.last, facts=facts))

    return record


def _refusal_fault(error: Exception, is_lost: bool) -> None:
    _LOG.error("a refusal could not be recorded", is_lost=is_lost, exc_info=error)


def _read(leaves: _Leaves) -> AuditReadServicer:
    db, own, keys = leaves.db, leaves.own, leaves.checkpoint_keys
    reading = Reading(db, PageTokens(leaves.keys.mac[MacKind.REQUESTS]), own)
    return AuditReadServicer(
        persons=leaves.persons,
        customer_digests=leaves.customer_digests,
        reading=reading,
        exporting=Exporting(db, own),
        proving=Proving(db, origin_of=keys.origins.of, vkeys_of=keys.vkeys),
        who_accessed=WhoAccessed(db, reading, own),
        reviewing=Reviewing(db, leaves.appender, own, keys, leaves.clock),
    )


def _office(leaves: _Leaves, journal: ErasureJournal, kept: Terms) -> tuple[AuditAdminServicer, Acting]:
    db, keeper, own, clock = leaves.db, leaves.keeper, leaves.own, leaves.clock
    telling = Telling(keeper, own)
    retaining = Retaining(db=db, keeper=keeper, clock=clock, terms=kept)
    deeds: dict[ActKind, Deed] = {
        ActKind.ERASE_SUBJECT: Erasing(keeper, journal, clock, forget_subjects=leaves.appender.forget_subjects),
        ActKind.RELEASE_HOLD: Releasing(keeper, clock),
        ActKind.APPLY_RETENTION: retaining,
    }
    acting = Acting(db=db, keeper=keeper, own=own, telling=telling, clock=clock, deeds=deeds)
    servicer = AuditAdminServicer(
        persons=leaves.persons,
        acting=acting,
        holding=Holding(db, own, telling, clock),
        retaining=retaining,
        findings=Findings(db, own, telling, clock),
        retries=Retries(Fingerprints(leaves.keys.mac[MacKind.REQUESTS])),
        customer_digests=leaves.customer_digests,
        clock=clock,
    )
    return servicer, acting


def _jobs(leaves: _Leaves, acting: Acting) -> tuple[Job, ...]:
    async def thin(now: datetime) -> None:
        async with leaves.keeper.transaction() as conn:
            await checkpoints.thin(conn, now - timedelta(days=1))

    return (
        Job(name="carry-out-acts", every=timedelta(seconds=30), run=acting.work),
        Job(name="thin-checkpoints", every=timedelta(days=1), run=thin),
    )
