"""The check that every event passes: no unknown fact, none missing, none of a wrong kind."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infosec.errors import InvalidInput, Reason
from infosec.events.catalogue import CATALOGUE, check
from infosec.events.event import Event, Fact
from infosec.events.kinds import FactKind
from infosec.events.spec import EventSpec
from infosec.events.types import EventType
from infosec.ids import RegionId

UUID = str(uuid.UUID(int=7))
ONE_OF_EACH: dict[FactKind, Fact] = {
    FactKind.STAFF: "li.na",
    FactKind.ROLE: "clerk",
    FactKind.STORE: "e1",
    FactKind.REGION: "east",
    FactKind.TERMINAL: "e1-t1",
    FactKind.SYSTEM: "crm",
    FactKind.ENTITY: "x004",
    FactKind.SESSION: UUID,
    FactKind.OPERATION: "1302",
    FactKind.CUSTOMER: "0a" * 32,
    FactKind.SUBJECT: UUID,
    FactKind.EVENT: UUID,
    FactKind.REQUEST: UUID,
    FactKind.GRANT: UUID,
    FactKind.ORDER: "o-1",
    FactKind.WORK_ORDER: "w-1",
    FactKind.CODE: "OK",
    FactKind.CODES: "name,birthday",
    FactKind.COUNT: 5,
    FactKind.FLAG: True,
    FactKind.MOMENT: "2026-11-22T08:30:00Z",
    FactKind.DIGEST: "0b" * 32,
    FactKind.TEXT: "complaint 7",
}
EVERY = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.type.value)


def whole(spec: EventSpec) -> Event:
    facts = {name: ONE_OF_EACH[fact.kind] for name, fact in spec.facts.items()}
    return Event(type=spec.type, at=datetime(2026, 11, 22, tzinfo=UTC), region_id=RegionId("east"), facts=facts)


def refused(event: Event) -> str:
    with pytest.raises(InvalidInput) as caught:
        check(event)
    assert caught.value.reason is Reason.INVALID_ARGUMENT
    return caught.value.details["field"]


@EVERY
def test_an_event_with_all_its_facts_passes(spec: EventSpec) -> None:
    event = whole(spec)
    check(event)
    assert Event.from_body(event.body()) == event


@EVERY
def test_only_what_is_required_may_not_be_missing(spec: EventSpec) -> None:
    event = whole(spec)
    for name, fact in spec.facts.items():
        without = {other: value for other, value in event.facts.items() if other != name}
        for facts in (without, without | {name: None}):
            if fact.required:
                assert refused(replace(event, facts=facts)) == f"facts.{name}"
            else:
                check(replace(event, facts=facts))


@EVERY
def test_a_value_of_a_wrong_kind_is_refused_by_name_and_not_shown(spec: EventSpec) -> None:
    event = whole(spec)
    for name, fact in spec.facts.items():
        wrong: Fact = "\x00secret" if fact.kind is not FactKind.FLAG else 7
        facts = {**event.facts, name: wrong}
        with pytest.raises(InvalidInput) as caught:
            check(replace(event, facts=facts))
        assert caught.value.details["field"] == f"facts.{name}"
        assert "secret" not in str(caught.value)


@EVERY
def test_a_fact_that_the_catalogue_does_not_know_is_refused(spec: EventSpec) -> None:
    event = whole(spec)
    assert refused(replace(event, facts={**event.facts, "phone": "13911112222"})) == "facts.phone"
    assert refused(replace(event, facts={**event.facts, "phone": None})) == "facts.phone"
    assert refused(replace(event, facts={**event.facts, "\n" * 9999: 1})) == "facts.?"


def test_a_customer_is_never_named_by_number() -> None:
    event = whole(CATALOGUE[EventType.CHECK_DECIDED])
    assert refused(replace(event, facts={**event.facts, "customer": "13911112222"})) == "facts.customer"


def test_a_moment_without_a_zone_and_a_region_that_is_none_are_refused() -> None:
    event = whole(CATALOGUE[EventType.LOGIN_SUCCEEDED])
    assert refused(replace(event, at=datetime(2026, 11, 22))) == "at"
    assert refused(replace(event, region_id=RegionId("East\n"))) == "region"
