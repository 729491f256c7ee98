"""The life of a message: what may follow what, when it is tried again, and when its body has to go."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infosec.errors import FailedPrecondition, Reason
from services.notify.messages import (
    KEEPS_BODY,
    TRANSITIONS,
    Delivery,
    DeliveryEvent,
    DeliveryState,
    Fault,
    RetryPolicy,
    after,
    retried,
    seen_at,
    settled,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = RetryPolicy()


def a_delivery(**changes: object) -> Delivery:
    fresh = Delivery(
        message_id=uuid.UUID(int=1),
        template="LOCKED",
        masked_phone="138****5678",
        created_at=NOW,
        updated_at=NOW,
        next_try_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )
    return replace(fresh, **changes)  # type: ignore[arg-type]


@given(st.sampled_from(DeliveryState), st.sampled_from(DeliveryEvent))
def test_what_is_not_in_the_table_is_an_error(state: DeliveryState, event: DeliveryEvent) -> None:
    delivery = a_delivery(state=state)
    if (state, event) in TRANSITIONS:
        assert after(delivery, event, now=NOW, policy=POLICY).state is TRANSITIONS[state, event]
    else:
        with pytest.raises(FailedPrecondition) as refused:
            after(delivery, event, now=NOW, policy=POLICY)
        assert refused.value.reason is Reason.STATE_CONFLICT


@pytest.mark.rule("ID-7")
def test_no_body_comes_back_once_it_was_destroyed() -> None:
    reached = {(state, TRANSITIONS[state, event]) for state, event in TRANSITIONS}
    assert all(before in KEEPS_BODY for before, later in reached if later in KEEPS_BODY)


def test_waits_grow_and_are_bounded() -> None:
    waits = [POLICY.wait_after(tries) for tries in range(1, 40)]
    assert waits[0] == timedelta(seconds=5)
    assert all(a <= b for a, b in pairwise(waits))
    assert waits[-1] == POLICY.longest_wait


@pytest.mark.rule("RQ-4")
def test_trying_lasts_longer_than_an_approval_may_wait_to_be_carried_out() -> None:
    total = sum((POLICY.wait_after(tries) for tries in range(1, POLICY.max_tries)), timedelta(0))
    assert total > timedelta(minutes=30)


def test_an_unreachable_gateway_leaves_it_queued_until_the_last_try_gives_it_up() -> None:
    first = after(a_delivery(attempts=1, tries=1), DeliveryEvent.UNREACHABLE, now=NOW, policy=POLICY)
    last = after(a_delivery(attempts=8, tries=8), DeliveryEvent.UNREACHABLE, now=NOW, policy=POLICY)
    assert (first.state, first.next_try_at) == (DeliveryState.QUEUED, NOW + timedelta(seconds=5))
    assert (last.state, last.fault) == (DeliveryState.FAILED, Fault.GATEWAY_UNREACHABLE)


def test_a_message_past_its_end_is_expired_before_the_sweep_has_been_there() -> None:
    queued = a_delivery()
    assert seen_at(queued, queued.expires_at - timedelta(microseconds=1)) is queued
    assert seen_at(queued, queued.expires_at).state is DeliveryState.EXPIRED


def test_what_was_delivered_does_not_expire() -> None:
    delivered = a_delivery(state=DeliveryState.DELIVERED)
    assert seen_at(delivered, NOW + timedelta(days=30)) is delivered


@pytest.mark.rule("ID-1")
def test_a_retry_begins_a_new_round_while_the_body_is_there() -> None:
    failed = a_delivery(state=DeliveryState.FAILED, fault=Fault.GATEWAY_REFUSED, attempts=8, tries=8)
    again = retried(failed, now=NOW, policy=POLICY)
    assert (again.state, again.tries, again.attempts, again.fault) == (DeliveryState.QUEUED, 0, 8, Fault.NONE)


@pytest.mark.rule("ID-1")
def test_a_retry_after_the_end_is_refused() -> None:
    failed = a_delivery(state=DeliveryState.FAILED)
    with pytest.raises(FailedPrecondition):
        retried(failed, now=failed.expires_at, policy=POLICY)


@pytest.mark.parametrize("state", [DeliveryState.QUEUED, DeliveryState.ACCEPTED, DeliveryState.DELIVERED])
def test_a_retry_of_what_is_under_way_or_has_arrived_changes_nothing(state: DeliveryState) -> None:
    present = a_delivery(state=state)
    assert retried(present, now=NOW, policy=POLICY) is present


def test_bad_news_of_an_attempt_that_lost_its_lease_changes_nothing() -> None:
    second_try = a_delivery(attempts=2, tries=2)
    assert settled(second_try, DeliveryEvent.REFUSED, attempt=1, now=NOW, policy=POLICY) is second_try


@pytest.mark.parametrize("state", list(DeliveryState))
def test_good_news_counts_whenever_it_comes(state: DeliveryState) -> None:
    late = settled(a_delivery(state=state, attempts=3), DeliveryEvent.DELIVERED, attempt=1, now=NOW, policy=POLICY)
    assert late.state is DeliveryState.DELIVERED
