"""Acts as a table: what is not in it is refused, and nobody is their own second person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from auditsvc.acts import (
    LIFE,
    TRANSITIONS,
    Act,
    ActEvent,
    ActKind,
    ActState,
    after,
    after_now,
    check_second,
    decided,
    event_id,
    seen,
)
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, PermissionDenied, Reason
from infosec.ids import CARRIER, RoleId, SessionId, StaffId, SystemId, TerminalId

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ACT = Act(
    id=UUID(int=1),
    kind=ActKind.ERASE_SUBJECT,
    reason="asked for",
    proposed_by=StaffId("ann"),
    session_id="session-of-ann",
    proposed_at=NOW,
    expires_at=NOW + LIFE,
)


def person(staff_id: str, *, session: str = "", role: str = "auditor") -> IdentityAssertion:
    return IdentityAssertion(
        staff_id=StaffId(staff_id),
        role_id=RoleId(role),
        store_id=None,
        region_id=CARRIER,
        session_id=SessionId(session or f"session-of-{staff_id}"),
        system_id=SystemId("cli"),
        terminal_id=TerminalId("desk-1"),
        installation="i",
        issued_s=0,
        expires_s=300,
    )


@pytest.mark.parametrize("state", ActState)
@pytest.mark.parametrize("event", ActEvent)
def test_what_is_not_in_the_table_is_closed(state: ActState, event: ActEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(FailedPrecondition) as refused:
        after(state, event)
    assert refused.value.reason is Reason.REQUEST_CLOSED


def test_nothing_is_done_that_was_not_confirmed() -> None:
    leading_to_done = {state for (state, _), to in TRANSITIONS.items() if to is ActState.DONE}
    assert leading_to_done == {ActState.CONFIRMED}
    leading_to_confirmed = {event for (_, event), to in TRANSITIONS.items() if to is ActState.CONFIRMED}
    assert leading_to_confirmed == {ActEvent.CONFIRM}


@pytest.mark.rule("CI-8")
def test_another_person_confirms() -> None:
    confirmed = decided(ACT, ActEvent.CONFIRM, person("bea"), NOW)
    assert (confirmed.state, confirmed.decided_by, confirmed.decided_at) == (ActState.CONFIRMED, "bea", NOW)


@pytest.mark.rule("CI-8")
@pytest.mark.parametrize(
    "who",
    [
        person("ann"),
        person("ann", session="another"),
        person("ann", session="another", role="carrier-duty-officer"),
        person("bea", session="session-of-ann"),
    ],
)
def test_nobody_confirms_what_they_proposed(who: IdentityAssertion) -> None:
    with pytest.raises(PermissionDenied) as refused:
        decided(ACT, ActEvent.CONFIRM, who, NOW)
    assert refused.value.reason is Reason.SELF_DECISION
    with pytest.raises(PermissionDenied):
        check_second(ACT, who)


def test_who_proposed_may_take_it_back() -> None:
    assert decided(ACT, ActEvent.WITHDRAW, person("ann"), NOW).state is ActState.WITHDRAWN


@pytest.mark.parametrize(("after_s", "state"), [(-1, ActState.PROPOSED), (0, ActState.EXPIRED)])
def test_it_is_over_at_the_very_moment(after_s: int, state: ActState) -> None:
    now = NOW + LIFE + timedelta(seconds=after_s)
    assert seen(ACT, now).state is state
    if state is ActState.EXPIRED:
        with pytest.raises(FailedPrecondition):
            decided(ACT, ActEvent.CONFIRM, person("bea"), now)
    else:
        assert decided(ACT, ActEvent.CONFIRM, person("bea"), now).state is ActState.CONFIRMED


def test_what_was_confirmed_in_time_is_carried_out_however_late() -> None:
    confirmed = replace(ACT, state=ActState.CONFIRMED)
    late = NOW + 10 * LIFE
    assert seen(confirmed, late).state is ActState.CONFIRMED
    assert after_now(confirmed, ActEvent.CARRY_OUT, late).state is ActState.DONE


def test_an_event_about_an_act_has_one_id() -> None:
    assert ACT.event_id("confirmed") == event_id(ACT.id, "confirmed")
    assert ACT.event_id("confirmed") != ACT.event_id("proposed")
