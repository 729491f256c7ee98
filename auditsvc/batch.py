"""Events on their way into a log: made ready one by one before the log is locked, and put in their places while it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from auditsvc import entry
from auditsvc.entry import Draft
from auditsvc.store import log
from auditsvc.subjects import Subject
from infosec.errors import AlreadyExists, InfosecError, Reason
from infosec.events.event import Event
from infosec.ids import RegionId
from infosec.transparency.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an event stands, for good."""

    log_id: RegionId
    index: int
    leaf_hash: bytes


class Submission(NamedTuple):
    """An event that passed the catalogue, and who records it."""

    event: Event
    recorded_by: str

    @property
    def customer(self) -> str | None:
        """The hex of the digest of the customer that it names."""
        customer = self.event.facts.get(entry.CUSTOMER)
        return None if customer is None else str(customer)


Outcome = Receipt | InfosecError


class Prepared(NamedTuple):
    """A submission as far as it can be an entry before its log is locked."""

    submission: Submission
    subject: Subject | None
    draft: Draft

    @classmethod
    def of(cls, one: Submission, subjects: Mapping[str, Subject]) -> Prepared:
        """`subjects` by customer."""
        customer = one.customer
        subject = None if customer is None else subjects[customer]
        return cls(one, subject, entry.draft(one.event, subject=subject, recorded_by=one.recorded_by))

    @property
    def event_id(self) -> uuid.UUID:
        return self.submission.event.event_id


class Batch:
    """The entries of one transaction, as they are made one after the other."""

    def __init__(self, log_id: RegionId, size: int, recorded_at: datetime) -> None:
        """`size` of the log before it."""
        self.rows: list[log.Row] = []
        self.leaf_hashes: list[bytes] = []
        self._log_id = log_id
        self._size = size
        self._recorded_at = entry.moment(recorded_at).encode()

    def judged(self, several: Sequence[Prepared], known: dict[uuid.UUID, log.Known] | None) -> list[Outcome]:
        """What becomes of each. `known`: those on record already, None where the caller sees no repetition among these."""
        if known is None:
            return [self._added(one) for one in several]
        outcomes: list[Outcome] = []
        for one in several:
            before = known.get(one.event_id)
            if before is not None:
                outcomes.append(_again(one, before))
                continue
            receipt = self._added(one)
            outcomes.append(receipt)
            known[one.event_id] = log.Known(self._log_id, receipt.index, self.rows[-1].body)
        return outcomes

    def _added(self, one: Prepared) -> Receipt:
        event, subject = one.submission.event, one.subject
        facts = event.facts
        body = one.draft.body(self._recorded_at)
        value = leaf_hash(body)
        index = self._size + len(self.rows)
        self.rows.append(
            log.Row(
                index,
                event.event_id,
                event.type.value,
                facts.get("store_id"),  # type: ignore[arg-type]  # the catalogue has checked that these are text
                facts.get("staff_id"),  # type: ignore[arg-type]
                facts.get("operation"),  # type: ignore[arg-type]
                facts.get("decision"),  # type: ignore[arg-type]
                subject.id if subject else None,
                body,
            )
        )
        self.leaf_hashes.append(value)
        return Receipt(self._log_id, index, value)


def _again(one: Prepared, before: log.Known) -> Outcome:
    """The receipt of the first time, if it was the same event from the same recorder."""
    old = entry.parse(before.body)
    new = entry.parse(one.draft.body(entry.moment(old.recorded_at).encode()))
    if not entry.same_event(old, new):
        return AlreadyExists(Reason.ALREADY_EXISTS, field="event_id", detail="used for other content")
    return Receipt(before.log_id, before.index, leaf_hash(before.body))
