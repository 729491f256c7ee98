"""Retention as rules: how long each type of event is kept, and which beginning of a log may go altogether.

Invariants: nothing goes before 184 days; what a hold keeps stays; a log begins at a whole tile. Knows no storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from auditsvc.tiles import WIDTH
from infosec.errors import Misconfigured, Reason
from infosec.events.catalogue import CATALOGUE
from infosec.events.spec import SHORTEST_TERM
from infosec.events.types import EventType

Terms = Mapping[EventType, timedelta]
"""How long an event of each type is kept."""


def terms(days: Mapping[str, int] | None = None) -> Terms:
    """The catalogue's terms, with those of `days` (type -> days, `[audit] terms`) in their place.

    Raises Misconfigured for a type that there is not, and for less than 184 days.
    """
    found = {type: max(spec.term, SHORTEST_TERM) for type, spec in CATALOGUE.items()}
    for name, count in (days or {}).items():
        if name not in {type.value for type in CATALOGUE}:
            raise _refused(name, "no such type of event", "docs/events.md lists them")
        if count < SHORTEST_TERM.days:
            raise _refused(name, f"at least {SHORTEST_TERM.days} days", "the law keeps network logs for six months")
        found[EventType(name)] = timedelta(days=count)
    return found


def cutoffs(terms: Terms, now: datetime) -> dict[EventType, datetime]:
    """Of each type the moment before which an entry is past its term."""
    return {type: now - term for type, term in terms.items()}


def first_index(*, begins_at: int, first_kept: int) -> int:
    """Where a log begins once all before `first_kept` is gone: at a whole tile, and never further back than now."""
    return max(begins_at, first_kept - first_kept % WIDTH)


def _refused(name: str, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, key=f"audit.terms.{name}", detail=detail, hint=hint)
