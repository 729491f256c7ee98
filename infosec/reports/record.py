"""An entry of the log as the builders of reports read it: from its canonical bytes, with bare facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from infosec.review.seen import Seen, seen_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry."""

    log: str
    index: int
    seen: Seen
    facts: Mapping[str, str | int | bool]
    subject: str

    @property
    def type(self) -> str:
        return self.seen.type

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.seen.at

    def text(self, *names: str) -> str:
        """The first of these facts that is there, as text."""
        return next((str(self.facts[name]) for name in names if name in self.facts), "")


def record(log: str, index: int, body: bytes) -> Record | None:
    """The entry; None for one whose payload is gone by retention. Raises ValueError for what is no entry."""
    if not body:
        return None
    fields = json.loads(body)
    found = seen_in(index, fields)
    return Record(log=log, index=index, seen=found, facts=fields["facts"], subject=fields.get("subject", ""))
