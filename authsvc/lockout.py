"""Whose secret an attempt may be verified against, and what a wrong one leads to (ID-5, ID-11). Pure.

The terminal is judged before the person. Whatever is refused verifies a dummy hash and is answered alike (ID-7); the cause
stays inside: it goes to the record and never to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from authsvc.profile import Profile
from authsvc.staff import MAY_LOG_IN, StaffState
from infosec.ids import RegionId, StaffId, StoreId, TerminalId


class Purpose(StrEnum):
    """What the secret is given for. Every path counts in the same way."""

    LOGIN = "login"
    CHANGE_PASSWORD = "change-password"  # noqa: S105
    STEP_UP = "step-up"
    ENROLL_TOTP = "enroll-totp"
    ACTIVATE_TOTP = "activate-totp"
    RESUME = "resume"


class Refusal(StrEnum):
    """Why nothing of the person's own is verified."""

    UNKNOWN = "unknown"
    TERMINAL_RETIRED = "terminal-retired"
    TERMINAL_FAILING = "terminal-failing"
    TERMINAL_LOCKED_MANY = "terminal-locked-many"
    OUT_OF_REGION = "out-of-region"
    STATE = "state"
    USED_UP = "used-up"
    PASSWORD_ENDED = "password-ended"  # noqa: S105
    FIRST_USED = "first-used"
    FIRST_EXPIRED = "first-expired"

    @property
    def is_of_terminal(self) -> bool:
        """Whether it is the terminal that is refused and reported (ID-11)."""
        return self in _OF_TERMINAL


_OF_TERMINAL = frozenset(
    {Refusal.TERMINAL_RETIRED, Refusal.TERMINAL_FAILING, Refusal.TERMINAL_LOCKED_MANY, Refusal.OUT_OF_REGION}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalStanding:
    """What is known of the terminal at the moment of the attempt."""

    terminal_id: TerminalId
    store_id: StoreId
    region_id: RegionId
    is_retired: bool
    failing_keys: int
    """How many staff-ID keys failed there within the window."""
    is_among_them: bool
    """Whether the key of this attempt is one of them."""
    locked_here: int
    """How many staff IDs are locked now by a failure at this terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonStanding:
    """What is known of the person at the moment of the attempt."""

    staff_id: StaffId
    region_id: RegionId
    state: StaffState
    failures: int
    password_ends_at: datetime
    is_first: bool
    first_used: bool
    first_expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The count after one more wrong answer."""

    failures: int
    locks: bool


def judge(
    person: PersonStanding | None, terminal: TerminalStanding, purpose: Purpose, now: datetime, profile: Profile
) -> Refusal | None:
    """Why this attempt is refused unverified; None: verify against the person's own hash."""
    return judge_terminal(person, terminal, profile) or judge_person(person, terminal.region_id, purpose, now, profile)


def judge_terminal(person: PersonStanding | None, terminal: TerminalStanding, profile: Profile) -> Refusal | None:
    """ID-11: a terminal where too many fail, or that could lock too many, is refused; the person is not counted."""
    if terminal.is_retired:
        return Refusal.TERMINAL_RETIRED
    if terminal.failing_keys + (not terminal.is_among_them) > profile.terminal_max_failing_ids:
        return Refusal.TERMINAL_FAILING
    # Only the attempt that could lock is refused: whoever has failures left may still come in with the right password.
    could_lock = person is not None and person.failures + 1 >= profile.max_failures
    if could_lock and terminal.locked_here >= profile.terminal_max_locked_ids:
        return Refusal.TERMINAL_LOCKED_MANY
    return None


def judge_person(
    person: PersonStanding | None, region_id: RegionId, purpose: Purpose, now: datetime, profile: Profile
) -> Refusal | None:
    """Whether this person, tried in this region, has a secret that may be verified."""
    if person is None:
        return Refusal.UNKNOWN
    if person.region_id != region_id:
        return Refusal.OUT_OF_REGION
    if person.state not in MAY_LOG_IN:
        return Refusal.STATE
    if person.failures >= profile.max_failures:
        return Refusal.USED_UP
    return _judge_password(person, purpose, now)


def _judge_password(person: PersonStanding, purpose: Purpose, now: datetime) -> Refusal | None:
    if person.is_first and person.first_expires_at is not None and person.first_expires_at <= now:
        return Refusal.FIRST_EXPIRED  # ID-1
    if person.password_ends_at <= now:
        return Refusal.PASSWORD_ENDED  # ID-4: from the date, at the moment of use
    if person.is_first and person.first_used and purpose is Purpose.LOGIN:
        return Refusal.FIRST_USED  # ID-1: one login; in its session the password serves to be replaced
    return None


def marks_terminal(refusal: Refusal | None) -> bool:
    """Whether a failed attempt adds its key to those failing at the terminal.

    All do alike, so that the terminal's own refusal tells nothing about a staff ID (ID-7); but not once the terminal is
    refused, or it would never be free again.
    """
    return refusal not in (Refusal.TERMINAL_FAILING, Refusal.TERMINAL_RETIRED)


def after_failure(failures: int, profile: Profile) -> Count:
    """ID-5: one more wrong answer, of a password or of a second factor; the fifth locks."""
    counted = min(failures + 1, profile.max_failures)
    return Count(failures=counted, locks=counted >= profile.max_failures)
