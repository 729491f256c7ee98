"""An event has one spelling as bytes, and only that one is read back."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec import canonical
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId

AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(codec="ascii"))
VALUES = TEXT | st.integers(-canonical.MAX_INT, canonical.MAX_INT) | st.booleans()
EVENTS = st.builds(
    Event,
    type=st.sampled_from(EventType),
    at=st.datetimes(timezones=st.just(UTC)),
    region_id=TEXT.map(RegionId),
    facts=st.dictionaries(NAMES, VALUES),
    event_id=st.uuids(),
)


@given(EVENTS)
def test_what_was_written_is_read_back_as_it_was(event: Event) -> None:
    read = Event.from_body(event.body())
    assert read == event
    assert {name: type(value) for name, value in read.facts.items()} == {n: type(v) for n, v in event.facts.items()}
    assert read.body() == event.body()


def test_a_fact_that_is_none_is_not_there() -> None:
    event = Event(type=EventType.LOGIN_FAILED, at=AT, facts={"staff_id": None, "failures": 0})
    assert Event.from_body(event.body()).facts == {"failures": 0}


def test_the_same_moment_has_the_same_bytes_in_every_zone() -> None:
    one = Event(type=EventType.LOGIN_FAILED, at=AT, event_id=uuid.UUID(int=7))
    china = AT.astimezone(timezone(timedelta(hours=8)))
    other = Event(type=EventType.LOGIN_FAILED, at=china, event_id=uuid.UUID(int=7))
    assert one.body() == other.body()


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@given(st.lists(MOMENTS, min_size=2, unique=True))
def test_ids_that_are_not_given_are_of_version_7_tell_the_moment_and_sort_by_it(moments: list[datetime]) -> None:
    events = [Event(type=EventType.LOGIN_FAILED, at=at) for at in sorted(moments)]
    made = [event.event_id for event in events]
    assert made == sorted(made) and len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    told = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one.int >> 80) for one in made]
    assert all(
        timedelta(0) <= event.at - at < timedelta(milliseconds=1) for event, at in zip(events, told, strict=True)
    )


def test_ids_of_one_moment_differ() -> None:
    assert len({Event(type=EventType.LOGIN_FAILED, at=AT).event_id for _ in range(1000)}) == 1000


def members(**changed: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(Event(type=EventType.LOGIN_FAILED, at=AT, event_id=uuid.UUID(int=7)).body())
    return body | changed


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "login.unheard-of"},
        {"type": 5},
        {"at": "2026-11-22T08:30:00+00:00"},
        {"at": "2026-11-22T16:30:00.000000+08:00"},
        {"at": "2026-11-22T08:30:00.000000"},
        {"at": "2026-11-22T08:30:00.000000Z"},
        {"at": "yesterday"},
        {"at": "0001-01-01T00:00:00.000000+01:00"},
        {"at": None},
        {"region": None},
        {"region": 7},
        {"id": "00000000-0000-0000-0000-00000000000G"},
        {"id": "00000000000000000000000000000007"},
        {"id": "7"},
        {"facts": []},
        {"facts": {"staff_id": None}},
        {"facts": {"staff_id": ["a"]}},
        {"facts": {"staff_id": {"a": 1}}},
        {"more": 1},
    ],
    ids=str,
)
def test_other_members_and_other_spellings_are_refused(changed: dict[str, Any]) -> None:
    assert Event.from_body(canonical.encode(members()))
    with pytest.raises(InvalidInput) as refused:
        Event.from_body(canonical.encode(members(**changed)))
    assert refused.value.reason is Reason.INVALID_ARGUMENT
    assert refused.value.details["field"]


@pytest.mark.parametrize("missing", ["type", "at", "region", "id", "facts"])
def test_a_missing_member_is_refused(missing: str) -> None:
    with pytest.raises(InvalidInput):
        Event.from_body(canonical.encode({name: value for name, value in members().items() if name != missing}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        canonical.encode(members()) + b" x",
        canonical.encode(members(facts={"count": 1})).replace(b'"count":1', b'"count":1.0'),
    ],
)
def test_bytes_of_no_event_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        Event.from_body(body)
