"""The writers of the audit log, with stop points: appending, and the relay that brings committed events to it.

And a whole service as a process: `python -m tests.faults.recording` serves what one JSON line on its input describes, says
{"port"}, and obeys {"file_size"} lines until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from auditsvc.appending import Appender
from auditsvc.batch import Receipt, Submission
from authsvc.recorder import RELAYED, AuditDelivery
from infosec.certificates import Authority, CertificateFiles
from infosec.clock import ManualClock
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.keys import KeyRing, MacKind, SealingKind
from infosec.storage.embedded import Addresses
from infosec.storage.outbox import Relay
from infosec.storage.postgres import Database, PoolLimits
from tests.faults.engine import addresses_told
from tests.faults.stops import SteppedDatabase
from tests.sim.audit import RECORDER, SERVICE, LocalLog
from tests.sim.suite import served
from tests.sim.world import ROLE, START, World

Told = Mapping[str, Any]
Stopping = Callable[[str], Awaitable[None]]
EAST = RegionId("east")
ROOT = Path(__file__).parents[2]
_LIMITS = PoolLimits(max_size=4)


def where(addresses: Addresses, keys_dir: Path, *, now: datetime = START) -> dict[str, Any]:
    """A database, its keys and the time, in words for another process."""
    address = addresses.role(ROLE)
    return {
        "host": address.host,
        "port": address.port,
        "dbname": address.dbname,
        "user": ROLE,
        "passwords": str(addresses.passwords),
        "keys": str(keys_dir),
        "now": now.isoformat(),
    }


def world_at(told: Told, kind: type[World] = World) -> World:
    """The world that a test describes."""
    keys_dir = Path(told["keys"])
    clock = ManualClock(datetime.fromisoformat(told["now"]))
    return kind(addresses=addresses_told(told), keys=KeyRing.load(keys_dir), keys_dir=keys_dir, clock=clock)


def numbered_event(number: int, keys: KeyRing) -> Event:
    """The `number`th event, the same in every process: a check about one of five customers."""
    facts = {
        "system_id": "crm",
        "store_id": "e1",
        "terminal_id": "e1-t1",
        "operation": "1500",
        "customer": keys.mac[MacKind.CUSTOMERS].digest(f"1380000{number % 5:04}".encode()).hex(),
        "decision": "ALLOWED",
        "reason": "OK",
        "revision": number,
        "order_id": f"order-{number}",
    }
    return Event(
        type=EventType.CHECK_DECIDED, at=START, region_id=EAST, facts=facts, event_id=uuid.UUID(int=number + 1)
    )


def events_from(first: int, count: int, keys: KeyRing) -> list[Event]:
    """So many in a row."""
    return [numbered_event(number, keys) for number in range(first, first + count)]


async def appended(appender: Appender, events: Sequence[Event]) -> list[Receipt]:
    """Their receipts; every one must be taken."""
    outcomes = await appender.append([Submission(event, RECORDER) for event in events], may_begin_log=True)
    assert all(isinstance(one, Receipt) for one in outcomes), outcomes
    return [one for one in outcomes if isinstance(one, Receipt)]


async def append(told: Told, stops: Any) -> None:
    """Append the events `first` to `first + count`; the answer is their receipts."""
    world = world_at(told)
    db = await SteppedDatabase.connect(world.addresses.role(SERVICE), _LIMITS)
    await db.read_one("select 1")
    appender = Appender(db, world.keys.sealing[SealingKind.SUBJECTS], world.clock)
    db.stop = stops  # type: ignore[method-assign]
    receipts = await appended(appender, events_from(told["first"], told["count"], world.keys))
    stops.say({"answer": [one.index for one in receipts], "steps": stops.passed})
    await appender.close()
    await db.close()


async def relay(told: Told, stops: Any) -> None:
    """Bring what is due in authsvc's outbox to the log, once; the answer is how much was due."""
    world = world_at(told)
    auth_db = await SteppedDatabase.connect(world.addresses.role(ROLE), _LIMITS)
    audit_db = await SteppedDatabase.connect(world.addresses.role(SERVICE), _LIMITS)
    for db in (auth_db, audit_db):
        await db.read_one("select 1")
        db.stop = stops  # type: ignore[method-assign]
    async with relaying(world, auth_db, audit_db) as made:
        due = await made.deliver_due()
    stops.say({"answer": due, "steps": stops.passed})
    await auth_db.close()
    await audit_db.close()


@asynccontextmanager
async def relaying(world: World, auth_db: Database, audit_db: Database) -> AsyncIterator[Relay]:
    """authsvc's relay as it is wired, straight on an appender."""
    appender = Appender(audit_db, world.keys.sealing[SealingKind.SUBJECTS], world.clock)
    deliver = AuditDelivery(LocalLog(appender)).deliver
    try:
        yield Relay(auth_db, schema="auth", topic="audit", deliver=deliver, clock=world.clock, shipment=RELAYED)
    finally:
        await appender.close()


@dataclass(frozen=True, slots=True)
class RunningClock:
    """The world's time, going on at the machine's pace from one moment that all processes are told."""

    began_s: float

    def now(self) -> datetime:
        return START + timedelta(seconds=max(0.0, time.time() - self.began_s))


@dataclass(kw_only=True)
class Service:
    """The whole suite in a process of its own, started and killed as often as a test likes; its folder stays."""

    world: World
    folder: Path
    began_s: float = field(default_factory=time.time)
    process: asyncio.subprocess.Process | None = None
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def files(self, system: str = "crm") -> CertificateFiles:
        """The certificate of a store system."""
        now = datetime.now().astimezone()
        return Authority.create_or_load(self.folder / "tls", carrier="carrier.example", now=now).issue_system(
            system, now=now
        )

    async def start(self, **more: Any) -> None:
        """Until it serves."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.recording"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        told = {**where(self.world.addresses, self.world.keys_dir), "folder": str(self.folder), "began": self.began_s}
        self.port = (await self.ask({**told, **more}))["port"]

    async def ask(self, what: object) -> dict[str, Any]:
        """One line, and the answer to it."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        line = await self.process.stdout.readline()
        assert line, "the service has ended"
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.communicate()


async def _serve() -> None:
    told = json.loads(await asyncio.to_thread(sys.stdin.readline))
    world = world_at(told)
    async with served(world, Path(told["folder"]), clock=RunningClock(told["began"]), level="warning") as suite:
        _say({"port": suite.server.port})
        while line := await asyncio.to_thread(sys.stdin.readline):
            size = json.loads(line)["file_size"]
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
            _say({"file_size": size})
    await world.close()


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


def over(addresses: Addresses, port: int) -> Addresses:
    """The same database by way of a link on this port."""
    return replace(addresses, postgres=replace(addresses.postgres, host="localhost", port=port))


if __name__ == "__main__":
    asyncio.run(_serve())
