"""Every threshold of the staff-ID rules (sections A and B, CI-2) as one frozen, typed, named set of values.

A rule takes its numbers from here and from nowhere else; the deviation report (authsvc.deviations) is computed from them.
Where a value is a count of carrier calendar days its name ends in `_days`; every other duration is a timedelta.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from infosec.decision.assertion import MAX_ASSERTION_S
from infosec.errors import Misconfigured, Reason
from infosec.ids import RoleId


class CharacterClass(StrEnum):
    """What ID-2 mixes. Letters of any script are letters; whatever is neither letter nor digit, a space too, is a symbol."""

    LETTERS = "LETTERS"
    DIGITS = "DIGITS"
    SYMBOLS = "SYMBOLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The values in force. The defaults are the handbook's: profile `telecom-hall`."""

    name: str = "telecom-hall"

    # ID-1: the first password
    first_password_life: timedelta = timedelta(hours=24)
    first_password_uses: int = 1

    # ID-2, ID-3: what a password looks like; lengths count characters after NFKC
    min_length: int = 8
    max_length: int = 128
    min_classes: int = 2
    """How many of the character classes a password must mix; 1 means no mixing rule."""
    required_classes: frozenset[CharacterClass] = frozenset()
    """Classes that must be among them."""

    # ID-4: how long it lives
    password_life_days: int | None = 90
    """Carrier calendar days, the day of the change being the first; None: until changed."""
    reminder_days: tuple[int, ...] = (14, 7, 3, 1)

    # ID-5: wrong passwords, and second-factor failures with them
    max_failures: int = 5
    login_place_lease: timedelta = timedelta(seconds=10)
    """Real time after which an attempt that has not settled has lost its place."""

    # ID-6
    history_depth: int = 5
    """How many last passwords, the current one included, may not come again; 0 keeps none."""

    # ID-9: sessions
    idle_limit: timedelta = timedelta(minutes=15)
    idle_recording_step: timedelta = timedelta(minutes=2)
    idle_flush: timedelta = timedelta(seconds=30)
    shift_limit: timedelta = timedelta(hours=12)
    restricted_limit: timedelta = timedelta(minutes=15)
    """How long a session lasts in which a first password or a second factor is still to be set."""
    assertion_life: timedelta = timedelta(minutes=5)
    """How long services that trust identity assertions may go on after a lock, suspension or change of role."""

    # ID-10: findings
    dormant_days: int = 45
    travel_gap: timedelta = timedelta(minutes=30)
    """One staff ID at two stores within less than this is reported as impossible travel."""

    # ID-11: judging the terminal
    terminal_max_failing_ids: int = 3
    terminal_window: timedelta = timedelta(minutes=10)
    terminal_max_locked_ids: int = 3

    # RQ-1: one-time codes to the bound phone
    proof_codes_per_staff_day: int = 3
    proof_codes_per_terminal_hour: int = 10
    proof_code_tries: int = 5
    proof_code_digits: int = 6
    proof_code_life: timedelta = timedelta(minutes=10)
    proof_life: timedelta = timedelta(minutes=10)
    """How long a proof, once given, can carry a request."""

    # RQ-2, RQ-3, RQ-4: deciding
    reciprocal_window_days: int = 30
    step_up_life: timedelta = timedelta(minutes=5)
    escalate_after: timedelta = timedelta(hours=2)
    request_expires_after: timedelta = timedelta(hours=24)
    execute_within: timedelta = timedelta(minutes=30)

    # RQ-7: second person for one operation
    approval_expires_after: timedelta = timedelta(minutes=30)
    approval_grant_life: timedelta = timedelta(minutes=10)

    # second factor
    totp_login_roles: frozenset[RoleId] = frozenset(
        RoleId(role) for role in ("regional-manager", "carrier-duty-officer", "auditor", "administrator")
    )
    """Roles whose login is complete only with a TOTP code; whoever decides needs one for step-up in any case (RQ-3)."""
    totp_step: timedelta = timedelta(seconds=30)
    totp_drift_steps: int = 1

    # CI-2: the check
    staleness_bound: timedelta = timedelta(seconds=5)
    revision_wait: timedelta = timedelta(milliseconds=250)
    max_assigned: int = 10_000
    """Assigned customers held in the snapshot for one person; beyond that, an assignment grant."""

    # CI-1: the record of a read
    record_deadline: timedelta = timedelta(seconds=2)
    """How long the audit service may take; after that the read is denied."""

    @property
    def idle_grace(self) -> timedelta:
        """How far the recorded last use may lag behind the true one (ID-9): one recording step and one flush."""
        return self.idle_recording_step + self.idle_flush

    @property
    def idle_latest(self) -> timedelta:
        """An idle session is ended no later than this after its last use (ID-9): grace, and one flush to notice it."""
        return self.idle_limit + self.idle_grace + self.idle_flush

    def __post_init__(self) -> None:
        for field, wrong in _contradictions(self):
            if wrong:
                raise Misconfigured(Reason.CONFIGURATION, key=f"profile.{field}", detail="contradicts the other values")


def _contradictions(profile: Profile) -> tuple[tuple[str, bool], ...]:
    life = profile.password_life_days
    return (
        ("min_length", not 1 <= profile.min_length <= profile.max_length),
        ("max_length", not 64 <= profile.max_length <= 1024),
        ("min_classes", not 1 <= profile.min_classes <= len(CharacterClass)),
        ("password_life_days", life is not None and life < 1),
        ("reminder_days", any(day < 1 or (life is not None and day >= life) for day in profile.reminder_days)),
        ("max_failures", profile.max_failures < 1),
        ("history_depth", not 0 <= profile.history_depth <= 24),
        ("idle_limit", not profile.idle_recording_step < profile.idle_limit < profile.shift_limit),
        ("assertion_life", not timedelta(0) < profile.assertion_life <= timedelta(seconds=MAX_ASSERTION_S)),
        ("escalate_after", not profile.escalate_after < profile.request_expires_after),
        ("execute_within", profile.execute_within <= timedelta(0)),
        ("revision_wait", not profile.revision_wait < profile.staleness_bound),
        ("record_deadline", profile.record_deadline <= timedelta(0)),
    )


TELECOM_HALL = Profile()

NIST_800_63B_4 = replace(
    TELECOM_HALL,
    name="nist-800-63b-4",
    min_length=15,
    min_classes=1,
    password_life_days=None,
    reminder_days=(),
    history_depth=0,
)

PCI_DSS_4 = replace(
    TELECOM_HALL,
    name="pci-dss-4",
    min_length=12,
    required_classes=frozenset({CharacterClass.LETTERS, CharacterClass.DIGITS}),
)

PROFILES = {profile.name: profile for profile in (TELECOM_HALL, NIST_800_63B_4, PCI_DSS_4)}


def by_name(name: str) -> Profile:
    """The profile of that name. Raises Misconfigured for a name that is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise Misconfigured(Reason.CONFIGURATION, key="profile", detail=f"one of {', '.join(PROFILES)}") from None
