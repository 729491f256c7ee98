"""The one catalogue of audit events, and the check that every event passes before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from infosec import ids
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Event
from infosec.events.kinds import JUDGES, SEALED_KINDS, FactKind, Judge
from infosec.events.of_access import ACCESS, STORES
from infosec.events.of_audit import AUDIT
from infosec.events.of_people import LOGINS, STAFF
from infosec.events.of_requests import INSTALLATION, REQUESTS
from infosec.events.spec import EventSpec, FactSpec
from infosec.events.types import EventType

__all__ = ["CATALOGUE", "SEALED_KINDS", "EventSpec", "FactKind", "FactSpec", "check"]

CATALOGUE: Mapping[EventType, EventSpec] = MappingProxyType(
    {spec.type: spec for specs in (LOGINS, STAFF, REQUESTS, INSTALLATION, ACCESS, AUDIT, STORES) for spec in specs}
)

_Rules = tuple[dict[str, Judge], tuple[str, ...]]


def _rules(spec: EventSpec) -> _Rules:
    """What is looked up for every event: the judge of each fact, and what may not be missing."""
    judges = {name: JUDGES[fact.kind] for name, fact in spec.facts.items()}
    return judges, tuple(name for name, fact in spec.facts.items() if fact.required)


_RULES: dict[EventType, _Rules] = {type: _rules(spec) for type, spec in CATALOGUE.items()}
_is_region = JUDGES[FactKind.REGION]


def check(event: Event) -> None:
    """Raises InvalidInput for a fact that is unknown, missing or of a wrong kind. What it holds is never in the error."""
    judges, required = _RULES[event.type]
    facts = event.facts
    for name, value in facts.items():
        judge = judges.get(name)
        if judge is None:
            _refuse(event, name, "not in the catalogue")
        if value is not None and not judge(value):
            _refuse(event, name, f"not a {CATALOGUE[event.type].facts[name].kind.value}")
    for name in required:
        if facts.get(name) is None:
            _refuse(event, name, "required")
    if event.at.tzinfo is None:
        _wrong("at", "an aware moment")
    if not _is_region(event.region_id):
        _wrong("region", "a region")


def _refuse(event: Event, name: str, detail: str) -> NoReturn:
    # An unknown name is the caller's text: bounded, and shown only where it is a name.
    shown = name if ids.NODE_ID.fullmatch(name) else "?"
    _wrong(f"facts.{shown}", f"{event.type.value}: {detail}")


def _wrong(field: str, detail: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_ARGUMENT, field=field, detail=detail)
