"""What an operation still needs before it may go on: customer, purpose, work order, identity, consent, second person.

What is missing is told all at once (CI-3). Knows neither session nor place: they were judged before.
"""

from __future__ import annotations

from infosec.decision.check import CheckRequest, Required
from infosec.decision.grants import ConsentChannel, DocumentType, Grant, GrantKind
from infosec.decision.operations import Operation, OperationClass, Purpose
from infosec.decision.policy import approver_roles
from infosec.decision.reasons import GrantFault, RequiredKind
from infosec.decision.roles import Permission, Reach
from infosec.decision.session import SessionHandle
from infosec.decision.snapshot import Snapshot
from infosec.ids import RoleId

CLOCK_SKEW_S = 5
"""A grant may come from a service whose clock is this far ahead of ours."""

_READ_DOCUMENTS: tuple[str, ...] = tuple(DocumentType)
_DOCUMENTS: tuple[str, ...] = tuple(
    document for document in DocumentType if document is not DocumentType.DRIVING_LICENCE
)
"""CI-3: a driving licence is good for `read` only."""
_CHANNELS: tuple[str, ...] = tuple(ConsentChannel)
_PARTNER_CHANNELS: tuple[str, ...] = (ConsentChannel.SMS_REPLY,)
"""CO-4: a partner's order is confirmed only by the customer's own reply."""
_PURPOSES = tuple(Purpose)

Need = tuple[RequiredKind, GrantKind, tuple[str, ...]]


def allowed_purposes(operation: Operation, permission: Permission) -> tuple[Purpose, ...]:
    """The purposes that this look-up may state (CI-4); a walk-in is always about one customer."""
    if operation.customer_bound and not permission.purposes:
        return _PURPOSES
    return tuple(
        purpose
        for purpose in _PURPOSES
        if (not permission.purposes or purpose in permission.purposes)
        and (operation.customer_bound or purpose is not Purpose.WALK_IN)
    )


def unstated(operation: Operation, permission: Permission, request: CheckRequest) -> list[Required]:
    """The statements that are missing: the customer, a purpose (CI-4), and the work order that a purpose speaks of."""
    missing = []
    if not request.customer and (operation.customer_bound or permission.reach is not Reach.ANY):
        missing.append(Required(kind=RequiredKind.CUSTOMER))
    if request.purpose is None and (operation.cls is OperationClass.READ or permission.purposes):
        missing.append(Required(kind=RequiredKind.PURPOSE, accepted=allowed_purposes(operation, permission)))
    if request.purpose is Purpose.WORK_ORDER and not request.work_order:
        missing.append(Required(kind=RequiredKind.WORK_ORDER))
    return missing


def needs(operation: Operation, request: CheckRequest, *, role: RoleId, partner: bool) -> list[Need]:
    """The grants that the operation asks for, each with the proofs that it accepts."""
    needed: list[Need] = []
    cls = operation.cls
    if cls.needs_identity:
        needed.append((RequiredKind.IDENTITY, GrantKind.IDENTITY, _DOCUMENTS))
    elif cls is OperationClass.READ and request.purpose is Purpose.WALK_IN:
        needed.append((RequiredKind.IDENTITY, GrantKind.IDENTITY, _READ_DOCUMENTS))
    if cls.needs_consent:
        channels = _PARTNER_CHANNELS if partner else _CHANNELS
        needed.append((RequiredKind.CONSENT, GrantKind.CONSENT, channels))
    if operation.second_person_roles:
        needed.append((RequiredKind.SECOND_PERSON, GrantKind.APPROVAL, approver_roles(operation, role)))
    return needed


def satisfy(
    need: Need, *, snapshot: Snapshot, handle: SessionHandle, request: CheckRequest, now_s: float
) -> Grant | Required:
    """The grant that meets the need, or what is required, with the fault of the first that does not."""
    kind, wanted, accepted = need
    first_fault = None
    for grant in request.grants:
        if grant.kind is not wanted:
            continue
        fault = (
            _scope_fault(grant, handle, request)
            or _life_fault(grant, snapshot, request, now_s)
            or _proof_fault(grant, accepted)
        )
        if fault is None:
            return grant
        first_fault = first_fault or fault
    return Required(kind=kind, accepted=accepted, fault=first_fault)


def _scope_fault(grant: Grant, handle: SessionHandle, request: CheckRequest) -> GrantFault | None:
    """RQ-7: one operation on one customer by one person, in one place."""
    fits = (
        grant.person == handle.staff_id
        and grant.operation == request.operation
        and grant.customer == request.customer
        and grant.product == request.product
        and grant.store == request.store
        and grant.installation == handle.installation
        and (grant.session is None or grant.session == handle.session_id)
        and (grant.terminal is None or grant.terminal == request.terminal)
    )
    return None if fits else GrantFault.OTHER_SCOPE


def _life_fault(grant: Grant, snapshot: Snapshot, request: CheckRequest, now_s: float) -> GrantFault | None:
    """RQ-7: minutes long and single use. The order that it is bound to may come again, another may not."""
    if not grant.issued_s - CLOCK_SKEW_S <= now_s < grant.expires_s:
        return GrantFault.EXPIRED
    if grant.grant_id in snapshot.revoked:
        return GrantFault.REVOKED
    binding = snapshot.bound.get(grant.grant_id)
    if (binding is not None and binding.order != request.order) or (grant.order not in (None, request.order)):
        return GrantFault.BOUND_TO_ANOTHER_ORDER
    return None


def _proof_fault(grant: Grant, accepted: tuple[str, ...]) -> GrantFault | None:
    """The document, channel or approver's role is one that this act accepts; nobody approves themselves (RQ-2)."""
    proof = grant.document or grant.channel or grant.approver_role
    if proof not in accepted or grant.approver == grant.person:
        return GrantFault.PROOF_NOT_ACCEPTED
    return None
