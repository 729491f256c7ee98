"""Acts that take two people: erasure, release of a hold, retention (CI-8). Who proposes, who confirms, and what then follows.

Invariants: nobody confirms what they proposed, in whatever role; nothing is carried out by silence; what was confirmed is
carried out once, or blocked by a hold. Knows no storage and no wire.

Proposing takes a second factor too: a proposal is half of what cannot be undone. What takes nothing away does without one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, PermissionDenied, Reason
from infosec.ids import RoleId, StaffId

AUDITOR = RoleId("auditor")
PROPOSERS = frozenset({AUDITOR})
CONFIRMERS = frozenset({AUDITOR, RoleId("carrier-duty-officer")})
"""A carrier with one auditor has a second person still; what they confirm, an auditor proposed."""
LIFE = timedelta(hours=24)
"""How long a proposal waits for a second person."""


class ActKind(StrEnum):
    """What takes two people."""

    ERASE_SUBJECT = "erase-subject"
    RELEASE_HOLD = "release-hold"
    APPLY_RETENTION = "apply-retention"


class ActState(StrEnum):
    """Where an act stands."""

    PROPOSED = "PROPOSED"
    CONFIRMED = "CONFIRMED"
    """Decided, and being carried out; whoever finds it so goes on with it."""
    DONE = "DONE"
    BLOCKED = "BLOCKED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class ActEvent(StrEnum):
    """What can happen to an act."""

    CONFIRM = "confirm"
    CARRY_OUT = "carry-out"
    BLOCK = "block"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


TRANSITIONS: dict[tuple[ActState, ActEvent], ActState] = {
    (ActState.PROPOSED, ActEvent.CONFIRM): ActState.CONFIRMED,
    (ActState.PROPOSED, ActEvent.WITHDRAW): ActState.WITHDRAWN,
    (ActState.PROPOSED, ActEvent.EXPIRE): ActState.EXPIRED,
    (ActState.CONFIRMED, ActEvent.CARRY_OUT): ActState.DONE,
    (ActState.CONFIRMED, ActEvent.BLOCK): ActState.BLOCKED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What retention does, or would do."""

    payloads: int = 0
    """Entries that lose their payload and keep their leaf hash."""
    entries: int = 0
    """Entries of a prefix that go altogether."""
    held: int = 0
    """Past their term, and kept by a hold."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            payloads=self.payloads + other.payloads,
            entries=self.entries + other.entries,
            held=self.held + other.held,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act. Never holds a customer's number or its digest."""

    id: UUID
    kind: ActKind
    reason: str
    proposed_by: StaffId
    session_id: str
    """Of who proposed it."""
    proposed_at: datetime
    expires_at: datetime
    state: ActState = ActState.PROPOSED
    subject_ids: tuple[UUID, ...] = ()
    """More than one where the key of the digests was replaced while the customer was known."""
    hold_id: UUID | None = None
    decided_by: StaffId | None = None
    decided_at: datetime | None = None
    counts: Counts = field(default_factory=Counts)

    def event_id(self, what: str) -> UUID:
        """The ID of the event that tells `what` of this act."""
        return event_id(self.id, what)


def event_id(act_id: UUID, what: str) -> UUID:
    """The ID of the event that tells `what` of an act: the same however often it is told."""
    return uuid5(act_id, what)


def after(state: ActState, event: ActEvent) -> ActState:
    """The state that `event` leads to. Raises FailedPrecondition(REQUEST_CLOSED) for what is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise FailedPrecondition(Reason.REQUEST_CLOSED) from None


def is_expired(act: Act, now: datetime) -> bool:
    """Over by the clock, swept or not."""
    return act.state is ActState.PROPOSED and act.expires_at <= now


def seen(act: Act, now: datetime) -> Act:
    """As it stands now: the sweep may be behind the clock."""
    return replace(act, state=ActState.EXPIRED) if is_expired(act, now) else act


def decided(act: Act, event: ActEvent, person: IdentityAssertion, now: datetime) -> Act:
    """The act as `person` leaves it: confirmed or withdrawn.

    Raises PermissionDenied(SELF_DECISION), FailedPrecondition(REQUEST_CLOSED).
    """
    if event is ActEvent.CONFIRM:
        check_second(act, person)
    return replace(after_now(act, event, now), decided_by=person.staff_id, decided_at=now)


def after_now(act: Act, event: ActEvent, now: datetime) -> Act:
    """The act after `event`. Raises FailedPrecondition(REQUEST_CLOSED), also for a proposal that is over by the clock."""
    if event is not ActEvent.EXPIRE and is_expired(act, now):
        raise FailedPrecondition(Reason.REQUEST_CLOSED)
    return replace(act, state=after(act.state, event))


def check_second(act: Act, person: IdentityAssertion) -> None:
    """Another person, in another session. Raises PermissionDenied(SELF_DECISION)."""
    if person.staff_id == act.proposed_by or person.session_id == act.session_id:
        raise PermissionDenied(Reason.SELF_DECISION)
