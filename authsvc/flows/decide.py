"""Deciding and withdrawing requests of either face (RQ-2, RQ-3, RQ-5): every path of power over a staff ID ends here.

Who may decide is judged inside the transaction that decides, from the record as it is then. Refusals are recorded though
their transaction is rolled back.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from authsvc.actor import Actor
from authsvc.flows.carry_out import CarryOut, Preparation, facts, tell_subject
from authsvc.flows.once import once
from authsvc.flows.seating import Seating
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.requests import (
    Event,
    Kind,
    Matter,
    Person,
    Request,
    State,
    at_level,
    check_decider,
    check_open,
    decided,
    escalated,
    is_concerned,
    may_decide,
    present_level,
)
from authsvc.store import grants, subjects
from authsvc.store import requests as store
from authsvc.store.requests import Viewer
from authsvc.work import Connection, Work, Works
from infosec.errors import FailedPrecondition, Internal, InvalidInput, NotFound, PermissionDenied, Reason
from infosec.events.event import Event as Record
from infosec.events.types import EventType
from infosec.rpc.server.retries import Retry

_RECORDED = {Event.APPROVE: EventType.REQUEST_APPROVED, Event.REJECT: EventType.REQUEST_REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A request after a write, and the revision of its region that includes it."""

    request: Request
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A request in front of somebody who may decide it."""

    request: Request
    matter: Matter
    decider: Person


class Decisions:
    """Approve, reject, cancel. `approvals` says at which face the caller is: one face does not know the other's."""

    def __init__(
        self, works: Works, *, seating: Seating, carry_out: CarryOut, notices: Notices, profile: Profile
    ) -> None:
        self._works = works
        self._seating = seating
        self._carry_out = carry_out
        self._notices = notices
        self._profile = profile

    async def approve(
        self, actor: Actor, request_id: str, note: str, retry: Retry, *, approvals: bool = False
    ) -> Outcome:
        """Approve and carry out. Raises PermissionDenied(SELF_DECISION | NOT_PERMITTED | STEP_UP_REQUIRED),
        FailedPrecondition(REQUEST_CLOSED | STATE_CONFLICT), NotFound, Aborted."""
        return await self._decide(actor, request_id, Event.APPROVE, note, retry, approvals=approvals)

    async def reject(
        self, actor: Actor, request_id: str, reason: str, retry: Retry, *, approvals: bool = False
    ) -> Outcome:
        """Reject, saying why (RQ-5). Raises as `approve`."""
        if not reason.strip():
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="reason", detail="required")
        return await self._decide(actor, request_id, Event.REJECT, reason, retry, approvals=approvals)

    async def cancel(self, actor: Actor, request_id: str, retry: Retry, *, approvals: bool = False) -> Outcome:
        """Withdraw one's own. Raises NotFound, FailedPrecondition(REQUEST_CLOSED)."""

        async def act(work: Work) -> str:
            request = await self._held(work.conn, request_id, approvals=approvals)
            if request.submitted_by != actor.staff_id:
                raise _not_found()
            cancelled = replace(request, state=check_open(request, Event.CANCEL, work.now))
            await store.save(work.conn, cancelled)
            work.event(EventType.REQUEST_CANCELLED, request.region_id, staff_id=actor.staff_id, **facts(request))
            return str(request.id)

        done = await once(self._works, retry, act)
        return await self._outcome(done.outcome)

    async def _decide(
        self, actor: Actor, request_id: str, event: Event, reason: str, retry: Retry, *, approvals: bool
    ) -> Outcome:
        prepared = await self._prepared(actor, request_id, event, approvals=approvals)

        async def act(work: Work) -> str:
            case = await self._case(work.conn, actor, request_id, work.now, approvals=approvals)
            await self._write(work, case, event, reason, prepared)
            return str(case.request.id)

        try:
            done = await once(self._works, retry, act)
        except (PermissionDenied, FailedPrecondition, NotFound) as error:
            await self._record_refusal(actor, request_id, event, error.reason)
            raise
        return await self._outcome(done.outcome)

    async def _prepared(self, actor: Actor, request_id: str, event: Event, *, approvals: bool) -> Preparation:
        """Hash outside the transaction, and only for who may decide: the answer to others is given inside it."""
        now = self._works.clock.now()
        if event is not Event.APPROVE:
            return Preparation()
        try:
            async with self._works.begin() as work:
                case = await self._case(work.conn, actor, request_id, now, approvals=approvals)
                check_open(case.request, event, now)
        except (PermissionDenied, FailedPrecondition, NotFound):
            return Preparation()
        return await self._carry_out.prepare(case.request, now)

    async def _case(self, conn: Connection, actor: Actor, request_id: str, now: datetime, *, approvals: bool) -> _Case:
        """The request, held, in front of who may decide it at this moment."""
        known = await store.get(conn, _uuid(request_id))
        if known is None:
            raise _not_found()
        await subjects.hold(conn, known.subject_id, actor.staff_id)  # before the request, as in submitting
        request = await self._held(conn, request_id, approvals=approvals)
        decider = await subjects.person(conn, actor.staff_id, now)
        if decider is None:
            raise Internal(Reason.INTERNAL, detail="an actor without a staff ID")
        matter, people = await self._seating.of(conn, request, now)
        level = present_level(request, matter, people, now)
        matter = at_level(matter, level)
        if not is_concerned(matter, decider.staff_id) and not may_decide(matter, decider):
            await self._check_visible(conn, request, decider, now)
        check_decider(matter, decider)
        actor.require_step_up(now)
        return _Case(
            request=request if level is request.level else escalated(request, level), matter=matter, decider=decider
        )

    async def _write(self, work: Work, case: _Case, event: Event, reason: str, prepared: Preparation) -> None:
        request, decider = case.request, case.decider
        since = work.now - timedelta(days=self._profile.reciprocal_window_days)
        others = tuple({request.subject_id, request.submitted_by})
        is_reciprocal = await store.decided_for_each_other(work.conn, decider.staff_id, others, since)
        request = decided(
            request,
            event,
            by=decider,
            now=work.now,
            reason=reason,
            is_reciprocal=is_reciprocal,
            profile=self._profile,
        )
        flags = ",".join(request.flags) or None
        work.event(
            _RECORDED[event],
            request.region_id,
            staff_id=decider.staff_id,
            role_id=decider.role_id,
            flags=flags,
            **facts(request),
        )
        if request.state is State.APPROVED:
            request = await self._carry_out.carry_out(work, request, case.matter, prepared)
        else:
            await tell_subject(work, self._notices, request, "REJECTED")
        await store.save(work.conn, request)

    async def _held(self, conn: Connection, request_id: str, *, approvals: bool) -> Request:
        request = await store.lock(conn, _uuid(request_id))
        if request is None or (request.kind is Kind.APPROVAL) is not approvals:
            raise _not_found()
        return request

    async def _check_visible(self, conn: Connection, request: Request, person: Person, now: datetime) -> None:
        """Who may not even see it is not told that it exists."""
        viewer = Viewer(
            staff_id=person.staff_id,
            role_id=person.role_id,
            store_id=person.store_id,
            region_id=person.region_id,
            reach=self._seating.reach(person.role_id, approvals=request.kind is Kind.APPROVAL),
        )
        if await store.seen(conn, viewer, request.id, now) is None:
            raise _not_found()

    async def _outcome(self, request_id: str) -> Outcome:
        async with self._works.read() as conn:
            request = await store.get(conn, uuid.UUID(request_id))
            if request is None:
                raise Internal(Reason.INTERNAL, detail="a request that was there is gone")
            return Outcome(request=request, revision=await grants.revision(conn, request.region_id))

    async def _record_refusal(self, actor: Actor, request_id: str, event: Event, reason: Reason) -> None:
        async with self._works.read() as conn:
            request = await store.get(conn, _uuid(request_id))
        if request is not None:
            told = {"staff_id": actor.staff_id, "action": event.value, "reason": reason.value, **facts(request)}
            now = self._works.clock.now()
            await self._works.record(
                [Record(type=EventType.DECISION_REFUSED, at=now, region_id=request.region_id, facts=told)]
            )


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _not_found() from None


def _not_found() -> NotFound:
    return NotFound(Reason.NOT_FOUND, field="id")
