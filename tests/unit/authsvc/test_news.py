"""What a node makes of the change rows that it was answered: no row that is missing goes unnoticed."""

from __future__ import annotations

import pytest

from authsvc.store import snapshot
from infosec.ids import RegionId

EAST, WEST = RegionId("east"), RegionId("west")
ROWS = [(EAST, 7, "staff", "li.na"), (EAST, 7, "session", "s1"), (EAST, 7, "staff", "li.na"), (WEST, 3, None, None)]


def test_what_changed_is_told_once_and_by_kind() -> None:
    news = snapshot.news(ROWS, {EAST: 4, WEST: 3})
    assert news == ({EAST: 7, WEST: 3}, {"staff": ["li.na"], "session": ["s1"]})


@pytest.mark.parametrize("gone", range(3))
def test_a_row_that_was_cleaned_away_is_noticed_whichever_it_was(gone: int) -> None:
    rows = [row for number, row in enumerate(ROWS) if number != gone]
    assert snapshot.news(rows, {EAST: 4, WEST: 3}) == ({EAST: 7, WEST: 3}, None)


def test_a_region_that_is_new_and_has_changed_is_not_taken_for_unchanged() -> None:
    assert snapshot.news(ROWS, {EAST: 4}).changed is None


def test_more_than_is_read_one_by_one_is_so_for_all_regions_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(EAST, 2, "staff", "a"), (EAST, 2, "staff", "b"), (WEST, 1, "staff", "c")]
    monkeypatch.setattr(snapshot, "_MOST_CHANGES", 3)
    assert snapshot.news(rows, {EAST: 0, WEST: 0}).changed == {"staff": ["a", "b", "c"]}
    monkeypatch.setattr(snapshot, "_MOST_CHANGES", 2)
    assert snapshot.news(rows, {EAST: 0, WEST: 0}).changed is None
