"""A check front as a process of its own beside `tests.bench.site`. `python -m tests.bench.front_site FOLDER AUDIT [with-redis]`.

Without Redis it learns of changes by polling the tables alone. Prints one JSON line when it serves (port, poll interval),
and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from authsvc import app as auth
from authsvc.profile import TELECOM_HALL
from infosec import logging
from infosec.certificates import Authority
from infosec.client.connection import connect
from infosec.clock import SystemClock
from infosec.keys import KeyRing
from infosec.rpc.server import loop
from services.auditing import AuditOverRpc
from tests.bench.addresses import connected, hints
from tests.bench.site import NoNotify, server_of
from tests.sim.world import INSTALLATION

_POLL = inspect.signature(auth.build).parameters["poll_every"].default
"""No configuration sets another one."""


async def _main(folder: Path, audit_port: int, *, with_redis: bool) -> None:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await connected(folder, auth.ROLE))
        authority = Authority.create_or_load(folder / "tls", carrier="carrier.example", now=datetime.now(UTC))
        files = authority.issue_service("checkd", now=datetime.now(UTC))
        audit = connect(
            f"127.0.0.1:{audit_port}", ca=files.ca, cert=files.certificate, key=files.key, server_name="localhost"
        )
        stack.push_async_callback(audit.close)
        app = auth.build(
            db=db,
            keys=KeyRing.load(folder / "keys"),
            profile=TELECOM_HALL,
            clock=SystemClock(),
            installation=INSTALLATION,
            notify=NoNotify(),
            audit=AuditOverRpc(lambda: audit.audit),
            spool_dir=folder / "spool-front",
            registry=CollectorRegistry(),
            hints=hints(folder) if with_redis else None,
        )
        await app.feeder.refresh()
        running = asyncio.create_task(app.run_check())
        server = server_of(app, app.check_registrations, files)
        await server.start()
        print(json.dumps({"front": server.port, "poll_ms": _POLL.total_seconds() * 1000}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await server.stop(grace_s=0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    logging.configure("warning")
    loop.run(_main(Path(sys.argv[1]), int(sys.argv[2]), with_redis="with-redis" in sys.argv[3:]))
