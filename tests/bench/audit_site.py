"""The audit service as a process of its own beside `tests.bench.site`. `python -m tests.bench.audit_site FOLDER`.

FOLDER holds what the site has made: keys, certificates, and `addresses.json`. Prints one JSON line when it serves, and ends
when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from auditsvc import app as audit
from infosec import logging
from infosec.certificates import Authority
from infosec.clock import SystemClock
from infosec.config import Address
from infosec.keys import KeyRing
from infosec.rpc.server import loop
from infosec.rpc.server.builder import Server, ServerLimits
from infosec.rpc.server.identity import ANY
from infosec.storage.addresses import PostgresAddress
from infosec.storage.postgres import Database, PoolLimits
from tests.sim.audit import CARRIER_NAME, INSTALLATION


def addresses_file(folder: Path, role: dict[str, PostgresAddress]) -> None:
    """Tell where the database is, role by role."""
    told = {
        name: {"host": at.host, "port": at.port, "dbname": at.dbname, "password_file": str(at.password_file)}
        for name, at in role.items()
    }
    (folder / "addresses.json").write_text(json.dumps(told))


async def connected(folder: Path, role: str, *, max_size: int = 8) -> Database:
    """A pool as one of the roles in the file."""
    told = json.loads((folder / "addresses.json").read_text())[role]
    address = PostgresAddress(
        host=told["host"],
        port=told["port"],
        dbname=told["dbname"],
        user=role,
        password_file=Path(told["password_file"]),
    )
    return await Database.connect(address, PoolLimits(max_size=max_size))


async def _main(folder: Path) -> None:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await connected(folder, audit.ROLE))
        keeper = await stack.enter_async_context(await connected(folder, audit.KEEPER, max_size=2))
        registry = CollectorRegistry()
        app = await audit.build(
            db=db,
            keeper=keeper,
            keys=KeyRing.load(folder / "keys"),
            clock=SystemClock(),
            carrier=CARRIER_NAME,
            installation=INSTALLATION,
            directory=folder / "audit",
            registry=registry,
        )
        authority = Authority.create_or_load(folder / "tls", carrier=CARRIER_NAME, now=datetime.now(UTC))
        server = Server(
            app.registrations,
            address=Address(host="127.0.0.1", port=0),
            tls=authority.issue_service("auditd", now=datetime.now(UTC)),
            carrier=CARRIER_NAME,
            allow={audit.RECORD_SERVICE: ANY, audit.READ_SERVICE: ANY},
            refusals=app.refused,
            registry=registry,
            log=logging.get("bench"),
            limits=ServerLimits(max_calls=4096, max_caller_calls=4096),
            quiet=audit.HOT_PATHS,
        )
        await server.start()
        running = asyncio.create_task(app.run())
        print(json.dumps({"audit": server.port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await server.stop(grace_s=0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await app.close()


if __name__ == "__main__":
    logging.configure("warning")
    loop.run(_main(Path(sys.argv[1])))
