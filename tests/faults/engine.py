"""A PostgreSQL of a test's own in a process of its own: `python -m tests.faults.engine DATA_DIR` holds it until its input ends.

Apart from the test's process, whose limits and signals are not the engine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infosec.storage.addresses import PostgresAddress
from infosec.storage.embedded import Addresses, EmbeddedServers

_ROOT = Path(__file__).parents[2]


def addresses_told(told: Mapping[str, Any]) -> Addresses:
    """Where the database is that another process tells of, as one of its roles."""
    passwords = Path(told["passwords"])
    postgres = PostgresAddress(
        host=told["host"],
        port=told["port"],
        dbname=told["dbname"],
        user=told["user"],
        password_file=passwords / f"{told['user']}.password",
    )
    return Addresses(postgres=postgres, redis=None, passwords=passwords, engine_uid=None)


@dataclass(kw_only=True)
class Engine:
    """The engine, to be started, stopped and interrupted."""

    data: Path
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> Addresses:
        """The same addresses each time."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.engine", str(self.data)),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the engine did not start"
        return addresses_told(json.loads(line))

    async def stop(self) -> None:
        """In order; whoever is connected is disconnected."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
            self._process = None

    def is_up(self) -> bool:
        """Whether the postmaster lives: a full disk can end it."""
        record = self.data / "engines/postgres.process"
        if not record.exists():
            return False
        stat = Path(f"/proc/{record.read_text().split()[0]}/stat")
        try:
            return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """To the postmaster and every process of its."""
        postmaster = int((self.data / "engines/postgres.process").read_text().split()[0])
        for pid in (postmaster, *_children(postmaster)):
            os.kill(pid, number)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # ended in this moment
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def main(data: Path) -> None:
    servers = EmbeddedServers(data, with_redis=False)
    try:
        found = servers.launch()
        address = found.postgres
        told = {"host": address.host, "port": address.port, "dbname": address.dbname, "user": address.user}
        print(json.dumps({**told, "passwords": str(found.passwords)}), flush=True)
        sys.stdin.read()
    finally:
        servers.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
