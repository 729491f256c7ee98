"""What a review needs of one entry, read from its canonical bytes. Knows no storage, and no customer: only random subjects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from infosec.decision.operations import CATALOGUE, OperationClass
from infosec.decision.roles import ROLES, PlaceScope
from infosec.events.types import EventType

ALLOWED = "ALLOWED"
DENIED = "DENIED"
_CHECK = EventType.CHECK_DECIDED.value
_CLASSES = {cls.value: cls for cls in OperationClass}
_BY_CODE: Mapping[str, OperationClass] = {code: operation.cls for code, operation in CATALOGUE.items()}


class Seen(NamedTuple):
    """One entry. A fact that it does not have is empty."""

    position: int
    """Its index in the log."""
    event_id: str
    type: str
    at: datetime
    """When it happened, by the clock of whoever recorded it."""
    recorded: datetime
    """When it was recorded, by the audit service's clock; never goes back within a log."""
    staff: str
    role: str
    store: str
    terminal: str
    operation: str
    subject: str
    decision: str
    reason: str
    purpose: str
    withdraws: str
    """The event that this one takes back: no data was released."""
    by: str
    """Who recorded it: `service/...`, or `system/...` for what a store system tells."""
    code: str
    """Which one-time code, never the code."""
    times: int
    """How many such events it stands for (CI-1: a flood is one entry)."""
    told_class: str = ""
    """The operation's class, where the entry says it."""

    @property
    def is_allowed(self) -> bool:
        """A check that was answered with yes; whether it was withdrawn stands in another entry."""
        return self.type == _CHECK and self.decision == ALLOWED

    @property
    def cls(self) -> OperationClass:
        """The operation's class: as it was decided, for codes of an installation's own too; of older entries by the
        handbook's catalogue. What neither says counts as `read`: one look too many is no harm.
        """
        known = _CLASSES.get(self.told_class)
        return known if known is not None else _BY_CODE.get(self.operation, OperationClass.READ)

    @property
    def shows_data(self) -> bool:
        """Whether it is about a look at customer data (section G), allowed or denied."""
        return self.cls is OperationClass.READ

    @property
    def is_read(self) -> bool:
        """A look at customer data that was allowed."""
        return self.is_allowed and self.shows_data


def seen(position: int, body: bytes) -> Seen:
    """The entry whose canonical bytes these are. Raises ValueError for what is no entry."""
    return seen_in(position, orjson.loads(body))


def seen_in(position: int, fields: Any) -> Seen:
    """The same of an entry that was parsed already. Raises ValueError."""
    try:
        text = fields["facts"].get
        return Seen(
            position,
            fields["id"],
            fields["type"],
            datetime.fromisoformat(fields["at"]),
            datetime.fromisoformat(fields["recorded"]),
            text("staff_id", ""),
            text("role_id", ""),
            text("store_id", ""),
            text("terminal_id", ""),
            text("operation", ""),
            fields.get("subject", ""),
            text("decision", ""),
            text("reason", ""),
            text("purpose", ""),
            text("withdraws", ""),
            fields["by"],
            text("code_id", ""),
            max(1, text("count", 1)),
            text("operation_class", ""),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("not an entry") from None


FRONT_LINE = ("clerk", "vip-clerk", "concierge", "demo-specialist", "receptionist")
"""The front-line roles of the rule book: the clerks of CI-6. Managers supervise them, and are looked at by CI-7."""

PLACED = frozenset(role_id for role_id, role in ROLES.items() if role.place is PlaceScope.OWN_STORE)
"""Roles that work in one store; the others may well be in two within minutes, or in none (telephone)."""
