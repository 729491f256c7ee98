"""The audit service as a process of its own beside `tests.bench.site`. `python -m tests.bench.audit_site FOLDER DAYS PORT`.

FOLDER holds what the site has made: keys, certificates, and `addresses.json`. Prints one JSON line when it serves, and ends
when its standard input does. Its clock is DAYS behind until it gets SIGUSR1: spot checks are of a week that is over.
PORT is shared with others of its kind; 0 for one of its own.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from auditsvc import app as audit
from infosec import logging
from infosec.certificates import Authority
from infosec.config import Address
from infosec.keys import KeyRing
from infosec.rpc.server import loop
from infosec.rpc.server.builder import Server, ServerLimits
from infosec.rpc.server.identity import ANY
from tests.bench.addresses import connected
from tests.sim.audit import CARRIER_NAME, INSTALLATION


class _LateClock:
    """The machine's clock, some days behind, until it catches up."""

    def __init__(self, days: int) -> None:
        self._behind = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def catch_up(self) -> None:
        """From now on there is no difference."""
        self._behind = timedelta(0)


async def _main(folder: Path, days: int, shared_port: int) -> None:
    clock = _LateClock(days)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, clock.catch_up)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await connected(folder, audit.ROLE))
        keeper = await stack.enter_async_context(await connected(folder, audit.KEEPER, max_size=2))
        registry = CollectorRegistry()
        app = await audit.build(
            db=db,
            keeper=keeper,
            keys=KeyRing.load(folder / "keys"),
            clock=clock,
            carrier=CARRIER_NAME,
            installation=INSTALLATION,
            directory=folder / "audit",
            registry=registry,
        )
        authority = Authority.create_or_load(folder / "tls", carrier=CARRIER_NAME, now=datetime.now(UTC))
        server = Server(
            app.registrations,
            address=Address(host="127.0.0.1", port=shared_port),
            shares_port=bool(shared_port),
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


def audit_process(
    folder: Path, days: str, stack: AsyncExitStack | ExitStack, *, shared_port: int = 0
) -> tuple[int, int]:
    """The audit service in a process that ends with `stack`: its process ID and port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.audit_site", str(folder), days, str(shared_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.communicate, "")
    return process.pid, int(json.loads(process.stdout.readline())["audit"])  # type: ignore[union-attr]


if __name__ == "__main__":
    logging.configure("warning")
    loop.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
