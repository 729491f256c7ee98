"""How long a session lasts, what must be done in it first, and which use of a staff ID is odd (ID-9, ID-10). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from authsvc.profile import Profile
from infosec.ids import RoleId, StoreId, TerminalId

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of a password that has none."""


class Duty(StrEnum):
    """What must be done before anything else is possible in a session."""

    CHANGE_PASSWORD = "CHANGE_PASSWORD"  # noqa: S105
    ENROLL_TOTP = "ENROLL_TOTP"


class EndReason(StrEnum):
    """Why a session ended."""

    LOGOUT = "logout"
    LOGGED_IN_AGAIN = "logged-in-again"
    IDLE = "idle"
    OVER = "over"
    """Shift limit, end of the password, or a restricted session that was not completed in time."""
    LOCKED = "locked"
    BLACKLISTED = "blacklisted"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    REISSUED = "reissued"
    """A new first password was put in force, or what the staff ID is bound to changed."""
    TERMINAL_RETIRED = "terminal-retired"


class FindingKind(StrEnum):
    """What a person should look at (`infosec staff findings`)."""

    TWO_PLACES = "TWO_PLACES"
    IMPOSSIBLE_TRAVEL = "IMPOSSIBLE_TRAVEL"
    DORMANT = "DORMANT"
    TERMINAL_REFUSED = "TERMINAL_REFUSED"
    OUT_OF_REGION = "OUT_OF_REGION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where a person was last known to be."""

    terminal_id: TerminalId
    store_id: StoreId
    at: datetime
    in_session: bool
    """A session there goes on, unlocked."""


def duties(*, must_change: bool, must_enroll: bool) -> tuple[Duty, ...]:
    """What is still to be done; empty for a full session."""
    return ((Duty.CHANGE_PASSWORD,) if must_change else ()) + ((Duty.ENROLL_TOTP,) if must_enroll else ())


def must_enroll(role_id: RoleId, *, totp_active: bool, profile: Profile) -> bool:
    """Whether this role has to enrol a second factor before it does anything else (RQ-3)."""
    return role_id in profile.totp_login_roles and not totp_active


def ends_at(started_at: datetime, password_ends_at: datetime, *, is_restricted: bool, profile: Profile) -> datetime:
    """When it ends at the latest: shift limit (ID-9), end of the password (ID-4); a restricted one much sooner."""
    limit = profile.restricted_limit if is_restricted else profile.shift_limit
    return min(started_at + limit, password_ends_at)


def idle_before(now: datetime, profile: Profile) -> datetime:
    """A session last recorded as used before this was certainly not used for the idle limit: records come late (ID-9)."""
    return now - profile.idle_limit - profile.idle_grace


def odd_uses(
    last: Sighting | None, terminal_id: TerminalId, store_id: StoreId, now: datetime, profile: Profile
) -> tuple[FindingKind, ...]:
    """What is odd about a login here, given where the person was last seen (ID-10)."""
    if last is None:
        return ()
    found = []
    gap = now - last.at
    if last.in_session and last.terminal_id != terminal_id and gap <= profile.idle_grace:
        found.append(FindingKind.TWO_PLACES)
    if last.store_id != store_id and gap < profile.travel_gap:
        found.append(FindingKind.IMPOSSIBLE_TRAVEL)
    return tuple(found)
