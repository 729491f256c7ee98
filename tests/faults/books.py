"""Keeping books: what callers were answered, and what the log says about it. They have to agree, whatever died in between."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from psycopg import IsolationLevel

from auditsvc.tiles import Tree
from infosec.api.auth.v1 import check_pb2 as pb
from infosec.api.auth.v1 import check_pb2_grpc
from infosec.certificates import CertificateFiles
from infosec.client.check import question
from infosec.decision.operations import Purpose
from infosec.rpc.credentials import channel_credentials, client_options
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.ranges import EMPTY
from tests.sim.check_nodes import PAY, READ
from tests.sim.servers import sync_connection
from tests.sim.world import World

_ENTRIES = "select log_id, index, event_id::text, body from audit.entries order by log_id, index"
PATIENCE_S = 60.0
"""Long beyond every deadline of the service: who does not answer by then does not answer."""


@dataclass(kw_only=True)
class Books:
    """What was answered, by the caller's own trace."""

    allowed: dict[str, pb.CheckResponse] = field(default_factory=dict)
    denied: dict[str, str] = field(default_factory=dict)
    """The reasons."""
    unanswered: set[str] = field(default_factory=set)
    asked: int = 0

    @property
    def reads(self) -> int:
        """Reads that were allowed."""
        return sum(bool(answer.record_id) for answer in self.allowed.values())

    @property
    def others(self) -> int:
        """All else that was allowed."""
        return len(self.allowed) - self.reads

    def __str__(self) -> str:
        reasons = dict(Counter(self.denied.values()))
        return f"asked {self.asked}: allowed {len(self.allowed)}, denied {reasons}, unanswered {len(self.unanswered)}"


@asynccontextmanager
async def asking(address: str, files: CertificateFiles) -> AsyncIterator[check_pb2_grpc.CheckServiceStub]:
    """The check over a bare channel: a question that gets no answer is not asked again behind our back."""
    options = [*client_options(), ("grpc.enable_retries", 0)]
    async with grpc.aio.secure_channel(address, channel_credentials(files), options=options) as channel:
        yield check_pb2_grpc.CheckServiceStub(channel)


async def ask(books: Books, stub: Any, token: str, operation: str, **facts: Any) -> str:
    """One question, put down in the books; OK, the reason of a denial, or nothing for no answer."""
    books.asked += 1
    trace = f"{operation}-{books.asked}"
    asked = question(
        token,
        operation,
        store_id="e1",
        terminal_id="e1-t1",
        customer="13911112222",
        purpose=Purpose.ORDER if operation == READ else None,
        trace_id=trace,
        **facts,
    )
    try:
        answer: pb.CheckResponse = await stub.Check(asked, timeout=PATIENCE_S)
    except grpc.aio.AioRpcError:
        books.unanswered.add(trace)
        return ""
    if answer.allowed:
        books.allowed[trace] = answer
    else:
        books.denied[trace] = answer.reason
    return answer.reason


async def ask_until_it_fails(books: Books, stub: Any, token: str, operation: str) -> None:
    """Ask on and on; the end is a question that nobody answers."""
    while await ask(books, stub, token, operation):
        pass


async def ask_until(books: Books, stub: Any, token: str, operation: str, wanted: str, *, within: int = 3000) -> None:
    """Ask until the answer is the wanted one."""
    seen: Counter[str] = Counter()
    for _ in range(within):
        answer = await ask(books, stub, token, operation)
        if answer == wanted:
            return
        seen[answer] += 1
        await asyncio.sleep(0.02)
    raise AssertionError(f"never {wanted}: {seen}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The logs as they stand in the database."""

    entries: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, world: World) -> Entries:
        """Read, and checked as far as a log can be by itself: indices without a gap, IDs once, every tree the entries'."""
        with sync_connection(world.addresses.postgres) as connection:
            # One moment: somebody may be writing.
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                rows = connection.execute(_ENTRIES).fetchall()
                heads = connection.execute("select log_id, size, frontier, edges from audit.logs").fetchall()
        ids = Counter(row[2] for row in rows)
        assert max(ids.values(), default=1) == 1, f"of {len(rows)} entries some have the same event ID"
        for log_id, size, frontier, edges in heads:
            mine = [row for row in rows if row[0] == log_id]
            assert [row[1] for row in mine] == list(range(size)), f"{log_id}: {len(mine)} entries, size {size}"
            whole, _ = EMPTY.extend(leaf_hash(bytes(row[3])) for row in mine)
            tree = Tree.stored(size, bytes(frontier), edges)
            assert tree.root() == whole.root(), f"{log_id}: the tree of {size} entries is another"
        entries = tuple(json.loads(bytes(row[3])) for row in rows)
        assert [entry["id"] for entry in entries] == [row[2] for row in rows]
        return cls(entries=entries)

    def allowing(self) -> dict[str, list[str]]:
        """Trace -> the IDs of the entries that say that it was allowed."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            facts = entry["facts"]
            if entry["type"] == "check.decided" and facts.get("decision") == "ALLOWED":
                found.setdefault(facts.get("trace_id", ""), []).append(entry["id"])
        return found

    def withdrawn(self) -> set[str]:
        """IDs of entries that a later one takes back."""
        return {entry["facts"]["withdraws"] for entry in self.entries if "withdraws" in entry["facts"]}


def missing(world: World, books: Books) -> int:
    """How many of those that were answered "allowed" have no entry yet."""
    there = Entries.of(world).allowing()
    return sum(trace not in there for trace in books.allowed)


def agree(world: World, books: Books) -> None:
    """What was allowed is on record once, under the ID that was answered; and what is on record as allowed was answered so,
    or taken back, or nobody got an answer.
    """
    found = Entries.of(world)
    on_record, withdrawn = found.allowing(), found.withdrawn()
    for trace, answer in books.allowed.items():
        ids = on_record.get(trace, [])
        assert len(ids) == 1, f"{trace} was allowed and is {len(ids)} times on record; {books}"
        assert answer.record_id in ("", ids[0]), f"{trace}: record {answer.record_id}, entry {ids[0]}"
        assert ids[0] not in withdrawn, f"{trace} was allowed and its record taken back"
    twice = [trace for trace, ids in on_record.items() if trace and len(ids) > 1]
    assert twice == [], f"{len(twice)} questions are twice on record; {books}"
    for trace in books.denied:
        kept = [one for one in on_record.get(trace, []) if one not in withdrawn]
        assert kept == [], f"{trace} was denied ({books.denied[trace]}) and is on record as allowed; {books}"
    strangers = set(on_record) - books.allowed.keys() - books.denied.keys() - books.unanswered - {""}
    assert strangers == set(), f"{len(strangers)} records of questions that nobody asked"


def both(books: Books, stub: Any, token: str, askers: int = 3) -> list[asyncio.Task[None]]:
    """Reads and payments, several at a time, until nobody answers."""
    kinds = [READ, PAY] * askers
    return [asyncio.create_task(ask_until_it_fails(books, stub, token, operation)) for operation in kinds]
