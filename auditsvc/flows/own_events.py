"""What the audit service says of itself, in the log `carrier`: on record before what it is about takes effect (CI-1).

One way for all of auditsvc: whoever reads or changes the record is in the record, or does not get to.
"""

from __future__ import annotations

from auditsvc.appending import Appender
from auditsvc.batch import Receipt, Submission
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import AlreadyExists, InvalidInput, Reason, Unavailable
from infosec.events import catalogue
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId

RECORDER = "service/auditd"
OWN_LOG: RegionId = CARRIER
"""Auditors answer for the whole carrier; which log an event is about is its fact `region_id`."""


class NeverRecorded(Unavailable):
    """Not a matter of waiting: the log refuses one of these events for good."""


class OwnEvents:
    """Records with this process's own appender."""

    def __init__(self, appender: Appender, clock: Clock) -> None:
        self._appender = appender
        self._clock = clock

    def event(self, type: EventType, person: IdentityAssertion, **facts: Fact) -> Event:
        """An event of this moment by this person, who acts with what their assertion says of them."""
        spec = catalogue.CATALOGUE[type]
        who: dict[str, Fact] = {
            "staff_id": person.staff_id,
            "role_id": person.role_id,
            "session_id": person.session_id,
            "system_id": person.system_id,
            "store_id": person.store_id,
            "terminal_id": person.terminal_id,
        }
        known = {name: value for name, value in who.items() if name in spec.facts}
        return Event(type=type, at=self._clock.now(), region_id=OWN_LOG, facts={**known, **facts})

    async def record(self, *events: Event) -> None:
        """All of them on record when this returns. Raises Unavailable(RECORD_UNAVAILABLE), and nothing may go on then;
        NeverRecorded, InvalidInput for what never will be.
        """
        for event in events:
            catalogue.check(event)
        submissions = [Submission(event, RECORDER) for event in events]
        for outcome in await self._appender.append(submissions, may_begin_log=True):
            if isinstance(outcome, AlreadyExists | InvalidInput):
                raise NeverRecorded(Reason.RECORD_UNAVAILABLE, sink="audit")
            if not isinstance(outcome, Receipt):
                raise Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=outcome.retry_after, sink="audit")
