"""The evidence of the audit log: how long one proof takes, how fast an export comes, and how fast it is verified offline."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.audit_export import parts_of, receive
from infosec.client.connection import Connection, connect
from infosec.collecting import collect_rarely
from infosec.decision.assertion import IdentityAssertion, issue_assertion
from infosec.evidence.formats import FormatName, format_of
from infosec.evidence.part_file import PartFile
from infosec.evidence.receiving import Receiving
from infosec.evidence.rendering import Order, render
from infosec.evidence.verifying import verify
from infosec.evidence.witnessing import Trust
from infosec.ids import RegionId, RoleId, SessionId, StaffId, SystemId, TerminalId, new_id
from infosec.keys import SigningKeys, SigningKind
from infosec.secret import Secret
from infosec.transparency.notes import NoteKey
from tests.bench import records
from tests.bench.line import Line
from tests.sim.audit import INSTALLATION

ROUNDS, ENTRIES, PROOFS = 3, 40_000, 200
SIZES = (1_000, 10_000, 100_000)
LOG = "east"


def measure(site: dict[str, Any], folder: Path) -> Iterator[Line]:
    """Proofs at growing sizes, to the smallest; an export, to a bare COPY; rounds of (verified, hashed) MiB per second."""
    asyncio.run(records.fill(site, ENTRIES))
    yield from asyncio.run(_proofs(site))
    file = folder / "export.jsonl"
    yield asyncio.run(_exports(site, file))
    trust = asyncio.run(trust_of(site))
    size_mib = file.stat().st_size / 2**20
    rounds = []
    with ProcessPoolExecutor(1, get_context("spawn"), collect_rarely) as fresh:  # as the command is
        for _ in range(ROUNDS):
            took = [fresh.submit(one, file, trust).result() for one in (_verified, _hashed)]
            rounds.append((size_mib / took[0], size_mib / took[1]))
    yield Line.of("audit.verify", rounds, unit="MiB/s", at_least=0.1)


async def _proofs(site: dict[str, Any]) -> list[Line]:
    """One inclusion proof over the wire against the size of the tree: a logarithm grows by little. Only reported."""
    async with reader(site) as suite:
        size = next(log.size for log in await suite.audit_read.logs() if log.log_id == LOG)
    await records.fill(site, max(0, SIZES[-1] - size))
    first, lines = 0.0, []
    for size in SIZES:
        took, _ = await proof_ms(site, size)
        first = first or took
        lines.append(Line.of(f"audit.proof.{size}", [(took, first)], unit="ms"))
    return lines


async def proof_ms(site: dict[str, Any], size: int) -> tuple[float, int]:
    """Median milliseconds of a proof at random indices in the tree of this size, and the hashes of one."""
    draw, took = random.Random(size), list[float]()
    async with reader(site) as suite:
        for number in range(PROOFS + 20):
            started = time.monotonic()
            proof = await suite.audit_read.inclusion_proof(LOG, draw.randrange(size), size=size)
            if number >= 20:
                took.append((time.monotonic() - started) * 1000)
    return median(took), len(proof.proof)


async def _exports(site: dict[str, Any], file: Path) -> Line:
    """Entries a second, received with their proofs and rendered as JSONL; the peer copies the bare bytes out. Only reported."""
    async with reader(site) as suite:
        await _until_signed(suite)
    started = time.monotonic()
    rows = await exported(site, file)
    ours = rows / (time.monotonic() - started)
    return Line.of("audit.export.jsonl", [(ours, await _copied_out(site))], unit="1/s")


async def _copied_out(site: dict[str, Any]) -> float:
    """Rows a second of the same bytes by COPY, in the same order, nothing proved."""
    async with await records.owner(site) as connection:
        started, rows = time.monotonic(), 0
        query = "copy (select body from audit.entries where log_id = %s order by index) to stdout (format binary)"
        async with connection.cursor() as cursor, cursor.copy(query, (LOG,)) as copy:
            copy.set_types(["bytea"])
            async for _ in copy.rows():
                rows += 1
        return rows / (time.monotonic() - started)


def auditor(site: dict[str, Any]) -> Secret:
    """An assertion, signed with the site's key: who may read is not what is measured."""
    now_s = int(time.time())
    claims = IdentityAssertion(
        staff_id=StaffId("bench.auditor"),
        role_id=RoleId("auditor"),
        store_id=None,
        region_id=RegionId("carrier"),
        session_id=SessionId(new_id()),
        system_id=SystemId("crm"),
        terminal_id=TerminalId("bench-0"),
        installation=INSTALLATION,
        issued_s=now_s,
        expires_s=now_s + 300,
    )
    return Secret(issue_assertion(claims, SigningKeys.load(Path(site["keys"]) / f"{SigningKind.ASSERTION}.json")))


def reader(site: dict[str, Any]) -> Connection:
    """The SDK at the audit service, as the store system for which the assertion is good."""
    tls = {name: site[name] for name in ("ca", "cert", "key")}
    return connect(f"127.0.0.1:{site['audit']}", server_name="localhost", **tls)


async def exported(site: dict[str, Any], file: Path, format: FormatName = FormatName.JSONL) -> int:
    """One log, received and rendered; answers its rows."""
    part_path, export_id, wanted = file.with_suffix(".part"), new_id(), pb.Filter(log_ids=[LOG])
    part, state = PartFile.begin(part_path, {"export_id": export_id}), Receiving()

    async def assertion() -> Secret:
        return auditor(site)

    async with reader(site) as suite:
        await _until_signed(suite)
        await receive(suite.audit_read, assertion, wanted, export_id=export_id, into=part, state=state)
    order = Order(format=format_of(format), export_id=export_id, filter={"log": [LOG]}, now=datetime.now(UTC))
    render(parts_of(part), file, order)
    part_path.unlink()
    return state.entries


async def _until_signed(suite: Connection) -> None:
    """The newest checkpoint covers everything that was recorded by now."""
    size = next(log.size for log in await suite.audit_read.logs() if log.log_id == LOG)
    while True:
        note = (await suite.audit_read.checkpoint(LOG)).decode()
        if int(note.split("\n")[1]) >= size:
            return
        await asyncio.sleep(0.1)


async def trust_of(site: dict[str, Any]) -> Trust:
    """The keys of the log, as the service tells them."""
    async with reader(site) as suite:
        (log,) = [one for one in await suite.audit_read.logs() if one.log_id == LOG]
    return Trust(keys=[NoteKey.parse(key) for key in log.verifier_keys])


def _verified(file: Path, trust: Trust) -> float:
    """CPU seconds."""
    started = time.process_time()
    verify(file, trust, now=datetime.now(UTC))
    return time.process_time() - started


def _hashed(file: Path, _trust: Trust) -> float:
    started = time.process_time()
    with file.open("rb") as data:
        hashlib.file_digest(data, "sha256")
    return time.process_time() - started
