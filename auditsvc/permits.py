"""Who may record what: services of this installation everything, store systems what the catalogue opens to them (CI-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infosec.certificates import CallerKind
from infosec.check_events import ALLOWED, DENIED
from infosec.decision.check import Mode
from infosec.decision.operations import CATALOGUE as OPERATIONS
from infosec.decision.operations import OperationClass
from infosec.errors import InvalidInput, PermissionDenied, Reason
from infosec.events.catalogue import CATALOGUE
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import OperationCode

_CENTRES_OWN = ("withdraws",)
"""What only the centre can say of a check: it alone answers after the record."""
_DERIVED = 5
"""The version of IDs that the suite derives from public ones: whoever used one first would keep our event out of the log."""
_CLASSES = frozenset(cls.value for cls in OperationClass)
_GUARDS_CLASSES = _CLASSES - {OperationClass.READ.value}
"""What a Guard may allow by itself."""
_FLOOD = ("count", "first", "last")


def permitted(event: Event, *, kind: CallerKind, name: str, customer_digest: str | None) -> Event:
    """The event as this caller may record it.

    A system speaks for itself: `system_id` is the name in its certificate. It names a customer by number, of which we make
    the digest; a digest of its own making would name nobody. Raises PermissionDenied(NOT_PERMITTED), InvalidInput.
    """
    if kind is CallerKind.SERVICE and customer_digest is None:
        return event
    facts = dict(event.facts)
    if kind is CallerKind.SYSTEM:
        spec = CATALOGUE[event.type]
        if not spec.recordable_by_systems:
            raise PermissionDenied(Reason.NOT_PERMITTED, type=event.type.value)
        if event.event_id.version == _DERIVED:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="event_id", detail="not a system's: version 5")
        if facts.get("system_id", name) != name:
            raise _not_permitted(event.type, "system_id")
        if "customer" in facts:
            raise _not_permitted(event.type, "customer")
        facts["system_id"] = name
        if event.type is EventType.CHECK_DECIDED:
            _check_guards_own(facts)
    if customer_digest is not None:
        if "customer" in facts:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="customer", detail="named twice")
        facts["customer"] = customer_digest
    return replace(event, facts=facts)


def _check_guards_own(facts: Mapping[str, Fact]) -> None:
    """Of checks a system tells what its Guard decided: any denial, and what it may allow by itself, each for itself.

    A `read` is allowed by the centre alone, once the centre recorded it (CI-1): what a Guard allowed says its class. Which
    class a code of this installation's own has is not known here; the codes of the rule book keep theirs for good, and are
    told with no other. Raises PermissionDenied(NOT_PERMITTED), naming the fact.
    """
    decision, cls = facts.get("decision"), facts.get("operation_class")
    operation = OPERATIONS.get(OperationCode(str(facts.get("operation"))))
    if facts.get("mode") != Mode.GUARD:
        raise _not_permitted(EventType.CHECK_DECIDED, "mode")
    if decision not in (ALLOWED, DENIED):
        raise _not_permitted(EventType.CHECK_DECIDED, "decision")
    for fact in (*_CENTRES_OWN, *(_FLOOD if decision == ALLOWED else ())):
        if facts.get(fact) is not None:
            raise _not_permitted(EventType.CHECK_DECIDED, fact)
    if decision == ALLOWED and cls not in _GUARDS_CLASSES:
        raise _not_permitted(EventType.CHECK_DECIDED, "operation_class")
    if cls is not None and (cls not in _CLASSES or (operation is not None and cls != operation.cls)):
        raise _not_permitted(EventType.CHECK_DECIDED, "operation_class")


def _not_permitted(kind: EventType, fact: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.NOT_PERMITTED, type=kind.value, field=f"facts.{fact}", detail="not for a system to say"
    )
