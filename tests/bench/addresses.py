"""Where the engines of one bench are, for its processes: a file that `tests.bench.site` writes and the others read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infosec.storage.addresses import PostgresAddress, RedisAddress
from infosec.storage.embedded import Addresses
from infosec.storage.postgres import Database, PoolLimits
from infosec.storage.redis import Hints

_FILE = "addresses.json"


def tell(folder: Path, addresses: Addresses, *roles: str) -> None:
    """Write down the database, role by role, and Redis where there is one."""
    told = {role: asdict(addresses.role(role)) for role in roles}
    redis = asdict(addresses.redis) if addresses.redis else None
    (folder / _FILE).write_text(json.dumps({"postgres": told, "redis": redis}, default=str))


async def connected(folder: Path, role: str, *, max_size: int = 8) -> Database:
    """A pool as one of the roles in the file."""
    address = PostgresAddress(**_with_paths(_told(folder)["postgres"][role]))
    return await Database.connect(address, PoolLimits(max_size=max_size))


def redis_of(folder: Path) -> RedisAddress | None:
    """Where Redis is, if there is one."""
    told = _told(folder)["redis"]
    return RedisAddress(**_with_paths(told)) if told else None


def hints(folder: Path) -> Hints | None:
    """A Redis client of the caller's own."""
    address = redis_of(folder)
    return Hints(address) if address else None


def _told(folder: Path) -> Any:
    return json.loads((folder / _FILE).read_text())


def _with_paths(fields: dict[str, Any]) -> dict[str, Any]:
    files = ("socket", "password_file", "tls_ca")
    return {name: Path(value) if name in files and value else value for name, value in fields.items()}
