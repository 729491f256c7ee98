"""The organisation tree as rules: what an administrator may write, and when a store may change region."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc import directory
from authsvc.directory import DayHours, SpecialDay, Store
from infosec.errors import FailedPrecondition, InvalidInput, Reason
from infosec.ids import RegionId

EAST, WEST = RegionId("east"), RegionId("west")


def make_store(**given_values: Any) -> Store:
    values: dict[str, Any] = {
        "store_id": "E1",
        "region_id": "east",
        "name": "城东营业厅",
        "address": "人民路88号\n二楼",
        "hotline": "020-87654321",
        "hours": [DayHours(weekday=1, opens_at_min=510, closes_at_min=1080)],
        "special_days": [],
        "is_closed": False,
    }
    return directory.store(**(values | given_values))


def refused_field(**given_values: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        make_store(**given_values)
    return refused.value.details["field"]


@pytest.mark.rule("CI-2")
def test_a_store_is_written_in_one_spelling_with_its_week_in_order() -> None:
    sunday, monday = (
        DayHours(weekday=7, opens_at_min=600, closes_at_min=1440),
        DayHours(weekday=1, opens_at_min=0, closes_at_min=1),
    )
    store = make_store(hours=[sunday, monday], name=" 城东　营业厅 ")
    assert store.store_id == "e1"
    assert store.name == "城东 营业厅"
    assert store.hours == (monday, sunday)


@pytest.mark.parametrize(("opens", "closes"), [(600, 600), (601, 600), (0, 1441), (1440, 1440), (-1, 10)], ids=str)
@pytest.mark.rule("CI-2")
def test_a_store_opens_before_it_closes_and_closes_by_midnight(opens: int, closes: int) -> None:
    assert refused_field(hours=[DayHours(weekday=1, opens_at_min=opens, closes_at_min=closes)]) == "hours"
    special = SpecialDay(day=date(2026, 10, 1), opens_at_min=opens, closes_at_min=closes)
    assert refused_field(special_days=[special]) == "special_days"


@pytest.mark.parametrize("weekday", [0, 8])
def test_a_week_has_the_days_1_to_7(weekday: int) -> None:
    assert refused_field(hours=[DayHours(weekday=weekday, opens_at_min=0, closes_at_min=1)]) == "hours.weekday"


def test_no_weekday_and_no_special_day_comes_twice() -> None:
    monday = DayHours(weekday=1, opens_at_min=0, closes_at_min=1)
    assert refused_field(hours=[monday, monday]) == "hours.weekday"
    holiday = SpecialDay(day=date(2026, 10, 1))
    assert refused_field(special_days=[holiday, holiday]) == "special_days.date"


def test_a_special_day_without_hours_is_a_closed_one() -> None:
    closed = directory.special_day(day="2026-10-01", is_closed=False, opens_at_min=0, closes_at_min=0)
    told = directory.special_day(day="2026-10-01", is_closed=True, opens_at_min=0, closes_at_min=0)
    assert closed.is_closed and told == closed
    short = directory.special_day(day="2026-10-02", is_closed=False, opens_at_min=600, closes_at_min=720)
    assert not short.is_closed
    assert make_store(special_days=[short, closed]).special_days == (closed, short)


@pytest.mark.parametrize("day", ["", "2026-2-1", "20260201", "2026-02-30", "tomorrow"])
def test_a_special_day_is_a_date_in_one_spelling(day: str) -> None:
    with pytest.raises(InvalidInput):
        directory.special_day(day=day, is_closed=True, opens_at_min=0, closes_at_min=0)


def test_a_closed_day_with_hours_contradicts_itself() -> None:
    with pytest.raises(InvalidInput):
        directory.special_day(day="2026-10-01", is_closed=True, opens_at_min=0, closes_at_min=60)


@pytest.mark.parametrize("name", ["", "  ", "城东\u202e厅", "a\u0000b", "城东\n厅", "城\u200b东"])
def test_a_name_is_readable_text(name: str) -> None:
    assert refused_field(name=name) == "name"


def test_a_hotline_is_a_telephone_number() -> None:
    assert make_store(hotline="").hotline == ""
    assert refused_field(hotline="call me") == "hotline"


@given(st.text(max_size=40))
def test_text_that_is_shown_never_hides_anything(raw: str) -> None:
    try:
        shown = directory.shown_text(raw, "name")
    except InvalidInput:
        return
    assert shown.isprintable() or any(c.isspace() for c in shown)
    assert directory.shown_text(shown, "name") == shown


def test_regions_terminals_and_systems_are_written_in_one_spelling() -> None:
    assert directory.region(region_id=" East ", name="东片区").region_id == "east"
    terminal = directory.terminal(terminal_id="E1-T1", store_id="E1", name="", is_retired=True)
    assert (terminal.terminal_id, terminal.store_id, terminal.is_retired) == ("e1-t1", "e1", True)
    system = directory.system(
        system_id="CRM", name="", store_ids=["e2", "E1", "e1"], terminal_ids=["w1-t1"], is_retired=False
    )
    assert system.store_ids == ("e1", "e2")
    assert system.terminal_ids == ("w1-t1",)
    with pytest.raises(InvalidInput):
        directory.region(region_id="东", name="东片区")


@pytest.mark.rule("ID-8")
def test_a_store_changes_region_only_while_nobody_belongs_to_it() -> None:
    directory.check_may_move(None, EAST, people=0)
    directory.check_may_move(EAST, EAST, people=9)
    directory.check_may_move(EAST, WEST, people=0)
    with pytest.raises(FailedPrecondition) as refused:
        directory.check_may_move(EAST, WEST, people=1)
    assert refused.value.reason is Reason.STATE_CONFLICT
