"""The question and its answer: what a system asks before an operation, and what `decide` says.

Plain values; knows no rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from infosec.decision.grants import Grant, GrantId
from infosec.decision.operations import OperationClass, Purpose
from infosec.decision.reasons import DenyReason, GrantFault, RequiredKind
from infosec.ids import CARRIER, OperationCode, RegionId, StoreId, SystemId, TerminalId


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """May this person do this, here, to this customer? Identifiers are in their one spelling (infosec.ids)."""

    system: SystemId
    """Who asks, by its certificate, never by its own word."""
    operation: OperationCode
    store: StoreId
    terminal: TerminalId
    customer: bytes | None = None
    """The customer's keyed digest, in full."""
    product: str | None = None
    purpose: Purpose | None = None
    work_order: str | None = None
    order: str | None = None
    """The caller's order, as grants are bound to it."""
    grants: tuple[Grant, ...] = ()
    """What was brought, already verified."""
    at_least: tuple[tuple[RegionId, int], ...] = ()
    """Revisions that the answer must not be older than."""


class Mode(StrEnum):
    """Where the answer was made."""

    CENTRAL = "CENTRAL"
    GUARD = "GUARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskingProfile:
    """What the caller must mask in the customer data that it shows (CI-5). Everything, unless said otherwise."""

    phone: bool = True
    name: bool = True
    id_number: bool = True
    address: bool = True


MASK_ALL = MaskingProfile()
MASK_NOTHING = MaskingProfile(phone=False, name=False, id_number=False, address=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """One thing that is still missing."""

    kind: RequiredKind
    accepted: tuple[str, ...] = ()
    """What would do: document types, consent channels, roles of the second person, purposes."""
    fault: GrantFault | None = None
    """Why the first grant of this kind that was brought does not do; None if none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, with all that it rests on."""

    reason: DenyReason
    """OK, or the first thing that stands against it."""
    required: tuple[Required, ...]
    """With REQUIREMENTS_MISSING: all that is still missing, at once (CI-3)."""
    masking: MaskingProfile
    cls: OperationClass | None
    """The operation's class (CI-1 records by it); None until the caller may know that the operation exists."""
    region: RegionId
    region_revision: int
    carrier_revision: int
    """The state that it was made at."""
    holds_until_s: float
    """When this answer, if OK, stops being right without any change; `now` for a denial."""
    grants_used: tuple[GrantId, ...]
    """What to redeem for the order before acting."""
    mode: Mode = Mode.CENTRAL

    @property
    def allowed(self) -> bool:
        """Whether the operation may go on. There is no third answer."""
        return self.reason is DenyReason.OK


def unrecorded(decision: Decision, now_s: float) -> Decision:
    """What would have been allowed, had its record been made (CI-1)."""
    return replace(
        decision, reason=DenyReason.RECORD_UNAVAILABLE, masking=MASK_ALL, grants_used=(), holds_until_s=now_s
    )


def denied_unasked(reason: DenyReason, *, mode: Mode = Mode.CENTRAL) -> Decision:
    """A denial made before the decision core could be asked: at no revision, and holding for no time."""
    return Decision(
        reason=reason,
        required=(),
        masking=MASK_ALL,
        cls=None,
        region=CARRIER,
        region_revision=0,
        carrier_revision=0,
        holds_until_s=0,
        grants_used=(),
        mode=mode,
    )
