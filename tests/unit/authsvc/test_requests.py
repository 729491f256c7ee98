"""Who may ask, who decides and when it ends (section B), without storage."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.profile import TELECOM_HALL
from authsvc.requests import (
    ABOVE,
    NEEDED_IN,
    RECIPROCAL,
    SEATS,
    TRANSITIONS,
    Event,
    Kind,
    Level,
    Matter,
    Person,
    Request,
    Seat,
    State,
    Subject,
    Submitter,
    after,
    at_level,
    check_decider,
    check_level,
    check_needed,
    check_open,
    check_submitter,
    decided,
    due,
    effective_state,
    escalated,
    first_level,
    is_concerned,
    is_privileged,
    level_with_approver,
    may_decide,
    needs_second_administrator,
    opened,
    present_level,
    staff_event,
)
from authsvc.staff import StaffEvent, StaffState
from authsvc.staff import after as staff_after
from infosec.decision.roles import ROLES as BUILT_IN
from infosec.decision.roles import PlaceScope
from infosec.errors import FailedPrecondition, InfosecError, PermissionDenied, Reason
from infosec.ids import RegionId, RoleId, StaffId, StoreId

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ROLES = [
    RoleId(role)
    for role in ("clerk", "duty-manager", "store-manager", "regional-manager", "carrier-duty-officer", "administrator")
]
REGION = {StoreId("e1"): RegionId("east"), StoreId("e2"): RegionId("east"), StoreId("w1"): RegionId("west")}
STAFF = [StaffId(f"p{number}") for number in range(6)]

kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.APPROVAL])
seats = st.lists(
    st.builds(Seat, role_id=st.sampled_from(ROLES), reach=st.sampled_from(PlaceScope)), min_size=1, max_size=3
).map(tuple)


@st.composite
def charts(draw: st.DrawFn) -> list[Person]:
    """A random organisation: everybody has some role somewhere."""
    people = []
    for staff_id in STAFF:
        store = draw(st.sampled_from(list(REGION)))
        people.append(
            Person(
                staff_id=staff_id,
                role_id=draw(st.sampled_from(ROLES)),
                store_id=store,
                region_id=REGION[store],
                is_able=draw(st.booleans()),
            )
        )
    return people


@st.composite
def matters(draw: st.DrawFn) -> Matter:
    store = draw(st.sampled_from(list(REGION)))
    return Matter(
        subject_id=draw(st.sampled_from(STAFF)),
        submitted_by=draw(st.sampled_from(STAFF)),
        store_id=store,
        region_id=REGION[store],
        seats=draw(seats),
    )


def request(**fields: object) -> Request:
    made = Request(
        id=uuid.uuid4(),
        kind=Kind.UNLOCK,
        state=State.PENDING,
        level=Level.REGIONAL_MANAGER,
        subject_id="p0",
        submitted_by=StaffId("p1"),
        submitted_at=NOW,
        region_id=RegionId("east"),
        store_id=StoreId("e1"),
        reason="r",
        expires_at=NOW,
    )
    return opened(replace(made, **fields), TELECOM_HALL)  # type: ignore[arg-type]


def refusal(error: type[InfosecError], call: object, *args: object, **more: object) -> Reason:
    with pytest.raises(error) as caught:
        call(*args, **more)  # type: ignore[operator]
    return caught.value.reason


def person(role: str, store: str = "e1", staff: str = "p5", **more: bool) -> Person:
    store_id = StoreId(store)
    return Person(staff_id=StaffId(staff), role_id=RoleId(role), store_id=store_id, region_id=REGION[store_id], **more)


def matter(subject: str = "p0", submitter: str = "p1", level: Level = Level.REGIONAL_MANAGER) -> Matter:
    return Matter(
        subject_id=subject,
        submitted_by=StaffId(submitter),
        store_id=StoreId("e1"),
        region_id=RegionId("east"),
        seats=SEATS[level],
    )


# RQ-2: nobody decides for themselves


@pytest.mark.rule("RQ-2")
@given(charts(), matters(), st.sampled_from(Level))
def test_nobody_ever_decides_what_is_about_them_or_what_they_submitted(
    chart: list[Person], about: Matter, level: Level
) -> None:
    for here in (about, at_level(about, level)):
        for each in chart:
            if is_concerned(here, each.staff_id):
                assert not may_decide(here, each)
                assert refusal(PermissionDenied, check_decider, here, each) is Reason.SELF_DECISION


@pytest.mark.rule("RQ-2")
@given(charts(), matters())
def test_who_decides_holds_the_role_where_the_matter_is(chart: list[Person], about: Matter) -> None:
    for each in chart:
        if may_decide(about, each):
            check_decider(about, each)
            seat = next(seat for seat in about.seats if seat.role_id == each.role_id)
            assert each.is_able
            assert (
                any(seat.reach is PlaceScope.CARRIER for seat in about.seats if seat.role_id == each.role_id)
                or each.region_id == about.region_id
                or seat.reach is PlaceScope.CARRIER
            )
        else:
            expected = Reason.SELF_DECISION if is_concerned(about, each.staff_id) else Reason.NOT_PERMITTED
            assert refusal(PermissionDenied, check_decider, about, each) is expected


@pytest.mark.rule("RQ-2")
@given(charts(), matters(), st.sampled_from([level for level in Level if level is not Level.SECOND_PERSON]))
def test_a_request_lies_where_somebody_other_than_the_concerned_can_decide_it(
    chart: list[Person], about: Matter, first: Level
) -> None:
    levels = [first, *([ABOVE[first]] if first in ABOVE else [])]
    deciders = {level: [p for p in chart if may_decide(at_level(about, level), p)] for level in levels}
    if not any(deciders.values()):
        assert refusal(FailedPrecondition, level_with_approver, first, about, chart) is Reason.NO_APPROVER
        return
    level = level_with_approver(first, about, chart)
    assert deciders[level]
    assert level is first or not deciders[first]


@pytest.mark.rule("RQ-2", "RQ-4")
@given(charts(), st.integers(min_value=0, max_value=30))
def test_the_present_level_only_rises(chart: list[Person], hours: int) -> None:
    made, now = request(), NOW + timedelta(hours=hours)
    here = matter()
    level = present_level(made, here, chart, now)
    nobody = not any(may_decide(here, p) for p in chart)
    assert level is (Level.CARRIER_DUTY_OFFICER if hours >= 2 or nobody else Level.REGIONAL_MANAGER)
    closed = replace(made, state=State.REJECTED)
    assert present_level(closed, here, chart, now) is Level.REGIONAL_MANAGER


def test_a_store_role_decides_in_its_store_alone() -> None:
    seat = Seat(role_id=RoleId("duty-manager"), reach=PlaceScope.OWN_STORE)
    here = replace(matter(), seats=(seat,))
    assert may_decide(here, person("duty-manager", "e1"))
    assert not may_decide(here, person("duty-manager", "e2"))
    assert at_level(here, Level.SECOND_PERSON) == here


@pytest.mark.rule("RQ-2", "ID-8")
@pytest.mark.parametrize(
    ("kind", "privileged", "to_privileged", "level"),
    [
        (Kind.UNLOCK, False, False, Level.REGIONAL_MANAGER),
        (Kind.UNLOCK, True, False, Level.CARRIER_DUTY_OFFICER),
        (Kind.CHANGE_ROLE, False, True, Level.ADMINISTRATOR),
        (Kind.CHANGE_ROLE, True, False, Level.CARRIER_DUTY_OFFICER),
        (Kind.CREATE_PRIVILEGED, True, False, Level.ADMINISTRATOR),
        (Kind.CHANGE_POLICY, True, False, Level.ADMINISTRATOR),
        (Kind.APPROVAL, False, False, Level.SECOND_PERSON),
    ],
)
def test_where_a_request_starts(kind: Kind, privileged: bool, to_privileged: bool, level: Level) -> None:
    assert first_level(kind, subject_is_privileged=privileged, to_privileged=to_privileged) is level


@pytest.mark.rule("RQ-2", "ID-8")
@given(st.sampled_from(Level), st.sampled_from(Level))
def test_a_decision_made_below_what_it_takes_by_now_does_nothing(level: Level, required: Level) -> None:
    if level is required or (level, required) == (Level.CARRIER_DUTY_OFFICER, Level.REGIONAL_MANAGER):
        check_level(level, required)
    else:
        assert refusal(FailedPrecondition, check_level, level, required) is Reason.STATE_CONFLICT


# RQ-1: who asks, and for what


@pytest.mark.rule("RQ-1")
@given(
    kinds, st.sampled_from(ROLES), st.sampled_from(ROLES), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)
def test_who_may_submit(
    kind: Kind, role: RoleId, subject_role: RoleId, is_self: bool, same_store: bool, by_proof: bool, to_privileged: bool
) -> None:
    privileged = subject_role in ROLES[3:]
    subject = Subject(
        staff_id=StaffId("p0"),
        role_id=subject_role,
        store_id=StoreId("e1"),
        state=StaffState.ACTIVE,
        is_privileged=privileged,
    )
    who = Submitter(
        staff_id=StaffId("p0" if is_self else "p1"),
        role_id=role,
        store_id=StoreId("e1" if same_store else "w1"),
        by_proof=by_proof,
    )
    ways_back = (Kind.UNLOCK, Kind.UNBLACKLIST, Kind.LIFT_SUSPENSION, Kind.REISSUE_PASSWORD)
    if by_proof:
        allowed = is_self and kind in ways_back
    elif to_privileged or needs_second_administrator(kind):
        allowed = role == "administrator"
    elif role == "administrator":
        allowed = is_self or privileged or subject_role == "store-manager" or kind is Kind.CHANGE_ROLE
    elif role == "duty-manager":
        allowed = is_self or (same_store and kind is not Kind.REBIND_PHONE)
    else:
        allowed = is_self or (same_store and role == "store-manager")
    if allowed:
        check_submitter(kind, who, subject, to_privileged=to_privileged)
    else:
        reason = refusal(PermissionDenied, check_submitter, kind, who, subject, to_privileged=to_privileged)
        assert reason is Reason.NOT_PERMITTED


@pytest.mark.rule("RQ-1")
@pytest.mark.parametrize("kind", NEEDED_IN)
def test_a_closed_staff_id_needs_nothing_and_the_staff_table_agrees_with_ours(kind: Kind) -> None:
    assert refusal(FailedPrecondition, check_needed, kind, StaffState.CLOSED) is Reason.STATE_CONFLICT
    for state in NEEDED_IN[kind]:
        check_needed(kind, state)
        event = staff_event(kind, state)
        if event is not None:
            assert staff_after(state, event) is StaffState.ISSUED


@pytest.mark.rule("ID-8", "ID-5")
def test_a_new_phone_brings_a_password_only_to_who_could_log_in() -> None:
    able = {state for state in StaffState if staff_event(Kind.REBIND_PHONE, state) is StaffEvent.REISSUE_APPROVED}
    assert able == {StaffState.ISSUED, StaffState.ACTIVE}
    assert staff_event(Kind.MOVE_STORE, StaffState.ACTIVE) is None


@pytest.mark.rule("ID-8")
def test_a_role_is_privileged_when_it_is_named_so_known_so_or_not_known() -> None:
    assert {role for role in ROLES if is_privileged(role, BUILT_IN)} == set(ROLES[3:])
    assert all(is_privileged(role, {}) for role in ROLES)
    tame = {role: replace(BUILT_IN[role], privileged=False) for role in ROLES}
    assert {role for role in ROLES if is_privileged(role, tame)} == set(ROLES[3:])


@pytest.mark.rule("ID-4")
@pytest.mark.parametrize("state", StaffState)
def test_an_ended_password_blacklists_by_its_date(state: StaffState) -> None:
    ended = effective_state(state, NOW, NOW)
    assert ended is (StaffState.BLACKLISTED if state is StaffState.ACTIVE else state)
    assert effective_state(state, NOW + timedelta(seconds=1), NOW) is state


# RQ-4: the table and the clocks


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_the_table_is_all_there_is(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
    else:
        assert refusal(FailedPrecondition, after, state, event) is Reason.REQUEST_CLOSED


def test_what_has_ended_badly_never_comes_back() -> None:
    ended = {State.REJECTED, State.CANCELLED, State.EXPIRED, State.LAPSED}
    assert not any(state in ended for state, _ in TRANSITIONS)
    assert all(
        event is Event.APPROVE
        for (_, event), to in TRANSITIONS.items()
        if to is State.APPROVED and event is not Event.RELEASE
    )


@pytest.mark.rule("RQ-4")
@pytest.mark.parametrize(
    ("after_", "event"),
    [
        (timedelta(hours=2) - timedelta(microseconds=1), None),
        (timedelta(hours=2), Event.ESCALATE),
        (timedelta(hours=24) - timedelta(microseconds=1), Event.ESCALATE),
        (timedelta(hours=24), Event.EXPIRE),
    ],
)
def test_two_hours_and_a_day(after_: timedelta, event: Event | None) -> None:
    assert due(request(), NOW + after_) is event


@pytest.mark.rule("RQ-4")
def test_past_the_duty_officers_nothing_escalates() -> None:
    for level in (Level.CARRIER_DUTY_OFFICER, Level.ADMINISTRATOR):
        made = request(level=level)
        assert made.escalates_at is None
        assert due(made, NOW + timedelta(hours=23)) is None
    moved = escalated(request(), Level.CARRIER_DUTY_OFFICER)
    assert due(moved, NOW + timedelta(hours=23)) is None
    assert due(moved, NOW + timedelta(hours=24)) is Event.EXPIRE


@pytest.mark.rule("RQ-4", "RQ-7")
def test_an_approval_of_one_operation_lives_for_minutes() -> None:
    made = request(kind=Kind.APPROVAL, level=Level.SECOND_PERSON)
    assert made.expires_at - NOW == TELECOM_HALL.approval_expires_after <= timedelta(hours=1)
    done = decided(
        made, Event.APPROVE, by=person("duty-manager"), now=NOW, reason="", is_reciprocal=False, profile=TELECOM_HALL
    )
    assert done.execute_by == NOW + TELECOM_HALL.approval_grant_life


@pytest.mark.rule("RQ-2", "RQ-4")
def test_an_approval_names_its_decider_and_must_be_carried_out_in_thirty_minutes() -> None:
    chief = person("regional-manager")
    done = decided(request(), Event.APPROVE, by=chief, now=NOW, reason="ok", is_reciprocal=True, profile=TELECOM_HALL)
    assert (done.state, done.decided_by, done.decider_role) == (State.APPROVED, chief.staff_id, chief.role_id)
    assert done.flags == (RECIPROCAL,)
    assert due(done, NOW + timedelta(minutes=29)) is None
    assert due(done, NOW + timedelta(minutes=30)) is Event.LAPSE
    assert refusal(FailedPrecondition, check_open, done, Event.CARRY_OUT, NOW + timedelta(minutes=30))
    assert check_open(done, Event.CARRY_OUT, NOW) is State.CARRIED_OUT


@pytest.mark.rule("RQ-5")
def test_a_rejection_has_nothing_to_carry_out() -> None:
    chief = person("regional-manager")
    done = decided(request(), Event.REJECT, by=chief, now=NOW, reason="no", is_reciprocal=False, profile=TELECOM_HALL)
    assert (done.state, done.execute_by, done.flags) == (State.REJECTED, None, ())
    assert due(done, NOW + timedelta(days=9)) is None


@pytest.mark.rule("RQ-4")
@given(st.sampled_from([Event.APPROVE, Event.REJECT, Event.CANCEL]), st.integers(min_value=0, max_value=48))
def test_nothing_is_decided_after_a_day(event: Event, hours: int) -> None:
    now = NOW + timedelta(hours=hours)
    if hours < 24:
        assert check_open(request(), event, now) is TRANSITIONS[State.PENDING, event]
    else:
        assert refusal(FailedPrecondition, check_open, request(), event, now) is Reason.REQUEST_CLOSED
