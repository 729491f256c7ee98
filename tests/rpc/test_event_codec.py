"""Audit events on the wire: what is no event is refused by the name of its field, and what is one comes back as it went."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.canonical import MAX_INT
from infosec.errors import InvalidInput
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.rpc.event_codec import event_from_wire, event_to_wire

AT = datetime(2026, 3, 2, 8, 0, 0, 1, tzinfo=UTC)
facts = st.dictionaries(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-MAX_INT, MAX_INT) | st.booleans(),
    max_size=6,
)
moments = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))


def event(**facts: Any) -> Event:
    return Event(type=EventType.CHECK_DECIDED, at=AT, region_id=RegionId("east"), facts=facts)


@given(facts=facts, at=moments, event_id=st.uuids())
def test_an_event_comes_back_as_it_went(facts: dict[str, Any], at: datetime, event_id: uuid.UUID) -> None:
    gone = Event(type=EventType.CHECK_DECIDED, at=at, region_id=RegionId("east"), facts=facts, event_id=event_id)
    back = event_from_wire(pb.Event.FromString(event_to_wire(gone).SerializeToString()))
    assert back == gone
    assert {name: type(value) for name, value in back.facts.items()} == {name: type(facts[name]) for name in facts}


def test_a_fact_that_is_none_does_not_travel() -> None:
    assert event_from_wire(event_to_wire(event(staff_id="li.na", reason=None))).facts == {"staff_id": "li.na"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":null}',
        b'{"a":[]}',
        b'{"a":{"b":1}}',
        b'{"a":18446744073709551616}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":1} {}',
        b'{"a":' * 5000,
    ],
    ids=lambda data: data[:24].decode("latin-1"),
)
def test_facts_that_are_none_are_refused(data: bytes) -> None:
    wire = event_to_wire(event())
    wire.facts = data
    with pytest.raises(InvalidInput) as refused:
        event_from_wire(wire)
    assert refused.value.details["field"] == "facts"


@pytest.mark.parametrize(
    ("field", "value"),
    [("event_id", "not a uuid"), ("type", "no.such-type")],
    ids=["event_id", "type"],
)
def test_what_else_is_wrong_is_named(field: str, value: str) -> None:
    wire = event_to_wire(event())
    setattr(wire, field, value)
    with pytest.raises(InvalidInput) as refused:
        event_from_wire(wire)
    assert refused.value.details["field"] == field


@pytest.mark.parametrize(("seconds", "nanos"), [(-1, 0), (253_402_300_800, 0), (0, -1), (0, 10**9)])
def test_a_moment_of_no_use_is_refused(seconds: int, nanos: int) -> None:
    wire = event_to_wire(event())
    wire.occurred_at.seconds, wire.occurred_at.nanos = seconds, nanos
    with pytest.raises(InvalidInput):
        event_from_wire(wire)
