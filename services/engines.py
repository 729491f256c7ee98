"""PostgreSQL and Redis for a process: the installation's own (embedded), or outside ones from the configuration.

One code path: whatever they are, a process gets addresses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infosec.config import Config
from infosec.errors import Misconfigured, Reason
from infosec.private_files import read_secret, write_private
from infosec.secret import Secret
from infosec.storage.addresses import PostgresAddress, RedisAddress
from infosec.storage.embedded import Addresses, EmbeddedServers
from infosec.storage.postgres import Database, PoolLimits

_RECORD = "engines.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """Where the engines are, for every role."""

    admin: PostgresAddress | None
    """None where this process is not told the administrator's password: it then cannot migrate."""
    roles: Callable[[str], PostgresAddress]
    redis: RedisAddress | None
    failed: Callable[[], Coroutine[Any, Any, str]]
    """Waits until an engine of our own has ended by itself; for ever where they are not our own."""
    is_embedded: bool
    pool_max: int = 16

    async def connect(self, role: str, limits: PoolLimits | None = None) -> Database:
        """A pool as the login role of a service. Raises Misconfigured where its password is not configured."""
        self.role_password(role)  # the driver would only say that it was refused
        return await Database.connect(self.roles(role), limits or PoolLimits(max_size=self.pool_max))

    def role_password(self, role: str) -> Secret:
        """The password that a service's login role has, or is to get."""
        file = self.roles(role).password_file
        if file is None:
            raise Misconfigured(Reason.CONFIGURATION, key=f"postgres.role_password_files.{role}", detail="is missing")
        return read_secret(file)

    @asynccontextmanager
    async def administration(self) -> AsyncIterator[Database]:
        """A connection as the administrator. Raises Misconfigured where no password is configured."""
        if self.admin is None:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="postgres.admin_password_file",
                detail="is needed for this command",
                hint="name a file of mode 0600",
            )
        db = await Database.connect(self.admin, PoolLimits(max_size=2))
        try:
            yield db
        finally:
            await db.close()


def engines(config: Config) -> AbstractAsyncContextManager[Engines]:
    """The engines for a serving process. Raises Misconfigured, ALREADY_RUNNING for a second one on a data directory."""
    return _embedded(config) if config.postgres is None else _outside(config)


@asynccontextmanager
async def running_or_own_engines(config: Config) -> AsyncIterator[Engines]:
    """For a command beside the server: the engines that are running on the data directory, or else started for it."""
    if config.postgres is not None:
        async with _outside(config) as outside:
            yield outside
        return
    try:
        started = _embedded(config)
        own = await started.__aenter__()
    except Misconfigured as error:
        if error.reason is not Reason.ALREADY_RUNNING:
            raise
        yield _recorded(config.server.data_dir / _RECORD, error)
        return
    try:
        yield own
    finally:
        await started.__aexit__(None, None, None)


@asynccontextmanager
async def _embedded(config: Config) -> AsyncIterator[Engines]:
    servers = EmbeddedServers(config.server.data_dir, with_redis=config.redis.mode == "embedded")
    async with servers.running() as addresses:
        redis = _outside_redis(config) if config.redis.mode == "external" else addresses.redis
        record = config.server.data_dir / _RECORD
        write_private(record, _document(addresses, redis))
        try:
            yield Engines(
                admin=addresses.postgres,
                roles=addresses.role,
                redis=redis,
                failed=servers.wait_failed,
                is_embedded=True,
            )
        finally:
            record.unlink(missing_ok=True)


@asynccontextmanager
async def _outside(config: Config) -> AsyncIterator[Engines]:
    postgres = config.postgres
    if postgres is None:
        raise ValueError("no outside PostgreSQL is configured")
    base = PostgresAddress(
        host=postgres.host,
        port=postgres.port,
        dbname=postgres.dbname,
        user=postgres.admin_user,
        password_file=postgres.admin_password_file,
        tls_ca=postgres.tls_ca,
    )

    def role(name: str) -> PostgresAddress:
        return replace(base, user=name, password_file=postgres.role_password_files.get(name))

    yield Engines(
        admin=base if postgres.admin_password_file is not None else None,
        roles=role,
        redis=_outside_redis(config) if config.redis.mode == "external" else None,
        failed=_never,
        is_embedded=False,
        pool_max=postgres.pool_max,
    )


def _outside_redis(config: Config) -> RedisAddress:
    redis = config.redis
    return RedisAddress(
        host=redis.host or "",
        port=redis.port,
        db=redis.db,
        user=redis.username,
        password_file=redis.password_file,
        tls_ca=redis.tls_ca,
    )


async def _never() -> str:
    await asyncio.Event().wait()
    return ""


def _document(addresses: Addresses, redis: RedisAddress | None) -> bytes:
    """Paths and names only: what a command of the same user needs to find the running engines."""
    return json.dumps(
        {
            "host": addresses.postgres.host,
            "dbname": addresses.postgres.dbname,
            "user": addresses.postgres.user,
            "passwords": str(addresses.passwords),
            "redis": str(redis.socket) if redis and redis.socket else "",
        }
    ).encode()


def _recorded(record: Path, running: Misconfigured) -> Engines:
    try:
        document = json.loads(record.read_bytes())
    except (OSError, ValueError):
        raise running from None  # it is just starting, or stopping
    passwords = Path(document["passwords"])
    admin = PostgresAddress(
        host=document["host"],
        dbname=document["dbname"],
        user=document["user"],
        password_file=passwords / f"{document['user']}.password",
    )

    def role(name: str) -> PostgresAddress:
        return replace(admin, user=name, password_file=passwords / f"{name}.password")

    redis = RedisAddress(socket=Path(document["redis"]), password_file=passwords / "redis.password")
    return Engines(
        admin=admin,
        roles=role,
        redis=redis if document["redis"] else None,
        failed=_never,
        is_embedded=True,
    )
