"""ID-4: a password ends at 00:00 carrier time of its 91st day, and reminders come before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.passwords import days_left, expires_on, reminder_due
from authsvc.profile import NIST_800_63B_4, TELECOM_HALL
from authsvc.sessions import NEVER
from infosec.clock import CARRIER_ZONE, carrier_date, carrier_midnight

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
CHANGED = datetime(2026, 1, 1, 9, 30, tzinfo=CARRIER_ZONE)


@pytest.mark.rule("ID-4")
def test_it_ends_at_midnight_of_the_ninety_first_day() -> None:
    ends = expires_on(CHANGED, TELECOM_HALL)
    assert ends == datetime(2026, 4, 1, 0, 0, tzinfo=CARRIER_ZONE)
    assert days_left(ends, ends - timedelta(microseconds=1)) == 1
    assert days_left(ends, ends) == 0


@pytest.mark.rule("ID-4")
def test_the_day_is_the_carriers_not_that_of_utc() -> None:
    late_in_utc = datetime(2025, 12, 31, 16, 30, tzinfo=UTC)
    assert expires_on(late_in_utc, TELECOM_HALL) == expires_on(CHANGED, TELECOM_HALL)


@pytest.mark.rule("ID-4")
@given(MOMENTS)
def test_it_lives_ninety_days_at_most_and_eighty_nine_at_least(changed_at: datetime) -> None:
    ends = expires_on(changed_at, TELECOM_HALL)
    assert ends is not None
    assert timedelta(days=89) < ends - changed_at <= timedelta(days=90)
    assert ends == carrier_midnight(carrier_date(ends))


@pytest.mark.rule("ID-4")
@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=120)))
def test_days_left_are_none_left_exactly_when_it_has_ended(changed_at: datetime, later: timedelta) -> None:
    ends = expires_on(changed_at, TELECOM_HALL)
    assert ends is not None
    assert (days_left(ends, changed_at + later) == 0) == (changed_at + later >= ends)


@pytest.mark.rule("ID-4")
def test_days_left_are_carrier_calendar_days() -> None:
    midnight = datetime(2026, 3, 3, 16, tzinfo=UTC)  # 00:00 of 4 March, carrier time
    assert days_left(midnight, midnight - timedelta(seconds=1)) == 1
    assert days_left(midnight, midnight - timedelta(days=1, seconds=1)) == 2
    assert days_left(midnight, midnight) == 0
    assert days_left(midnight, midnight + timedelta(days=3)) == 0


@pytest.mark.rule("ID-4")
def test_reminders_come_on_their_days_once_and_only_the_latest_of_missed_ones() -> None:
    ends = expires_on(CHANGED, TELECOM_HALL)
    assert ends is not None
    sent: set[int] = set()
    came: dict[int, int] = {}
    for day in range(95):
        due = reminder_due(ends, CHANGED + timedelta(days=day), TELECOM_HALL, sent=frozenset(sent))
        if due:
            sent.add(due)
            came[day] = due
    assert came == {76: 14, 83: 7, 87: 3, 89: 1}
    assert reminder_due(ends, CHANGED + timedelta(days=88), TELECOM_HALL) == 3
    assert reminder_due(ends, CHANGED + timedelta(days=88), TELECOM_HALL, sent=frozenset({3})) is None


@pytest.mark.rule("ID-4")
def test_a_profile_without_rotation_has_no_end_and_no_reminders() -> None:
    far = CHANGED + timedelta(days=5000)
    assert expires_on(CHANGED, NIST_800_63B_4) is None
    assert days_left(NEVER, far) > 1_000_000
    assert reminder_due(NEVER, far, TELECOM_HALL) is None
