"""Whose secret may be verified, and what a wrong one leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.lockout import (
    PersonStanding,
    Purpose,
    Refusal,
    TerminalStanding,
    after_failure,
    judge,
    marks_terminal,
)
from authsvc.profile import TELECOM_HALL
from authsvc.staff import MAY_LOG_IN, StaffState
from infosec.ids import RegionId, StaffId, StoreId, TerminalId

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
PERSON = PersonStanding(
    staff_id=StaffId("li.na"),
    region_id=RegionId("east"),
    state=StaffState.ACTIVE,
    failures=0,
    password_ends_at=NOW + timedelta(days=1),
    is_first=False,
    first_used=False,
    first_expires_at=None,
)
FIRST = replace(PERSON, state=StaffState.ISSUED, is_first=True, first_expires_at=NOW + timedelta(hours=1))
TERMINAL = TerminalStanding(
    terminal_id=TerminalId("e1-t1"),
    store_id=StoreId("e1"),
    region_id=RegionId("east"),
    is_retired=False,
    failing_keys=0,
    is_among_them=False,
    locked_here=0,
)


def _judged(
    person: PersonStanding | None = PERSON, terminal: TerminalStanding = TERMINAL, purpose: Purpose = Purpose.LOGIN
) -> Refusal | None:
    return judge(person, terminal, purpose, NOW, TELECOM_HALL)


@pytest.mark.rule("ID-5", "ID-11")
@pytest.mark.parametrize(
    ("person", "terminal", "refusal"),
    [
        (PERSON, TERMINAL, None),
        (FIRST, TERMINAL, None),
        (None, TERMINAL, Refusal.UNKNOWN),
        (PERSON, replace(TERMINAL, is_retired=True), Refusal.TERMINAL_RETIRED),
        (PERSON, replace(TERMINAL, failing_keys=2), None),
        (PERSON, replace(TERMINAL, failing_keys=3), Refusal.TERMINAL_FAILING),
        (PERSON, replace(TERMINAL, failing_keys=3, is_among_them=True), None),
        (PERSON, replace(TERMINAL, failing_keys=4, is_among_them=True), Refusal.TERMINAL_FAILING),
        (None, replace(TERMINAL, failing_keys=3), Refusal.TERMINAL_FAILING),
        (replace(PERSON, failures=3), replace(TERMINAL, locked_here=3), None),
        (replace(PERSON, failures=4), replace(TERMINAL, locked_here=2), None),
        (replace(PERSON, failures=4), replace(TERMINAL, locked_here=3), Refusal.TERMINAL_LOCKED_MANY),
        (PERSON, replace(TERMINAL, region_id=RegionId("west")), Refusal.OUT_OF_REGION),
        (replace(PERSON, failures=5), TERMINAL, Refusal.USED_UP),
        (replace(PERSON, password_ends_at=NOW), TERMINAL, Refusal.PASSWORD_ENDED),
        (replace(FIRST, first_expires_at=NOW), TERMINAL, Refusal.FIRST_EXPIRED),
        (replace(FIRST, first_used=True), TERMINAL, Refusal.FIRST_USED),
    ],
)
def test_the_terminal_is_judged_before_the_person(
    person: PersonStanding | None, terminal: TerminalStanding, refusal: Refusal | None
) -> None:
    assert _judged(person, terminal) is refusal


@pytest.mark.rule("ID-5")
@pytest.mark.parametrize("state", sorted(set(StaffState) - MAY_LOG_IN))
@pytest.mark.parametrize("purpose", list(Purpose))
def test_no_purpose_serves_in_a_state_that_may_not_log_in(state: StaffState, purpose: Purpose) -> None:
    assert _judged(replace(PERSON, state=state), purpose=purpose) is Refusal.STATE


@pytest.mark.rule("ID-1")
@pytest.mark.parametrize("purpose", sorted(set(Purpose) - {Purpose.LOGIN}))
def test_a_used_first_password_still_serves_in_the_session_that_it_opened(purpose: Purpose) -> None:
    assert _judged(replace(FIRST, first_used=True), purpose=purpose) is None


@pytest.mark.rule("ID-5")
@given(st.lists(st.booleans(), max_size=40))
def test_five_wrong_answers_in_a_row_lock_and_four_do_not(answers: list[bool]) -> None:
    failures, locked = 0, False
    for right in answers:
        if right:
            failures = 0
            continue
        count = after_failure(failures, TELECOM_HALL)
        failures, locked = count.failures, count.locks
        assert locked is (failures == 5)
        if locked:
            assert after_failure(failures, TELECOM_HALL).failures == 5
            break
    assert 0 <= failures <= 5


@pytest.mark.rule("ID-7", "ID-11")
def test_every_failure_marks_the_terminal_alike_until_it_is_refused() -> None:
    unmarked = {refusal for refusal in (None, *Refusal) if not marks_terminal(refusal)}
    assert unmarked == {Refusal.TERMINAL_FAILING, Refusal.TERMINAL_RETIRED}


@pytest.mark.rule("ID-11")
def test_what_is_reported_of_a_terminal() -> None:
    assert {refusal for refusal in Refusal if refusal.is_of_terminal} == {
        Refusal.TERMINAL_RETIRED,
        Refusal.TERMINAL_FAILING,
        Refusal.TERMINAL_LOCKED_MANY,
        Refusal.OUT_OF_REGION,
    }
