"""Opening hours, against wall clocks and calendars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.decision.hours import closes_at_s
from infosec.decision.tables import OpenHours
from tests.unit.decision.oracle import closing
from tests.unit.decision.world import HALL, case_of


@st.composite
def open_hours(draw: st.DrawFn) -> OpenHours:
    edges = sorted(draw(st.sets(st.integers(0, 96), max_size=6)))
    return tuple((opens * 900, closes * 900) for opens, closes in zip(edges[::2], edges[1::2], strict=False))


moments = st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)) | st.integers(
    0, 96 * 21
).map(lambda quarter: datetime(2026, 2, 25, tzinfo=UTC) + timedelta(minutes=15 * quarter))


@pytest.mark.rule("CI-2")
@given(now=moments, weekly=st.tuples(*[open_hours()] * 7), today=st.none() | open_hours(), ahead=st.integers(-1, 1))
def test_hours_agree_with_the_calendar(
    now: datetime, weekly: tuple[OpenHours, ...], today: OpenHours | None, ahead: int
) -> None:
    case = case_of("clerk", "1302")
    special = {} if today is None else {now.toordinal() + ahead: today}
    case.now, case.stores[HALL] = now, replace(case.stores[HALL], weekly=weekly, special=special)
    shuts = closing(case)
    found = closes_at_s(case.stores[HALL], now.timestamp())
    assert (found is None) == (shuts is None)
    if shuts is not None:
        assert found == pytest.approx(shuts.timestamp(), abs=1e-4)
