"""The life of a staff ID, as a table and as a machine that is walked at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from authsvc.staff import MAY_LOG_IN, TRANSITIONS, StaffEvent, StaffState, after
from infosec.errors import FailedPrecondition, Reason


@pytest.mark.rule("ID-5", "ID-8")
@given(st.sampled_from(StaffState), st.sampled_from(StaffEvent))
def test_what_is_not_in_the_table_is_an_error(state: StaffState, event: StaffEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(FailedPrecondition) as refused:
        after(state, event)
    assert refused.value.reason is Reason.STATE_CONFLICT


@pytest.mark.rule("ID-10")
def test_closed_has_no_way_out_and_is_reached_from_everywhere_else() -> None:
    assert not [event for state, event in TRANSITIONS if state is StaffState.CLOSED]
    closing = {state for (state, event), reached in TRANSITIONS.items() if reached is StaffState.CLOSED}
    assert closing == set(StaffState) - {StaffState.CLOSED}


@pytest.mark.rule("ID-8", "RQ-5")
def test_the_only_way_back_is_an_approved_request_and_leads_to_a_new_first_password() -> None:
    back = {
        (state, event): reached
        for (state, event), reached in TRANSITIONS.items()
        if state not in MAY_LOG_IN and reached in MAY_LOG_IN
    }
    assert set(back.values()) == {StaffState.ISSUED}
    assert all(event.value.endswith("-approved") for _, event in back)


class Life(RuleBasedStateMachine):
    """Any events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.state = StaffState.ISSUED
        self.was_closed = False
        self.last: StaffEvent | None = None

    @rule(event=st.sampled_from(StaffEvent))
    def happens(self, event: StaffEvent) -> None:
        try:
            self.state = after(self.state, event)
        except FailedPrecondition:
            return
        self.last = event
        self.was_closed = self.was_closed or self.state is StaffState.CLOSED

    @invariant()
    def closed_is_for_ever(self) -> None:
        assert not self.was_closed or self.state is StaffState.CLOSED

    @invariant()
    def active_only_by_choosing_a_password(self) -> None:
        assert self.state is not StaffState.ACTIVE or self.last is StaffEvent.PASSWORD_CHANGED


TestLife = Life.TestCase
