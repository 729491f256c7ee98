"""What one type of event carries, how long it is kept, and who may record it. Knows no particular type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from infosec.events.facts import FACTS
from infosec.events.kinds import SEALED_KINDS, FactKind
from infosec.events.types import EventType
from infosec.messages import Text

SHORTEST_TERM = timedelta(days=184)
"""Six months: less than the law keeps network logs for (网络安全法 21) is no retention."""
EVIDENCE_TERM = timedelta(days=3 * 366)
"""Three years, as records of the handling of personal data are kept (个人信息保护法 56). Logins and sessions too: a record of
an access proves little about a person without the login behind it; and the powers by which it was allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSpec:
    """One fact of an event."""

    kind: FactKind
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """One type of event. A new version may only add facts that are not required: the log keeps old ones."""

    type: EventType
    version: int
    facts: Mapping[str, FactSpec]
    summary: Text
    recordable_by_systems: bool
    """Whether a store system may tell it; everything else is told by this suite alone."""
    term: timedelta
    """How long it is kept at least."""

    @property
    def touches_customer(self) -> bool:
        """Whether it can name a customer."""
        return any(fact.kind is FactKind.CUSTOMER for fact in self.facts.values())

    @property
    def sealed(self) -> frozenset[str]:
        """The facts that are sealed under the subject's key when the event names a customer (CI-8)."""
        if not self.touches_customer:
            return frozenset()
        return frozenset(name for name, fact in self.facts.items() if fact.kind in SEALED_KINDS)


def spec(
    type: EventType,
    zh: str,
    en: str,
    *,
    required: str = "",
    optional: str = "",
    version: int = 1,
    recordable_by_systems: bool = False,
    term: timedelta = EVIDENCE_TERM,
) -> EventSpec:
    """A spec from the names of its facts, with spaces between them."""
    named = {name: True for name in required.split()} | {name: False for name in optional.split()}
    return EventSpec(
        type=type,
        version=version,
        facts={name: FactSpec(kind=FACTS[name].kind, required=needed) for name, needed in named.items()},
        summary=Text(zh, en),
        recordable_by_systems=recordable_by_systems,
        term=term,
    )
