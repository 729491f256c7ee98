"""Acts that take two people: proposed, confirmed by a second person, withdrawn, expired; then carried out by their deed.

Every step commits with the event that tells of it. What was confirmed and not finished, after a crash or without a log, is
finished by the job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from auditsvc import acts as rules
from auditsvc.acts import LIFE, Act, ActEvent, ActKind, ActState
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.telling import CONFIRMED, Telling, about, of_act
from auditsvc.store import acts, announcements, holds, retries, subjects
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, InfosecError, NotFound, Reason
from infosec.events.event import Event
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.logging import get
from infosec.rpc.server.retries import Retry
from infosec.storage.postgres import Connection, Database

_LOG = get(__name__)
_AT_ONCE = 100
RETRIES_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What an act is to be carried out on."""

    subject_ids: tuple[UUID, ...] = ()
    hold_id: UUID | None = None


class Deed(Protocol):
    """How one kind of act is carried out, as the keeper."""

    async def check(self, conn: Connection, act: Act) -> None:
        """Raises FailedPrecondition(STATE_CONFLICT) where it could not be carried out now."""
        ...

    async def carry_out(self, act_id: UUID, *, in_call: bool) -> None:
        """Carry out a confirmed act: it is DONE or BLOCKED then. Bears being repeated, and being killed at any point.

        With `in_call` somebody waits for the answer: a part of the work is enough. Raises Unavailable, Aborted.
        """
        ...


class Acting:
    """Proposes, decides and finishes acts."""

    def __init__(
        self,
        *,
        db: Database,
        keeper: Database,
        own: OwnEvents,
        telling: Telling,
        clock: Clock,
        deeds: Mapping[ActKind, Deed],
        life: timedelta = LIFE,
    ) -> None:
        """`db` as role audit_service, `keeper` as role audit_keeper; a deed for every kind."""
        self._db = db
        self._keeper = keeper
        self._own = own
        self._telling = telling
        self._clock = clock
        self._deeds = deeds
        self._life = life

    async def propose_erasure(
        self, person: IdentityAssertion, digests: Sequence[bytes], reason: str, retry: Retry
    ) -> Act:
        """Raises NotFound for a customer of whom there is nothing, FailedPrecondition(STATE_CONFLICT) for one on hold."""

        async def aim(conn: Connection) -> Aim:
            found = await subjects.find(conn, digests)
            if not found:
                raise NotFound(Reason.NOT_FOUND, field="customer")
            subject_ids = tuple(subject_id for subject_id, _ in found)
            if await holds.is_held(conn, subject_ids):
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="a hold is on it")
            return Aim(subject_ids=subject_ids)

        return await self._propose(person, ActKind.ERASE_SUBJECT, reason, retry, aim)

    async def propose_release(self, person: IdentityAssertion, hold_id: UUID, reason: str, retry: Retry) -> Act:
        """Raises NotFound, FailedPrecondition(STATE_CONFLICT) for a hold that is lifted already."""

        async def aim(conn: Connection) -> Aim:
            hold = await holds.get(conn, hold_id)
            if hold is None:
                raise NotFound(Reason.NOT_FOUND, field="hold_id")
            if hold.released_at is not None:
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="it is lifted already")
            return Aim(subject_ids=hold.subject_ids, hold_id=hold_id)

        return await self._propose(person, ActKind.RELEASE_HOLD, reason, retry, aim)

    async def propose_retention(self, person: IdentityAssertion, reason: str, retry: Retry) -> Act:
        """What is past its term is judged when the act is confirmed."""

        async def aim(_conn: Connection) -> Aim:
            return Aim()

        return await self._propose(person, ActKind.APPLY_RETENTION, reason, retry, aim)

    async def confirm(self, person: IdentityAssertion, act_id: UUID, retry: Retry) -> Act:
        """Decide, tell the log, and only then do it. A repetition goes on where the first call got to.

        Raises PermissionDenied(SELF_DECISION), NotFound, FailedPrecondition(REQUEST_CLOSED | STATE_CONFLICT),
        Unavailable(RECORD_UNAVAILABLE): then nothing is done yet.
        """
        now = self._clock.now()
        async with self._keeper.transaction() as conn:
            if await retries.claim(conn, retry, act_id, now) is None:
                act = await self._locked(conn, act_id)
                confirmed = rules.decided(act, ActEvent.CONFIRM, person, now)
                await self._deeds[act.kind].check(conn, act)
                await acts.write(conn, confirmed)
                event = self._told_by(person, EventType.AUDIT_ACT_CONFIRMED, act, CONFIRMED)
                await announcements.add(conn, event)
        await self._telling.tell(rules.event_id(act_id, CONFIRMED))
        act = await self.get(act_id)
        if act.state is ActState.CONFIRMED:
            await self._deeds[act.kind].carry_out(act_id, in_call=True)
            await self._telling.tell()
            act = await self.get(act_id)
        if act.state is ActState.BLOCKED:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="a hold came between")
        return act

    async def withdraw(self, person: IdentityAssertion, act_id: UUID, reason: str, retry: Retry) -> Act:
        """Take back, or refuse. Raises NotFound, FailedPrecondition(REQUEST_CLOSED), Unavailable(RECORD_UNAVAILABLE)."""
        now = self._clock.now()
        async with self._keeper.transaction() as conn:
            if await retries.claim(conn, retry, act_id, now) is None:
                act = await self._locked(conn, act_id)
                await acts.write(conn, rules.decided(act, ActEvent.WITHDRAW, person, now))
                event = self._told_by(person, EventType.AUDIT_ACT_WITHDRAWN, act, "withdrawn")
                event = replace(event, facts={**event.facts, "grounds": as_text(reason)})
                await announcements.add(conn, event)
        await self._telling.tell(rules.event_id(act_id, "withdrawn"))
        return await self.get(act_id)

    async def get(self, act_id: UUID) -> Act:
        """As it stands now. Raises NotFound."""
        async with self._db.transaction() as conn:
            act = await acts.get(conn, act_id)
        if act is None:
            raise NotFound(Reason.NOT_FOUND, field="act_id")
        return rules.seen(act, self._clock.now())

    async def page(self, *, open_only: bool, size: int, before: tuple[datetime, UUID] | None) -> list[Act]:
        """Newest first."""
        now = self._clock.now()
        async with self._db.transaction() as conn:
            found = await acts.page(conn, now=now, open_only=open_only, size=size, before=before)
        return [rules.seen(act, now) for act in found]

    async def work(self, now: datetime) -> None:
        """The periodic job: what expired, what waits to be told, what was confirmed and not finished.

        One act that cannot be finished keeps no other from it. Raises the first failure at the end.
        """
        await self._expire(now)
        async with self._db.transaction() as conn:
            await retries.forget(conn, now - RETRIES_KEPT)
            unfinished = await acts.confirmed(conn)
        await self._telling.tell()
        failures = []
        for act in unfinished:
            try:
                await self._deeds[act.kind].carry_out(act.id, in_call=False)
            except InfosecError as error:
                _LOG.warning("an act waits to be carried out", act=str(act.id), reason=error.reason.value)
                failures.append(error)
        await self._telling.tell()
        if failures:
            raise failures[0]

    async def _propose(
        self,
        person: IdentityAssertion,
        kind: ActKind,
        reason: str,
        retry: Retry,
        aim: Callable[[Connection], Awaitable[Aim]],
    ) -> Act:
        now, act_id = self._clock.now(), uuid4()
        async with self._db.transaction() as conn:
            known = await retries.claim(conn, retry, act_id, now)
            if known is None:
                aimed = await aim(conn)
                act = Act(
                    id=act_id,
                    kind=kind,
                    reason=reason,
                    proposed_by=person.staff_id,
                    session_id=person.session_id,
                    proposed_at=now,
                    expires_at=now + self._life,
                    subject_ids=aimed.subject_ids,
                    hold_id=aimed.hold_id,
                )
                await acts.add(conn, act)
                await announcements.add(conn, self._told_by(person, EventType.AUDIT_ACT_PROPOSED, act, "proposed"))
        await self._telling.tell(rules.event_id(known or act_id, "proposed"))
        return await self.get(known or act_id)

    async def _expire(self, now: datetime) -> None:
        while True:
            async with self._keeper.transaction() as conn:
                over = await acts.expired(conn, now, _AT_ONCE)
                for act in over:
                    await acts.write(conn, rules.after_now(act, ActEvent.EXPIRE, now))
                    event = about(EventType.AUDIT_ACT_EXPIRED, act, "expired", now, of_act(act))
                    await announcements.add(conn, event)
            if len(over) < _AT_ONCE:
                return

    async def _locked(self, conn: Connection, act_id: UUID) -> Act:
        act = await acts.locked(conn, act_id)
        if act is None:
            raise NotFound(Reason.NOT_FOUND, field="act_id")
        return act

    def _told_by(self, person: IdentityAssertion, type: EventType, act: Act, what: str) -> Event:
        return replace(self._own.event(type, person, **of_act(act)), event_id=act.event_id(what))
