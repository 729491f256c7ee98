"""Who may record what: services of this installation everything, store systems what the catalogue opens to them (CI-1)."""

from __future__ import annotations

from dataclasses import replace

from infosec.certificates import CallerKind
from infosec.errors import InvalidInput, PermissionDenied, Reason
from infosec.events.catalogue import CATALOGUE
from infosec.events.event import Event


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
        if facts.get("system_id", name) != name or "customer" in facts:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="facts", detail="not a system's to say")
        if "system_id" in spec.facts:
            facts["system_id"] = name
    if customer_digest is not None:
        if "customer" in facts:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="customer", detail="named twice")
        facts["customer"] = customer_digest
    return replace(event, facts=facts)
