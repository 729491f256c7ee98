"""What an administrator may do to a staff ID that exists: correct facts, suspend, close (ID-8, ID-10). Nothing binds anew."""

from __future__ import annotations

from datetime import date

from authsvc import hiring
from authsvc.actor import Actor
from authsvc.facts import Facts, FactSeal
from authsvc.flows.transitions import move
from authsvc.sessions import EndReason
from authsvc.sight import ADMINISTRATOR
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import assignments, grants, staff_admin
from authsvc.store.staff_admin import Listed
from authsvc.work import ChangeKind, Work, Works
from infosec.clock import carrier_date
from infosec.errors import FailedPrecondition, InvalidInput, NotFound, PermissionDenied, Reason
from infosec.events.event import Event
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import StaffId

_DONE = {StaffEvent.SUSPEND: EventType.STAFF_SUSPENDED, StaffEvent.CLOSE: EventType.STAFF_CLOSED}
_ENDS = {StaffEvent.SUSPEND: EndReason.SUSPENDED, StaffEvent.CLOSE: EndReason.CLOSED}


class StaffChanges:
    """Changes in the caller's transaction; the actor is an administrator, as the caller has made sure."""

    def __init__(self, works: Works, seal: FactSeal) -> None:
        self._works = works
        self._seal = seal

    async def refuse_protected(self, actor: Actor, staff_id: StaffId, fields: tuple[str, ...]) -> None:
        """ID-8: phone, store and role change by request alone, for administrators too. Records the attempt, then raises."""
        if not fields:
            return
        facts = {"staff_id": actor.staff_id, "subject_staff_id": staff_id, "fields": ",".join(fields)}
        now = self._works.clock.now()
        await self._works.record(
            [Event(type=EventType.PROTECTED_FIELD_REFUSED, at=now, region_id=actor.region_id, facts=facts)]
        )
        raise PermissionDenied(Reason.PROTECTED_FIELD, field=fields[0])

    async def update(
        self, work: Work, actor: Actor, staff_id: StaffId, *, name: str, birthday: str, id_number: str
    ) -> None:
        """Correct what is not empty. Raises InvalidInput, NotFound, FailedPrecondition(STATE_CONFLICT) for a closed one."""
        today = carrier_date(work.now)
        new_name = hiring.name(name) if name else ""
        born = hiring.birthday(birthday, today) if birthday else None
        number = hiring.id_number(id_number) if id_number else ""
        if not (new_name or born or number):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="name", detail="nothing to correct")
        listed = await _held(work, staff_id)
        if listed.state == StaffState.CLOSED:
            raise FailedPrecondition(Reason.STATE_CONFLICT, state=listed.state)
        sealed = await self._resealed(work, staff_id, new_name, born, number)
        await staff_admin.correct(work.conn, staff_id, name=new_name or listed.name, facts_sealed=sealed)
        corrected = {"name": bool(new_name), "birthday": born is not None, "id_number": bool(number)}
        work.event(
            EventType.STAFF_UPDATED,
            listed.region_id,
            staff_id=actor.staff_id,
            subject_staff_id=staff_id,
            fields=",".join(name for name, is_new in corrected.items() if is_new),
        )

    async def suspend(self, work: Work, actor: Actor, staff_id: StaffId, reason: str) -> Listed:
        """At once; lifting it takes a request. Raises as `_leave`."""
        return await self._leave(work, actor, staff_id, StaffEvent.SUSPEND, reason)

    async def close(self, work: Work, actor: Actor, staff_id: StaffId, reason: str) -> Listed:
        """For ever (ID-10); the customers assigned to a leaver are nobody's. Raises as `_leave`."""
        listed = await self._leave(work, actor, staff_id, StaffEvent.CLOSE, reason)
        if await assignments.remove_all(work.conn, staff_id):
            work.change(listed.region_id, ChangeKind.ASSIGNMENT, staff_id)
        return listed

    async def _leave(self, work: Work, actor: Actor, staff_id: StaffId, event: StaffEvent, reason: str) -> Listed:
        """Raises NotFound, PermissionDenied(SELF_DECISION), FailedPrecondition(STATE_CONFLICT)."""
        if staff_id == actor.staff_id:
            raise PermissionDenied(Reason.SELF_DECISION, field="staff_id")
        await _check_not_last(work, staff_id)
        listed = await _held(work, staff_id)
        await move(work, staff_id, listed.region_id, StaffState(listed.state), event, _ENDS[event])
        work.event(
            _DONE[event],
            listed.region_id,
            staff_id=actor.staff_id,
            subject_staff_id=staff_id,
            grounds=as_text(reason),
        )
        await _revoke_approvals(work, staff_id)
        return listed

    async def _resealed(self, work: Work, staff_id: StaffId, name: str, born: date | None, number: str) -> bytes:
        """The facts with what is new in them; the name of before stays among them (ID-3). Nothing of it is shown."""
        old = self._seal.open_facts(staff_id, await staff_admin.facts_of(work.conn, staff_id))
        names = tuple(dict.fromkeys((name, *old.names))) if name else old.names
        facts = Facts(names=names, birthday=born or old.birthday, id_number=number or old.id_number)
        return self._seal.seal_facts(staff_id, facts)


async def _held(work: Work, staff_id: StaffId) -> Listed:
    listed = await staff_admin.hold(work.conn, staff_id, work.now)
    if listed is None:
        raise NotFound(Reason.NOT_FOUND, field="staff_id")
    return listed


async def _revoke_approvals(work: Work, staff_id: StaffId) -> None:
    """RQ-7: no order is carried out on the word of somebody who was just put out.

    A lock or a blacklisting takes nothing back: the decision was theirs, and wrong passwords at some terminal must not
    stop the work of a store (ID-11).
    """
    for grant in await grants.revoke_approved_by(work.conn, staff_id, work.now):
        work.change(grant.region_id, ChangeKind.GRANT, grant.grant_id)
        work.event(
            EventType.GRANT_REVOKED,
            grant.region_id,
            grant_id=grant.grant_id,
            request_id=str(grant.request_id),
            subject_staff_id=staff_id,
        )


async def _check_not_last(work: Work, staff_id: StaffId) -> None:
    """An installation without an administrator who can log in could be helped by break-glass alone (ID-8)."""
    listed = await staff_admin.get(work.conn, staff_id, work.now)
    if listed is None or listed.role_id != ADMINISTRATOR:
        return
    able = await staff_admin.able_administrators(work.conn, work.now)
    if not any(one != staff_id for one in able):
        raise FailedPrecondition(Reason.STATE_CONFLICT, detail="the last administrator who can log in")
