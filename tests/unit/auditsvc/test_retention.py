"""Terms of retention: the catalogue's, changed by configuration, and never below six months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditsvc.retention import cutoffs, first_index, terms
from auditsvc.tiles import WIDTH
from infosec.errors import Misconfigured
from infosec.events.catalogue import CATALOGUE
from infosec.events.types import EventType

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def test_every_type_has_a_term_of_six_months_at_least() -> None:
    assert terms().keys() == CATALOGUE.keys() == set(EventType)
    assert min(terms().values()) >= timedelta(days=184)


@pytest.mark.parametrize("days", [184, 400, 4000])
def test_a_term_is_changed_upwards_and_downwards(days: int) -> None:
    changed = terms({"check.decided": days})
    assert changed[EventType.CHECK_DECIDED] == timedelta(days=days)
    assert {type for type in changed if changed[type] != terms()[type]} == {EventType.CHECK_DECIDED}
    assert cutoffs(changed, NOW)[EventType.CHECK_DECIDED] == NOW - timedelta(days=days)


@pytest.mark.parametrize(
    "days", [{"check.decided": 183}, {"check.decided": 0}, {"check.decided": -1}, {"nothing": 400}]
)
def test_what_the_law_or_the_catalogue_does_not_know_stops_the_start(days: dict[str, int]) -> None:
    with pytest.raises(Misconfigured) as refused:
        terms(days)
    assert refused.value.details["key"].startswith("audit.terms.")


@given(begins_at=st.integers(0, 1000).map(lambda tile: tile * WIDTH), first_kept=st.integers(0, 1 << 40))
def test_a_log_begins_at_a_whole_tile_before_what_is_kept(begins_at: int, first_kept: int) -> None:
    index = first_index(begins_at=begins_at, first_kept=first_kept)
    assert index % WIDTH == 0
    assert index == begins_at or begins_at < index <= first_kept < index + WIDTH
