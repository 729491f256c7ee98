"""The session token: a short signed handle that one system holds for one session (ID-9), and its verification.

Says who and where, never what is allowed: that is decided at each use. Reads no clock; `decide` judges the expiry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infosec.canonical import Json
from infosec.decision.claims import Claims
from infosec.decision.memo import VerifiedMemo
from infosec.errors import Reason, Unauthenticated
from infosec.ids import RegionId, SessionId, StaffId, SystemId, TerminalId
from infosec.keys import SigningKeys
from infosec.signed import open_signed, sign

SESSION_KIND = "session"
MAX_TOKEN_BYTES = 1024
"""Longer texts are refused unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHandle:
    """The claims of a token."""

    session_id: SessionId
    system: SystemId
    terminal: TerminalId
    staff_id: StaffId
    region: RegionId
    """The region whose counter `revision` belongs to: that of the session's store."""
    revision: int
    """The region's revision when the token was made: a node behind it does not know the session yet."""
    installation: str
    issued_s: int
    expires_s: int


def issue_token(handle: SessionHandle, keys: SigningKeys) -> str:
    """The signed text of a handle."""
    claims: dict[str, Json] = {
        "sid": handle.session_id,
        "sys": handle.system,
        "trm": handle.terminal,
        "stf": handle.staff_id,
        "rgn": handle.region,
        "rev": handle.revision,
        "ins": handle.installation,
        "iat": handle.issued_s,
        "exp": handle.expires_s,
    }
    return sign(SESSION_KIND, claims, keys)


def open_token(text: str, keys: Mapping[str, bytes], installation: str) -> SessionHandle:
    """The verified handle. Raises Unauthenticated(TOKEN_INVALID) for anything else, another installation's included."""
    claims = Claims(open_signed(SESSION_KIND, text, keys, max_bytes=MAX_TOKEN_BYTES))
    handle = SessionHandle(
        session_id=SessionId(claims.text("sid")),
        system=SystemId(claims.text("sys")),
        terminal=TerminalId(claims.text("trm")),
        staff_id=StaffId(claims.text("stf")),
        region=RegionId(claims.text("rgn")),
        revision=claims.number("rev"),
        installation=claims.text("ins"),
        issued_s=claims.number("iat"),
        expires_s=claims.number("exp"),
    )
    if handle.installation != installation:
        raise Unauthenticated(Reason.TOKEN_INVALID)
    return handle


class HandleMemo(VerifiedMemo[Mapping[str, bytes], SessionHandle]):
    """Session tokens that this process has verified. `open(text, snapshot.keys["session"], installation)`."""

    def __init__(self, *, capacity: int = 65_536) -> None:
        super().__init__(open_token, capacity=capacity)
