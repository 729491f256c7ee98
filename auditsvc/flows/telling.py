"""Puts what was announced with a change into the log: at once after the change, or later by the job if that failed.

The same event is the same entry however often it is told. Whatever cannot be undone waits until its decision is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from auditsvc.acts import Act, ActState
from auditsvc.flows.own_events import OWN_LOG, NeverRecorded, OwnEvents
from auditsvc.store import acts, announcements
from auditsvc.store.announcements import Waiting
from infosec.errors import InvalidInput, Reason, Unavailable
from infosec.events.event import Event, Fact
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.logging import get
from infosec.storage.postgres import Connection, Database

_LOG = get(__name__)
CONFIRMED = "confirmed"
_AT_ONCE = 200


class Telling:
    """Tells what waits."""

    def __init__(self, keeper: Database, own: OwnEvents) -> None:
        """`keeper` as role audit_keeper."""
        self._keeper = keeper
        self._own = own

    async def tell(self, own: UUID | None = None) -> None:
        """Everything that was announced is in the log when this returns. Raises Unavailable(RECORD_UNAVAILABLE).

        What the log refuses for good stays announced, and holds up no other; where that is the caller's `own` event it
        raises as well.
        """
        refused, after = set[UUID](), 0
        while True:
            async with self._keeper.transaction() as conn:
                found = await announcements.waiting(conn, after, _AT_ONCE)
            if not found:
                break
            told = await self._told(found)
            async with self._keeper.transaction() as conn:
                await announcements.told(conn, told)
            refused |= {one.event_id for one in found} - told
            after = found[-1].seq
        if own in refused:
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")

    async def _told(self, found: Sequence[Waiting]) -> set[UUID]:
        """Together where they go together; else each for itself. Raises Unavailable while the log is away."""
        try:
            await self._own.record(*(Event.from_body(one.body) for one in found))
        except (NeverRecorded, InvalidInput):
            if len(found) > 1:
                return set().union(*[await self._told([one]) for one in found])
            _LOG.critical("the log refuses what was announced: it stays, untold", event_id=str(found[0].event_id))
            return set()
        return {one.event_id for one in found}


def about(type: EventType, act: Act, what: str, at: datetime, more: Mapping[str, Fact] | None = None) -> Event:
    """An event about an act, by no person."""
    facts: dict[str, Fact] = {"act_id": str(act.id), **(more or {})}
    return Event(type=type, at=at, region_id=OWN_LOG, facts=facts, event_id=act.event_id(what))


def of_act(act: Act) -> dict[str, Fact]:
    """What every event about where an act stands says of it."""
    return {
        "act_id": str(act.id),
        "act": act.kind.value,
        "submitted_by": act.proposed_by,
        "subject_id": str(act.subject_ids[0]) if act.subject_ids else None,
        "hold_id": None if act.hold_id is None else str(act.hold_id),
        "grounds": as_text(act.reason),
    }


async def taken_up(conn: Connection, act_id: UUID) -> Act | None:
    """The act, locked, if it is to be carried out; None if somebody was faster.

    Raises Unavailable(RECORD_UNAVAILABLE) while the log does not tell of its confirmation.
    """
    act = await acts.locked(conn, act_id)
    if act is None or act.state is not ActState.CONFIRMED:
        return None
    if await announcements.waits(conn, act.event_id(CONFIRMED)):
        raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")
    return act
