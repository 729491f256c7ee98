"""One unit of work of authsvc: a transaction whose changes, audit events, messages and change rows commit together.

The only way in which authsvc writes. What nodes must hear is written as the last statement, so that commit order is
revision order (design, section 5).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from psycopg import AsyncConnection

from authsvc.store import changes
from infosec import canonical
from infosec.clock import Clock
from infosec.events import catalogue
from infosec.events.event import Event, Fact
from infosec.events.types import EventType
from infosec.ids import CARRIER, RegionId
from infosec.storage import outbox
from infosec.storage.postgres import Database, Ends, Statement, together

AUDIT = "audit"
NOTIFY = "notify"
OUTBOX = outbox.Outbox("auth")

Connection = AsyncConnection[tuple[Any, ...]]
Announce = Callable[[Mapping[RegionId, int]], Awaitable[None]]
"""Tells other nodes that regions have new revisions. May lose the hint; never raises."""


class ChangeKind(StrEnum):
    """Which kind of entity a node has to read again."""

    REGION = "region"
    STORE = "store"
    TERMINAL = "terminal"
    SYSTEM = "system"
    ROLE = "role"
    OPERATION = "operation"
    STAFF = "staff"
    SESSION = "session"
    ASSIGNMENT = "assignment"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A sealed SMS on its way to the notify service. The ID makes its delivery idempotent."""

    message_id: uuid.UUID
    template: str
    sealed: bytes
    expires_at: datetime

    def body(self) -> bytes:
        return canonical.encode(
            {"template": self.template, "sealed": self.sealed.hex(), "expires_at": self.expires_at.isoformat()}
        )

    @classmethod
    def from_body(cls, message_id: uuid.UUID, body: bytes) -> Message:
        """The message that `body()` wrote."""
        fields = cast(dict[str, str], canonical.decode_strict(body))
        return cls(
            message_id=message_id,
            template=fields["template"],
            sealed=bytes.fromhex(fields["sealed"]),
            expires_at=datetime.fromisoformat(fields["expires_at"]),
        )


@dataclass(slots=True, kw_only=True)
class Draft:
    """What a transaction has to write at its end. There need not be one yet."""

    now: datetime
    revisions: dict[RegionId, int] = field(default_factory=dict)
    """Filled at the commit: the new revision of every region that changed."""
    _events: list[Event] = field(default_factory=list)
    _messages: list[Message] = field(default_factory=list)
    _changes: dict[RegionId, dict[tuple[str, str], None]] = field(default_factory=dict)
    is_pressing: bool = False
    """A change is among them that nodes must be told of at once."""

    def event(self, kind: EventType, region_id: RegionId = CARRIER, /, **facts: Fact) -> Event:
        """Record that this happened, if and only if the transaction commits. Raises InvalidInput as the catalogue does."""
        event = Event(type=kind, at=self.now, region_id=region_id, facts=facts)
        catalogue.check(event)
        self._events.append(event)
        return event

    def message(self, message: Message) -> None:
        """Send this SMS, if and only if the transaction commits."""
        self._messages.append(message)

    @property
    def has_messages(self) -> bool:
        return bool(self._messages)

    def change(self, region_id: RegionId, kind: ChangeKind, entity_id: str, *, is_pressing: bool = True) -> None:
        """Have every node read this entity again: at once, unless it takes nothing away from anybody."""
        self.is_pressing = self.is_pressing or is_pressing
        self._changes.setdefault(region_id, {})[kind.value, entity_id] = None

    def outgoing(self) -> list[outbox.Event]:
        """Events and messages, as they go into the outbox."""
        put = [_outgoing(event) for event in self._events]
        put += [
            outbox.Event(event_id=message.message_id, topic=NOTIFY, body=message.body()) for message in self._messages
        ]
        return put

    def changing(self, *others: Draft) -> list[Statement]:
        """The change rows of this draft and of others, region by region. Must be a transaction's last statements."""
        for other in others:
            self.is_pressing = self.is_pressing or other.is_pressing
            for region, entries in other._changes.items():
                self._changes.setdefault(region, {}).update(entries)
        return [changes.appending(region, list(self._changes[region]), self.now) for region in sorted(self._changes)]

    def ending(self) -> list[Statement]:
        """What writes all that was collected."""
        return [*OUTBOX.putting(self.outgoing(), self.now), *self.changing()]

    def committed(self, ended: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        """Learn the revisions from what the statements of `ending` answered."""
        regions = sorted(self._changes)
        for region, rows in zip(regions, ended[len(ended) - len(regions) :], strict=True):
            self.revisions[region] = int(rows[0][0])


@dataclass(slots=True, kw_only=True)
class Work(Draft):
    """An open transaction. Collects what else has to be written at its end."""

    conn: Connection
    first_rows: Sequence[tuple[Any, ...]] = ()
    """What the statement that it was begun with answered."""


class Works:
    """Begins units of work on one database."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        announce: Announce,
        announce_soon: Callable[[Mapping[RegionId, int]], None] | None = None,
        nudge: Callable[[], None] = lambda: None,
    ) -> None:
        """`announce_soon` takes what is not pressing; without it everything is. `nudge` is told of new messages."""
        self.db = db
        self.clock = clock
        self._announce = announce
        self._announce_soon = announce_soon
        self._nudge = nudge

    @asynccontextmanager
    async def begin(self, first: Statement | None = None) -> AsyncIterator[Work]:
        """A transaction that commits when the block ends well; it may begin with a statement.

        Raises Unavailable, Aborted or ResourceExhausted.
        """
        ends = Ends(first=first)
        async with self.db.transaction(ends=ends) as conn:
            work = Work(conn=conn, now=self.clock.now(), first_rows=ends.first_rows)
            yield work
            ends.last = work.ending
        work.committed(ends.last_rows)
        await self._tell(work, has_messages=work.has_messages)

    async def write(self, drafts: Sequence[Draft], statement: Statement) -> Sequence[tuple[Any, ...]]:
        """One transaction, in one message, of a statement that writes each draft whole, outbox rows included and change
        rows not, or nothing of it: what it answered.

        Nodes may be told to read again what was not written: they find it as it was.
        """
        last = Draft(now=self.clock.now())
        async with self.db.statements() as conn:
            answer, *changed = await together(conn, statement, *last.changing(*drafts))
        last.committed(changed)
        for draft in drafts:
            draft.revisions.update(last.revisions)
        await self._tell(last, has_messages=any(draft.has_messages for draft in drafts))
        return answer

    async def _tell(self, done: Draft, *, has_messages: bool) -> None:
        if has_messages:
            self._nudge()
        if not done.revisions:
            return
        if done.is_pressing or self._announce_soon is None:
            await self._announce(done.revisions)
        else:
            self._announce_soon(done.revisions)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A transaction for reading."""
        async with self.db.transaction() as conn:
            yield conn

    async def record(self, events: Sequence[Event]) -> None:
        """Record events in a transaction of their own: refusals, whose own transaction is rolled back.

        Raises InvalidInput, as the catalogue does, before anything is written.
        """
        for event in events:
            catalogue.check(event)
        async with self.db.transaction() as conn:
            await OUTBOX.put_many(conn, [_outgoing(event) for event in events], self.clock.now())


def _outgoing(event: Event) -> outbox.Event:
    return outbox.Event(event_id=event.event_id, topic=AUDIT, body=event.body())
