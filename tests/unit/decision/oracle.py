"""What a decision should be, said a second time: plainly, slowly, and from the rule book, not from the code.

It reads the case's records with nothing but ifs. It must share no rule with infosec.decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infosec.clock import CARRIER_ZONE
from infosec.decision.grants import Grant
from tests.unit.decision.world import SESSION, Case

DOCUMENTS = [
    "ID_CARD",
    "HOUSEHOLD_REGISTER",
    "MILITARY_OFFICER_CARD",
    "POLICE_OFFICER_CARD",
    "PASSPORT",
    "RESIDENCE_PERMIT",
]


@dataclass
class Answer:
    """The parts of a decision that the oracle has an opinion on."""

    reason: str
    missing: list[tuple[str, list[str], str | None]]
    cls: str | None = None
    unmasked: bool = False
    grants: list[str] | None = None
    holds_until_s: float | None = None


def answer(case: Case) -> Answer:
    """The answer to the case."""
    reason = _who(case) or _where(case)
    if reason:
        return Answer(reason, [])
    operation = case.operations.get(case.request.operation)
    if operation is None:
        return Answer("OPERATION_UNKNOWN", [])
    cls = operation.cls.value
    role = case.roles[case.staff.role]
    permission = role.permissions.get(case.request.operation)
    if permission is None:
        return Answer("OPERATION_NOT_PERMITTED", [])
    if role.privileged and operation.customer_bound:
        return Answer("OPERATION_NOT_PERMITTED", [])
    purposes = ["ORDER", "COMPLAINT", "WORK_ORDER", "WALK_IN"]
    if permission.purposes:
        purposes = [purpose for purpose in purposes if purpose in [p.value for p in permission.purposes]]
    if not operation.customer_bound:
        purposes = [purpose for purpose in purposes if purpose != "WALK_IN"]
    purpose = None if case.request.purpose is None else case.request.purpose.value
    if purpose is not None and purpose not in purposes:
        return Answer("PURPOSE_NOT_ALLOWED", [], cls)
    reach = permission.reach.value
    has_customer = case.request.customer is not None and len(case.request.customer) > 0
    if has_customer and reach != "ANY":
        on_list = False
        for prefix in case.assigned:
            if case.request.customer.startswith(prefix):
                on_list = True
        if not on_list and reach == "OWN_LIST":
            return Answer("CUSTOMER_NOT_LISTED", [], cls)
        if not on_list and reach == "ASSIGNED":
            return Answer("CUSTOMER_NOT_ASSIGNED", [], cls)
        if not on_list and purpose != "WORK_ORDER":
            return Answer("CUSTOMER_NOT_ASSIGNED", [], cls)
    missing: list[tuple[str, list[str], str | None]] = []
    if not has_customer and (operation.customer_bound or reach != "ANY"):
        missing.append(("CUSTOMER", [], None))
    if purpose is None and (cls == "READ" or permission.purposes):
        missing.append(("PURPOSE", purposes, None))
    if purpose == "WORK_ORDER" and case.request.work_order in (None, ""):
        missing.append(("WORK_ORDER", [], None))
    used: list[Grant] = []
    for kind, needed, accepted in _grants_needed(case, cls, purpose):
        good, fault = _search(case, kind, accepted)
        if good is None:
            missing.append((needed, accepted, fault))
        else:
            used.append(good)
    if missing:
        return Answer("REQUIREMENTS_MISSING", missing, cls)
    return Answer(
        "OK",
        [],
        cls,
        unmasked=operation.code == "x004",
        grants=[grant.grant_id for grant in used],
        holds_until_s=_holds(case, used),
    )


def _at(moment_s: float) -> datetime:
    return datetime.fromtimestamp(moment_s, UTC)


def _who(case: Case) -> str | None:
    now, handle, request, session, staff = case.now, case.handle, case.request, case.session, case.staff
    if now - _at(case.as_of_s) > timedelta(seconds=case.limits.staleness_s):
        return "SNAPSHOT_STALE"
    if handle.region not in case.revisions or case.revisions[handle.region] < handle.revision:
        return "REVISION_BEHIND"
    for region, revision in request.at_least:
        if region not in case.revisions or case.revisions[region] < revision:
            return "REVISION_BEHIND"
    if not now < _at(handle.expires_s):
        return "TOKEN_EXPIRED"
    if handle.system != request.system:
        return "TOKEN_MISMATCH"
    if handle.terminal != request.terminal:
        return "TOKEN_MISMATCH"
    if request.system not in case.systems or not case.systems[request.system].active:
        return "SYSTEM_NOT_REGISTERED"
    registered = False
    if request.store in case.systems[request.system].stores:
        registered = True
    if request.terminal in case.systems[request.system].terminals:
        registered = True
    if not registered:
        return "SYSTEM_NOT_REGISTERED"
    if not case.session_known or handle.session_id != SESSION:
        return "SESSION_UNKNOWN"
    if not case.staff_known:
        return "STAFF_NOT_ACTIVE"
    if session.staff_id != handle.staff_id or session.terminal != handle.terminal:
        return "TOKEN_MISMATCH"
    if session.ended:
        return "SESSION_ENDED"
    if session.staff_epoch != staff.epoch:
        return "SESSION_ENDED"
    if not now < _at(session.ends_s):
        return "SHIFT_OVER"
    if staff.state.value not in ("ACTIVE", "ISSUED"):
        return "STAFF_NOT_ACTIVE"
    if not now < _at(staff.password_ends_s):
        return "PASSWORD_ENDED"
    if session.locked:
        return "SESSION_LOCKED"
    if session.restricted or staff.state.value == "ISSUED":
        return "SESSION_RESTRICTED"
    if now - _at(session.last_seen_s) > timedelta(minutes=17, seconds=30):
        return "SESSION_IDLE"
    return None


def _where(case: Case) -> str | None:
    request, staff = case.request, case.staff
    if staff.role not in case.roles:
        return "OPERATION_NOT_PERMITTED"
    if request.store not in case.stores or request.terminal not in case.terminals:
        return "TERMINAL_OUT_OF_PLACE"
    terminal, store = case.terminals[request.terminal], case.stores[request.store]
    if terminal.retired or terminal.store != request.store or case.session.store != request.store:
        return "TERMINAL_OUT_OF_PLACE"
    if store.closed:
        return "STORE_CLOSED"
    place = case.roles[staff.role].place.value
    if place == "OWN_STORE":
        if staff.store != request.store:
            return "OUT_OF_SCOPE"
        if closing(case) is None:
            return "OUT_OF_HOURS"
    if place in ("REGION", "ASSIGNED") and store.region != staff.region:
        return "OUT_OF_SCOPE"
    return None


def closing(case: Case) -> datetime | None:
    """When the store shuts, by wall clocks and calendars."""
    store = case.stores[case.request.store]
    local = case.now.astimezone(CARRIER_ZONE)
    spans = store.weekly[local.weekday()]
    for ordinal, hours in store.special.items():
        if ordinal == local.date().toordinal():
            spans = hours
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for opens, closes in spans:
        if midnight + timedelta(seconds=opens) <= local < midnight + timedelta(seconds=closes):
            return midnight + timedelta(seconds=closes)
    return None


def _grants_needed(case: Case, cls: str, purpose: str | None) -> list[tuple[str, str, list[str]]]:
    operation, role = case.operations[case.request.operation], case.staff.role
    needed = []
    if cls in ("OPEN", "CHANGE", "SIM", "REVERSE"):
        needed.append(("IDENTITY", "IDENTITY", DOCUMENTS))
    if cls == "READ" and purpose == "WALK_IN":
        needed.append(("IDENTITY", "IDENTITY", [*DOCUMENTS, "DRIVING_LICENCE"]))
    if cls in ("OPEN", "CHANGE", "SIM"):
        if case.staff.partner or case.roles[role].partner:
            needed.append(("CONSENT", "CONSENT", ["SMS_REPLY"]))
        else:
            needed.append(("CONSENT", "CONSENT", ["SMS_REPLY", "ONE_TIME_CODE", "SIGNED_FORM"]))
    roles = [str(second) for second in operation.second_person_roles]
    if roles:
        if role in roles and role == "store-manager":
            roles = [*roles, "regional-manager"]
        if role in roles and role == "regional-manager" and "carrier-duty-officer" not in roles:
            roles = [*roles, "carrier-duty-officer"]
        needed.append(("APPROVAL", "SECOND_PERSON", roles))
    return needed


def _search(case: Case, kind: str, accepted: list[str]) -> tuple[Grant | None, str | None]:
    faults = []
    for grant in case.request.grants:
        if grant.kind.name == kind:
            fault = _fault(case, grant, accepted)
            if fault is None:
                return grant, None
            faults.append(fault)
    return None, faults[0] if faults else None


def _fault(case: Case, grant: Grant, accepted: list[str]) -> str | None:
    request = case.request
    if grant.person != case.handle.staff_id or grant.installation != case.handle.installation:
        return "OTHER_SCOPE"
    if grant.operation != request.operation or grant.customer != request.customer:
        return "OTHER_SCOPE"
    if grant.product != request.product or grant.store != request.store:
        return "OTHER_SCOPE"
    if grant.session is not None and grant.session != case.handle.session_id:
        return "OTHER_SCOPE"
    if grant.terminal is not None and grant.terminal != request.terminal:
        return "OTHER_SCOPE"
    if case.now < _at(grant.issued_s) - timedelta(seconds=5):
        return "EXPIRED"
    if case.now >= _at(grant.expires_s):
        return "EXPIRED"
    if grant.grant_id in case.revoked:
        return "REVOKED"
    if grant.grant_id in case.bound and case.bound[grant.grant_id].order != request.order:
        return "BOUND_TO_ANOTHER_ORDER"
    if grant.order is not None and grant.order != request.order:
        return "BOUND_TO_ANOTHER_ORDER"
    if grant.document is not None and grant.document.value not in accepted:
        return "PROOF_NOT_ACCEPTED"
    if grant.channel is not None and grant.channel.value not in accepted:
        return "PROOF_NOT_ACCEPTED"
    if grant.approver is not None and (grant.approver_role not in accepted or grant.approver == grant.person):
        return "PROOF_NOT_ACCEPTED"
    return None


def _holds(case: Case, used: list[Grant]) -> float:
    moments = [case.handle.expires_s, case.session.ends_s, case.staff.password_ends_s]
    moments.append(case.session.last_seen_s + 1050)
    moments.append(case.as_of_s + 5)
    moments.extend(grant.expires_s for grant in used)
    if case.roles[case.staff.role].place.value == "OWN_STORE":
        shuts = closing(case)
        assert shuts is not None
        moments.append(shuts.timestamp())
    return min(moments)
