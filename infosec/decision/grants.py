"""Grants: identity, consent and second-person approval, each a signed text scoped to one act, minutes long.

A key is good for one kind only. Reads no clock; `decide` judges time, scope, binding and revocation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from infosec.canonical import Json
from infosec.decision.claims import Claims
from infosec.decision.memo import VerifiedMemo
from infosec.errors import InvalidInput, PermissionDenied, Reason, Unauthenticated
from infosec.ids import OperationCode, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.keys import SigningKeys
from infosec.signed import open_signed, sign

GrantId = NewType("GrantId", str)

MAX_GRANT_S = 900
"""The longest life of a grant: minutes, not days (RQ-7)."""
MAX_GRANT_BYTES = 2048
"""Longer texts are refused unread."""


class GrantKind(StrEnum):
    """What a grant proves; the value is also the kind of its signed text and of its key."""

    IDENTITY = "grant-identity"
    CONSENT = "grant-consent"
    APPROVAL = "grant-approval"


class DocumentType(StrEnum):
    """What a customer showed (CI-3)."""

    ID_CARD = "ID_CARD"
    HOUSEHOLD_REGISTER = "HOUSEHOLD_REGISTER"
    MILITARY_OFFICER_CARD = "MILITARY_OFFICER_CARD"
    POLICE_OFFICER_CARD = "POLICE_OFFICER_CARD"
    PASSPORT = "PASSPORT"
    RESIDENCE_PERMIT = "RESIDENCE_PERMIT"
    DRIVING_LICENCE = "DRIVING_LICENCE"


class ConsentChannel(StrEnum):
    """How a customer confirmed (CO-2)."""

    SMS_REPLY = "SMS_REPLY"
    ONE_TIME_CODE = "ONE_TIME_CODE"
    SIGNED_FORM = "SIGNED_FORM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The claims of a grant. Raises InvalidInput where they do not fit its kind or it would live too long."""

    kind: GrantKind
    grant_id: GrantId
    installation: str
    person: StaffId
    """Who may use it."""
    operation: OperationCode
    customer: bytes | None
    """The customer's keyed digest; None only for an operation that concerns no one customer."""
    store: StoreId
    issued_s: int
    expires_s: int
    product: str | None = None
    session: SessionId | None = None
    """Where set, good in this session alone."""
    terminal: TerminalId | None = None
    """Where set, good at this terminal alone (CO-2)."""
    order: str | None = None
    """Where set, good for this order alone (an `order_key`); redeeming binds an order later, in `Snapshot.bound`."""
    document: DocumentType | None = None
    """IDENTITY: what was shown."""
    channel: ConsentChannel | None = None
    """CONSENT: how the customer confirmed."""
    approver: StaffId | None = None
    """APPROVAL: the second person, and the role they decided in."""
    approver_role: RoleId | None = None

    def __post_init__(self) -> None:
        proofs = (self.document is not None, self.channel is not None, self.approver is not None)
        if proofs != tuple(self.kind is kind for kind in GrantKind) or (self.approver is None) != (
            self.approver_role is None
        ):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="kind", detail="proof of another kind, or none")
        if not 0 < self.expires_s - self.issued_s <= MAX_GRANT_S:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="expires_s", detail=f"at most {MAX_GRANT_S} s")


def order_key(system: SystemId, order: str) -> str:
    """An order's name among the orders of all systems, each of which numbers its own: two that look alike are two."""
    return f"{system}/{order}"


def issue_grant(grant: Grant, keys: SigningKeys) -> str:
    """The signed text of a grant, by the keys of its kind. Claims that are None are left out."""
    claims: dict[str, Json] = {
        "gid": grant.grant_id,
        "ins": grant.installation,
        "sub": grant.person,
        "op": grant.operation,
        "cus": None if grant.customer is None else grant.customer.hex(),
        "sto": grant.store,
        "iat": grant.issued_s,
        "exp": grant.expires_s,
        "prd": grant.product,
        "sid": grant.session,
        "trm": grant.terminal,
        "ord": grant.order,
        "doc": grant.document,
        "chn": grant.channel,
        "apr": grant.approver,
        "apr_role": grant.approver_role,
    }
    return sign(grant.kind.value, {name: value for name, value in claims.items() if value is not None}, keys)


def open_grant(text: str, keys: Mapping[str, Mapping[str, bytes]], installation: str) -> Grant:
    """The verified grant; `keys` are public keys by kind. Raises PermissionDenied(GRANT_INVALID) for anything else."""
    try:
        return _opened(text, keys, installation)
    except (Unauthenticated, InvalidInput, ValueError) as error:
        raise PermissionDenied(Reason.GRANT_INVALID) from error


def _opened(text: str, keys: Mapping[str, Mapping[str, bytes]], installation: str) -> Grant:
    kind = GrantKind(text.partition(".")[0])
    claims = Claims(open_signed(kind.value, text, keys.get(kind.value, {}), max_bytes=MAX_GRANT_BYTES))
    if claims.text("ins") != installation:
        raise Unauthenticated(Reason.TOKEN_INVALID)
    return _grant(kind, claims)


def _grant(kind: GrantKind, claims: Claims) -> Grant:
    customer, product, order = (claims.optional_text(name) for name in ("cus", "prd", "ord"))
    session, terminal = claims.optional_text("sid"), claims.optional_text("trm")
    document, channel = claims.optional_text("doc"), claims.optional_text("chn")
    approver, approver_role = claims.optional_text("apr"), claims.optional_text("apr_role")
    return Grant(
        kind=kind,
        grant_id=GrantId(claims.text("gid")),
        installation=claims.text("ins"),
        person=StaffId(claims.text("sub")),
        operation=OperationCode(claims.text("op")),
        customer=None if customer is None else bytes.fromhex(customer),
        store=StoreId(claims.text("sto")),
        issued_s=claims.number("iat"),
        expires_s=claims.number("exp"),
        product=product,
        session=None if session is None else SessionId(session),
        terminal=None if terminal is None else TerminalId(terminal),
        order=order,
        document=None if document is None else DocumentType(document),
        channel=None if channel is None else ConsentChannel(channel),
        approver=None if approver is None else StaffId(approver),
        approver_role=None if approver_role is None else RoleId(approver_role),
    )


class GrantMemo(VerifiedMemo[Mapping[str, Mapping[str, bytes]], Grant]):
    """Grants that this process has verified. `open(text, snapshot.keys, installation)`."""

    def __init__(self, *, capacity: int = 65_536) -> None:
        super().__init__(open_grant, capacity=capacity)
