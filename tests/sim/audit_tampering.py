"""An audit log behind a real server, somebody with the database's owner's password, and what each watcher says then."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from auditsvc import entry
from auditsvc.checkpoints import SigningFault
from auditsvc.cosigning import CONTRADICTIONS, Outcome
from auditsvc.tiles import Tree
from auditsvc.witnesses import Witnesses
from infosec import canonical
from infosec.api.audit.v1 import read_pb2_grpc
from infosec.client.audit_export import parts_of, receive, received
from infosec.client.audit_read import audit_filter
from infosec.client.connection import Connection
from infosec.evidence.faults import Finding, NotProved
from infosec.evidence.formats import Format, FormatName, format_of
from infosec.evidence.keys import log_keys
from infosec.evidence.manifest import Manifest
from infosec.evidence.part_file import PartFile
from infosec.evidence.rendering import Order, render
from infosec.evidence.verifying import Verified, verify
from infosec.evidence.witnessing import Trust
from infosec.rpc.server.identity import ANY
from infosec.secret import SecretBytes
from infosec.transparency.checkpoints import Checkpoint, sign_checkpoint
from infosec.transparency.merkle import leaf_hash
from infosec.transparency.notes import NoteSigner
from tests.sim.audit import EAST, AuditStand
from tests.sim.audit_reading import EXPORT_ID, ReadStand, read_stand
from tests.sim.signing import (
    ORIGINS,
    RunningWitness,
    back_up,
    grow,
    newest,
    signer,
    witness,
    witness_config,
    witnesses,
)
from tests.sim.wire import serving

SIZES = (300, 490, 500)
"""Of the checkpoints that were signed and cosigned before anybody did anything; a backup was taken after the first."""
SIZE = SIZES[-1]
JSONL = format_of(FormatName.JSONL)
Said = set[tuple[str, int | None, int | None]]
"""Findings, without what differs by place in the file."""


@dataclass(kw_only=True)
class Scene:
    """The log, the auditor with keys and earlier checkpoints, the witness, and the signer's record."""

    stand: ReadStand
    suite: Connection
    folder: Path
    running: RunningWitness
    asked: Witnesses
    previous: list[bytes] = field(default_factory=list)
    """The checkpoints that the auditor kept."""

    @property
    def audit(self) -> AuditStand:
        return self.stand.audit

    @property
    def vkeys(self) -> str:
        """The log's keys, as the auditor got them on the day it was set up."""
        return "\n".join(self.stand.keys.vkeys(EAST))

    # the auditor

    async def fetched(self, name: str = "export", **wanted: Any) -> PartFile:
        """An export of the log through the SDK, as it arrived."""
        part = PartFile.begin(self.folder / f"{name}.part", {})

        async def assertion() -> str:
            return self.stand.assertion()

        chosen = audit_filter(**{"log_ids": [EAST], **wanted})
        state = received(part)
        await receive(self.suite.audit_read, assertion, chosen, export_id=EXPORT_ID, into=part, state=state)
        return part

    def rendered(self, part: PartFile, file: Path, format: Format = JSONL) -> Manifest:
        """The file; raises NotProved where what was sent does not add up."""
        order = Order(format=format, export_id=EXPORT_ID, filter={}, now=self.audit.clock.now())
        return render(parts_of(part), file, order)

    def verified(self, file: Path, **more: Any) -> Verified:
        """With the keys that the auditor has. Raises NotProved."""
        trust = Trust(keys=log_keys([self.vkeys]), **more)
        return verify(file, trust, now=self.audit.clock.now() + timedelta(hours=1))

    async def exported(self, name: str = "export", **more: Any) -> Sequence[Finding]:
        """What an export of the whole log and its verification find; `more` is trust beside the key."""
        part = await self.fetched(name)
        try:
            self.rendered(part, self.folder / name)
            self.verified(self.folder / name, **more)
        except NotProved as fault:
            return fault.findings
        finally:
            part.close()
        return ()

    def since(self, index: int) -> datetime:
        """When the entry at `index` was recorded."""
        return entry.parse(self.bodies()[index]).recorded_at

    # the others

    async def signing(self, record: str = "") -> SigningFault | None:
        """What the signer says; by default with the record of what it signed before."""
        made = signer(self.audit, self.stand.keys, self.folder / record if record else self.folder)
        await made.sign_due()
        refused = made.refused.get(EAST)
        return refused.fault if refused else None

    async def witnessing(self) -> Outcome | None:
        """What the witness says to the newest checkpoint; None where it has nothing against it."""
        await self.asked.ask_all()
        outcome = self.asked.outcomes.get((self.running.key.name, EAST))
        return outcome if outcome in CONTRADICTIONS | {Outcome.REFUSED} else None

    # the intruder

    def bodies(self) -> list[bytes]:
        rows = self.audit.rows("select body from audit.entries where log_id = 'east' order by index")
        return [bytes(row[0]) for row in rows]  # type: ignore[call-overload]

    def put(self, index: int, body: bytes) -> None:
        """Another body in the place of the one at `index`."""
        self.audit.rows("update audit.entries set body = %s where log_id = 'east' and index = %s", body, index)

    def edit(self, index: int, **facts: Any) -> None:
        """An entry that says something else, and is spelled as the service would."""
        self.put(index, edited(self.bodies()[index], **facts))

    def insert(self, index: int, body: bytes) -> None:
        """A row more; those from `index` on move up."""
        self.audit.rows("update audit.entries set index = -index - 2 where log_id = 'east' and index >= %s", index)
        self.audit.rows("update audit.entries set index = -index - 1 where index < 0")
        columns = "event_id, recorded_at, type, store_id, staff_id, operation, decision, subject_id"
        self.audit.rows(
            f"insert into audit.entries (log_id, index, body, {columns}) "
            f"select log_id, %s, %s, gen_random_uuid(), {columns.partition(', ')[2]} "
            "from audit.entries where log_id = 'east' order by index limit 1",
            index,
            body,
        )

    def rebuild(self, size: int | None = None) -> None:
        """Every hash anew, so that tree and head fit what the first `size` rows say now; no other rows are left."""
        bodies = self.bodies()[:size]
        self.audit.rows("delete from audit.entries where log_id = 'east' and index >= %s", len(bodies))
        self.audit.rows("delete from audit.tiles where log_id = 'east'")
        tree, full = Tree().grown([leaf_hash(body) for body in bodies])
        for tile, hashes in full:
            self.audit.rows("insert into audit.tiles values ('east', %s, %s, %s)", *tile, hashes)
        recorded = entry.parse(bodies[-1]).recorded_at
        self.audit.rows(
            "update audit.logs set size = %s, recorded_at = %s, frontier = %s, edges = %s where log_id = 'east'",
            tree.size,
            recorded,
            b"".join(tree.frontier.hashes),
            list(tree.edges),
        )

    def root(self, size: int) -> bytes:
        tree, _ = Tree().grown([leaf_hash(body) for body in self.bodies()[:size]])
        return tree.root()

    def sign(self, key: NoteSigner | None = None) -> None:
        """Checkpoints of what the rows say now in the place of all that were there; by default with the log's own key."""
        sizes = [size for size in SIZES if size <= len(self.bodies())]
        if len(self.bodies()) not in sizes:
            sizes.append(len(self.bodies()))
        self.audit.rows("delete from audit.checkpoints where log_id = 'east'")
        for size in sizes:
            root = self.root(size)
            checkpoint = Checkpoint(origin=ORIGINS.of(EAST), size=size, root=root)
            note = sign_checkpoint(checkpoint, key or self.stand.keys.signer(EAST)).encode().decode()
            self.audit.rows("insert into audit.checkpoints values ('east', %s, %s, %s, now())", size, root, note)


def edited(body: bytes, **facts: Any) -> bytes:
    """Canonical bytes of the entry with other facts."""
    fields: dict[str, Any] = json.loads(body)
    fields["facts"] |= facts
    return canonical.encode(fields)


def forged(body: bytes) -> bytes:
    """An entry like this one that never happened."""
    fields: dict[str, Any] = json.loads(body)
    fields["id"] = str(uuid.UUID(int=99, version=4))
    return canonical.encode(fields)


def stranger() -> NoteSigner:
    """A key in the log's name that is not the log's."""
    return NoteSigner.of_seed(ORIGINS.of(EAST), SecretBytes(bytes(range(32))))


def said(findings: Sequence[Finding]) -> Said:
    return {(one.flaw.value, one.index, one.end) for one in findings}


@asynccontextmanager
async def scene(audit: AuditStand, folder: Path) -> AsyncIterator[Scene]:
    """A log of 500 checks, signed and cosigned at three sizes, behind mutual TLS."""
    stand = await read_stand(audit, folder)
    more = [(read_pb2_grpc.add_AuditReadServiceServicer_to_server, stand.servicer())]
    allow: Mapping[str, Any] = {"infosec.api.audit.v1.AuditReadService": ANY}
    async with (
        witness(audit, witness_config(folder / "witness", stand.keys.verifiers(EAST))) as running,
        witnesses(audit, running) as asked,
        serving(folder / "server", allow=allow, more=more) as wire,
        wire.suite("cli") as suite,
    ):
        made = Scene(stand=stand, suite=suite, folder=folder, running=running, asked=asked)
        size = 0
        for wanted in SIZES:
            for first in range(size, wanted, 100):
                await grow(audit, min(100, wanted - first), first=first)
                audit.advance(seconds=1)
            await stand.sign()
            await asked.ask_all()
            made.previous.append((await newest(audit)).note.encode())
            if not size:
                back_up(audit)
            size = wanted
        yield made
