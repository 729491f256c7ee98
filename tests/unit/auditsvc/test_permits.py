"""Who may record what: how a customer is named, and what a system adds of itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from auditsvc.permits import permitted
from infosec.certificates import CallerKind
from infosec.errors import InvalidInput
from infosec.events.catalogue import CATALOGUE
from infosec.events.event import Event, Fact
from infosec.events.types import EventType

DIGEST = "0a" * 32


def event(**facts: Fact) -> Event:
    return Event(type=EventType.CHECK_DECIDED, at=datetime(2026, 11, 22, 8, tzinfo=UTC), facts=facts)


@pytest.mark.rule("CI-8")
def test_a_service_that_names_a_customer_by_number_has_the_digest_made_here() -> None:
    made = permitted(event(staff_id="clerk.li"), kind=CallerKind.SERVICE, name="suite", customer_digest=DIGEST)
    assert made.facts == {"staff_id": "clerk.li", "customer": DIGEST}


@pytest.mark.rule("CI-1")
def test_whatever_a_system_may_record_says_which_system() -> None:
    assert all("system_id" in spec.facts for spec in CATALOGUE.values() if spec.recordable_by_systems)


@pytest.mark.rule("CI-8")
def test_a_customer_is_not_named_twice() -> None:
    with pytest.raises(InvalidInput) as refused:
        permitted(event(customer=DIGEST), kind=CallerKind.SERVICE, name="suite", customer_digest=DIGEST)
    assert refused.value.details["field"] == "customer"
    assert DIGEST not in str(refused.value)
