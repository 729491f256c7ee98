"""Audit events and receipts on the wire."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from infosec import canonical
from infosec.api.audit.v1 import record_pb2 as pb
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import RegionId

_TYPES = {kind.value: kind for kind in EventType}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = 253_402_300_799
_PLAIN = frozenset({str, int, bool})


def event_to_wire(event: Event, *, customer: str = "") -> pb.Event:
    """`customer` is a customer's number, from systems that know no digest of it. Raises InvalidInput for a naive moment."""
    if event.at.tzinfo is None:
        raise _invalid("occurred_at", "an aware moment")
    wire = pb.Event(event_id=str(event.event_id), type=event.type.value, region_id=event.region_id, customer=customer)
    since = event.at - _EPOCH
    wire.occurred_at.seconds = since.days * 86_400 + since.seconds
    wire.occurred_at.nanos = since.microseconds * 1000
    wire.facts = canonical.encode_checked({name: value for name, value in event.facts.items() if value is not None})
    return wire


def event_from_wire(wire: pb.Event) -> Event:
    """The event, not yet checked against the catalogue. Raises InvalidInput."""
    kind = _TYPES.get(wire.type)
    if kind is None:
        raise _invalid("type", "not in the catalogue")
    return Event(
        type=kind,
        at=_moment(wire),
        region_id=RegionId(wire.region_id),
        facts=_facts(wire.facts),
        event_id=_uuid(wire.event_id),
    )


def _facts(data: bytes) -> dict[str, Fact]:
    try:
        facts = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _invalid("facts", "JSON") from None
    if not isinstance(facts, dict) or not _PLAIN.issuperset(map(type, facts.values())):
        raise _invalid("facts", "an object of text, integers and flags")
    return facts


def _moment(wire: pb.Event) -> datetime:
    at = wire.occurred_at
    seconds, nanos = at.seconds, at.nanos
    if not (0 <= seconds <= _LATEST_S and 0 <= nanos < 10**9):
        raise _invalid("occurred_at", "a moment since 1970")
    return _EPOCH + timedelta(0, seconds, nanos // 1000)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _invalid("event_id", "a UUID") from None


def _invalid(field: str, detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)


def events_to_wire(
    events: Sequence[Event], *, customers: Mapping[uuid.UUID, str] | None = None
) -> pb.RecordBatchRequest:
    """One request for all of them; `customers` as in event_to_wire, by event ID."""
    numbers = customers or {}
    return pb.RecordBatchRequest(
        events=[event_to_wire(event, customer=numbers.get(event.event_id, "")) for event in events]
    )
