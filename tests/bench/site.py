"""The process that is measured: one auth server on a PostgreSQL of its own. `python -m tests.bench.site FOLDER [DAYS]`.

Prints one JSON line when it serves (ports, tokens), and ends when its standard input does. The audit service
beside it is DAYS behind at first (tests.bench.audit_site).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prometheus_client import CollectorRegistry

from auditsvc import app as audit
from authsvc import app as auth
from authsvc.hash_schemes import HashParameters
from authsvc.profile import TELECOM_HALL
from infosec import logging
from infosec.certificates import Authority, CallerKind, CallerName, CertificateFiles
from infosec.client.connection import connect
from infosec.clock import ManualClock, SystemClock
from infosec.config import Address
from infosec.keys import KeyRing
from infosec.rpc.server import loop
from infosec.rpc.server.builder import Registration, Server, ServerLimits
from infosec.rpc.server.identity import ANY, always
from infosec.storage.embedded import EmbeddedServers
from infosec.storage.postgres import Database, PoolLimits
from infosec.storage.redis import Hints
from services.auditing import AuditOverRpc
from tests.bench.addresses import tell
from tests.bench.audit_site import audit_process
from tests.bench.records import postgres_of
from tests.sim.servers import sync_connection
from tests.sim.world import INSTALLATION, PASSWORD, ROLE, Hire, World, build

PEOPLE = 256
LEAVERS = 120
"""Further people, `bench.256` and so on, whose staff IDs a bench may lock for good."""
_LOOPBACK = Address(host="127.0.0.1", port=0)


class NoNotify:
    """Messages are not what is measured here; they stay in the outbox."""

    async def submit(self, message: object) -> str:
        return "QUEUED"

    async def states(self, message_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        return {}


async def _main(folder: Path, days: str) -> None:
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(EmbeddedServers(folder / "data").running())
        clock = SystemClock()
        keys = KeyRing.create_missing(folder / "keys", now=clock.now())
        await build(addresses, keys)
        tell(folder, addresses, ROLE, audit.ROLE, audit.KEEPER)
        world = World(addresses=addresses, keys=keys, keys_dir=folder / "keys", clock=ManualClock(clock.now()))
        _people(world)
        authority = Authority.create_or_load(folder / "tls", carrier="carrier.example", now=datetime.now(UTC))
        files, client = (
            issue("crm", now=datetime.now(UTC)) for issue in (authority.issue_service, authority.issue_system)
        )
        audit_pid, audit_port = audit_process(folder, days, stack)
        recording = connect(
            f"127.0.0.1:{audit_port}", ca=files.ca, cert=files.certificate, key=files.key, server_name="localhost"
        )
        stack.push_async_callback(recording.close)
        db = await stack.enter_async_context(await Database.connect(addresses.role(ROLE), PoolLimits(max_size=16)))
        app = auth.build(
            db=db,
            keys=keys,
            profile=TELECOM_HALL,
            clock=clock,
            installation=INSTALLATION,
            notify=NoNotify(),
            audit=AuditOverRpc(lambda: recording.audit),
            spool_dir=folder / "spool",
            registry=CollectorRegistry(),
            hints=Hints(addresses.redis) if addresses.redis else None,
        )
        await app.feeder.refresh()
        running = asyncio.create_task(app.run())
        registrations = (*app.registrations, *app.check_registrations)
        plain, mutual = server_of(app, registrations, None), server_of(app, registrations, files)
        for server in (plain, mutual):
            await server.start()
        ports = {"plain": plain.port, "mutual": mutual.port, "people": PEOPLE, "password": PASSWORD}
        tls = {"ca": str(client.ca), "cert": str(client.certificate), "key": str(client.key)}
        tls |= {"service_ca": str(files.ca), "service_cert": str(files.certificate), "service_key": str(files.key)}
        told = (
            ports
            | tls
            | {"audit": audit_port, "audit_pid": audit_pid, "keys": str(folder / "keys")}
            | {"folder": str(folder)}
            | postgres_of(addresses.postgres)
        )
        print(json.dumps(told), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for server in (plain, mutual):
            await server.stop(grace_s=0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def server_of(app: auth.AuthApp, registrations: Sequence[Registration], tls: CertificateFiles | None) -> Server:
    """On a port of its own; without TLS everybody is the store system `crm`."""
    return Server(
        registrations,
        address=_LOOPBACK,
        tls=tls,
        carrier="carrier.example",
        allow={service: ANY for service in (auth.CHECK_SERVICE, auth.LOGIN_SERVICE)},
        refusals=app.refused,
        registry=CollectorRegistry(),
        log=logging.get("bench"),
        readiness=app.ready,
        limits=ServerLimits(max_calls=4096, max_caller_calls=4096),
        quiet=auth.HOT_PATHS | {f"/{auth.LOGIN_SERVICE}/Login"},
        plaintext_caller=None if tls else always(CallerName(kind=CallerKind.SYSTEM, name="crm")),
    )


def _people(world: World) -> None:
    """One terminal each, so that nobody waits for another; a hall that never shuts."""
    hashed = HashParameters().hasher().hash(PASSWORD)
    with sync_connection(world.addresses.postgres) as connection:
        hours = json.dumps([{"weekday": day, "opens_at_min": 0, "closes_at_min": 1440} for day in range(1, 8)])
        connection.execute("update auth.stores set hours = %s", (hours,))
        for number in range(PEOPLE + LEAVERS):
            connection.execute(
                "insert into auth.terminals (terminal_id, store_id) values (%s, 'e1')", (f"bench-{number}",)
            )
    world.hire(*(Hire(staff_id=f"bench.{n}", phone="13800000000", hash=hashed) for n in range(PEOPLE + LEAVERS)))
    # Not everybody's first day: a login at a terminal never used before sends an SMS beside (ID-7).
    world.rows(
        "insert into auth.staff_terminals (staff_id, terminal_id, first_at, last_at)"
        " select 'bench.' || n, 'bench-' || n, %s, %s from generate_series(0, %s) n",
        *(world.clock.now(), world.clock.now(), PEOPLE + LEAVERS - 1),
    )


if __name__ == "__main__":
    logging.configure("warning")
    loop.run(_main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "0"))
