"""One audit event and its one spelling as bytes. Each is committed with the change that it records (outbox)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

import orjson

from infosec import canonical
from infosec.errors import InvalidInput, Reason
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId, time_ordered

Fact = str | int | bool | None

_NONE = uuid.UUID(int=0)
_MEMBERS = {"type", "at", "region", "id", "facts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. Facts are public: IDs, codes, reasons; no password, code, phone or customer's number."""

    type: EventType
    at: datetime
    """Aware."""
    region_id: RegionId = CARRIER
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """A fact that is None is one that is not there."""
    event_id: uuid.UUID = _NONE
    """Where none is given, a fresh one that sorts by `at`."""

    def __post_init__(self) -> None:
        if self.event_id is _NONE:
            object.__setattr__(self, "event_id", time_ordered(self.at))

    def body(self) -> bytes:
        """Canonical bytes (RFC 8785), the same on every machine. The event has passed the catalogue."""
        return canonical.encode_checked(
            {
                "type": self.type.value,
                "at": _spelled(self.at),
                "region": self.region_id,
                "id": str(self.event_id),
                "facts": {name: value for name, value in self.facts.items() if value is not None},
            }
        )

    @classmethod
    def from_body(cls, body: bytes) -> Event:
        """The event that `body()` wrote. Raises InvalidInput for what is not the JSON of one.

        Another spelling of the same JSON is taken: the bytes that count are made again where the event is recorded.
        """
        try:
            members = orjson.loads(body)
        except orjson.JSONDecodeError:
            _refuse("event", "JSON")
        if not isinstance(members, dict) or members.keys() != _MEMBERS:
            _refuse("event", f"the members {', '.join(sorted(_MEMBERS))} and no other")
        facts = members["facts"]
        if not isinstance(facts, dict):
            _refuse("facts", "an object")
        for name, value in facts.items():
            if not isinstance(value, str | int):
                _refuse(f"facts.{name}", "text, an integer or a flag")
        return cls(
            type=_type(_text(members["type"], "type")),
            at=_moment(_text(members["at"], "at")),
            region_id=RegionId(_text(members["region"], "region")),
            facts=facts,
            event_id=_uuid(_text(members["id"], "id")),
        )


def _spelled(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _text(value: object, field: str) -> str:
    return value if isinstance(value, str) else _refuse(field, "text")


def _type(text: str) -> EventType:
    try:
        return EventType(text)
    except ValueError:
        _refuse("type", "not in the catalogue")


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        is_ours = at.tzinfo is not None and _spelled(at) == text
    except (ValueError, OverflowError):  # a moment of the year 1 in China is none in UTC
        _refuse("at", "a moment")
    return at if is_ours else _refuse("at", "UTC, to the microsecond")


def _uuid(text: str) -> uuid.UUID:
    try:
        found = uuid.UUID(text)
    except ValueError:
        _refuse("id", "a UUID")
    return found if str(found) == text else _refuse("id", "a UUID in its canonical spelling")


def _refuse(field: str, detail: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)
