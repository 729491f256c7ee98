"""Requests and second-person approvals as rules (section B): who may ask, who decides, what follows, and when it ends.

Invariants: nobody decides what is about them or what they submitted; who may decide is judged at the moment of the
decision; nothing is decided by silence. Knows no storage, no wire and no clock.

What the rule book leaves open is decided here. Requests about privileged roles (regional managers, carrier duty officers,
auditors, administrators) are decided by a carrier duty officer, about a duty officer by another one. A move between
regions is decided where the person is now. A change to a privileged role is like making one: an administrator submits,
another decides (ID-8). Who has no store manager above them, store managers and privileged roles, may have an
administrator submit in the store manager's stead. A proof by phone carries only the ways back to a login.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from authsvc.profile import Profile
from authsvc.staff import StaffEvent, StaffState
from infosec.decision.roles import PlaceScope, Role
from infosec.errors import FailedPrecondition, PermissionDenied, Reason
from infosec.ids import RegionId, RoleId, StaffId, StoreId, TerminalId

STORE_MANAGER = RoleId("store-manager")
DUTY_MANAGER = RoleId("duty-manager")
REGIONAL_MANAGER = RoleId("regional-manager")
CARRIER_DUTY_OFFICER = RoleId("carrier-duty-officer")
ADMINISTRATOR = RoleId("administrator")
AUDITOR = RoleId("auditor")

ALWAYS_PRIVILEGED = frozenset({REGIONAL_MANAGER, CARRIER_DUTY_OFFICER, ADMINISTRATOR, AUDITOR})
"""Whatever the role data says."""

RECIPROCAL = "RECIPROCAL"
"""The flag of a decision between two who decided for each other not long ago (RQ-2)."""


class Kind(StrEnum):
    """What is asked for (RQ-1), the two that take a second administrator (ID-8, CI-2), and RQ-7's approval."""

    UNLOCK = "unlock"
    UNBLACKLIST = "unblacklist"
    LIFT_SUSPENSION = "lift-suspension"
    REISSUE_PASSWORD = "reissue-password"  # noqa: S105
    REBIND_PHONE = "rebind-phone"
    MOVE_STORE = "move-store"
    CHANGE_ROLE = "change-role"
    CREATE_PRIVILEGED = "create-privileged"
    CHANGE_POLICY = "change-policy"
    APPROVAL = "approval"


class State(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    CARRIED_OUT = "carried-out"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LAPSED = "lapsed"


class Event(StrEnum):
    """What can happen to a request."""

    ESCALATE = "escalate"
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    EXPIRE = "expire"
    CARRY_OUT = "carry-out"
    LAPSE = "lapse"
    RELEASE = "release"
    """The order that a grant was bound to was not completed (RQ-7)."""


class Level(StrEnum):
    """Who decides at present."""

    REGIONAL_MANAGER = "regional-manager"
    CARRIER_DUTY_OFFICER = "carrier-duty-officer"
    ADMINISTRATOR = "administrator"
    SECOND_PERSON = "second-person"
    """RQ-7: the roles that the operation table names."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.ESCALATE): State.PENDING,
    (State.PENDING, Event.APPROVE): State.APPROVED,
    (State.PENDING, Event.REJECT): State.REJECTED,
    (State.PENDING, Event.CANCEL): State.CANCELLED,
    (State.PENDING, Event.EXPIRE): State.EXPIRED,
    (State.APPROVED, Event.CARRY_OUT): State.CARRIED_OUT,
    (State.APPROVED, Event.LAPSE): State.LAPSED,
    (State.CARRIED_OUT, Event.RELEASE): State.APPROVED,
}

WAYS_BACK = frozenset({Kind.UNLOCK, Kind.UNBLACKLIST, Kind.LIFT_SUSPENSION, Kind.REISSUE_PASSWORD})
"""Kinds that give a new first password (RQ-5); a proof by phone carries these alone."""

_NOT_CLOSED = frozenset(StaffState) - {StaffState.CLOSED}

NEEDED_IN: dict[Kind, frozenset[StaffState]] = {
    Kind.UNLOCK: frozenset({StaffState.LOCKED}),
    Kind.UNBLACKLIST: frozenset({StaffState.BLACKLISTED}),
    Kind.LIFT_SUSPENSION: frozenset({StaffState.SUSPENDED}),
    Kind.REISSUE_PASSWORD: frozenset({StaffState.ISSUED, StaffState.ACTIVE}),
    Kind.REBIND_PHONE: _NOT_CLOSED,
    Kind.MOVE_STORE: _NOT_CLOSED,
    Kind.CHANGE_ROLE: _NOT_CLOSED,
}
"""In which states of the staff ID a request makes sense."""

_STAFF_EVENTS = {
    Kind.UNLOCK: StaffEvent.UNLOCK_APPROVED,
    Kind.UNBLACKLIST: StaffEvent.UNBLACKLIST_APPROVED,
    Kind.LIFT_SUSPENSION: StaffEvent.LIFT_APPROVED,
    Kind.REISSUE_PASSWORD: StaffEvent.REISSUE_APPROVED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A role that decides, and how far its power reaches."""

    role_id: RoleId
    reach: PlaceScope


SEATS: dict[Level, tuple[Seat, ...]] = {
    Level.REGIONAL_MANAGER: (Seat(role_id=REGIONAL_MANAGER, reach=PlaceScope.REGION),),
    Level.CARRIER_DUTY_OFFICER: (Seat(role_id=CARRIER_DUTY_OFFICER, reach=PlaceScope.CARRIER),),
    Level.ADMINISTRATOR: (Seat(role_id=ADMINISTRATOR, reach=PlaceScope.CARRIER),),
    Level.SECOND_PERSON: (),  # named by the operation
}

ABOVE: dict[Level, Level] = {Level.REGIONAL_MANAGER: Level.CARRIER_DUTY_OFFICER}
"""RQ-4: where an undecided request goes. Past the carrier duty officers there is nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who might decide, as they are now."""

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    is_able: bool = True
    """In good standing: could log in now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What is to be decided, and where it is now. `seats` are those of the present level."""

    subject_id: str
    submitted_by: StaffId
    store_id: StoreId
    region_id: RegionId
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a request is about, as they are now."""

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    state: StaffState
    """With the end of the password taken into account: see `effective_state`."""
    is_privileged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who asks: in a session, or by a proof that they hold the bound phone."""

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId
    by_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the decider sees (RQ-3), as it was at submission."""

    staff_state: str = ""
    locked_at: datetime | None = None
    locked_terminal_id: TerminalId | None = None
    locked_store_id: StoreId | None = None
    locks_in_90_days: int = 0
    submitter_role_id: str = ""
    proved_by_phone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of either face. Never holds a phone, a password or a customer's number."""

    id: UUID
    kind: Kind
    state: State
    level: Level
    subject_id: str
    submitted_by: StaffId
    submitted_at: datetime
    region_id: RegionId
    store_id: StoreId
    """Region and store at submission; who may decide is judged by where they are at the decision."""
    reason: str
    expires_at: datetime
    change: Mapping[str, str | bool] = field(default_factory=dict)
    change_sealed: bytes | None = None
    evidence: Evidence = Evidence()
    decider_roles: tuple[RoleId, ...] = ()
    escalates_at: datetime | None = None
    decided_by: StaffId | None = None
    decider_role: RoleId | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    execute_by: datetime | None = None
    executed_at: datetime | None = None
    delivery_id: UUID | None = None
    flags: tuple[str, ...] = ()
    subject_name: str = ""


def after(state: State, event: Event) -> State:
    """The state that `event` leads to. Raises FailedPrecondition(REQUEST_CLOSED) for what is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise FailedPrecondition(Reason.REQUEST_CLOSED) from None


def effective_state(state: StaffState, password_ends_at: datetime, now: datetime) -> StaffState:
    """ID-4 decided from the date: an active staff ID whose password has ended is blacklisted, swept or not."""
    return StaffState.BLACKLISTED if state is StaffState.ACTIVE and password_ends_at <= now else state


def needs_second_administrator(kind: Kind) -> bool:
    """Whether it is about the system rather than about a member of staff (ID-8, CI-2)."""
    return kind in (Kind.CREATE_PRIVILEGED, Kind.CHANGE_POLICY)


def is_privileged(role_id: RoleId, roles: Mapping[RoleId, Role]) -> bool:
    """Whether the role runs, decides or inspects. One that is not known here is taken for privileged: it asks for more."""
    role = roles.get(role_id)
    return role_id in ALWAYS_PRIVILEGED or role is None or role.privileged


# Who may ask


def check_submitter(kind: Kind, submitter: Submitter, subject: Subject, *, to_privileged: bool = False) -> None:
    """RQ-1: the person, or the store or duty manager for them. Raises PermissionDenied(NOT_PERMITTED)."""
    is_self = submitter.staff_id == subject.staff_id
    if submitter.by_proof:
        allowed = is_self and kind in WAYS_BACK
    elif to_privileged or needs_second_administrator(kind):
        allowed = submitter.role_id == ADMINISTRATOR
    else:
        allowed = is_self or _manages(kind, submitter, subject)
    if not allowed:
        raise PermissionDenied(Reason.NOT_PERMITTED)


def _manages(kind: Kind, submitter: Submitter, subject: Subject) -> bool:
    """For a clerk of one's own store; a lost phone is vouched for by the store manager alone."""
    if submitter.role_id == ADMINISTRATOR:  # AssignRole; and people who have no store manager above them
        return kind is Kind.CHANGE_ROLE or subject.is_privileged or subject.role_id == STORE_MANAGER
    roles = {STORE_MANAGER} if kind is Kind.REBIND_PHONE else {STORE_MANAGER, DUTY_MANAGER}
    return submitter.role_id in roles and submitter.store_id == subject.store_id


def check_needed(kind: Kind, state: StaffState) -> None:
    """Raises FailedPrecondition(STATE_CONFLICT) where the staff ID does not need it."""
    if state not in NEEDED_IN[kind]:
        raise FailedPrecondition(Reason.STATE_CONFLICT, state=state.value)


# Who decides


def first_level(kind: Kind, *, subject_is_privileged: bool, to_privileged: bool = False) -> Level:
    """Where a request starts (RQ-2, ID-8)."""
    if kind is Kind.APPROVAL:
        return Level.SECOND_PERSON
    if needs_second_administrator(kind) or to_privileged:
        return Level.ADMINISTRATOR
    return Level.CARRIER_DUTY_OFFICER if subject_is_privileged else Level.REGIONAL_MANAGER


def check_level(level: Level, required: Level) -> None:
    """Raises FailedPrecondition(STATE_CONFLICT) where the matter has come to need other deciders since it was submitted:
    the person, or the role that they are to have, is privileged by now."""
    if level not in (required, ABOVE.get(required)):
        raise FailedPrecondition(Reason.STATE_CONFLICT, detail="others have to decide this now: submit it anew")


def is_concerned(matter: Matter, staff_id: StaffId) -> bool:
    """RQ-2: whom it is about, and who submitted it."""
    return staff_id in (matter.subject_id, matter.submitted_by)


def check_decider(matter: Matter, person: Person) -> None:
    """RQ-2. Raises PermissionDenied: SELF_DECISION to who is concerned, NOT_PERMITTED to who has no seat there."""
    if is_concerned(matter, person.staff_id):
        raise PermissionDenied(Reason.SELF_DECISION)
    if not person.is_able or not any(_sits(seat, matter, person) for seat in matter.seats):
        raise PermissionDenied(Reason.NOT_PERMITTED, role=person.role_id)


def may_decide(matter: Matter, person: Person) -> bool:
    """Whether `check_decider` passes."""
    return (
        not is_concerned(matter, person.staff_id)
        and person.is_able
        and any(_sits(seat, matter, person) for seat in matter.seats)
    )


def _sits(seat: Seat, matter: Matter, person: Person) -> bool:
    if person.role_id != seat.role_id:
        return False
    if seat.reach is PlaceScope.OWN_STORE:
        return person.store_id == matter.store_id
    return seat.reach is PlaceScope.CARRIER or person.region_id == matter.region_id


def level_with_approver(first: Level, matter: Matter, people: Iterable[Person]) -> Level:
    """`first`, or one level up where the only ones who could decide there are concerned (RQ-2).

    Raises FailedPrecondition(NO_APPROVER) when nobody could. The seats of `matter` are used for second persons only.
    """
    candidates = tuple(people)
    level: Level | None = first
    while level is not None:
        if any(may_decide(at_level(matter, level), person) for person in candidates):
            return level
        level = ABOVE.get(level)
    raise FailedPrecondition(Reason.NO_APPROVER)


def at_level(matter: Matter, level: Level) -> Matter:
    """The matter as the deciders of `level` see it."""
    return matter if level is Level.SECOND_PERSON else replace(matter, seats=SEATS[level])


def present_level(request: Request, matter: Matter, people: Iterable[Person], now: datetime) -> Level:
    """Who decides now: the level of the record, moved up by the clock or because nobody is left there to decide."""
    if request.state is not State.PENDING:
        return request.level
    level = ABOVE[request.level] if is_overdue(request, now) else request.level
    if level in ABOVE and not any(may_decide(at_level(matter, level), person) for person in people):
        return ABOVE[level]
    return level


# The two clocks (RQ-4)


def is_overdue(request: Request, now: datetime) -> bool:
    """Undecided for so long that the next level decides."""
    return request.level in ABOVE and request.escalates_at is not None and request.escalates_at <= now


def due(request: Request, now: datetime) -> Event | None:
    """What the clock alone makes of a request."""
    if request.state is State.PENDING:
        if request.expires_at <= now:
            return Event.EXPIRE
        return Event.ESCALATE if is_overdue(request, now) else None
    if request.state is State.APPROVED and request.execute_by is not None and request.execute_by <= now:
        return Event.LAPSE
    return None


def check_open(request: Request, event: Event, now: datetime) -> State:
    """The state that `event` leads to now. Raises FailedPrecondition(REQUEST_CLOSED) for one closed, or over by the clock."""
    to = after(request.state, event)
    if due(request, now) in (Event.EXPIRE, Event.LAPSE):
        raise FailedPrecondition(Reason.REQUEST_CLOSED)
    return to


def opened(request: Request, profile: Profile) -> Request:
    """The request with its clocks set."""
    if request.kind is Kind.APPROVAL:
        return replace(request, expires_at=request.submitted_at + profile.approval_expires_after, escalates_at=None)
    escalates_at = request.submitted_at + profile.escalate_after if request.level in ABOVE else None
    expires_at = request.submitted_at + profile.request_expires_after
    return replace(request, expires_at=expires_at, escalates_at=escalates_at)


def escalated(request: Request, to: Level) -> Request:
    """The request at the next level; the clock that ends it goes on."""
    return replace(request, state=after(request.state, Event.ESCALATE), level=to, escalates_at=None)


def decided(
    request: Request, event: Event, *, by: Person, now: datetime, reason: str, is_reciprocal: bool, profile: Profile
) -> Request:
    """The request approved or rejected. An approval must be carried out within minutes (RQ-4)."""
    state = check_open(request, event, now)
    limit = profile.execute_within
    if request.kind is Kind.APPROVAL:
        limit = min(limit, profile.approval_grant_life)
    return replace(
        request,
        state=state,
        decided_by=by.staff_id,
        decider_role=by.role_id,
        decided_at=now,
        decision_reason=reason,
        execute_by=now + limit if state is State.APPROVED else None,
        flags=(*request.flags, RECIPROCAL) if is_reciprocal else request.flags,
    )


# What an approval does to a staff ID


def staff_event(kind: Kind, state: StaffState, *, to_privileged: bool = False) -> StaffEvent | None:
    """What happens to the staff ID (RQ-5). A new phone gets a new first password, for the old one may be in other hands;
    but re-binding is no way around an unlock: who could not log in before still cannot.

    So does who becomes an approver, auditor or administrator, as one who is made so gets one (ID-8): an administrator
    who brought them in with an old password's hash may know that password, and must not know how to log in as them.
    """
    if state in (StaffState.ISSUED, StaffState.ACTIVE) and (
        kind is Kind.REBIND_PHONE or (kind is Kind.CHANGE_ROLE and to_privileged)
    ):
        return StaffEvent.REISSUE_APPROVED
    return _STAFF_EVENTS.get(kind)
