"""The identity assertion: who a person is and in which role, signed by authsvc for one calling system, minutes long.

With it a service that must not ask authsvc judges a person with a public key alone. Says who, never what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from infosec.canonical import Json
from infosec.decision.claims import Claims
from infosec.errors import InvalidInput, Reason, Unauthenticated
from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import SigningKeys
from infosec.signed import open_signed, sign

ASSERTION_KIND = "assertion"
MAX_ASSERTION_S = 900
"""The longest life of an assertion, whatever it claims itself."""
MAX_SKEW_S = 60
"""By how much the clock of the service that reads it may be behind the clock of the one that signed it."""
MAX_ASSERTION_BYTES = 1024
"""Longer texts are refused unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityAssertion:
    """The claims: what PostgreSQL said of a full, unlocked session when it was signed.

    Nothing recalls one. A lock, suspension, change of role or end of the session reaches a service that trusts
    assertions within their life: five minutes by the profile (`assertion_life`), never more than MAX_ASSERTION_S.
    Raises InvalidInput for a life beyond that.
    """

    staff_id: StaffId
    role_id: RoleId
    store_id: StoreId | None
    """The store that the person belongs to, which need not be that of the terminal; None where there is none."""
    region_id: RegionId
    session_id: SessionId
    system_id: SystemId
    """The calling system that it is good for."""
    terminal_id: TerminalId
    installation: str
    issued_s: int
    expires_s: int
    stepped_up_until_s: int = 0
    """Until when the second factor given in this session serves decisions (RQ-3); 0: none was given."""

    def __post_init__(self) -> None:
        if not 0 < self.expires_s - self.issued_s <= MAX_ASSERTION_S:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="expires_s", detail=f"at most {MAX_ASSERTION_S} s")


def issue_assertion(assertion: IdentityAssertion, keys: SigningKeys) -> str:
    """The signed text of an assertion. A store that is None is left out."""
    claims: dict[str, Json] = {
        "stf": assertion.staff_id,
        "rol": assertion.role_id,
        "rgn": assertion.region_id,
        "sid": assertion.session_id,
        "sys": assertion.system_id,
        "trm": assertion.terminal_id,
        "ins": assertion.installation,
        "iat": assertion.issued_s,
        "exp": assertion.expires_s,
        "sup": assertion.stepped_up_until_s,
    }
    if assertion.store_id is not None:
        claims["sto"] = assertion.store_id
    return sign(ASSERTION_KIND, claims, keys)


def open_assertion(
    text: str, public_keys: Mapping[str, bytes], *, installation: str, system: SystemId, now: datetime
) -> IdentityAssertion:
    """The verified assertion, as `system` may use it now.

    Raises Unauthenticated(TOKEN_INVALID), always the same, for what is forged, has expired, lives too long, comes from
    the future, or was made for another system or by another installation.
    """
    claims = Claims(open_signed(ASSERTION_KIND, text, public_keys, max_bytes=MAX_ASSERTION_BYTES))
    try:
        assertion = _assertion(claims)
    except InvalidInput:
        raise Unauthenticated(Reason.TOKEN_INVALID) from None
    now_s = now.timestamp()
    if (
        assertion.installation != installation
        or assertion.system_id != system
        or assertion.expires_s <= now_s
        or assertion.issued_s > now_s + MAX_SKEW_S
    ):
        raise Unauthenticated(Reason.TOKEN_INVALID)
    return assertion


def _assertion(claims: Claims) -> IdentityAssertion:
    store = claims.optional_text("sto")
    return IdentityAssertion(
        staff_id=StaffId(claims.text("stf")),
        role_id=RoleId(claims.text("rol")),
        store_id=None if store is None else StoreId(store),
        region_id=RegionId(claims.text("rgn")),
        session_id=SessionId(claims.text("sid")),
        system_id=SystemId(claims.text("sys")),
        terminal_id=TerminalId(claims.text("trm")),
        installation=claims.text("ins"),
        issued_s=claims.number("iat"),
        expires_s=claims.number("exp"),
        stepped_up_until_s=claims.number("sup"),
    )
