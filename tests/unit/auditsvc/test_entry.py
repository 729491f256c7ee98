"""An entry has one spelling, whatever the event: its bytes are canonical JSON and read back as what happened."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditsvc import entry
from auditsvc.subjects import new_row, opened
from infosec import canonical
from infosec.errors import Internal, InvalidInput
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.keys import SealingKeys

RECORDED = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
KEYS = SealingKeys.generate("seal-subjects", now=RECORDED)
SUBJECT = opened(*new_row(KEYS), KEYS)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(0))])
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=ZONES)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FACTS = st.dictionaries(
    st.sampled_from(["staff_id", "store_id", "trace_id", "reason", "recorded"]),
    TEXT | st.integers(-canonical.MAX_INT, canonical.MAX_INT) | st.booleans() | st.none(),
)


def bytes_of(event: Event) -> bytes:
    subject = SUBJECT if entry.CUSTOMER in event.facts else None
    return entry.draft(event, subject=subject, recorded_by="service/suite").body(entry.moment(RECORDED).encode())


@given(FACTS, MOMENTS | MOMENTS.map(lambda at: at.replace(microsecond=0)), st.uuids())
def test_whatever_happened_is_spelled_canonically_and_reads_back(
    facts: dict[str, str | int | bool | None], at: datetime, event_id: uuid.UUID
) -> None:
    event = Event(type=EventType.CHECK_DECIDED, at=at, region_id=RegionId("east"), facts=facts, event_id=event_id)
    body = bytes_of(event)
    assert canonical.encode(canonical.decode_strict(body)) == body
    assert f'{{"at":"{entry.moment(at)}",'.encode() in body
    read = entry.parse(body)
    assert (read.event_id, read.type, read.occurred_at, read.log_id) == (event_id, event.type, at, event.region_id)
    assert (read.recorded_at, read.recorded_by) == (RECORDED, "service/suite")
    assert read.facts == {name: value for name, value in facts.items() if value is not None}
    assert (read.subject_id, read.sealed) == (None, {})


@pytest.mark.rule("CI-8")
@given(TEXT, st.uuids(), st.uuids())
def test_what_tells_who_the_customer_is_is_sealed_for_this_field_of_this_event(
    order: str, event_id: uuid.UUID, other_id: uuid.UUID
) -> None:
    facts = {entry.CUSTOMER: "0a" * 32, "order_id": order, "reason": "OK"}
    event = Event(type=EventType.CHECK_DECIDED, at=RECORDED, region_id=RegionId("east"), facts=facts, event_id=event_id)
    read = entry.parse(bytes_of(event))
    assert read.facts == {"reason": "OK"}
    assert read.subject_id == SUBJECT.id
    assert SUBJECT.open(event_id, "order_id", read.sealed["order_id"]) == order
    places = [(event_id, "order_i"), (event_id, "work_order_id")]
    places += [] if other_id == event_id else [(other_id, "order_id")]
    for place in places:
        with pytest.raises(Internal):
            SUBJECT.open(*place, read.sealed["order_id"])


@pytest.mark.parametrize("text", ["{}", '{"what":"else"}', "[]", '"entry"', '{"at":1,"by":2}'])
def test_what_is_no_entry_is_refused_whatever_else_it_is(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        entry.parse(text.encode())
    assert refused.value.details["field"] == "entry"


def test_an_entry_with_a_name_that_none_has_is_refused() -> None:
    body = bytes_of(Event(type=EventType.CHECK_DECIDED, at=RECORDED, region_id=RegionId("east"), facts={}))
    fields = canonical.decode_strict(body)
    assert isinstance(fields, dict)
    with pytest.raises(InvalidInput):
        entry.parse(canonical.encode({**fields, "more": 1}))


@pytest.mark.rule("CI-8")
def test_a_subject_in_a_log_line_is_its_random_id_alone() -> None:
    assert repr(SUBJECT) == f"Subject({SUBJECT.id})"
