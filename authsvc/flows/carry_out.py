"""What an approval does (RQ-5, ID-8): the one place where phone, store, region, role and the ways back to a login change.

Everything happens in the approving transaction. A new first password is prepared before it; the approval then counts as
carried out when the gateway has accepted its SMS, and the password is good no longer than the approval until then (RQ-4).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from authsvc import staff as staff_rules
from authsvc.facts import FactSeal
from authsvc.flows.first_password import FirstPasswords, PreparedPassword
from authsvc.flows.transitions import end_session
from authsvc.notices import Notices
from authsvc.requests import (
    Event,
    Kind,
    Level,
    Matter,
    Request,
    after,
    check_level,
    check_needed,
    effective_state,
    first_level,
    is_privileged,
    needs_second_administrator,
    staff_event,
)
from authsvc.sessions import EndReason
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import grants, subjects
from authsvc.store.subjects import StaffRow
from authsvc.work import ChangeKind, Message, Work, Works
from infosec import canonical, sms
from infosec.decision.grants import GrantId, GrantKind
from infosec.decision.policy import Policy
from infosec.errors import Aborted, FailedPrecondition, Internal, Reason
from infosec.events.types import EventType
from infosec.ids import RoleId, StoreId, new_id
from infosec.keys import SealingKeys
from infosec.secret import Secret

NEW_PHONE = "phone"
RESET_TOTP = "reset_totp"
NEW_STORE = "store_id"
NEW_ROLE = "role_id"
"""The members of `Request.change`. The phone stands there masked, and whole in `change_sealed`."""

_DONE = {
    Kind.REBIND_PHONE: EventType.STAFF_REBOUND,
    Kind.MOVE_STORE: EventType.STAFF_MOVED,
    Kind.CHANGE_ROLE: EventType.STAFF_ROLE_CHANGED,
}


class Effect(Protocol):
    """What a second administrator's approval does, for a kind whose data belongs to another part of authsvc."""

    async def carry_out(self, work: Work, request: Request) -> uuid.UUID | None:
        """Do it inside the approving transaction. Answers the ID of the SMS that completes it, or None: it is done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What was made ready before the transaction, and for which phone."""

    password: PreparedPassword | None = None
    made_for: bytes = b""
    """The sealed phone of the staff ID when it was made: if that changes in between, it is for the wrong one."""


class CarryOut:
    """Carries approvals out."""

    def __init__(
        self,
        works: Works,
        *,
        first_passwords: FirstPasswords,
        seal: FactSeal,
        change_keys: SealingKeys,
        notices: Notices,
        policy: Callable[[], Policy],
        effects: Mapping[Kind, Effect],
    ) -> None:
        self._works = works
        self._first_passwords = first_passwords
        self._seal = seal
        self._change_keys = change_keys
        self._notices = notices
        self._policy = policy
        self._effects = effects

    def seal_phone(self, request_id: uuid.UUID, phone: Secret) -> bytes:
        """A new phone as a request keeps it until it is decided."""
        return self._change_keys.seal(phone.reveal().encode(), _context(request_id))

    async def prepare(self, request: Request, now: datetime) -> Preparation:
        """Make what the approval will need. Raises ResourceExhausted(OVERLOADED)."""
        if request.kind is Kind.APPROVAL or needs_second_administrator(request.kind):
            return Preparation()
        async with self._works.read() as conn:
            subject = await subjects.get(conn, request.subject_id)
        if subject is None or self._staff_event(request, _state(subject, now)) is None:
            return Preparation()
        phone = self._new_phone(request) or self._seal.open_phone(subject.staff_id, subject.phone_sealed)
        password = await self._first_passwords.prepare(subject.staff_id, phone, now)
        return Preparation(password=password, made_for=subject.phone_sealed)

    async def carry_out(self, work: Work, request: Request, matter: Matter, prepared: Preparation) -> Request:
        """The approved request, carried out as far as it can be now. Raises FailedPrecondition(STATE_CONFLICT), Aborted."""
        if request.kind is Kind.APPROVAL:
            return await self._grant(work, request, matter)
        if needs_second_administrator(request.kind):
            delivery_id = await self._effects[request.kind].carry_out(work, request)
        else:
            delivery_id = await self._change_staff(work, request, prepared)
        if delivery_id is None:
            return carried_out(work, request)
        await subjects.limit_first_password(work.conn, delivery_id, request.execute_by or work.now)
        return replace(request, delivery_id=delivery_id)

    async def _grant(self, work: Work, request: Request, matter: Matter) -> Request:
        """RQ-7: good until it must have been used."""
        grant = grants.IssuedGrant(
            grant_id=GrantId(new_id()),
            request_id=request.id,
            region_id=matter.region_id,
            store_id=matter.store_id,
            order_id=None,
            is_revoked=False,
            expires_at=request.execute_by or work.now,
        )
        await grants.insert(work.conn, grant, GrantKind.APPROVAL.value)
        return request

    async def _change_staff(self, work: Work, request: Request, prepared: Preparation) -> uuid.UUID | None:
        old = await subjects.get(work.conn, request.subject_id)
        if old is None:
            raise Internal(Reason.INTERNAL, detail="a request about nobody")
        state = _state(old, work.now)
        check_needed(request.kind, state)
        check_level(request.level, self._required_level(request, old))
        event = self._staff_event(request, state)
        new = replace(old, state=staff_rules.after(state, event) if event else old.state)
        new = await self._rebound(work, request, await self._moved(work, request, self._reassigned(request, new)))
        await subjects.change(work.conn, new, work.now)
        delivery_id = None
        if event is not None:
            delivery_id = await self._put_password_in_force(work, old, prepared)
            work.event(
                EventType.STAFF_REISSUED, new.region_id, subject_staff_id=new.staff_id, request_id=str(request.id)
            )
        if self._becomes_privileged(request, old):
            # A device enrolled under a password that others may have known proves nothing of an approver (ID-8).
            await subjects.drop_second_factor(work.conn, new.staff_id)
        await end_session(work, new.staff_id, EndReason.REISSUED)
        for region_id in {old.region_id, new.region_id}:
            work.change(region_id, ChangeKind.STAFF, new.staff_id)
        if request.kind in _DONE:
            work.event(_DONE[request.kind], new.region_id, subject_staff_id=new.staff_id, request_id=str(request.id))
        self._tell(work, request, old, new, has_password=delivery_id is not None)
        return delivery_id

    async def _put_password_in_force(self, work: Work, subject: StaffRow, prepared: Preparation) -> uuid.UUID:
        if prepared.password is None or prepared.made_for != subject.phone_sealed:
            raise Aborted(Reason.STATE_CONFLICT, detail="the staff ID changed in the meantime")
        await self._first_passwords.put_in_force(work, subject.staff_id, prepared.password)
        return prepared.password.message.message_id

    def _required_level(self, request: Request, subject: StaffRow) -> Level:
        """Where the request would start if it were submitted now."""
        about_privileged = is_privileged(subject.role_id, self._policy().roles)
        to_privileged = self._is_to_privileged(request)
        return first_level(request.kind, subject_is_privileged=about_privileged, to_privileged=to_privileged)

    def _staff_event(self, request: Request, state: StaffState) -> StaffEvent | None:
        return staff_event(request.kind, state, to_privileged=self._is_to_privileged(request))

    def _is_to_privileged(self, request: Request) -> bool:
        if request.kind is not Kind.CHANGE_ROLE:
            return False
        return is_privileged(RoleId(str(request.change[NEW_ROLE])), self._policy().roles)

    def _becomes_privileged(self, request: Request, old: StaffRow) -> bool:
        return self._is_to_privileged(request) and not is_privileged(old.role_id, self._policy().roles)

    def _reassigned(self, request: Request, staff: StaffRow) -> StaffRow:
        if request.kind is not Kind.CHANGE_ROLE:
            return staff
        role = self._policy().roles.get(RoleId(str(request.change[NEW_ROLE])))
        if role is None:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="no such role any more")
        return replace(staff, role_id=role.role_id, is_partner=role.partner)

    async def _moved(self, work: Work, request: Request, staff: StaffRow) -> StaffRow:
        if request.kind is not Kind.MOVE_STORE:
            return staff
        target = await subjects.target(work.conn, StoreId(str(request.change[NEW_STORE])))
        if target is None or target.is_closed:
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="the store is closed")
        return replace(staff, store_id=target.store_id, region_id=target.region_id)

    async def _rebound(self, work: Work, request: Request, staff: StaffRow) -> StaffRow:
        phone = self._new_phone(request)
        if phone is None:
            return staff
        if request.change.get(RESET_TOTP):
            await subjects.drop_second_factor(work.conn, staff.staff_id)
        sealed = self._seal.seal_phone(staff.staff_id, phone)
        return replace(staff, phone_sealed=sealed, phone_masked=sms.masked_phone(phone.reveal()))

    def _tell(self, work: Work, request: Request, old: StaffRow, new: StaffRow, *, has_password: bool) -> None:
        """ID-8: the old phone is told. Who gets a new password needs no second message."""
        if request.kind is Kind.REBIND_PHONE:
            work.message(self._notices.to_staff(sms.Template.PHONE_CHANGED, old.staff_id, old.phone_sealed, work.now))
        if not has_password:
            work.message(decision_notice(self._notices, request, new, "APPROVED", work.now))

    def _new_phone(self, request: Request) -> Secret | None:
        if request.kind is not Kind.REBIND_PHONE or request.change_sealed is None:
            return None
        return Secret(self._change_keys.open(request.change_sealed, _context(request.id)).decode())


def carried_out(work: Work, request: Request) -> Request:
    """The approved request as carried out now, with the record of it."""
    done = replace(request, state=after(request.state, Event.CARRY_OUT), executed_at=work.now)
    work.event(EventType.REQUEST_CARRIED_OUT, request.region_id, **facts(request))
    return done


def facts(request: Request) -> dict[str, str]:
    """What every event about a request says."""
    return {
        "request_id": str(request.id),
        "request_kind": request.kind.value,
        "submitted_by": request.submitted_by,
        "level": request.level.value,
        "store_id": request.store_id,
        **_subject(request),
    }


def _subject(request: Request) -> dict[str, str]:
    """Whom it is about; or, for a change of policy, what."""
    if request.kind is not Kind.CHANGE_POLICY:
        return {"subject_staff_id": request.subject_id}
    kind, _, entity_id = request.subject_id.partition(":")
    return {"entity_kind": kind, "entity_id": entity_id}


def decision_notice(notices: Notices, request: Request, subject: StaffRow, outcome: str, now: datetime) -> Message:
    """The SMS that tells the person how it ended (RQ-5)."""
    reason = {"reason": request.decision_reason} if outcome == "REJECTED" else {}
    return notices.to_staff(
        sms.Template.REQUEST_DECIDED,
        subject.staff_id,
        subject.phone_sealed,
        now,
        kind=request.kind.name,
        outcome=outcome,
        **reason,
    )


async def tell_subject(work: Work, notices: Notices, request: Request, outcome: str) -> None:
    """Send that SMS, where the request is about a member of staff."""
    if request.kind is Kind.APPROVAL or needs_second_administrator(request.kind):
        return
    subject = await subjects.get(work.conn, request.subject_id)
    if subject is not None:
        work.message(decision_notice(notices, request, subject, outcome, work.now))


def _state(subject: StaffRow, now: datetime) -> StaffState:
    return effective_state(subject.state, subject.password_ends_at, now)


def _context(request_id: uuid.UUID) -> bytes:
    return canonical.encode(["infosec/auth.requests/v1", str(request_id), NEW_PHONE])
