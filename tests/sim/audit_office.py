"""What auditors change of an audit log: AuditAdminService on a real database, called with assertions that are signed here."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditsvc.acts import ActKind
from auditsvc.appending import Appender
from auditsvc.entry import Entry, parse
from auditsvc.erasures import Erasure, ErasureJournal
from auditsvc.flows.acting import Acting, Deed
from auditsvc.flows.erasing import Erasing
from auditsvc.flows.finding import Findings
from auditsvc.flows.holding import Holding, Releasing
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.retaining import Retaining, RetentionLimits
from auditsvc.flows.telling import Telling
from auditsvc.retention import terms
from auditsvc.rpc.admin import AuditAdminServicer
from infosec.api.audit.v1 import admin_pb2 as pb
from infosec.certificates import CallerKind
from infosec.decision.assertion import IdentityAssertion, issue_assertion
from infosec.errors import Reason, Unavailable
from infosec.events.event import Event
from infosec.ids import CARRIER, RegionId, RoleId, SessionId, StaffId, SystemId, TerminalId
from infosec.keys import MacKind, SigningKind
from infosec.messages import Locale
from infosec.rpc.server.assertions import AssertedPersons
from infosec.rpc.server.identity import Caller, bind
from infosec.rpc.server.retries import Fingerprints, Retries
from tests.sim.audit import INSTALLATION, AuditStand

CONSOLE = SystemId("cli")
NUMBER = "13800000001"


class CutLog(OwnEvents):
    """The log, which can be cut off: before an event reaches it, or after, so that only the answer is lost."""

    is_away = False
    loses_answers = False

    async def record(self, *events: Event) -> None:
        if not self.is_away:
            await super().record(*events)
        if self.is_away or self.loses_answers:
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")


class FullJournal(ErasureJournal):
    """The journal on a disk that can be full, or of which the news comes too late."""

    is_full = False
    dies_after = False

    def add(self, erasure: Erasure) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super().add(erasure)
        if self.dies_after:
            raise OSError(5, "Input/output error")


@dataclass(kw_only=True)
class Office:
    """The service and its parts."""

    audit: AuditStand
    servicer: AuditAdminServicer
    acting: Acting
    retaining: Retaining
    deeds: Mapping[ActKind, Deed]
    journal: FullJournal
    log: CutLog
    appender: Appender

    def assertion(
        self,
        staff_id: str,
        *,
        role: str = "auditor",
        stepped_up: bool = True,
        session: str | None = None,
        system: str = CONSOLE,
    ) -> str:
        """Signed now; a session of its own for each person, unless told otherwise."""
        now_s = int(self.audit.clock.now().timestamp())
        claims = IdentityAssertion(
            staff_id=StaffId(staff_id),
            role_id=RoleId(role),
            store_id=None,
            region_id=CARRIER,
            session_id=SessionId(session or str(uuid.uuid5(uuid.NAMESPACE_OID, staff_id))),
            system_id=SystemId(system),
            terminal_id=TerminalId("desk-1"),
            installation=INSTALLATION,
            issued_s=now_s,
            expires_s=now_s + 300,
            stepped_up_until_s=now_s + 300 if stepped_up else 0,
        )
        return issue_assertion(claims, self.audit.keys.signing[SigningKind.ASSERTION])

    async def call(self, method: str, request: Any, *, system: str = CONSOLE) -> Any:
        """As the interceptors would hand it on."""
        context = object()
        bind(context, Caller(kind=CallerKind.SYSTEM, name=system, locale=Locale.EN, peer="test"))
        return await getattr(self.servicer, method)(request, context)

    async def erase(self, by: str = "ann", number: str = NUMBER, request_id: str = "") -> pb.Act:
        request = pb.EraseSubjectRequest(
            request_id=request_id or fresh(), assertion=self.assertion(by), customer=number, reason="asked for"
        )
        return (await self.call("EraseSubject", request)).act

    async def hold(self, by: str = "ann", number: str = NUMBER, request_id: str = "") -> pb.Hold:
        request = pb.PlaceHoldRequest(
            request_id=request_id or fresh(), assertion=self.assertion(by), customer=number, reason="a dispute"
        )
        return (await self.call("PlaceHold", request)).hold

    async def release(self, hold_id: str, by: str = "ann") -> pb.Act:
        request = pb.ReleaseHoldRequest(
            request_id=fresh(), assertion=self.assertion(by), hold_id=hold_id, reason="settled"
        )
        return (await self.call("ReleaseHold", request)).act

    async def retain(self, by: str = "ann", *, dry_run: bool = False) -> pb.ApplyRetentionResponse:
        request = pb.ApplyRetentionRequest(
            request_id=fresh(), assertion=self.assertion(by), reason="every year", dry_run=dry_run
        )
        return await self.call("ApplyRetention", request)

    async def confirm(self, act_id: str, by: str = "bea", request_id: str = "", **claims: Any) -> pb.Act:
        request = pb.ConfirmActRequest(
            request_id=request_id or fresh(), assertion=self.assertion(by, **claims), act_id=act_id
        )
        return (await self.call("ConfirmAct", request)).act

    async def withdraw(self, act_id: str, by: str = "ann", **claims: Any) -> pb.Act:
        request = pb.WithdrawActRequest(
            request_id=fresh(), assertion=self.assertion(by, **claims), act_id=act_id, reason="not needed"
        )
        return (await self.call("WithdrawAct", request)).act

    async def work(self) -> None:
        """The periodic job."""
        await self.acting.work(self.audit.clock.now())

    async def states(self) -> list[int]:
        """Of all acts, newest first."""
        request = pb.ListActsRequest(assertion=self.assertion("ann"), page_size=500)
        return [act.state for act in (await self.call("ListActs", request)).acts]

    async def until_it_waits(self, task: asyncio.Task[Any]) -> None:
        """Until somebody waits for a lock in the database, or the task is over without."""
        while not task.done():
            if self.audit.rows("select 1 from pg_locks where not granted"):
                return
            await asyncio.sleep(0.01)

    def told(self, log_id: RegionId = CARRIER) -> list[Entry]:
        """What the log says of the audit service itself."""
        rows = self.audit.rows(
            "select body from audit.entries where log_id = %s and type like 'audit.%%' order by index", log_id
        )
        return [parse(bytes(row[0])) for row in rows]  # type: ignore[arg-type]

    def told_types(self) -> list[str]:
        return [entry.type.value.removeprefix("audit.") for entry in self.told()]

    def subjects(self) -> int:
        """How many customers are known."""
        return int(str(self.audit.rows("select count(*) from audit.subjects")[0][0]))


def fresh() -> str:
    return str(uuid.uuid4())


def office(
    audit: AuditStand,
    directory: Path,
    *,
    days: Mapping[str, int] | None = None,
    limits: RetentionLimits | None = None,
) -> Office:
    """The service on this database; another one on the same is another process of the same installation."""
    appender = audit.appender()
    log, journal = CutLog(appender, audit.clock), FullJournal(directory)
    telling = Telling(audit.keeper, log)
    digests = audit.keys.mac[MacKind.CUSTOMERS].digests
    retaining = Retaining(
        db=audit.db, keeper=audit.keeper, clock=audit.clock, terms=terms(days), limits=limits or RetentionLimits()
    )
    deeds: dict[ActKind, Deed] = {
        ActKind.ERASE_SUBJECT: Erasing(audit.keeper, journal, audit.clock, forget_subjects=appender.forget_subjects),
        ActKind.RELEASE_HOLD: Releasing(audit.keeper, audit.clock),
        ActKind.APPLY_RETENTION: retaining,
    }
    acting = Acting(db=audit.db, keeper=audit.keeper, own=log, telling=telling, clock=audit.clock, deeds=deeds)
    assertion_keys = audit.keys.signing[SigningKind.ASSERTION]
    servicer = AuditAdminServicer(
        persons=AssertedPersons(assertion_keys.public_keys, installation=INSTALLATION, clock=audit.clock),
        acting=acting,
        holding=Holding(audit.db, log, telling, audit.clock),
        retaining=retaining,
        findings=Findings(audit.db, log, telling, audit.clock),
        retries=Retries(Fingerprints(audit.keys.mac[MacKind.REQUESTS])),
        customer_digests=lambda number: digests(number.encode()),
        clock=audit.clock,
    )
    return Office(
        audit=audit,
        servicer=servicer,
        acting=acting,
        retaining=retaining,
        deeds=deeds,
        journal=journal,
        log=log,
        appender=appender,
    )
