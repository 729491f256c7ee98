"""An entry: the canonical bytes of one event as it stands in its log (design, section 7), and its reading back.

The same event gives the same bytes on every machine: the stamps (who recorded it, when) come in, and values about a
customer are sealed deterministically. Knows no storage and no wire.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, cast

from auditsvc.subjects import Subject
from infosec import canonical
from infosec.errors import InvalidInput, Reason
from infosec.events.catalogue import CATALOGUE, SEALED_KINDS
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import RegionId

CUSTOMER = "customer"
"""The fact that names a customer, as the hex of a keyed digest; in an entry the subject stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry, read. `sealed` are values that only the subject's data key opens."""

    event_id: uuid.UUID
    type: EventType
    version: int
    log_id: RegionId
    occurred_at: datetime
    recorded_at: datetime
    recorded_by: str
    facts: Mapping[str, Fact]
    subject_id: uuid.UUID | None
    sealed: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """A fact that is text, if it is there."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else None


_Form = tuple[str, int, tuple[str, ...]]
_FORMS: dict[EventType, _Form] = {
    spec.type: (
        spec.type.value,
        spec.version,
        tuple(name for name, fact in spec.facts.items() if fact.kind in SEALED_KINDS),
    )
    for spec in CATALOGUE.values()
}
"""What is looked up for every entry: the type's name and version, and which facts are sealed."""


class Draft(NamedTuple):
    """An entry but for the moment when it is recorded, which is known last: while others wait for the log."""

    before: bytes
    after: bytes

    def body(self, recorded_at: bytes) -> bytes:
        """The canonical bytes; `recorded_at` is `moment(...)` in ASCII."""
        return b'%b,"recorded":"%b",%b' % (self.before, recorded_at, self.after)


def draft(event: Event, *, subject: Subject | None, recorded_by: str) -> Draft:
    """The event was checked against the catalogue. `subject` stands for its customer, and is there if and only if it names one."""
    kind, version, sealable = _FORMS[event.type]
    facts = {name: value for name, value in event.facts.items() if value is not None}
    after: dict[str, object] = {"type": kind, "v": version}
    if subject is not None:
        del facts[CUSTOMER]
        sealed = {name: subject.seal(event.event_id, name, str(facts.pop(name))) for name in sealable if name in facts}
        after["subject"] = subject.id_text
        if sealed:
            after["sealed"] = sealed
    at = event.at
    before = {
        "at": at if at.microsecond and at.tzinfo is UTC else moment(at),
        "by": recorded_by,
        "facts": facts,
        "id": event.event_id,
        "log": event.region_id,
    }
    # The names of the first sort before "recorded", and those of the second after it.
    return Draft(canonical.encode_checked(before)[:-1], canonical.encode_checked(after)[1:])


def parse(data: bytes) -> Entry:
    """The entry whose canonical bytes these are. Raises InvalidInput for anything else."""
    fields = canonical.decode_strict(data)
    try:
        return _entry(cast("dict[str, canonical.Json]", fields))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="entry", detail="not an entry") from None


def _entry(fields: dict[str, canonical.Json]) -> Entry:
    unknown = set(fields) - {"at", "by", "facts", "id", "log", "recorded", "type", "v", "subject", "sealed"}
    if unknown:
        raise ValueError("names that no entry has")
    subject = fields.get("subject")
    return Entry(
        event_id=uuid.UUID(cast(str, fields["id"])),
        type=EventType(cast(str, fields["type"])),
        version=cast(int, fields["v"]),
        log_id=RegionId(cast(str, fields["log"])),
        occurred_at=datetime.fromisoformat(cast(str, fields["at"])),
        recorded_at=datetime.fromisoformat(cast(str, fields["recorded"])),
        recorded_by=cast(str, fields["by"]),
        facts=dict(cast("Mapping[str, Fact]", fields["facts"])),
        subject_id=uuid.UUID(cast(str, subject)) if subject is not None else None,
        sealed=dict(cast("Mapping[str, str]", fields.get("sealed", {}))),
    )


def moment(at: datetime) -> str:
    """A moment's one spelling in entries: UTC, microseconds, `2026-11-22T01:02:03.000004Z`."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def same_event(first: Entry, second: Entry) -> bool:
    """Whether two entries are of one event, recorded by the same recorder at whatever times.

    The customer may have been erased between the two: another subject is not another event, and what was sealed for
    the one cannot be compared with what is for the other.
    """
    if first.subject_id and second.subject_id and first.subject_id != second.subject_id:
        first, second = replace(first, subject_id=None, sealed={}), replace(second, subject_id=None, sealed={})
    return replace(first, recorded_at=second.recorded_at) == second
