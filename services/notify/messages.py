"""The life of one message to a phone as a table, and when it is tried again. What is not in the table is an error.

A value in, a value out: knows no gateway, no storage, no clock, and never what the message says.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from infosec.errors import FailedPrecondition, Reason


class DeliveryState(StrEnum):
    """Where a message stands; FAILED is given up, and can be retried while its body is there."""

    QUEUED = "QUEUED"
    ACCEPTED = "ACCEPTED"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class DeliveryEvent(StrEnum):
    """What can happen to a message."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    GIVEN_UP = "given-up"
    EXPIRED = "expired"
    RETRIED = "retried"


class Fault(StrEnum):
    """Why a message has not arrived, in words of ours; a gateway's own text goes nowhere."""

    NONE = ""
    GATEWAY_REFUSED = "GATEWAY_REFUSED"
    GATEWAY_UNREACHABLE = "GATEWAY_UNREACHABLE"
    BODY_EXPIRED = "BODY_EXPIRED"


_S, _E = DeliveryState, DeliveryEvent

TRANSITIONS: dict[tuple[DeliveryState, DeliveryEvent], DeliveryState] = {
    (_S.QUEUED, _E.ACCEPTED): _S.ACCEPTED,
    (_S.QUEUED, _E.DELIVERED): _S.DELIVERED,
    (_S.QUEUED, _E.UNREACHABLE): _S.QUEUED,
    (_S.QUEUED, _E.REFUSED): _S.FAILED,
    (_S.QUEUED, _E.GIVEN_UP): _S.FAILED,
    (_S.QUEUED, _E.EXPIRED): _S.EXPIRED,
    (_S.FAILED, _E.RETRIED): _S.QUEUED,
    (_S.FAILED, _E.EXPIRED): _S.EXPIRED,
    (_S.ACCEPTED, _E.DELIVERED): _S.DELIVERED,
    # What the gateway took it has, even where the answer came late and another attempt was settled meanwhile.
    (_S.ACCEPTED, _E.ACCEPTED): _S.ACCEPTED,
    (_S.DELIVERED, _E.ACCEPTED): _S.DELIVERED,
    (_S.DELIVERED, _E.DELIVERED): _S.DELIVERED,
    (_S.FAILED, _E.ACCEPTED): _S.ACCEPTED,
    (_S.FAILED, _E.DELIVERED): _S.DELIVERED,
    (_S.EXPIRED, _E.ACCEPTED): _S.ACCEPTED,
    (_S.EXPIRED, _E.DELIVERED): _S.DELIVERED,
}

KEEPS_BODY = frozenset({DeliveryState.QUEUED, DeliveryState.FAILED})
"""In every other state the body is destroyed in the same change that reaches the state."""

MAX_LIFE = timedelta(days=7)
"""No body is kept longer than this, whatever its maker asked for."""

_FAULTS = {
    DeliveryEvent.REFUSED: Fault.GATEWAY_REFUSED,
    DeliveryEvent.UNREACHABLE: Fault.GATEWAY_UNREACHABLE,
    DeliveryEvent.GIVEN_UP: Fault.GATEWAY_UNREACHABLE,
    DeliveryEvent.EXPIRED: Fault.BODY_EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon. The defaults try for about forty minutes, which outlasts RQ-4's half hour."""

    max_tries: int = 8
    first_wait: timedelta = timedelta(seconds=5)
    factor: int = 4
    longest_wait: timedelta = timedelta(minutes=10)

    def wait_after(self, tries: int) -> timedelta:
        """How long to wait after the `tries`-th try of a round (1 is the first)."""
        grown: int = self.factor ** min(tries - 1, 16)
        return min(self.longest_wait, self.first_wait * grown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message without its body."""

    message_id: uuid.UUID
    template: str
    masked_phone: str
    state: DeliveryState = DeliveryState.QUEUED
    fault: Fault = Fault.NONE
    attempts: int = 0
    """Of all rounds, each counted before it is made, so that one that kills its process counts too."""
    tries: int = 0
    """Of this round: since it came, or since somebody retried it."""
    created_at: datetime
    updated_at: datetime
    next_try_at: datetime
    expires_at: datetime

    @property
    def keeps_body(self) -> bool:
        return self.state in KEEPS_BODY


def after(delivery: Delivery, event: DeliveryEvent, *, now: datetime, policy: RetryPolicy) -> Delivery:
    """The message after `event`. The last unreachable try of a round gives it up.

    Raises FailedPrecondition(STATE_CONFLICT) for what is not in the table.
    """
    if event is DeliveryEvent.UNREACHABLE and delivery.tries >= policy.max_tries:
        event = DeliveryEvent.GIVEN_UP
    try:
        state = TRANSITIONS[delivery.state, event]
    except KeyError:
        raise FailedPrecondition(Reason.STATE_CONFLICT, state=delivery.state.value, event=event.value) from None
    retried = event is DeliveryEvent.RETRIED
    wait = policy.wait_after(delivery.tries) if event is DeliveryEvent.UNREACHABLE else timedelta(0)
    return replace(
        delivery,
        state=state,
        fault=_FAULTS.get(event, Fault.NONE),
        tries=0 if retried else delivery.tries,
        next_try_at=now + wait,
        updated_at=now,
    )


def seen_at(delivery: Delivery, now: datetime) -> Delivery:
    """The message as it is at `now`: past its end it is expired, whether or not the sweep has been there yet."""
    if delivery.keeps_body and now >= delivery.expires_at:
        return replace(delivery, state=DeliveryState.EXPIRED, fault=Fault.BODY_EXPIRED, updated_at=delivery.expires_at)
    return delivery


def retried(delivery: Delivery, *, now: datetime, policy: RetryPolicy) -> Delivery:
    """The message after somebody asked for another round; what is under way or has arrived stays as it is.

    Raises FailedPrecondition(STATE_CONFLICT) when the body is gone: a new message has to be asked for (ID-1).
    """
    present = seen_at(delivery, now)
    if present.state in (DeliveryState.FAILED, DeliveryState.EXPIRED):
        return after(present, DeliveryEvent.RETRIED, now=now, policy=policy)
    return present


def settled(present: Delivery, event: DeliveryEvent, *, attempt: int, now: datetime, policy: RetryPolicy) -> Delivery:
    """The message after its `attempt`-th attempt ended in `event`.

    Good news counts whenever it comes. Bad news of an attempt that has lost its lease to a later one changes nothing.
    """
    if event in (DeliveryEvent.ACCEPTED, DeliveryEvent.DELIVERED):
        return after(present, event, now=now, policy=policy)
    if present.state is not DeliveryState.QUEUED or present.attempts != attempt:
        return present
    return after(present, event, now=now, policy=policy)
