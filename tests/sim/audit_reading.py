"""The reading half of auditsvc on an audit database: its flows, an auditor, a signer; and a plain filter to compare with."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from auditsvc import entry
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.flows.exporting import Begun, Ended, Exporting, Part
from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.proving import Proving
from auditsvc.flows.reading import Page, Question, Reading
from auditsvc.flows.reviewing import Reviewing
from auditsvc.flows.who import WhoAccessed
from auditsvc.paging import PageTokens
from auditsvc.rpc.read import AuditReadServicer
from auditsvc.selection import Selection
from auditsvc.stretches import Gap, Resumed, Row
from infosec.decision.assertion import IdentityAssertion, issue_assertion
from infosec.ids import RegionId, RoleId, SessionId, StaffId, SystemId, TerminalId
from infosec.keys import MacKind, SigningKind
from infosec.rpc.server.assertions import AssertedPersons
from infosec.transparency.checkpoints import Checkpoint, open_checkpoint
from infosec.transparency.ranges import CompactRange
from tests.sim.audit import INSTALLATION, AuditStand
from tests.sim.signing import ORIGINS, checkpoint_keys, signer

EXPORT_ID = "7d3c2a54-6a0f-4f5e-9f6b-0c3f8f3f6a11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An entry as it stands in the database."""

    log_id: RegionId
    index: int
    recorded_at: datetime
    store_id: str | None
    body: bytes

    @property
    def entry(self) -> entry.Entry:
        return entry.parse(self.body)


@dataclass(kw_only=True)
class ReadStand:
    """What reads, on one audit database."""

    audit: AuditStand
    keys: CheckpointKeys
    reading: Reading
    exporting: Exporting
    proving: Proving
    who_accessed: WhoAccessed
    reviewing: Reviewing
    sign: Callable[[], Any]

    def customer(self, number: str) -> tuple[bytes, ...]:
        return self.audit.keys.mac[MacKind.CUSTOMERS].digests(number.encode())

    def servicer(self) -> AuditReadServicer:
        public_keys = self.audit.keys.signing[SigningKind.ASSERTION].public_keys
        return AuditReadServicer(
            persons=AssertedPersons(public_keys, installation=INSTALLATION, clock=self.audit.clock),
            customer_digests=self.customer,
            reading=self.reading,
            exporting=self.exporting,
            proving=self.proving,
            who_accessed=self.who_accessed,
            reviewing=self.reviewing,
        )

    def person(self, role: str = "auditor", *, system: str = "cli") -> IdentityAssertion:
        now_s = int(self.audit.clock.now().timestamp())
        return IdentityAssertion(
            staff_id=StaffId("sun.qi"),
            role_id=RoleId(role),
            store_id=None,
            region_id=RegionId("carrier"),
            session_id=SessionId(str(uuid.UUID(int=7))),
            system_id=SystemId(system),
            terminal_id=TerminalId("hq-t1"),
            installation=INSTALLATION,
            issued_s=now_s,
            expires_s=now_s + 300,
        )

    def assertion(self, role: str = "auditor", *, system: str = "cli") -> str:
        return issue_assertion(self.person(role, system=system), self.audit.keys.signing[SigningKind.ASSERTION])

    def stored(self) -> list[Stored]:
        """Every entry, in the order of pages, oldest first."""
        query = (
            "select log_id, index, recorded_at, store_id, body from audit.entries order by recorded_at, log_id, index"
        )
        return [
            Stored(log_id=RegionId(row[0]), index=row[1], recorded_at=row[2], store_id=row[3], body=bytes(row[4]))  # type: ignore[arg-type, call-overload]
            for row in self.audit.rows(query)
        ]

    async def pages(self, selection: Selection, *, size: int, oldest_first: bool) -> AsyncIterator[Page]:
        """All of it, page after page; each is on record."""
        token = ""
        while True:
            page = await self.reading.query(
                Question(selection=selection, oldest_first=oldest_first, size=size, token=token), self.person()
            )
            yield page
            token = page.next_token
            if not token:
                return

    async def exported(self, selection: Selection, *resumed: Resumed) -> list[Part]:
        """All parts of an export."""
        export = await self.exporting.begin(selection, resumed, EXPORT_ID, self.person())
        return [part async for part in self.exporting.parts(export)]

    def checkpoint(self, note: str, log_id: RegionId) -> Checkpoint:
        """Of a note that the log signed."""
        return open_checkpoint(note.encode(), origin=ORIGINS.of(log_id), keys=self.keys.verifiers(log_id)).checkpoint

    def own(self, type: str) -> list[entry.Entry]:
        """What the service recorded of itself, of one type."""
        rows = self.audit.rows("select body from audit.entries where type = %s order by log_id, index", type)
        return [entry.parse(bytes(row[0])) for row in rows]  # type: ignore[call-overload]


async def read_stand(audit: AuditStand, folder: Path) -> ReadStand:
    keys = checkpoint_keys(folder, audit)
    appender = audit.appender()
    events = OwnEvents(appender, audit.clock)
    reading = Reading(audit.db, PageTokens(audit.keys.mac[MacKind.REQUESTS]), events)
    return ReadStand(
        audit=audit,
        keys=keys,
        reading=reading,
        exporting=Exporting(audit.db, events),
        proving=Proving(audit.db, origin_of=keys.origins.of, vkeys_of=keys.vkeys),
        who_accessed=WhoAccessed(audit.db, reading, events),
        reviewing=Reviewing(audit.db, appender, events, keys, audit.clock),
        sign=signer(audit, keys, folder).sign_due,
    )


@dataclass(kw_only=True)
class Received:
    """One log of an export, put together and checked as it comes: the receiver's half, from infosec.transparency alone."""

    begun: Begun
    tree: CompactRange
    rows: dict[int, Row] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    root: bytes = b""

    def add(self, item: Row | Gap) -> None:
        if isinstance(item, Gap):
            assert item.start < item.end
            self.tree, _ = self.tree.merge(CompactRange(begin=item.start, end=item.end, hashes=item.hashes))
            self.gaps.append(item)
        else:
            assert item.position == self.tree.end
            self.tree, _ = self.tree.append(item.leaf_hash)
            self.rows[item.position] = item

    def end(self, right: Sequence[bytes]) -> None:
        stretch = self.begun.stretch
        assert self.tree.end == stretch.end
        whole, _ = self.tree.merge(CompactRange(begin=stretch.end, end=stretch.size, hashes=tuple(right)))
        self.root = whole.root()


def received(parts: Sequence[Part], before: dict[RegionId, Received] | None = None) -> dict[RegionId, Received]:
    """The logs of an export; `before` is what came of it before it broke. Asserts order, and raises NotVerified."""
    logs = dict(before or {})
    current: Received | None = None
    for part in parts:
        match part:
            case Begun():
                assert current is None
                log_id = part.stretch.log_id
                left = CompactRange(begin=0, end=part.stretch.start, hashes=tuple(part.left))
                known = logs.get(log_id)
                if known is not None:
                    assert replace(known.begun.stretch, next_index=0) == replace(part.stretch, next_index=0)
                    assert known.begun.left == part.left
                current = logs.setdefault(log_id, Received(begun=part, tree=left))
            case Ended():
                assert current is not None and current.begun.stretch.log_id == part.log_id
                current.end(part.right)
                current = None
            case items:
                assert current is not None and 0 < len(items) <= 500
                for item in items:
                    current.add(item)
    return logs
