"""What a spot check found about an entry (CI-6): on record, beside the entry, for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID, uuid4

from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.telling import Telling
from auditsvc.store import announcements, findings, retries
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import NotFound, Reason
from infosec.events.event import Fact
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.rpc.server.retries import Retry
from infosec.storage.postgres import Database

KIND = "spot-check"


class Verdict(StrEnum):
    """What the check came to."""

    IN_ORDER = "IN_ORDER"
    UNCLEAR = "UNCLEAR"
    VIOLATION = "VIOLATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict about one entry."""

    log_id: RegionId
    index: int
    verdict: Verdict
    note: str = ""


class Findings:
    """Records findings."""

    def __init__(self, db: Database, own: OwnEvents, telling: Telling, clock: Clock) -> None:
        """`db` as role audit_service."""
        self._db = db
        self._own = own
        self._telling = telling
        self._clock = clock

    async def record(self, person: IdentityAssertion, finding: Finding, retry: Retry) -> UUID:
        """The ID of the event that tells of it. Raises NotFound for no such entry, Unavailable(RECORD_UNAVAILABLE)."""
        event_id = uuid4()
        async with self._db.transaction() as conn:
            known = await retries.claim(conn, retry, event_id, self._clock.now())
            if known is None:
                checked = await findings.checked(conn, finding.log_id, finding.index)
                if checked is None:
                    raise NotFound(Reason.NOT_FOUND, field="index")
                facts: dict[str, Fact] = {
                    "finding_id": str(event_id),
                    "finding_kind": KIND,
                    "region_id": finding.log_id,
                    "index": finding.index,
                    "verdict": finding.verdict.value,
                    "grounds": as_text(finding.note),
                    "subject_staff_id": checked.staff_id,
                    "store_id": checked.store_id,
                }
                event = self._own.event(EventType.AUDIT_FINDING_RECORDED, person, **facts)
                await announcements.add(conn, replace(event, event_id=event_id))
        await self._telling.tell(known or event_id)
        return known or event_id
