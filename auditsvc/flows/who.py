"""Who looked at a customer's data, when and why (CI-8): the reads that were allowed, without those that released nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from auditsvc.entry import moment
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.reading import Page, Question, Reading
from auditsvc.selection import Selection
from auditsvc.store import entries
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Fact
from infosec.events.types import EventType
from infosec.storage.postgres import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """Of whom, and for when. `customer`: the digests of the number under every key."""

    customer: Sequence[bytes]
    since: datetime | None = None
    until: datetime | None = None
    size: int
    token: str = ""


class WhoAccessed:
    """Answers for one process. `db` as role audit_service."""

    def __init__(self, db: Database, reading: Reading, events: OwnEvents) -> None:
        self._db = db
        self._reading = reading
        self._events = events

    async def page(self, inquiry: Inquiry, person: IdentityAssertion) -> Page:
        """Oldest first. Of a customer whose data was erased, or who was never here, there is nothing.

        Raises InvalidInput, Unavailable(RECORD_UNAVAILABLE | STORAGE_UNAVAILABLE).
        """
        if not inquiry.customer:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="customer", detail="required")
        selection = Selection(
            since=inquiry.since,
            until=inquiry.until,
            types=(EventType.CHECK_DECIDED,),
            only_reads=True,
            decision="ALLOWED",
            customer=tuple(inquiry.customer),
        )
        found = await self._reading.page(
            Question(selection=selection, oldest_first=True, size=inquiry.size, token=inquiry.token)
        )
        page = await self._without_withdrawn(found)
        facts: dict[str, Fact] = {
            "customer": page.customer,
            "count": len(page.hits),
            "first": moment(inquiry.since) if inquiry.since else None,
            "last": moment(inquiry.until) if inquiry.until else None,
        }
        await self._events.record(self._events.event(EventType.AUDIT_WHO_ACCESSED, person, **facts))
        return page

    async def _without_withdrawn(self, page: Page) -> Page:
        if not page.hits or not page.wanted.subjects:
            return page
        async with self._db.transaction() as conn:
            withdrawn = await entries.withdrawn(conn, page.wanted.subjects)
        hits = [hit for hit in page.hits if hit.row.event_id not in withdrawn]
        return Page(hits=hits, next_token=page.next_token, wanted=page.wanted, customer=page.customer)
