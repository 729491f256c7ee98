"""Signers and witnesses over a real audit database, and what an intruder or a restored backup does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.checkpoints import Origins
from auditsvc.cosigning import Witness
from auditsvc.last_signed import LastSigned
from auditsvc.signing import CheckpointSigner
from auditsvc.store import checkpoints as store
from auditsvc.store.checkpoints import StoredCheckpoint
from auditsvc.witness_link import HttpLink
from auditsvc.witnesses import Witnesses
from infosec.config import Address
from infosec.ids import RegionId
from infosec.keys import SigningKeys, SigningKind
from infosec.storage.postgres import Database
from infosec.transparency.cosignatures import WitnessKey
from infosec.transparency.notes import NoteKey
from services.witness import app
from services.witness.config import WatchedLog, WitnessConfig
from tests.sim.audit import CARRIER_NAME, EAST, INSTALLATION, AuditStand

ORIGINS = Origins(carrier=CARRIER_NAME, installation=INSTALLATION)
TABLES = ("logs", "entries", "tiles", "checkpoints")


def checkpoint_keys(folder: Path, stand: AuditStand) -> CheckpointKeys:
    """Keys in a file of their own; made once."""
    path = folder / f"{SigningKind.CHECKPOINT}.json"
    SigningKeys.generate(SigningKind.CHECKPOINT, now=stand.clock.now()).write_new(path)
    return CheckpointKeys(SigningKeys.load(path), ORIGINS)


def signer(
    stand: AuditStand,
    keys: CheckpointKeys,
    folder: Path,
    *,
    witnesses: Witnesses | None = None,
    db: Database | None = None,
) -> CheckpointSigner:
    """A signer whose record of what was signed lies in `folder`."""
    return CheckpointSigner(db or stand.db, keys, stand.clock, LastSigned(folder / "audit"), witnesses=witnesses)


async def grow(stand: AuditStand, count: int, *, region: RegionId = EAST, first: int = 0) -> None:
    """Append this many checks."""
    await stand.append(*(stand.check(number, region=region) for number in range(first, first + count)))


async def newest(stand: AuditStand, log_id: RegionId = EAST) -> StoredCheckpoint:
    """The newest checkpoint, which must be there."""
    async with stand.db.transaction() as conn:
        found = await store.newest(conn, log_id)
    assert found is not None
    return found


def back_up(stand: AuditStand) -> None:
    """Copy the tables, as a backup of the database would."""
    stand.rows("drop schema if exists backup cascade")
    stand.rows("create schema backup")
    for table in TABLES:
        stand.rows(f"create table backup.{table} as table audit.{table}")


def restore(stand: AuditStand, *, tables: Sequence[str] = TABLES) -> None:
    """Put the backup in the place of what is there now."""
    for table in tables:
        stand.rows(f"truncate audit.{table}")
        stand.rows(f"insert into audit.{table} select * from backup.{table}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWitness:
    """A witness on loopback."""

    config: WitnessConfig
    address: Address
    key: WitnessKey

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def seen(self) -> list[Path]:
        return sorted((self.config.data_dir / "seen").iterdir())

    def evidence(self) -> list[Path]:
        return sorted((self.config.data_dir / "evidence").iterdir())


def witness_config(
    folder: Path, keys: Sequence[NoteKey], *, origin: str = ORIGINS.of(EAST), name: str = "witness.example/w1"
) -> WitnessConfig:
    """For one log, on a free port."""
    return WitnessConfig(
        name=name,
        listen=Address(host="127.0.0.1", port=0),
        data_dir=folder,
        logs=(WatchedLog(origin=origin, keys=tuple(keys)),),
    )


@asynccontextmanager
async def witness(stand: AuditStand, config: WitnessConfig) -> AsyncIterator[RunningWitness]:
    """Set up, unless it was, and run."""
    if not (config.data_dir / "seen").exists():
        app.create(config, clock=stand.clock)
    async with app.serving(config, clock=stand.clock) as serving:
        yield RunningWitness(config=config, address=serving.address, key=serving.key)


@asynccontextmanager
async def witnesses(
    stand: AuditStand, *running: RunningWitness, db: Database | None = None
) -> AsyncIterator[Witnesses]:
    """The log's side, asking these witnesses."""
    asked = Witnesses(db or stand.db, [Witness(key=one.key, link=HttpLink(one.url)) for one in running], stand.clock)
    try:
        yield asked
    finally:
        await asked.close()
