"""`RecordBatch` of 500, durable and integrated, in events per second, against a bare batched COPY of the same bytes."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from psycopg import AsyncConnection

from infosec.api.audit.v1 import record_pb2 as pb
from infosec.client.audit import RECORD_BATCH
from infosec.client.connection import connect
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.private_files import read_secret
from infosec.rpc.event_codec import events_to_wire
from infosec.storage.addresses import PostgresAddress
from tests.bench import raw
from tests.bench.audit_site import audit_process
from tests.bench.line import Line
from tests.sim.installation import free_port

ROUNDS, SECONDS, BATCH, AT_ONCE, CALLERS, MOST = 3, 5.0, 500, 4, 16, 40_000


def measure(site: dict[str, Any]) -> Iterator[Line]:
    """Rounds of (events through the service, rows by COPY) per second: through a process for each core at one address, as the
    part `audit` is run where the load asks for it, and, only reported, through one process.
    """
    with ExitStack() as stack:
        shared = free_port()
        for _ in range(os.cpu_count() or 1):
            audit_process(Path(site["folder"]), "0", stack, shared_port=shared)
        asyncio.run(_through(site, shared, seconds=2.0))
        batch = asyncio.run(_as_copied(site))
        one, every = list[tuple[float, float]](), list[tuple[float, float]]()
        for _ in range(ROUNDS):
            through_one = asyncio.run(_through(site, site["audit"]))
            copied = asyncio.run(_copied(site, batch))
            one.append((through_one, copied))
            every.append((asyncio.run(_through(site, shared)), copied))
    yield Line.of("audit.record_batch", every, unit="1/s", at_least=0.12)
    yield Line.of("audit.record_batch.one_process", one, unit="1/s")


def event(number: int, ago: timedelta = timedelta(0)) -> Event:
    """A check that was allowed, as a front records it."""
    facts: dict[str, str | int | bool | None] = {
        "staff_id": f"clerk.{number % 97}",
        "role_id": "clerk",
        "store_id": "e1",
        "terminal_id": f"e1-t{number % 9}",
        "system_id": "crm",
        "session_id": str(uuid.UUID(int=number % 97)),
        "operation": "1500",
        "customer": f"{number % 4000:064x}",
        "purpose": "ORDER",
        "order_id": f"order-{number}",
        "decision": "ALLOWED",
        "reason": "OK",
        "revision": number,
        "trace_id": f"{number:032x}",
    }
    return Event(type=EventType.CHECK_DECIDED, at=datetime.now(UTC) - ago, region_id=RegionId("east"), facts=facts)


async def _through(site: dict[str, Any], port: int, seconds: float = SECONDS) -> float:
    """Events a second through what listens at this port, by so many callers with a connection each.

    Requests are spelled before the clock runs and answers read after it. Every event has a receipt with an index of its
    own: anything else raises.
    """
    most = int(seconds * MOST / BATCH)
    requests = [events_to_wire([event(number) for number in range(BATCH)]).SerializeToString() for _ in range(most)]
    answers: list[bytes] = []
    tls = {name: site[f"service_{name}"] for name in ("ca", "cert", "key")}
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(raw.channel(port, **tls)) for _ in range(CALLERS)]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        until, started = time.monotonic() + seconds, time.monotonic()

        async def one_after_another(channel: grpc.aio.Channel) -> None:
            call = channel.unary_unary(RECORD_BATCH.path)
            while requests and time.monotonic() < until:
                answers.append(await call(requests.pop(), timeout=30))

        await asyncio.gather(*map(one_after_another, channels))
        took = time.monotonic() - started
    indices = {
        outcome.receipt.index
        for answer in answers
        for outcome in pb.RecordBatchResponse.FromString(answer).outcomes
        if outcome.HasField("receipt")
    }
    if len(indices) != len(answers) * BATCH:
        raise AssertionError(f"{len(indices)} receipts for {len(answers) * BATCH} events")
    return len(indices) / took


async def fill(site: dict[str, Any], count: int, *, ago: timedelta = timedelta(0)) -> None:
    """Add so many events, as fast as the service takes them; they happened so long ago."""
    tls = {name: site[f"service_{name}"] for name in ("ca", "cert", "key")}
    numbers = iter(range(0, count, BATCH))
    async with connect(f"127.0.0.1:{site['audit']}", server_name="localhost", **tls) as suite:

        async def one_after_another() -> None:
            for first in numbers:
                await suite.audit.record_batch([event(n, ago) for n in range(first, min(first + BATCH, count))])

        await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


async def _as_copied(site: dict[str, Any]) -> bytes:
    """What a batch became in the log, as it was copied in there: every column, spelled for COPY beforehand."""
    async with await owner(site) as connection, connection.cursor() as cursor:
        await cursor.execute("create table if not exists bare_copy as select * from audit.entries with no data")
        newest = "select * from audit.entries where log_id = 'east' order by index desc limit %s"
        async with cursor.copy(f"copy ({newest}) to stdout (format binary)", (BATCH,)) as copy:
            return b"".join([bytes(piece) async for piece in copy])


async def _copied(site: dict[str, Any], batch: bytes) -> float:
    """Batches of 500 of the same bytes, each committed: nothing sealed, hashed, indexed or proved."""
    async with await owner(site) as connection:
        until, started, done = time.monotonic() + SECONDS, time.monotonic(), 0
        while time.monotonic() < until:
            async with connection.cursor() as cursor, cursor.copy("copy bare_copy from stdin (format binary)") as copy:
                await copy.write(batch)
            done += BATCH
        took = time.monotonic() - started
        await connection.execute("truncate bare_copy")
    return done / took


async def owner(site: dict[str, Any]) -> AsyncConnection:
    """The site's database as its owner, for what a peer does."""
    return await AsyncConnection.connect(
        host=site["pg_host"],
        port=site["pg_port"],
        dbname=site["pg_dbname"],
        user=site["pg_user"],
        password=read_secret(site["pg_password_file"]).reveal(),
        autocommit=True,
    )


def postgres_of(address: PostgresAddress) -> dict[str, Any]:
    """What `owner` needs to reach the site's database."""
    return {
        "pg_host": address.host,
        "pg_port": address.port,
        "pg_dbname": address.dbname,
        "pg_user": address.user,
        "pg_password_file": str(address.password_file),
    }
