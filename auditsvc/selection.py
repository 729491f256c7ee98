"""Which entries somebody asks for: one validated value, and what of it may stand in the record.

Knows no storage and no wire. The customer is a keyed digest here; the number stays at the edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from auditsvc.entry import moment
from infosec import canonical
from infosec.errors import InvalidInput, Reason
from infosec.events.kinds import as_text
from infosec.events.types import EventType
from infosec.ids import OperationCode, RegionId, StaffId, StoreId

DECISIONS = ("ALLOWED", "DENIED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is empty or None lets everything through; several values of one field are alternatives.

    Raises InvalidInput for a period that ends before it begins, and for a decision that there is not.
    """

    since: datetime | None = None
    """Recorded at or after."""
    until: datetime | None = None
    """Recorded before."""
    log_ids: tuple[RegionId, ...] = ()
    types: tuple[EventType, ...] = ()
    store_ids: tuple[StoreId, ...] = ()
    staff_ids: tuple[StaffId, ...] = ()
    operations: tuple[OperationCode, ...] = ()
    only_reads: bool = False
    """Checks of the class `read` alone."""
    decision: str | None = None
    customer: tuple[bytes, ...] | None = None
    """The digests of the customer's number under every key; one customer may be several subjects."""

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="filter.until", detail="before filter.since")
        if self.decision is not None and self.decision not in DECISIONS:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="filter.decision", detail=" or ".join(DECISIONS))

    @property
    def takes_all(self) -> bool:
        """Whether every entry of a log and period is wanted, so that one range proves it complete."""
        chosen = self.types, self.store_ids, self.staff_ids, self.operations, self.only_reads, self.decision
        return not any(chosen) and self.customer is None

    def names_log(self, log_id: RegionId) -> bool:
        """Whether this log is to be looked at."""
        return not self.log_ids or log_id in self.log_ids

    def summary(self) -> str | None:
        """In words, on one line, for the record: of a customer only that there was one. None for everything."""
        period = {"since": self.since, "until": self.until}
        parts = [f"{name}={moment(at)}" for name, at in period.items() if at is not None]
        if self.decision is not None:
            parts.append(f"decision={self.decision}")
        if self.customer is not None:
            parts.append("customer=named")
        if self.only_reads:
            parts.append("class=READ")
        # Lists last: what is too long for the record is cut at its end, visibly.
        parts += [f"{name}={','.join(values)}" for name, values in self._lists() if values]
        return as_text(" ".join(parts))

    def identity(self) -> bytes:
        """The same for the same selection, and for no other: what page tokens are bound to."""
        return canonical.encode(
            {
                "since": moment(self.since) if self.since else None,
                "until": moment(self.until) if self.until else None,
                "decision": self.decision,
                "only_reads": self.only_reads,
                "customer": None if self.customer is None else [digest.hex() for digest in self.customer],
                **dict(self._lists()),
            }
        )

    def _lists(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        return (
            ("logs", self.log_ids),
            ("types", tuple(kind.value for kind in self.types)),
            ("stores", self.store_ids),
            ("staff", self.staff_ids),
            ("operations", self.operations),
        )
