"""The one question of the suite, answered: `decide(snapshot, handle, request, now)`. Default deny; no flag passes it.

The order of the checks is part of the rule: a caller learns nothing of the next until the one before has passed.
  1. our own state: fresh, and not behind what the token or the caller has seen
  2. the caller: token in time, used by the system and at the terminal that it was made for, system registered here
  3. the session and the staff ID (ID-4, ID-9)
  4. the place and the hour (CI-2)
  5. the operation, the customer and the purpose (CI-2, CI-4)
  6. everything that is still missing, all at once (CI-3, CO-1, RQ-7)
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from infosec.decision.check import MASK_ALL, MASK_NOTHING, CheckRequest, Decision, Mode, Required
from infosec.decision.grants import Grant
from infosec.decision.hours import closes_at_s
from infosec.decision.operations import Operation, Purpose
from infosec.decision.reasons import DenyReason
from infosec.decision.requirements import allowed_purposes, needs, satisfy, unstated
from infosec.decision.roles import Permission, PlaceScope, Reach, Role
from infosec.decision.session import SessionHandle
from infosec.decision.snapshot import Snapshot
from infosec.decision.tables import CUSTOMER_PREFIX_BYTES, Session, Staff, StaffState
from infosec.ids import CARRIER

_NEVER = float("inf")


def decide(
    snapshot: Snapshot, handle: SessionHandle, request: CheckRequest, now: datetime, *, mode: Mode = Mode.CENTRAL
) -> Decision:
    """May the person of `handle` do what `request` says, by `snapshot`, at `now`?

    Pure. Raises ValueError for a naive `now`, and nothing else. `mode` is only told on: it changes no answer.
    """
    if now.tzinfo is None:
        raise ValueError("a decision needs an aware datetime")
    now_s = now.timestamp()
    verdict = _who_and_where(snapshot, handle, request, now_s)
    allowed, operation = verdict.reason is DenyReason.OK, verdict.operation
    return Decision(
        reason=verdict.reason,
        required=verdict.required,
        masking=MASK_NOTHING if allowed and operation is not None and operation.unmasks else MASK_ALL,
        cls=None if operation is None else operation.cls,
        region=handle.region,
        region_revision=snapshot.revisions.get(handle.region, 0),
        carrier_revision=snapshot.revisions.get(CARRIER, 0),
        holds_until_s=verdict.holds_until_s if allowed else now_s,
        grants_used=tuple([grant.grant_id for grant in verdict.used]) if allowed else (),
        mode=mode,
    )


class _Verdict(NamedTuple):
    """What the checks found; a tuple, because one is made for every call."""

    reason: DenyReason
    operation: Operation | None = None
    required: tuple[Required, ...] = ()
    used: tuple[Grant, ...] = ()
    holds_until_s: float = 0


def _who_and_where(snapshot: Snapshot, handle: SessionHandle, request: CheckRequest, now_s: float) -> _Verdict:
    """Steps 1 to 4, then the rest."""
    denied = _state_denied(snapshot, handle, request, now_s) or _caller_denied(snapshot, handle, request, now_s)
    if denied is not None:
        return _Verdict(denied)
    session = snapshot.sessions.get(handle.session_id)
    if session is None:
        return _Verdict(DenyReason.SESSION_UNKNOWN)
    staff = snapshot.staff.get(handle.staff_id)
    if staff is None:
        return _Verdict(DenyReason.STAFF_NOT_ACTIVE)
    denied = _session_denied(snapshot, handle, session, staff, now_s)
    if denied is not None:
        return _Verdict(denied)
    role = snapshot.policy.roles.get(staff.role)
    if role is None:
        return _Verdict(DenyReason.OPERATION_NOT_PERMITTED)
    place = _place(snapshot, session, staff, role, request, now_s)
    if isinstance(place, DenyReason):
        return _Verdict(place)
    verdict = _what(snapshot, handle, staff, role, request, now_s)
    if verdict.reason is not DenyReason.OK:
        return verdict
    holds_until_s = min(_session_holds_s(snapshot, handle, session, staff), place)
    for grant in verdict.used:
        holds_until_s = min(holds_until_s, grant.expires_s)
    return _Verdict(DenyReason.OK, verdict.operation, (), verdict.used, holds_until_s)


def _what(
    snapshot: Snapshot, handle: SessionHandle, staff: Staff, role: Role, request: CheckRequest, now_s: float
) -> _Verdict:
    """Steps 5 and 6."""
    operation = snapshot.policy.operations.get(request.operation)
    if operation is None:
        return _Verdict(DenyReason.OPERATION_UNKNOWN)
    permission = snapshot.policy.permission(staff.role, request.operation)
    if permission is None:
        return _Verdict(DenyReason.OPERATION_NOT_PERMITTED)
    denied = _act_denied(snapshot, operation, permission, staff, request)
    if denied is not None:
        return _Verdict(denied, operation)
    required = unstated(operation, permission, request)
    used: list[Grant] = []
    for need in needs(operation, request, role=staff.role, partner=staff.partner or role.partner):
        found = satisfy(need, snapshot=snapshot, handle=handle, request=request, now_s=now_s)
        if isinstance(found, Required):
            required.append(found)
        else:
            used.append(found)
    if required:
        return _Verdict(DenyReason.REQUIREMENTS_MISSING, operation, tuple(required))
    return _Verdict(DenyReason.OK, operation, (), tuple(used))


def _state_denied(snapshot: Snapshot, handle: SessionHandle, request: CheckRequest, now_s: float) -> DenyReason | None:
    """Old news grants nothing: fresh within the bound, and at every revision that token and caller have seen."""
    if now_s - snapshot.as_of_s > snapshot.limits.staleness_s:
        return DenyReason.SNAPSHOT_STALE
    revisions = snapshot.revisions
    if revisions.get(handle.region, -1) < handle.revision:
        return DenyReason.REVISION_BEHIND
    for region, revision in request.at_least:
        if revisions.get(region, -1) < revision:
            return DenyReason.REVISION_BEHIND
    return None


def _caller_denied(snapshot: Snapshot, handle: SessionHandle, request: CheckRequest, now_s: float) -> DenyReason | None:
    """ID-9: one token for each system and terminal, good for no other; a system acts only where it is registered."""
    if now_s >= handle.expires_s:
        return DenyReason.TOKEN_EXPIRED
    if handle.system != request.system or handle.terminal != request.terminal:
        return DenyReason.TOKEN_MISMATCH
    system = snapshot.systems.get(request.system)
    if system is None or not system.active:
        return DenyReason.SYSTEM_NOT_REGISTERED
    if request.store not in system.stores and request.terminal not in system.terminals:
        return DenyReason.SYSTEM_NOT_REGISTERED
    return None


def _session_denied(
    snapshot: Snapshot, handle: SessionHandle, session: Session, staff: Staff, now_s: float
) -> DenyReason | None:
    """ID-9's session, and the staff ID behind it at this moment (ID-4).

    The session comes first: who only holds the token of one that ended is not told what became of the staff ID (ID-7).
    """
    limits = snapshot.limits
    if session.staff_id != handle.staff_id or session.terminal != handle.terminal:
        return DenyReason.TOKEN_MISMATCH
    if session.ended or session.staff_epoch != staff.epoch:
        return DenyReason.SESSION_ENDED
    if now_s >= session.ends_s:
        return DenyReason.SHIFT_OVER
    if staff.state is not StaffState.ACTIVE and staff.state is not StaffState.ISSUED:
        return DenyReason.STAFF_NOT_ACTIVE
    if now_s >= staff.password_ends_s:
        return DenyReason.PASSWORD_ENDED
    if session.locked:
        return DenyReason.SESSION_LOCKED
    if session.restricted or staff.state is not StaffState.ACTIVE:
        return DenyReason.SESSION_RESTRICTED
    if session.last_seen_s + limits.idle_s + limits.idle_grace_s < now_s:
        return DenyReason.SESSION_IDLE
    return None


def _place(
    snapshot: Snapshot, session: Session, staff: Staff, role: Role, request: CheckRequest, now_s: float
) -> DenyReason | float:
    """CI-2: until when the person may act in this place, or why not."""
    store = snapshot.stores.get(request.store)
    terminal = snapshot.terminals.get(request.terminal)
    if store is None or terminal is None or terminal.retired:
        return DenyReason.TERMINAL_OUT_OF_PLACE
    if terminal.store != request.store or session.store != request.store:
        return DenyReason.TERMINAL_OUT_OF_PLACE
    if store.closed:
        return DenyReason.STORE_CLOSED
    if role.place is PlaceScope.CARRIER:
        return _NEVER
    if role.place is not PlaceScope.OWN_STORE:
        return _NEVER if store.region == staff.region else DenyReason.OUT_OF_SCOPE
    if staff.store != request.store:
        return DenyReason.OUT_OF_SCOPE
    closes_s = closes_at_s(store, now_s)
    return DenyReason.OUT_OF_HOURS if closes_s is None else closes_s


def _act_denied(
    snapshot: Snapshot, operation: Operation, permission: Permission, staff: Staff, request: CheckRequest
) -> DenyReason | None:
    """CI-2 and CI-4: this customer, for this purpose."""
    customer = request.customer
    if request.purpose is not None and request.purpose not in allowed_purposes(operation, permission):
        return DenyReason.PURPOSE_NOT_ALLOWED
    if not customer or permission.reach is Reach.ANY:
        return None  # a customer who is not named is asked for with all else that is missing
    if customer[:CUSTOMER_PREFIX_BYTES] in snapshot.assignments.get(staff.staff_id, ()):
        return None
    if permission.reach is Reach.OWN_LIST:
        return DenyReason.CUSTOMER_NOT_LISTED
    if permission.reach is Reach.ASSIGNED_OR_WORK_ORDER and request.purpose is Purpose.WORK_ORDER:
        return None  # which one, is asked for with all else that is missing
    return DenyReason.CUSTOMER_NOT_ASSIGNED


def _session_holds_s(snapshot: Snapshot, handle: SessionHandle, session: Session, staff: Staff) -> float:
    """The first of the moments at which token, session, password or snapshot stop being good."""
    limits = snapshot.limits
    return min(
        handle.expires_s,
        session.ends_s,
        staff.password_ends_s,
        session.last_seen_s + limits.idle_s + limits.idle_grace_s,
        snapshot.as_of_s + limits.staleness_s,
    )
