"""Holds: a customer's data that must be kept (CI-8). Placed by one person at once, lifted by two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from auditsvc import acts as rules
from auditsvc.acts import Act, ActEvent
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.telling import Telling, about, of_act, taken_up
from auditsvc.store import acts, announcements, holds, retries, subjects
from auditsvc.store.holds import Hold
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, NotFound, Reason
from infosec.events.event import Fact
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.rpc.server.retries import Retry
from infosec.storage.postgres import Connection, Database


class Holding:
    """Places and lists holds."""

    def __init__(self, db: Database, own: OwnEvents, telling: Telling, clock: Clock) -> None:
        """`db` as role audit_service."""
        self._db = db
        self._own = own
        self._telling = telling
        self._clock = clock

    async def place(self, person: IdentityAssertion, digests: Sequence[bytes], reason: str, retry: Retry) -> Hold:
        """In force when this commits: what is being deleted is waited for. `digests` name the customer.

        Raises NotFound for a customer of whom there is nothing; Unavailable(RECORD_UNAVAILABLE), with the hold in force.
        """
        now, hold_id = self._clock.now(), uuid4()
        async with self._db.transaction() as conn:
            known = await retries.claim(conn, retry, hold_id, now)
            if known is None:
                await holds.nothing_is_deleted(conn)
                found = await subjects.find(conn, digests)
                if not found:
                    raise NotFound(Reason.NOT_FOUND, field="customer")
                subject_ids = tuple(subject_id for subject_id, _ in found)
                hold = Hold(
                    id=hold_id, subject_ids=subject_ids, reason=reason, placed_by=person.staff_id, placed_at=now
                )
                await holds.add(conn, hold)
                facts: dict[str, Fact] = {
                    "hold_id": str(hold_id),
                    "subject_id": str(subject_ids[0]),
                    "grounds": as_text(reason),
                }
                event = self._own.event(EventType.AUDIT_HOLD_PLACED, person, **facts)
                await announcements.add(conn, replace(event, event_id=rules.event_id(hold_id, "placed")))
        await self._telling.tell(rules.event_id(known or hold_id, "placed"))
        return await self.get(known or hold_id)

    async def get(self, hold_id: UUID) -> Hold:
        """One hold. Raises NotFound."""
        async with self._db.transaction() as conn:
            hold = await holds.get(conn, hold_id)
        if hold is None:
            raise NotFound(Reason.NOT_FOUND, field="hold_id")
        return hold

    async def page(self, *, active_only: bool, size: int, before: tuple[datetime, UUID] | None) -> list[Hold]:
        """Newest first."""
        async with self._db.transaction() as conn:
            return await holds.page(conn, active_only=active_only, size=size, before=before)


class Releasing:
    """The deed of ActKind.RELEASE_HOLD."""

    def __init__(self, keeper: Database, clock: Clock) -> None:
        """`keeper` as role audit_keeper."""
        self._keeper = keeper
        self._clock = clock

    async def check(self, conn: Connection, act: Act) -> None:
        """Raises FailedPrecondition(STATE_CONFLICT) for a hold that is lifted already."""
        hold = None if act.hold_id is None else await holds.get(conn, act.hold_id)
        if hold is None or hold.released_at is not None:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="it is lifted already")

    async def carry_out(self, act_id: UUID, *, in_call: bool) -> None:
        """Lift the hold. Where another act was faster it is lifted already, and this one is blocked."""
        now = self._clock.now()
        async with self._keeper.transaction() as conn:
            act = await taken_up(conn, act_id)
            if act is None or act.hold_id is None or act.decided_by is None:
                return
            released = await holds.release(conn, act.hold_id, act.decided_by, act.decided_at or now)
            done = ActEvent.BLOCK if released is None else ActEvent.CARRY_OUT
            await acts.write(conn, rules.after_now(act, done, now))
            if released is None:
                event = about(EventType.AUDIT_ACT_BLOCKED, act, "blocked", now, of_act(act))
            else:
                facts = {name: fact for name, fact in of_act(act).items() if name not in ("act", "submitted_by")}
                event = about(
                    EventType.AUDIT_HOLD_RELEASED, act, "released", now, {**facts, "staff_id": act.decided_by}
                )
            await announcements.add(conn, event)
