"""Verifying an export offline against sha256 over the same bytes, on one core."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.client.audit_export import parts_of, receive
from infosec.client.connection import Connection, connect
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

ROUNDS, ENTRIES = 3, 40_000
LOG = "east"


def measure(site: dict[str, Any], folder: Path) -> Line:
    """Rounds of (verified, hashed) MiB per second of one JSONL export."""
    asyncio.run(records.fill(site, ENTRIES))
    file, trust = folder / "export.jsonl", asyncio.run(_trust(site))
    asyncio.run(exported(site, file))
    size_mib = file.stat().st_size / 2**20
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        verify(file, trust, now=datetime.now(UTC))
        verified = time.process_time() - started
        started = time.process_time()
        _hashed(file)
        rounds.append((size_mib / verified, size_mib / (time.process_time() - started)))
    return Line.of("audit.verify", rounds, unit="MiB/s", at_least=0.1)


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


async def _trust(site: dict[str, Any]) -> Trust:
    async with reader(site) as suite:
        (log,) = [one for one in await suite.audit_read.logs() if one.log_id == LOG]
    return Trust(keys=[NoteKey.parse(key) for key in log.verifier_keys])


def _hashed(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
