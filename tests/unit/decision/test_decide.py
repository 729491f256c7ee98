"""The check, told as stories: who may do what, where, to whom, and what they are told when they may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infosec.decision.check import MASK_ALL, MASK_NOTHING, Decision, Mode, Required
from infosec.decision.decide import decide
from infosec.decision.grants import ConsentChannel, DocumentType, GrantId, GrantKind
from infosec.decision.operations import Operation, OperationClass, Purpose
from infosec.decision.reasons import DenyReason, GrantFault, RequiredKind
from infosec.decision.roles import ROLES, Permission, Reach
from infosec.decision.snapshot import EMPTY
from infosec.ids import CARRIER, OperationCode, RoleId
from tests.unit.decision.world import (
    ACTOR,
    CUSTOMER,
    EAST,
    HALL,
    NOON,
    SPOILS,
    Case,
    case_of,
    grant_for,
    moved_to,
)


def decided(case: Case) -> Decision:
    return decide(case.snapshot(), case.handle, case.request, case.now)


def reason_of(role: str, code: str, *spoils: str) -> DenyReason:
    case = case_of(role, code)
    for name in spoils:
        SPOILS[name](case)
    return decided(case).reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("snapshot stale by half a second", DenyReason.SNAPSHOT_STALE),
        ("node behind the token", DenyReason.REVISION_BEHIND),
        ("caller demands what is not there", DenyReason.REVISION_BEHIND),
        ("token ends now", DenyReason.TOKEN_EXPIRED),
        ("token of another system", DenyReason.TOKEN_MISMATCH),
        ("token of another terminal", DenyReason.TOKEN_MISMATCH),
        ("system gone", DenyReason.SYSTEM_NOT_REGISTERED),
        ("system off", DenyReason.SYSTEM_NOT_REGISTERED),
        ("system registered for another store", DenyReason.SYSTEM_NOT_REGISTERED),
        ("session unknown", DenyReason.SESSION_UNKNOWN),
        ("session of another person", DenyReason.TOKEN_MISMATCH),
        ("session ended", DenyReason.SESSION_ENDED),
        ("session of an older epoch", DenyReason.SESSION_ENDED),
        ("shift over now", DenyReason.SHIFT_OVER),
        ("staff unknown", DenyReason.STAFF_NOT_ACTIVE),
        ("staff LOCKED", DenyReason.STAFF_NOT_ACTIVE),
        ("staff BLACKLISTED", DenyReason.STAFF_NOT_ACTIVE),
        ("staff SUSPENDED", DenyReason.STAFF_NOT_ACTIVE),
        ("staff CLOSED", DenyReason.STAFF_NOT_ACTIVE),
        ("staff ISSUED", DenyReason.SESSION_RESTRICTED),
        ("password ends now", DenyReason.PASSWORD_ENDED),
        ("session locked", DenyReason.SESSION_LOCKED),
        ("session restricted", DenyReason.SESSION_RESTRICTED),
        ("idle for longer", DenyReason.SESSION_IDLE),
        ("terminal unknown", DenyReason.TERMINAL_OUT_OF_PLACE),
        ("terminal retired", DenyReason.TERMINAL_OUT_OF_PLACE),
        ("terminal carried elsewhere", DenyReason.TERMINAL_OUT_OF_PLACE),
        ("session of another store", DenyReason.TERMINAL_OUT_OF_PLACE),
        ("store closed for good", DenyReason.STORE_CLOSED),
        ("staff of another store", DenyReason.OUT_OF_SCOPE),
        ("staff of no store", DenyReason.OUT_OF_SCOPE),
        ("holiday today", DenyReason.OUT_OF_HOURS),
        ("at closing", DenyReason.OUT_OF_HOURS),
        ("role unknown", DenyReason.OPERATION_NOT_PERMITTED),
        ("role may nothing", DenyReason.OPERATION_NOT_PERMITTED),
        ("operation unknown", DenyReason.OPERATION_UNKNOWN),
        ("no grants", DenyReason.REQUIREMENTS_MISSING),
    ],
)
@pytest.mark.rule("CI-2", "ID-4", "ID-9")
def test_one_thing_wrong_is_denied_with_its_own_reason(spoil: str, reason: DenyReason) -> None:
    assert reason_of("clerk", "1104") is DenyReason.OK
    assert reason_of("clerk", "1104", spoil) is reason


@pytest.mark.rule("ID-9")
def test_a_session_is_idle_only_past_the_limit_and_the_steps_in_which_use_is_recorded() -> None:
    assert reason_of("clerk", "1302", "idle for 15 minutes") is DenyReason.OK
    assert reason_of("clerk", "1302", "idle for 17.5 minutes") is DenyReason.OK
    assert reason_of("clerk", "1302", "idle for longer") is DenyReason.SESSION_IDLE


@pytest.mark.rule("ID-4")
def test_a_session_ends_with_the_password_and_not_at_its_own_expiry() -> None:
    case = case_of("clerk", "1302")
    case.staff = replace(case.staff, password_ends_s=case.now_s + 3)
    snapshot = case.snapshot()
    assert decided(case).holds_until_s == case.now_s + 3
    late = case.now + timedelta(seconds=3)
    assert decide(snapshot, case.handle, case.request, late).reason is DenyReason.PASSWORD_ENDED


def test_who_holds_the_token_of_an_ended_session_is_not_told_what_became_of_the_staff_id() -> None:
    for state in ("staff LOCKED", "staff BLACKLISTED", "password ends now"):
        assert reason_of("clerk", "1104", "session ended", state) is DenyReason.SESSION_ENDED


@pytest.mark.parametrize("spoil", ["session ended", "system off", "out of place", "out of hours"])
def test_an_unauthorised_caller_learns_nothing_about_operations(spoil: str) -> None:
    names = {"out of place": "terminal retired", "out of hours": "at closing"}
    answers = []
    for code in ("1104", "x005", "1507"):
        case = case_of("clerk", "1104")
        case.ask(operation=OperationCode(code))
        SPOILS[names.get(spoil, spoil)](case)
        answers.append(decided(case))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].cls is None


@pytest.mark.rule("CI-2")
def test_the_code_without_a_name_is_unknown_like_any_other() -> None:
    for code in ("1507", "zzzz"):
        case = case_of("store-manager", "1104").ask(operation=OperationCode(code))
        assert decided(case).reason is DenyReason.OPERATION_UNKNOWN


@pytest.mark.rule("CI-2")
def test_a_hall_is_open_from_its_first_moment_to_the_last_before_closing() -> None:
    assert reason_of("clerk", "1302", "at opening") is DenyReason.OK
    assert reason_of("clerk", "1302", "before opening") is DenyReason.OUT_OF_HOURS
    assert reason_of("clerk", "1302", "before closing") is DenyReason.OK
    assert reason_of("clerk", "1302", "at closing") is DenyReason.OUT_OF_HOURS
    assert reason_of("clerk", "1302", "store never open", "open specially") is DenyReason.OK


@pytest.mark.rule("CI-2")
def test_people_outside_the_hall_act_at_any_hour_in_their_region_alone() -> None:
    assert reason_of("service-agent", "1500", "at closing") is DenyReason.OK
    assert reason_of("service-agent", "1500", "staff of another region") is DenyReason.OUT_OF_SCOPE


@pytest.mark.rule("CI-2")
def test_service_agents_serve_assigned_customers_and_no_work_order_changes_that() -> None:
    assert reason_of("service-agent", "1500", "customer list empty") is DenyReason.CUSTOMER_NOT_ASSIGNED
    assert reason_of("service-agent", "1500", "customer list of another") is DenyReason.CUSTOMER_NOT_ASSIGNED
    assert reason_of("service-agent", "1500", "customer list empty", "work order") is DenyReason.CUSTOMER_NOT_ASSIGNED


@pytest.mark.rule("CI-2")
def test_community_managers_serve_assigned_customers_or_work_from_a_numbered_work_order() -> None:
    assert reason_of("community-manager", "1500") is DenyReason.OK
    assert reason_of("community-manager", "1500", "customer list empty") is DenyReason.CUSTOMER_NOT_ASSIGNED
    assert reason_of("community-manager", "1500", "customer list empty", "work order") is DenyReason.OK
    case = case_of("community-manager", "1500")
    SPOILS["customer list empty"](case)
    SPOILS["work order of no number"](case)
    assert decided(case).required == (Required(kind=RequiredKind.WORK_ORDER),)


@pytest.mark.rule("CI-2")
def test_partners_serve_their_own_list_only() -> None:
    assert reason_of("partner-agent", "1333") is DenyReason.OK
    assert reason_of("partner-agent", "1333", "another customer") is DenyReason.CUSTOMER_NOT_LISTED
    assert reason_of("partner-agent", "1333", "customer list empty", "work order") is DenyReason.CUSTOMER_NOT_LISTED


@pytest.mark.rule("CI-2")
def test_a_concierge_sees_the_full_view_for_a_complaint_only() -> None:
    assert reason_of("concierge", "1500") is DenyReason.OK
    for purpose in (Purpose.ORDER, Purpose.WORK_ORDER, Purpose.WALK_IN):
        assert decided(case_of("concierge", "1500").ask(purpose=purpose)).reason is DenyReason.PURPOSE_NOT_ALLOWED
    missing = decided(case_of("concierge", "1500").ask(purpose=None)).required
    assert missing == (Required(kind=RequiredKind.PURPOSE, accepted=(Purpose.COMPLAINT,)),)


def test_every_look_up_states_its_purpose() -> None:
    missing = decided(case_of("clerk", "1522").ask(purpose=None)).required
    assert missing == (Required(kind=RequiredKind.PURPOSE, accepted=tuple(Purpose)),)
    assert decided(case_of("clerk", "1302").ask(purpose=None)).allowed


def test_everything_that_is_missing_is_told_at_once() -> None:
    decision = decided(case_of("clerk", "x001").ask(grants=(), customer=None))
    assert decision.reason is DenyReason.REQUIREMENTS_MISSING
    assert [need.kind for need in decision.required] == [
        RequiredKind.CUSTOMER,
        RequiredKind.IDENTITY,
        RequiredKind.CONSENT,
        RequiredKind.SECOND_PERSON,
    ]
    assert decision.cls is OperationClass.CHANGE


def test_a_driving_licence_is_good_for_a_look_up_and_for_nothing_else() -> None:
    licence = "walk-in with a driving licence"
    assert reason_of("clerk", "1500", licence) is DenyReason.OK
    assert reason_of("clerk", "1500", "walk-in with nothing") is DenyReason.REQUIREMENTS_MISSING
    decision = decided(_with(case_of("clerk", "1121"), "shown DRIVING_LICENCE"))
    (need,) = decision.required
    assert (need.kind, need.fault) == (RequiredKind.IDENTITY, GrantFault.PROOF_NOT_ACCEPTED)
    assert set(need.accepted) == set(DocumentType) - {DocumentType.DRIVING_LICENCE}


def _with(case: Case, *spoils: str) -> Case:
    for name in spoils:
        SPOILS[name](case)
    return case


def test_paying_a_bill_needs_neither_identity_nor_consent() -> None:
    decision = decided(_with(case_of("clerk", "1302"), "no grants"))
    assert (decision.allowed, decision.grants_used) == (True, ())


def test_a_partners_order_is_confirmed_by_the_customers_own_reply_alone() -> None:
    for channel in (ConsentChannel.ONE_TIME_CODE, ConsentChannel.SIGNED_FORM):
        (need,) = decided(_with(case_of("partner-agent", "1104"), f"confirmed by {channel}")).required
        assert (need.kind, need.accepted) == (RequiredKind.CONSENT, (ConsentChannel.SMS_REPLY,))
    assert reason_of("clerk", "1104", "confirmed by ONE_TIME_CODE") is DenyReason.OK
    assert reason_of("clerk", "1104", "confirmed by ONE_TIME_CODE", "staff is a partner") is not DenyReason.OK


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        ("grants of another person", GrantFault.OTHER_SCOPE),
        ("grants for another operation", GrantFault.OTHER_SCOPE),
        ("grants for another customer", GrantFault.OTHER_SCOPE),
        ("grants for another product", GrantFault.OTHER_SCOPE),
        ("grants for another store", GrantFault.OTHER_SCOPE),
        ("grants for another session", GrantFault.OTHER_SCOPE),
        ("grants for another terminal", GrantFault.OTHER_SCOPE),
        ("grants of another installation", GrantFault.OTHER_SCOPE),
        ("grants end now", GrantFault.EXPIRED),
        ("grants from the future", GrantFault.EXPIRED),
        ("grant-approval revoked", GrantFault.REVOKED),
        ("grants bound to another order", GrantFault.BOUND_TO_ANOTHER_ORDER),
        ("grants for another order", GrantFault.BOUND_TO_ANOTHER_ORDER),
        ("approved by oneself", GrantFault.PROOF_NOT_ACCEPTED),
        ("approved by a clerk", GrantFault.PROOF_NOT_ACCEPTED),
    ],
)
def test_an_approval_is_good_for_one_act_of_one_person_and_no_other(spoil: str, fault: GrantFault) -> None:
    decision = decided(_with(case_of("clerk", "1121"), spoil))
    faults = {need.kind: need.fault for need in decision.required}
    assert decision.reason is DenyReason.REQUIREMENTS_MISSING
    assert faults[RequiredKind.SECOND_PERSON] is fault


@pytest.mark.rule("RQ-7")
def test_the_same_order_may_come_again_and_another_may_not() -> None:
    assert reason_of("clerk", "1121", "grants bound to this order") is DenyReason.OK
    assert reason_of("clerk", "1121", "grants bound to this order", "another order") is not DenyReason.OK
    assert reason_of("clerk", "1121", "grants bound to this order", "no order") is not DenyReason.OK


@pytest.mark.rule("RQ-7")
@pytest.mark.parametrize(
    ("role", "code", "approver", "good"),
    [
        ("clerk", "1121", "duty-manager", True),
        ("clerk", "b083", "store-manager", True),
        ("clerk", "1121", "regional-manager", False),
        ("clerk", "x001", "duty-manager", False),
        ("clerk", "x002", "store-manager", True),
        ("clerk", "x003", "store-manager", True),
        ("duty-manager", "x004", "store-manager", True),
        ("duty-manager", "x004", "duty-manager", False),
        ("duty-manager", "x004", "regional-manager", False),
        ("store-manager", "x004", "regional-manager", True),
        ("store-manager", "1121", "regional-manager", True),
        ("store-manager", "x004", "carrier-duty-officer", False),
        ("auditor", "x005", "regional-manager", True),
        ("auditor", "x005", "store-manager", False),
    ],
)
def test_the_second_person_is_of_the_role_that_the_table_names(role: str, code: str, approver: str, good: bool) -> None:
    """One level up counts as well where the actor's own role is the one that decides (RQ-2)."""
    case = case_of(role, code)
    approval = grant_for(case, GrantKind.APPROVAL, approver_role=RoleId(approver))
    others = tuple(grant for grant in case.request.grants if grant.kind is not GrantKind.APPROVAL)
    assert decided(case.ask(grants=(*others, approval))).allowed is good


@pytest.mark.rule("RQ-7")
def test_nobody_approves_their_own_act() -> None:
    case = case_of("store-manager", "1121")
    own = grant_for(case, GrantKind.APPROVAL, approver=ACTOR, approver_role=RoleId("store-manager"))
    identity = grant_for(case, GrantKind.IDENTITY)
    (need,) = decided(case.ask(grants=(identity, own))).required
    assert (need.kind, need.fault) == (RequiredKind.SECOND_PERSON, GrantFault.PROOF_NOT_ACCEPTED)


@pytest.mark.rule("CI-5", "RQ-7")
def test_customer_data_leaves_masked_unless_unmasking_was_approved() -> None:
    assert decided(case_of("store-manager", "1500")).masking == MASK_ALL
    assert decided(case_of("store-manager", "x004")).masking == MASK_NOTHING
    assert decided(_with(case_of("store-manager", "x004"), "no grants")).masking == MASK_ALL
    assert decided(case_of("auditor", "x005")).masking == MASK_ALL


@pytest.mark.rule("CI-2")
def test_a_bulk_export_names_no_customer_and_cannot_be_a_walk_in() -> None:
    assert decided(case_of("auditor", "x005")).allowed
    walk_in = case_of("auditor", "x005").ask(purpose=Purpose.WALK_IN)
    assert decided(walk_in).reason is DenyReason.PURPOSE_NOT_ALLOWED


@pytest.mark.rule("CI-2")
def test_no_role_data_gives_a_privileged_role_an_operation_on_a_customer() -> None:
    for role in ("administrator", "auditor", "regional-manager", "carrier-duty-officer"):
        case = case_of(role, "1302")
        clerk = ROLES[RoleId("clerk")]
        case.roles[RoleId(role)] = replace(case.roles[RoleId(role)], permissions=clerk.permissions)
        assert decided(case).reason is DenyReason.OPERATION_NOT_PERMITTED


def test_a_list_of_customers_binds_even_an_operation_that_names_none() -> None:
    code = OperationCode("x006")
    case = case_of("service-agent", "1500").ask(operation=code, customer=None)
    case.operations[code] = Operation(
        code=code, name_zh="统计", name_en="Statistics", cls=OperationClass.READ, customer_bound=False
    )
    agent = case.roles[case.staff.role]
    case.roles[case.staff.role] = replace(agent, permissions={code: Permission(reach=Reach.ASSIGNED)})
    assert decided(case).required == (Required(kind=RequiredKind.CUSTOMER),)
    assert decided(case.ask(customer=CUSTOMER)).allowed


def test_an_answer_says_which_state_it_was_made_at_and_which_grants_to_redeem() -> None:
    decision = decided(case_of("clerk", "1104"))
    assert (decision.region, decision.region_revision, decision.carrier_revision) == (EAST, 9, 4)
    assert decision.grants_used == (GrantId("grant-identity-1"), GrantId("grant-consent-1"))
    assert (decision.mode, decision.cls, decision.required) == (Mode.CENTRAL, OperationClass.OPEN, ())


def test_an_answer_made_by_a_guard_says_so() -> None:
    case = case_of("clerk", "1302")
    assert decide(case.snapshot(), case.handle, case.request, case.now, mode=Mode.GUARD).mode is Mode.GUARD


def test_closing_time_bounds_how_long_an_answer_holds() -> None:
    case = case_of("clerk", "1302")
    moved_to(NOON + timedelta(hours=5, minutes=59, seconds=58))(case)
    assert decided(case).holds_until_s == case.now_s + 2
    case.stores[HALL] = replace(case.stores[HALL], special={NOON.toordinal(): ((0, 86_400),)})
    assert decided(case).holds_until_s == case.now_s + 4


def test_a_node_that_knows_nothing_allows_nothing() -> None:
    case = case_of("clerk", "1302")
    decision = decide(EMPTY, case.handle, case.request, case.now)
    assert decision.reason is DenyReason.SNAPSHOT_STALE
    assert (decision.region_revision, decision.carrier_revision) == (0, 0)
    fresh = EMPTY.confirmed(case.now)
    assert decide(fresh, case.handle, case.request, case.now).reason is DenyReason.REVISION_BEHIND
    assert CARRIER not in fresh.revisions


def test_a_moment_without_a_zone_is_a_mistake_of_the_program() -> None:
    case = case_of("clerk", "1302")
    with pytest.raises(ValueError, match="aware"):
        decide(case.snapshot(), case.handle, case.request, datetime(2026, 3, 4, tzinfo=UTC).replace(tzinfo=None))
