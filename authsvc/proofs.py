"""Proving by a one-time code that one holds the bound phone (RQ-1): limits, tries, and the proof that a right code gives.

The limits count codes asked for under a spelling of a staff ID, known or not, so that they tell nothing (ID-7). Knows no
storage and no clock.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from authsvc.profile import Profile
from authsvc.staff import StaffState
from infosec.errors import InfosecError, PermissionDenied, Reason, ResourceExhausted
from infosec.ids import StaffId, TerminalId
from infosec.keys import MacKey
from infosec.messages import Text
from infosec.secret import Secret

STAFF_WINDOW = timedelta(days=1)
"""Any 24 hours: so never more in a calendar day either."""
TERMINAL_WINDOW = timedelta(hours=1)

_PREFIX = "proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Codes asked for within the windows: how many, and when the oldest that still counts was."""

    for_staff: int
    oldest_for_staff: datetime | None
    at_terminal: int
    oldest_at_terminal: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A code that was sent, or would have been; the try that is being judged is already counted."""

    challenge_id: UUID
    attempt_key: str
    """A `typed_digest`: of a staff ID, or of whatever was typed in its place."""
    staff_id: StaffId | None
    """None: no such staff ID, or one closed for ever. Nothing proves it."""
    terminal_id: TerminalId
    tries: int
    expires_at: datetime
    used_at: datetime | None
    digest: bytes


def typed_digest(attempt_key: str) -> str:
    """What codes are counted under: people type passwords into the wrong field, and these are tables (ID-7)."""
    return blake2b(attempt_key.encode(), digest_size=16, person=b"infosec-proof").hexdigest()


def check_may_send(sent: Sent, profile: Profile, now: datetime) -> None:
    """RQ-1: 3 a day and staff ID, 10 an hour and terminal. Raises ResourceExhausted(RATE_LIMITED)."""
    waits = []
    if sent.for_staff >= profile.proof_codes_per_staff_day and sent.oldest_for_staff is not None:
        waits.append(sent.oldest_for_staff + STAFF_WINDOW - now)
    if sent.at_terminal >= profile.proof_codes_per_terminal_hour and sent.oldest_at_terminal is not None:
        waits.append(sent.oldest_at_terminal + TERMINAL_WINDOW - now)
    if waits:
        raise ResourceExhausted(Reason.RATE_LIMITED, retry_after=max(waits))


def new_code(randbelow: Callable[[int], int], profile: Profile) -> Secret:
    """A code of the profile's number of digits, leading zeros included."""
    return Secret(f"{randbelow(10**profile.proof_code_digits):0{profile.proof_code_digits}d}")


def digest_parts(challenge_id: UUID, code: str) -> tuple[bytes, ...]:
    """What the keyed digest of a code is made of: good for this challenge alone."""
    return b"proof-code", challenge_id.bytes, "".join(code.split()).encode("utf-8", "surrogatepass")


def is_proved(
    challenge: Challenge, *, attempt_key: str, terminal_id: TerminalId, is_right: bool, profile: Profile, now: datetime
) -> bool:
    """Whether this try proves it: the right code, for this staff ID at this terminal, in time, unused, within five tries."""
    return (
        is_right
        and challenge.staff_id is not None
        and challenge.attempt_key == attempt_key
        and challenge.terminal_id == terminal_id
        and challenge.tries <= profile.proof_code_tries
        and challenge.used_at is None
        and now < challenge.expires_at
    )


def make_proof(challenge_id: UUID, key: MacKey) -> str:
    """The handle of a challenge that was met. Whether it is still good is the record's to say."""
    digest = base64.urlsafe_b64encode(key.digest(*_proof_parts(challenge_id))).rstrip(b"=").decode()
    return f"{_PREFIX}.{challenge_id}.{digest}"


def open_proof(text: str, key: MacKey) -> UUID:
    """The challenge of a handle that we made. Raises PermissionDenied(PROOF_REFUSED)."""
    prefix, name, digest = (*text.split("."), "", "")[:3]
    try:
        if prefix != _PREFIX:
            raise ValueError("not a proof")
        challenge_id = UUID(name)
        given = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
    except ValueError:
        raise refused() from None
    if not key.matches(given, *_proof_parts(challenge_id)):
        raise refused()
    return challenge_id


def refused() -> InfosecError:
    """The one answer to a code or proof that is wrong, late, used, or of an unknown ID (ID-7)."""
    return PermissionDenied(Reason.PROOF_REFUSED)


def _proof_parts(challenge_id: UUID) -> tuple[bytes, ...]:
    return b"proof-handle", challenge_id.bytes


TOLD: dict[StaffState, Text] = {
    StaffState.ISSUED: Text(
        zh="工号待启用：请用短信中的首次密码登录并修改；已过期的，请申请重发首次密码。",
        en="The staff ID waits for its first login: use the first password from the SMS and change it; if that has "
        "expired, request a new one.",
    ),
    StaffState.ACTIVE: Text(
        zh="工号正常，可以登录；忘记密码的，请申请重发首次密码。",
        en="The staff ID is in order and may log in; if the password is forgotten, request a new first password.",
    ),
    StaffState.LOCKED: Text(
        zh="工号因连续密码错误已加锁，请提交解锁申请，由片区经理审批。",
        en="The staff ID is locked after wrong passwords. Submit an unlock request; the regional manager decides.",
    ),
    StaffState.BLACKLISTED: Text(
        zh="工号的密码到期未改，已列入黑名单，请提交解除黑名单申请，由片区经理审批。",
        en="The password ended unchanged and the staff ID is blacklisted. Submit an un-blacklist request; the regional "
        "manager decides.",
    ),
    StaffState.SUSPENDED: Text(
        zh="工号已停用，请提交解除停用申请，由片区经理审批。",
        en="The staff ID is suspended. Submit a request to lift it; the regional manager decides.",
    ),
    StaffState.CLOSED: Text(zh="工号已注销，不能再用。", en="The staff ID is closed for ever."),
}
"""Why a login is refused, told to who proved that they hold the bound phone (ID-7)."""
