"""The life of a staff ID as one table (section A): what is not in it is an error. Knows no storage and no wire."""

from __future__ import annotations

from enum import StrEnum

from infosec.decision.tables import StaffState
from infosec.errors import FailedPrecondition, Reason


class StaffEvent(StrEnum):
    """What can happen to a staff ID."""

    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    FIFTH_FAILURE = "fifth-failure"
    PASSWORD_ENDED = "password-ended"  # noqa: S105
    SUSPEND = "suspend"
    UNLOCK_APPROVED = "unlock-approved"
    UNBLACKLIST_APPROVED = "unblacklist-approved"
    LIFT_APPROVED = "lift-approved"
    REISSUE_APPROVED = "reissue-approved"
    CLOSE = "close"


_S, _E = StaffState, StaffEvent

TRANSITIONS: dict[tuple[StaffState, StaffEvent], StaffState] = {
    (_S.ISSUED, _E.PASSWORD_CHANGED): _S.ACTIVE,  # ID-1
    (_S.ACTIVE, _E.PASSWORD_CHANGED): _S.ACTIVE,
    (_S.ISSUED, _E.FIFTH_FAILURE): _S.LOCKED,  # ID-5; a first password is attempt-capped like any
    (_S.ACTIVE, _E.FIFTH_FAILURE): _S.LOCKED,
    (_S.ACTIVE, _E.PASSWORD_ENDED): _S.BLACKLISTED,  # ID-4
    (_S.ISSUED, _E.SUSPEND): _S.SUSPENDED,
    (_S.ACTIVE, _E.SUSPEND): _S.SUSPENDED,
    (_S.LOCKED, _E.SUSPEND): _S.SUSPENDED,
    (_S.BLACKLISTED, _E.SUSPEND): _S.SUSPENDED,
    (_S.LOCKED, _E.UNLOCK_APPROVED): _S.ISSUED,  # RQ-5: every way back leads through a new first password
    (_S.BLACKLISTED, _E.UNBLACKLIST_APPROVED): _S.ISSUED,
    (_S.SUSPENDED, _E.LIFT_APPROVED): _S.ISSUED,
    (_S.ISSUED, _E.REISSUE_APPROVED): _S.ISSUED,
    (_S.ACTIVE, _E.REISSUE_APPROVED): _S.ISSUED,
    (_S.ISSUED, _E.CLOSE): _S.CLOSED,  # ID-10: for ever
    (_S.ACTIVE, _E.CLOSE): _S.CLOSED,
    (_S.LOCKED, _E.CLOSE): _S.CLOSED,
    (_S.BLACKLISTED, _E.CLOSE): _S.CLOSED,
    (_S.SUSPENDED, _E.CLOSE): _S.CLOSED,
}

__all__ = ["MAY_LOG_IN", "TRANSITIONS", "StaffEvent", "StaffState", "after"]

MAY_LOG_IN = frozenset({StaffState.ISSUED, StaffState.ACTIVE})


def after(state: StaffState, event: StaffEvent) -> StaffState:
    """The state that `event` leads to. Raises FailedPrecondition(STATE_CONFLICT) for what is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise FailedPrecondition(Reason.STATE_CONFLICT, state=state.value, event=event.value) from None
